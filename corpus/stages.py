"""Map and fold stages: what a part is made from, and when it is made again.

A stage makes parts; a part is one or more tables and a manifest. The manifest
holds the part's key (what it was made from), its counts and the digests of its
files. Same key and undamaged files: nothing is done. A fold is a stage with one
part that reads whole tables of ids and scores.

The order of writes makes a kill harmless: tables first, then the manifest that
vouches for them, each whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import polars as pl

from corpus import tables
from corpus.engine import Engine, Here
from corpus.files import file_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from corpus.tables import Table

P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Made:
    """What a stage's function gives for one part."""

    tables: Mapping[str, pl.DataFrame]
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage's name, its version, and the tables of each of its parts.

    The first table stands at ``PART.parquet``, each other at ``PART.NAME.parquet``.
    Raise the version when the same inputs shall give other rows.
    """

    name: str
    version: int
    outputs: tuple[Table, ...]

    def path(self, folder: Path, part: str, table: Table) -> Path:
        """Say where a table of a part stands."""
        infix = "" if table is self.outputs[0] else f".{table.name}"
        return folder / f"{part}{infix}.parquet"


@dataclass(frozen=True, slots=True)
class Part(Generic[P]):
    """A part to make: its name, what it is made from, and the function's input."""

    name: str
    inputs: object  # JSON of all that decides its rows
    work: P


@dataclass(slots=True)
class StageRun:
    """What one run of a stage did."""

    stage: str
    n_made: int = 0
    n_fresh: int = 0
    n_removed: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """Tell whether anything was written or removed."""
        return bool(self.n_made or self.n_removed)


def run(
    stage: Stage,
    folder: Path,
    parts: Sequence[Part[P]],
    make: Callable[[P], Made],
    *,
    engine: Engine | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    dry: bool = False,
) -> StageRun:
    """Bring all parts of a stage up to date.

    Args:
        stage: the stage.
        folder: where its parts stand; parts that are not named any more are removed.
        parts: every part that shall exist.
        make: gives a part's tables from its ``work``; picklable.
        engine: where parts are made; this process by default.
        progress: called with parts done and parts to make.
        dry: count what would be made, and make nothing.
    """
    result = StageRun(stage.name)
    stale = [part for part in parts if not is_fresh(stage, folder, part)]
    result.n_fresh = len(parts) - len(stale)
    if dry:
        result.n_made = len(stale)
        return result
    result.n_removed = _remove_others(folder, {part.name for part in parts})
    make_part = partial(_make_part, stage, folder, make)
    for n, _ in enumerate((engine or Here()).map(make_part, stale), 1):
        result.n_made = n
        progress(n, len(stale))
    result.counts = counts(folder)
    return result


def run_fold(
    stage: Stage, folder: Path, inputs: object, work: P, make: Callable[[P], Made], *, dry: bool
) -> StageRun:
    """Bring the one part of a fold stage up to date."""
    return run(stage, folder, [Part("all", inputs, work)], make, dry=dry)


def part_key(stage: Stage, inputs: object) -> str:
    """Digest all that decides a part's rows."""
    text = json.dumps([stage.name, stage.version, inputs], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def is_fresh(stage: Stage, folder: Path, part: Part[P]) -> bool:
    """Tell whether a part was made from these inputs and its files are whole."""
    path = folder / f"{part.name}.json"
    manifest = _manifest(path)
    return (
        manifest is not None
        and manifest["key"] == part_key(stage, part.inputs)
        and all(_digest(path.parent / name) == digest for name, digest in manifest["files"].items())
    )


def row_digest(frame: pl.DataFrame, columns: Sequence[str]) -> str:
    """Digest the ids of input rows, in whatever order they come."""
    texts = [pl.col(c).cast(pl.String).fill_null("") for c in columns]
    joined = frame.select(pl.concat_str(texts, separator=" "))
    rows = joined.to_series().sort()
    return hashlib.sha256("\n".join(rows.to_list()).encode()).hexdigest()


def outputs_digest(folder: Path) -> dict[str, str]:
    """Give the digest of every file of a stage, from its parts' manifests."""
    return {
        str(path.parent.relative_to(folder) / name): digest
        for path, manifest in manifests(folder)
        for name, digest in manifest["files"].items()
    }


def manifests(folder: Path) -> Iterable[tuple[Path, dict[str, Any]]]:
    """Read the manifests of all parts of a stage, sorted by path."""
    for path in sorted(folder.rglob("*.json")):
        if (manifest := _manifest(path)) is not None:
            yield path, manifest


def counts(folder: Path) -> dict[str, int]:
    """Add up the counts of all parts of a stage."""
    total: dict[str, int] = {}
    for _, manifest in manifests(folder):
        for name, n in manifest["counts"].items():
            total[name] = total.get(name, 0) + n
    return dict(sorted(total.items()))


def scan(stage: Stage, folder: Path, table: Table) -> pl.DataFrame:
    """Read one table of all parts of a stage, sorted by its key."""
    paths = [stage.path(path.parent, path.stem, table) for path, _ in manifests(folder)]
    frames = [tables.read(path, table) for path in paths if path.exists()]
    return table.conform(pl.concat(frames)) if frames else table.empty()


def drop_rows(folder: Path, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    """Drop rows of all parts below a folder; a part that loses some counts as stale."""
    for path, manifest in manifests(folder):
        for name in manifest["files"]:
            rows = pl.read_parquet(path.parent / name)
            changed = change(rows)
            if changed.height < rows.height:
                tables.write_frame(path.parent / name, changed)
        digests = {name: _digest(path.parent / name) for name in manifest["files"]}
        if digests != manifest["files"]:  # by this run, or by one that was killed here
            stale = manifest | {"key": "", "files": digests}
            tables.write_text(path, json.dumps(stale, indent=1))


def _make_part(stage: Stage, folder: Path, make: Callable[[P], Made], part: Part[P]) -> str:
    made = make(part.work)
    files = {}
    for table in stage.outputs:
        path = stage.path(folder, part.name, table)
        tables.write(path, table, made.tables[table.name])
        files[path.name] = _digest(path)
    manifest = {
        "stage": stage.name,
        "version": stage.version,
        "key": part_key(stage, part.inputs),
        "counts": {k: v for k, v in sorted(made.counts.items()) if v},
        "files": files,
    }
    text = json.dumps(manifest, indent=1)
    tables.write_text(folder / f"{part.name}.json", text)
    return part.name


def _manifest(path: Path) -> dict[str, Any] | None:
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    whole = isinstance(manifest, dict) and {"key", "counts", "files"} <= manifest.keys()
    return manifest if whole else None


def _digest(path: Path) -> str:
    try:
        return file_digest(path)
    except OSError:
        return ""


def _remove_others(folder: Path, names: set[str]) -> int:
    """Remove parts that no input stands behind any more: manifest first, then tables."""
    n_removed = 0
    for path in sorted(folder.rglob("*.json")):
        part = str(path.relative_to(folder).with_suffix(""))
        if part in names:
            continue
        files = (_manifest(path) or {}).get("files", {})
        path.unlink()
        for name in files:
            (path.parent / name).unlink(missing_ok=True)
        n_removed += 1
    return n_removed
