"""Files of strangers, taken in blocks of rows, each a part of a map stage.

Memory stays bounded, a killed import goes on, and the same file with the same options
does nothing. With other options its rows take the place of the earlier ones, once they
are all there. A row that is not what it should be is a reject with its reason.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from corpus import stages
from corpus.errors import InputError
from corpus.files import file_digest
from corpus.stages import Part
from corpus.tables import REJECTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from corpus.rows import Row
    from corpus.stages import Made, Stage, StageRun

MAX_NAMES = 20  # columns of a file that a message lists
# What to do where most rows are rejected for one reason.
ADVICE = {
    "bad_encoding": "the file is not UTF-8; convert it: iconv -f LATIN1 -t UTF-8",
    "bad_date": "write dates as 2026-03-31",
    "unknown_language": "name one for all rows: --lang lb",
    "no_url_or_id": "each article needs one: --columns url=link or id=number",
    "no_text": "name the column of the text: --columns text=body",
    "other_languages": "name what it holds: --lang lb-en, --columns src=lb,tgt=en",
    "empty": "name the columns of both texts: --columns src=lb,tgt=en",
}


@dataclass(frozen=True, slots=True)
class Import:
    """What is taken, and how.

    Attributes:
        stage: its first output is the table that rows become, its second REJECTS.
        home: the folder of all imports of this kind.
        paths: one file, or the two of a bitext.
        said: JSON of all options that decide the rows.
        block: rows of a part.
        rows: reads the rows from the start.
        needed: columns that some row must have, and an example of how to name one.
        make: gives the record of a row by its number, or why there is none: the reason,
            a space, the value.
        gather: makes a part of records and rejects.
    """

    stage: Stage
    home: Path
    paths: Sequence[Path]
    said: object
    block: int
    rows: Callable[[], Iterable[Row]]
    needed: tuple[Sequence[str], str]
    make: Callable[[int, Mapping[str, object]], dict[str, Any] | str]
    gather: Callable[[list[dict[str, Any]], list[dict[str, str]]], Made]


def take(
    job: Import, *, progress: Callable[[int, int], None] = lambda done, total: None, dry: bool
) -> StageRun:
    """Take all rows of an import.

    Raises:
        InputError: a file cannot be read or has no rows, a column is not there, or
            most of the rows are rejected for one reason; what was imported earlier stays.
    """
    digest = _digest(job.paths)
    n_blocks = -(-_count_rows(job) // job.block)
    parts = [Part(f"{n:05}", [digest, job.said, n], n) for n in range(n_blocks)]
    name = re.sub(r"[^\w-]+", "-", job.paths[0].stem)[:60] + f"-{digest[:12]}"
    options = hashlib.sha256(json.dumps(job.said, sort_keys=True).encode()).hexdigest()[:6]
    folder = job.home / f"{name}-{options}"
    run = stages.run(job.stage, folder, parts, _Blocks(job).make, progress=progress, dry=dry)
    if not dry:
        _refuse_mostly_rejected(job, folder, run.counts)
        earlier = (path for path in job.home.glob(f"{name}*") if path != folder)
        run.n_removed += sum(map(_remove, earlier))
    return run


class _Blocks:
    """Makes the parts of a file in order; blocks that are there already are passed."""

    def __init__(self, job: Import) -> None:
        self.job = job
        self.rows = enumerate(job.rows())

    def make(self, block: int) -> Made:
        """Make one block's records and rejects."""
        good: list[dict[str, Any]] = []
        rejects: list[dict[str, str]] = []
        for n, row in self.rows:
            if n < block * self.job.block:
                continue
            result = row if isinstance(row, str) else self.job.make(n, row)
            if isinstance(result, str):
                reason, _, value = result.partition(" ")
                name = f"{plain_name(self.job.paths[0])}@{n + 1}"
                rejects.append({"id": name, "reason": reason, "value": value[:200]})
            else:
                good.append(result)
            if n + 1 == (block + 1) * self.job.block:
                break
        return self.job.gather(good, rejects)


def plain_name(path: Path) -> str:
    """Give a file's name as UTF-8 can hold it."""
    return path.name.encode("utf-8", "replace").decode()


def _digest(paths: Sequence[Path]) -> str:
    """Digest the files' bytes."""
    digests = []
    for path in paths:
        try:
            digests.append(file_digest(path))
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}") from error
    both = hashlib.sha256(" ".join(digests).encode()).hexdigest()
    return digests[0] if len(digests) == 1 else both


def _count_rows(job: Import) -> int:
    """Count the rows, and see that the columns are there."""
    needed, example = job.needed
    missing = dict.fromkeys(needed)
    n_rows, names = 0, dict[str, None]()
    for row in job.rows():
        n_rows += 1
        if not isinstance(row, str):
            missing = {name: None for name in missing if name not in row}
            names |= dict.fromkeys(row) if len(names) < MAX_NAMES else {}
    if not n_rows:
        raise InputError(f"{job.paths[0]}: no rows; at least one is needed")
    if missing and names:
        raise InputError(
            f"{job.paths[0]}: no column '{next(iter(missing))}'; the file has "
            f"{', '.join(list(names)[:MAX_NAMES])}; say which is which: --columns {example}"
        )
    return n_rows


def _refuse_mostly_rejected(job: Import, folder: Path, counts: Mapping[str, int]) -> None:
    for name, n in counts.items():
        reason = name.removeprefix("rejects.")
        least = counts["rows"] - 1 if reason == "other_languages" else counts["rows"] / 2
        if reason != name and n > least:
            rejects = stages.scan(job.stage, folder, REJECTS).filter(pl.col("reason") == reason)
            value = rejects["value"][0] or ""
            _remove(folder)
            raise InputError(
                f"{job.paths[0]}: {n} of {counts['rows']} rows are rejected for '{reason}'"
                + (f" ({value})" if value else "")
                + (f"; {ADVICE[reason]}" if reason in ADVICE else "")
            )


def _remove(folder: Path) -> int:
    """Remove all parts of an import, manifests first; count them."""
    files = sorted(folder.iterdir(), key=lambda path: path.suffix != ".json")
    for path in files:
        path.unlink()
    folder.rmdir()
    return sum(path.suffix == ".json" for path in files)
