"""The frontier: every URL of a site and what became of it, in SQLite.

States of a URL: *waiting* to be fetched; *later*, outside of this run's bounds;
*in flight*; *done*, with the place of its WARC record; *failed*, with the reason.
Nothing is committed here by itself: `commit` is called when the WARC records that
the rows point at are on disk.
"""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, cast

from corpus.crawl.urls import Bounds, Url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

Place = tuple[str, int, int]  # file, offset and length of a record
MAX_TRIES = 3
MAX_IDLE = 10  # pages in a row that led to no article which was not known without them
N_RECENT = 50_000  # URLs that were added lately, which need no look into the file
SCHEMA = """
CREATE TABLE IF NOT EXISTS urls (
  id INTEGER PRIMARY KEY,
  url TEXT NOT NULL UNIQUE,
  host TEXT NOT NULL,
  article INTEGER NOT NULL,           -- 1: an article by the profile's patterns
  depth INTEGER NOT NULL,             -- links between it and the nearest source
  idle INTEGER NOT NULL,              -- how many pages on that way, up to here, were in vain
  shown INTEGER,                      -- the depth of the first page that links to it
  listed TEXT,                        -- the date that a source gives it, UTC
  dated TEXT,                         -- that date, or the one in the URL
  state TEXT NOT NULL DEFAULT 'waiting',
  turn INTEGER NOT NULL DEFAULT 0,    -- rises when it goes to the end of the queue
  tries INTEGER NOT NULL DEFAULT 0,   -- passing failures in this run
  reason TEXT, value TEXT,            -- why it failed, and the value that decided
  file TEXT, offset INTEGER, length INTEGER,
  checked TEXT,                       -- when its host last sent it or said it is the same
  etag TEXT, modified TEXT            -- what its host knows that version by
);
CREATE INDEX IF NOT EXISTS queue ON urls (state, depth, host, turn, article DESC, dated DESC, id);
CREATE INDEX IF NOT EXISTS canonical ON urls (value) WHERE reason = 'canonical';
"""
ADD = """
INSERT INTO urls (url, host, article, depth, idle, shown, listed, dated)
VALUES (:url, :host, :article, :depth, :idle, :shown, :listed, :dated)
ON CONFLICT (url) DO UPDATE SET article = excluded.article,
  -- Of ways that are as short the best; a longer one would hang on the order of answers.
  idle = CASE WHEN excluded.depth < depth THEN excluded.idle
    WHEN excluded.depth = depth THEN min(idle, excluded.idle) ELSE idle END,
  shown = min(ifnull(shown, excluded.shown), ifnull(excluded.shown, shown)),
  depth = min(depth, excluded.depth), listed = coalesce(excluded.listed, listed),
  dated = coalesce(excluded.dated, dated)
"""
# A date without a time of day may be any time of that day; one in the future says nothing.
CHANGED = """
UPDATE urls SET state = 'waiting', turn = 0, tries = 0 WHERE url = :url AND state = 'done'
  AND (:changed > checked OR :changed LIKE '%T00:00:00Z' AND date(:changed) >= date(checked))
  AND date(:changed) <= date('now', '+1 day')
"""
BOUND = """
UPDATE urls SET state = CASE
  WHEN dated < :start OR date(dated) > :end OR depth > :deepest
    OR (:hosts IS NOT NULL AND host NOT IN (SELECT value FROM json_each(:hosts)))
  THEN iif(file IS NULL, 'later', 'done') ELSE 'waiting' END
WHERE state IN ('waiting', 'later')
"""
LOST = """
UPDATE urls SET state = iif(state = 'done', 'waiting', state),
  file = NULL, offset = NULL, length = NULL, etag = NULL, modified = NULL
WHERE file = ? AND offset + length > ?
"""


class Frontier:
    """The SQLite file of one site's URLs."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open or make the file; ``read_only`` makes and leaves nothing beside it."""
        self._bind(Bounds())
        self._recent: dict[str, tuple[int, int]] = {}  # URL → depth and idle
        if read_only:
            # What no crawl has open cannot change, and SQLite then needs no files of its own.
            mode = "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "immutable=1"
            self._db = sqlite3.connect(f"{path.resolve().as_uri()}?{mode}", uri=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
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
        """Let wait again what was in flight when a run died, at the end, and what may work now."""
        self._db.execute(
            "UPDATE urls SET state = 'waiting', turn = turn + 1 WHERE state = 'in flight'"
        )
        self._db.execute(
            "UPDATE urls SET state = 'waiting', tries = 0 WHERE state = 'failed' AND tries > 0"
        )

    def reopen_lost(self, sizes: Mapping[str, int]) -> None:
        """Let wait again what was stored in WARC files that are gone or shorter now."""
        rows = [(file, sizes.get(file, 0)) for file in self.file_sizes()]
        self._db.executemany(LOST, rows)

    def reopen(self, may_fetch: Callable[[str], bool]) -> None:
        """Let wait again what robots.txt forbade and now allows."""
        query = "SELECT url, id FROM urls WHERE state = 'failed' AND reason = 'robots'"
        rows = [(n,) for url, n in self._db.execute(query).fetchall() if may_fetch(url)]
        self._db.executemany("UPDATE urls SET state = 'waiting' WHERE id = ?", rows)

    def add(self, found: Iterable[Url]) -> None:
        """Add URLs; of one that is known, keep the newer listing and the shorter way.

        One that is done and was changed since waits again.
        """
        rows = []
        for url in found:
            way = (url.depth, url.idle)
            if url.shown is None or self._recent.get(url.url, (url.depth + 1, 0)) > way:
                rows.append(url._asdict() | self._limits)
                if url.shown is not None:
                    self._recent[url.url] = way
        self._db.executemany(ADD, rows)
        self._db.executemany(CHANGED, [row for row in rows if row["changed"]])
        self._db.executemany(f"{BOUND} AND url = :url", rows)
        if len(self._recent) > N_RECENT:
            self._recent.clear()

    def are_shown(self, urls: Iterable[str], depth: int) -> bool:
        """Tell whether pages nearer to a source than ``depth`` link to all of some URLs."""
        names = json.dumps(list(set(urls)))
        query = """SELECT count(*) FROM json_each(?) LEFT JOIN urls ON url = json_each.value
            WHERE shown IS NULL OR shown >= ?"""
        return bool(self._db.execute(query, (names, depth)).fetchone() == (0,))

    def ask_again(self, host: str, before: str) -> None:
        """Let a host's first pages wait again, which may link to what is new since then."""
        self._db.execute(
            "UPDATE urls SET state = 'waiting', tries = 0 "
            "WHERE state = 'done' AND depth <= 1 AND host = ? AND NOT article AND checked < ?",
            (host, before),
        )

    def plan(self, bounds: Bounds) -> None:
        """Set aside what is out of bounds, now and of all that is added later."""
        self._bind(bounds)
        self._db.execute(BOUND, self._limits)

    def _bind(self, bounds: Bounds) -> None:
        self.bounds = bounds
        hosts = None if bounds.hosts is None else json.dumps(bounds.hosts)
        self._limits: dict[str, object] = bounds._asdict() | {"hosts": hosts}

    def newest(self, before: str) -> str | None:
        """Give the newest date that a source names, not after ``before``."""
        query = "SELECT max(listed) FROM urls WHERE listed <= ?"
        return cast("str | None", self._db.execute(query, [before]).fetchone()[0])

    def knows_articles(self) -> bool:
        """Tell whether any URL is an article by the profile's patterns."""
        return self._db.execute("SELECT 1 FROM urls WHERE article LIMIT 1").fetchone() is not None

    def is_done(self) -> bool:
        """Tell whether this run has nothing to do any more."""
        query = "SELECT 1 FROM urls WHERE state IN ('waiting', 'in flight') LIMIT 1"
        return self._db.execute(query).fetchone() is None

    def left(self) -> dict[str, int]:
        """Count what this run has still to do, by host."""
        query = "SELECT host, count(*) FROM urls WHERE state IN ('waiting', 'in flight') GROUP BY 1"
        return dict(self._db.execute(query).fetchall())

    def take(self, host: str, n: int) -> list[Url]:
        """Take up to ``n`` URLs of a host: the nearest level first, then the newest.

        A level begins when the one before is done on all hosts, so that a URL's
        depth does not hang on the order in which answers come.
        """
        rows = self._db.execute(
            "SELECT url, host, article, depth, listed, dated, idle, shown, NULL, id, etag, "
            "modified FROM urls WHERE state = 'waiting' AND host = ? AND depth = "
            "(SELECT min(depth) FROM urls WHERE state IN ('waiting', 'in flight')) "
            "ORDER BY turn, article DESC, dated DESC, id LIMIT ?",
            (host, n),
        ).fetchall()
        taken = [Url(*row) for row in rows]
        self._db.executemany(
            "UPDATE urls SET state = 'in flight' WHERE id = ?", [(url.id,) for url in taken]
        )
        return taken

    def put_back(self) -> None:
        """Put back, each to its old place, what was taken and not fetched."""
        self._db.execute("UPDATE urls SET state = 'waiting' WHERE state = 'in flight'")

    def done(
        self, url: Url, place: Place, checked: str, etag: str = "", modified: str = ""
    ) -> None:
        """Record where a URL's response is, and what its version is known by ("" for nothing)."""
        self._db.execute(
            "UPDATE urls SET state = 'done', reason = NULL, value = NULL, file = ?, offset = ?, "
            "length = ?, checked = ?, etag = nullif(?, ''), modified = nullif(?, '') WHERE id = ?",
            (*place, checked, etag, modified, url.id),
        )

    def unchanged(self, url: Url, checked: str) -> None:
        """Record that the response that is stored is still the newest."""
        query = (
            "UPDATE urls SET state = 'done', reason = NULL, value = NULL, checked = ? WHERE id = ?"
        )
        self._db.execute(query, (checked, url.id))

    def failed(self, url: Url, reason: str, value: str, *, passing: bool = False) -> bool:
        """Record a failure; a passing one goes to the end until its tries are used up.

        A URL of which an earlier response is stored stays done. Pages that named this
        one as the better address of theirs wait again.

        Returns:
            Whether that was the last word on it.
        """
        [state] = self._db.execute(
            "UPDATE urls SET reason = ?2, value = ?3, tries = tries + ?4, turn = turn + ?4, "
            "state = CASE WHEN ?4 AND tries + 1 < ?5 THEN 'waiting' "
            "WHEN file IS NULL THEN 'failed' ELSE 'done' END WHERE id = ?1 RETURNING state",
            (url.id, reason, value[:500], passing, MAX_TRIES),
        ).fetchone()
        if state == "failed" and reason not in ("canonical", "forgotten"):
            self._db.execute(
                "UPDATE urls SET state = 'waiting', turn = turn + 1 "
                "WHERE reason = 'canonical' AND state = 'failed' AND value = ?",
                [url.url],
            )
        return bool(state != "waiting")

    def forget(
        self, is_forgotten: Callable[[str], bool], places: Iterable[tuple[str, int]]
    ) -> None:
        """Give up URLs for ever, and those whose records are at some places (file, offset)."""
        urls = self._db.execute("SELECT id, url FROM urls").fetchall()
        rows = [(n,) for n, url in urls if is_forgotten(url)]
        rows += [
            row
            for place in places
            for row in self._db.execute("SELECT id FROM urls WHERE file = ? AND offset = ?", place)
        ]
        self._db.executemany(
            "UPDATE urls SET state = 'failed', reason = 'forgotten', value = NULL, tries = 0, "
            "file = NULL, offset = NULL, length = NULL, etag = NULL, modified = NULL "
            "WHERE id = ?",
            rows,
        )

    def has_failed(self, url: str) -> bool:
        """Tell whether a URL was given up."""
        query = "SELECT 1 FROM urls WHERE url = ? AND state = 'failed'"
        return self._db.execute(query, [url]).fetchone() is not None

    def file_sizes(self) -> dict[str, int]:
        """Give the committed size of each WARC file."""
        query = "SELECT file, max(offset + length) FROM urls WHERE file IS NOT NULL GROUP BY file"
        return dict(self._db.execute(query).fetchall())

    def states(self) -> dict[str, int]:
        """Count the URLs in each state."""
        return dict(self._db.execute("SELECT state, count(*) FROM urls GROUP BY state").fetchall())

    def outcomes(self) -> list[tuple[str, str, int]]:
        """Count URLs by host and by what became of them; of failed ones by reason."""
        query = """SELECT host, CASE state WHEN 'failed' THEN 'failed: ' || reason ELSE state END,
            count(*) FROM urls GROUP BY 1, 2 ORDER BY 1, 2"""
        return self._db.execute(query).fetchall()

    def urls(self, state: str = "%") -> list[tuple[str, str | None, str | None]]:
        """Give (url, reason, value) of each URL, or of those in a state."""
        query = "SELECT url, reason, value FROM urls WHERE state LIKE ? ORDER BY url"
        return self._db.execute(query, [state]).fetchall()
