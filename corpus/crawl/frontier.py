"""The frontier: every URL of a site and what became of it, in SQLite.

States of a URL: *waiting* to be fetched; *later*, outside of this run's bounds;
*in flight*; *done*, with the place of its WARC record; *failed*, with the reason.
Nothing is committed here by itself: `commit` is called when the WARC records that
the rows point at are on disk.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from pathlib import Path

MAX_TRIES = 3

SCHEMA = """
CREATE TABLE IF NOT EXISTS urls (
  id INTEGER PRIMARY KEY,
  url TEXT NOT NULL UNIQUE,
  host TEXT NOT NULL,
  article INTEGER NOT NULL,           -- 1: an article by the profile's patterns
  depth INTEGER NOT NULL,             -- links between it and the nearest source
  listed TEXT,                        -- the date that a source gives it, UTC
  dated TEXT,                         -- that date, or the one in the URL
  state TEXT NOT NULL DEFAULT 'waiting',
  turn INTEGER NOT NULL DEFAULT 0,    -- rises when it goes to the end of the queue
  tries INTEGER NOT NULL DEFAULT 0,   -- passing failures in this run
  reason TEXT, value TEXT,            -- why it failed, and the value that decided
  file TEXT, offset INTEGER, length INTEGER
);
CREATE INDEX IF NOT EXISTS queue ON urls (state, depth, host, turn, article DESC, dated DESC, id);
CREATE TABLE IF NOT EXISTS files (name TEXT PRIMARY KEY, size INTEGER NOT NULL);
"""
BOUNDED = "CASE WHEN dated < :start OR depth > :deepest THEN 'later' ELSE 'waiting' END"


class Found(NamedTuple):
    """A URL as a source or a link gave it; dates are ISO 8601 in UTC."""

    url: str
    host: str
    article: bool
    depth: int
    listed: str | None
    dated: str | None


class Row(NamedTuple):
    """A URL that was taken from the queue."""

    id: int
    url: str
    host: str
    article: bool
    depth: int
    listed: str | None
    dated: str | None


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a run takes: dates from ``start`` on, at most ``deepest`` links from a source."""

    start: str = ""
    deepest: int = 1_000_000


class Frontier:
    """The SQLite file of one site's URLs."""

    def __init__(self, path: Path) -> None:
        """Open or make the file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.bounds = Bounds()
        self._db = sqlite3.connect(path)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        """Close the file; what is not committed is undone."""
        self._db.close()

    def commit(self) -> None:
        """Make all changes since the last call durable, as one transaction."""
        self._db.commit()

    def start_run(self) -> None:
        """Put back what was in flight when a run died, to the end, and what may work now."""
        self._db.execute(
            "UPDATE urls SET state = 'waiting', turn = turn + 1 WHERE state = 'in flight'"
        )
        self._db.execute(
            "UPDATE urls SET state = 'waiting', tries = 0 "
            "WHERE state = 'failed' AND (tries > 0 OR reason = 'robots')"
        )

    def retag(self, is_article: Callable[[str], bool]) -> None:
        """Tell anew which URLs are articles: the profile has changed."""
        rows = self._db.execute("SELECT url, id FROM urls").fetchall()
        self._db.executemany(
            "UPDATE urls SET article = ? WHERE id = ?", [(is_article(url), n) for url, n in rows]
        )

    def add(self, found: Iterable[Found]) -> None:
        """Add URLs; of one that is known, keep the newer listing and the shorter way."""
        rows = [f._asdict() | self._bounds() for f in found]
        self._db.executemany(
            "INSERT INTO urls (url, host, article, depth, listed, dated) "
            "VALUES (:url, :host, :article, :depth, :listed, :dated) "
            "ON CONFLICT (url) DO UPDATE SET depth = min(depth, excluded.depth), "
            "listed = coalesce(excluded.listed, listed), dated = coalesce(excluded.dated, dated)",
            rows,
        )
        self._db.executemany(
            f"UPDATE urls SET state = {BOUNDED} "  # noqa: S608 - a constant
            "WHERE url = :url AND state IN ('waiting', 'later')",
            rows,
        )

    def newest(self, before: str) -> str | None:
        """Give the newest date that a source names, not after ``before``."""
        row = self._db.execute("SELECT max(listed) FROM urls WHERE listed <= ?", [before])
        newest: str | None = row.fetchone()[0]
        return newest

    def knows_articles(self) -> bool:
        """Tell whether any URL is an article by the profile's patterns."""
        return self._db.execute("SELECT 1 FROM urls WHERE article LIMIT 1").fetchone() is not None

    def plan(self, bounds: Bounds, hosts: Collection[str]) -> dict[str, int]:
        """Choose what this run fetches; count it by host.

        Args:
            bounds: what to take.
            hosts: the hosts that may be asked now.
        """
        self.bounds = bounds
        self._db.execute(
            f"UPDATE urls SET state = {BOUNDED} "  # noqa: S608
            "WHERE state IN ('waiting', 'later')",
            self._bounds(),
        )
        marks = ", ".join("?" * len(hosts))
        self._db.execute(
            f"UPDATE urls SET state = 'later' "  # noqa: S608
            f"WHERE state = 'waiting' AND host NOT IN ({marks})",
            list(hosts),
        )
        return self.waiting()

    def waiting(self) -> dict[str, int]:
        """Count what still waits, by host."""
        return dict(
            self._db.execute(
                "SELECT host, count(*) FROM urls WHERE state = 'waiting' GROUP BY host"
            ).fetchall()
        )

    def take(self, host: str, n: int) -> list[Row]:
        """Take up to ``n`` URLs of a host: the nearest level first, then the newest.

        A level begins when the one before is done on all hosts, so that a URL's
        depth does not hang on the order in which answers come.
        """
        rows = self._db.execute(
            "SELECT id, url, host, article, depth, listed, dated FROM urls "
            "WHERE state = 'waiting' AND host = :host AND depth = "
            "(SELECT min(depth) FROM urls WHERE state IN ('waiting', 'in flight')) "
            "ORDER BY turn, article DESC, dated DESC, id LIMIT :n",
            {"host": host, "n": n},
        ).fetchall()
        self._db.executemany("UPDATE urls SET state = 'in flight' WHERE id = ?", [r[:1] for r in rows])
        return [Row(*row) for row in rows]

    def put_back(self, rows: Iterable[Row]) -> None:
        """Put URLs back that were taken and not fetched, each to its old place."""
        self._db.executemany(
            "UPDATE urls SET state = 'waiting' WHERE id = ?", [(row.id,) for row in rows]
        )

    def done(self, row: Row, file: str, offset: int, length: int) -> None:
        """Record where a URL's response is."""
        self._db.execute(
            "UPDATE urls SET state = 'done', reason = NULL, value = NULL, "
            "file = ?, offset = ?, length = ? WHERE id = ?",
            (file, offset, length, row.id),
        )
        self._db.execute("INSERT OR REPLACE INTO files VALUES (?, ?)", (file, offset + length))

    def failed(self, row: Row, reason: str, value: str, *, passing: bool = False) -> bool:
        """Record a failure; a passing one goes to the end until its tries are used up.

        Returns:
            Whether that was the last word on it.
        """
        self._db.execute(
            "UPDATE urls SET reason = :reason, value = :value, tries = tries + :passing, "
            "turn = turn + :passing, "
            "state = CASE WHEN :passing AND tries + 1 < :max THEN 'waiting' ELSE 'failed' END "
            "WHERE id = :id",
            {
                "id": row.id,
                "reason": reason,
                "value": value[:500],
                "passing": passing,
                "max": MAX_TRIES,
            },
        )
        state = self._db.execute("SELECT state FROM urls WHERE id = ?", [row.id]).fetchone()[0]
        return bool(state == "failed")

    def file_sizes(self) -> dict[str, int]:
        """Give the committed size of each WARC file."""
        return dict(self._db.execute("SELECT name, size FROM files").fetchall())

    def states(self) -> dict[str, int]:
        """Count the URLs in each state."""
        return dict(self._db.execute("SELECT state, count(*) FROM urls GROUP BY state").fetchall())

    def failures(self) -> list[tuple[str, str, str]]:
        """Give (url, reason, value) of each URL that failed."""
        return self._db.execute(
            "SELECT url, reason, value FROM urls WHERE state = 'failed' ORDER BY url"
        ).fetchall()

    def _bounds(self) -> dict[str, object]:
        return {"start": self.bounds.start, "deepest": self.bounds.deepest}
