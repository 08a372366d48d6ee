"""What judges said of a set, in SQLite: each judgement is on disk before it is answered.

Judges are blind to each other: everyone judges every item as it was built, in an order of
their own. An edit makes another *version* of an item, which its author holds for good and
which the other judge is then shown, as any other item is.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.build.items import ROLES, item_id
from corpus.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import polars as pl

VERDICTS = ("accept", "reject", "edit", "skip")
DETAILS = ("proposer", "edit", "sim", "lexical", "margin", "q", "context", "url", "licence")
MAX_TEXT = 5_000  # characters of a text or a comment
SCHEMA = f"""
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS judgements (
  n INTEGER PRIMARY KEY AUTOINCREMENT,
  request TEXT NOT NULL UNIQUE, -- what is sent again after a lost answer counts once
  judge TEXT NOT NULL,
  item_id TEXT NOT NULL,
  version TEXT NOT NULL, -- the hash of the texts that were judged
  verdict TEXT NOT NULL CHECK (verdict IN {VERDICTS}),
  texts TEXT, -- after an edit, as JSON
  comment TEXT NOT NULL,
  by_script INTEGER NOT NULL,
  at TEXT NOT NULL, -- UTC
  undone INTEGER NOT NULL DEFAULT 0
) STRICT;
"""


@dataclass(frozen=True, slots=True)
class Judgement:
    """One verdict of a judge on one version of an item; ``texts`` after an edit."""

    judge: str
    item_id: str
    version: str
    verdict: str
    texts: tuple[str, ...] = ()
    comment: str = ""
    by_script: bool = True
    n: int = 0


class Version(NamedTuple):
    """Texts of an item, as built or after an edit, and who keeps them."""

    item_id: str
    texts: tuple[str, ...]
    is_edit: bool
    keepers: set[str]


class Store:
    """The judgements of one set."""

    def __init__(self, path: Path, items: pl.DataFrame) -> None:
        """Open the store of a set's items, made where it is not there.

        Raises:
            InputError: the file is no such store.
        """
        self._path = path
        self.items: Mapping[str, dict[str, Any]] = {
            row["item_id"]: row for row in items.iter_rows(named=True)
        }
        try:
            with closing(self._open()) as db, db:
                db.executescript(SCHEMA)
                row = ("token", secrets.token_urlsafe(24))
                db.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", row)
                [(self.token,)] = db.execute("SELECT value FROM meta WHERE key = 'token'")
            path.chmod(0o600)
        except sqlite3.DatabaseError as error:
            raise InputError(f"{path} holds no judgements: {error}") from error

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, timeout=20)
        db.execute("PRAGMA synchronous = FULL")
        return db

    def add(self, judgement: Judgement, request: str = "") -> None:
        """Store a judgement; when this returns it is on disk.

        Args:
            judgement: of a version that is there.
            request: its name; what is sent again under the same name is left out.

        Raises:
            InputError: an unknown item, version or verdict, or texts that cannot be.
        """
        self._check(judgement)
        row = (
            request or secrets.token_hex(8),
            judgement.judge,
            judgement.item_id,
            judgement.version,
            judgement.verdict,
            json.dumps(judgement.texts, ensure_ascii=False) if judgement.texts else None,
            judgement.comment,
            judgement.by_script,
            datetime.now(UTC).isoformat(timespec="seconds"),
        )
        with closing(self._open()) as db, db:
            db.execute(
                "INSERT OR IGNORE INTO judgements (request, judge, item_id, version, verdict, "
                "texts, comment, by_script, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )

    def _check(self, given: Judgement) -> None:
        version = self.versions().get(given.version)
        if version is None or version.item_id != given.item_id:
            raise InputError(f"the set has no item {given.item_id[:40]} with these texts")
        if given.verdict not in VERDICTS:
            raise InputError(f"verdict '{given.verdict[:40]}'; allowed: {', '.join(VERDICTS)}")
        if (given.verdict == "edit") != bool(given.texts):
            raise InputError("texts go with the verdict edit, and no other")
        if any(len(text) > MAX_TEXT for text in (given.comment, *given.texts)):
            raise InputError(f"a text or comment of over {MAX_TEXT} characters")
        if given.texts and (
            len(given.texts) != len(version.texts)
            or not all(text.strip() for text in given.texts)
            or given.texts == version.texts
        ):
            raise InputError("an edit changes a text and leaves none empty; else accept")

    def undo(self, judge: str, n: int) -> str:
        """Take a judge's judgement number n back; it stays in the file, marked.

        Returns:
            The version that it was of, to judge it anew; empty where there is no such number.
        """
        with closing(self._open()) as db, db:
            mine = (n, judge)
            db.execute("UPDATE judgements SET undone = 1 WHERE n = ? AND judge = ?", mine)
            found = db.execute("SELECT version FROM judgements WHERE n = ? AND judge = ?", mine)
            return next((str(version) for (version,) in found), "")

    def judgements(self) -> list[Judgement]:
        """Read what stands, in the order in which it was judged."""
        select = (
            "SELECT judge, item_id, version, verdict, texts, comment, by_script, n "
            "FROM judgements WHERE NOT undone ORDER BY n"
        )
        with closing(self._open()) as db:
            return [
                Judgement(judge, item, version, verdict, tuple(json.loads(texts or "[]")), *rest)
                for judge, item, version, verdict, texts, *rest in db.execute(select)
                if item in self.items
            ]

    def judges(self) -> list[str]:
        """Name those who judged."""
        return sorted({given.judge for given in self.judgements()})

    def versions(self, given: Iterable[Judgement] | None = None) -> dict[str, Version]:
        """Give every version of every item, those that were built first, and who keeps it."""
        found = {
            name: Version(name, tuple(row["texts"]), is_edit=False, keepers=set())
            for name, row in self.items.items()
        }
        last: dict[tuple[str, str], Judgement] = {}
        for one in self.judgements() if given is None else given:
            if one.verdict != "skip":
                last[one.judge, one.version] = one
            if one.verdict == "edit":
                name = self.version_of(one.item_id, one.texts)
                new = Version(one.item_id, one.texts, is_edit=True, keepers=set())
                found.setdefault(name, new).keepers.add(one.judge)
        for (judge, version), one in last.items():
            if one.verdict == "accept" and version in found:
                found[version].keepers.add(judge)
        return found

    def version_of(self, item: str, texts: Iterable[str]) -> str:
        """Hash an item's texts."""
        row = self.items[item]
        return item_id(row["kind"], row["langs"], texts)

    def view(self, judge: str, version: str = "") -> dict[str, Any]:
        """Give what a judge sees: the next item or a certain version, and how far they are."""
        given = self.judgements()
        mine = [one for one in given if one.judge == judge]
        versions = self.versions(given)
        waiting = _queue(judge, versions, mine)
        name = version if version in versions else next(iter(waiting), None)
        return {
            "judge": judge,
            "total": len(versions)
            - sum(v.is_edit and judge in v.keepers for v in versions.values()),
            "waiting": len(waiting),
            "last": mine[-1].n if mine else None,
            "item": self._shown(name, versions[name]) if name else None,
        }

    def _shown(self, name: str, version: Version) -> dict[str, Any]:
        row = self.items[version.item_id]
        langs = row["langs"].split("-") if row["kind"] == "pair" else [row["langs"]] * 3
        return {
            "item_id": version.item_id,
            "version": name,
            "kind": row["kind"],
            "roles": ROLES[row["kind"]],
            "langs": langs,
            "texts": version.texts,
            "details": {name: row[name] for name in DETAILS if row[name] is not None},
        }


def _queue(judge: str, versions: Mapping[str, Version], mine: Iterable[Judgement]) -> list[str]:
    """Order what a judge has yet to judge: as built, then others' edits, then what was skipped."""
    done, skipped = set(), dict[str, int]()
    for one in mine:
        if one.verdict == "skip":
            skipped[one.version] = one.n
        else:
            done.add(one.version)
    order = {
        name: (skipped.get(name, 0), version.is_edit, _shuffled(judge, name))
        for name, version in versions.items()
        if name not in done and judge not in version.keepers
    }
    return sorted(order, key=order.__getitem__)


def _shuffled(judge: str, name: str) -> str:
    return hashlib.sha256(f"{judge}\0{name}".encode()).hexdigest()
