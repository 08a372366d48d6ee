"""When two workspaces are equal: every table, without what names a place or the clock."""

from __future__ import annotations

import hashlib
from pathlib import Path

import polars as pl

from corpus import stages, tables

PLACES = ("fetched", "warc", "offset", "part")  # of articles and catalogue


def contents(root: Path) -> dict[str, object]:
    """All tables of a workspace, and the digests of its models and held-out pairs."""
    found: dict[str, object] = {}
    by_table: dict[str, list[pl.DataFrame]] = {}
    for path, manifest in stages.manifests(root):
        for name in manifest["files"]:
            table = tables.TABLES[_table(root, path, name, manifest["stage"])]
            # WARC files end elsewhere after a kill, so extracted parts are taken together.
            stage = manifest["stage"]
            key = f"{stage} {table.name}"
            if stage not in ("extract", "sketches"):
                key = f"{path.parent.relative_to(root)} {name}"
            by_table.setdefault(key, []).append(tables.read(path.parent / name, table))
    for key, frames in by_table.items():
        frame = pl.concat(frames)
        drop = [c for c in PLACES if c in frame.columns and "sentences" not in key]
        found[key] = frame.drop(drop).sort(frame.drop(drop).columns).rows()
    for folder in ("models", "benchmarks/held-out"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in (".safetensors", ".tsv") or path.name == "tokenizer.json":
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                found[str(path.relative_to(root))] = digest
    return found


def _table(root: Path, path: Path, name: str, stage: str) -> str:
    """Name the table of a part's file."""
    infix = name.removeprefix(path.stem).removesuffix(".parquet").strip(".")
    firsts = {"extract": "articles", "import": "articles", "segment": "sentences"}
    firsts |= {"article_candidates": "article_pairs"}
    return infix or firsts.get(stage, stage)


def assert_equal(a: Path, b: Path) -> None:
    """Fail with the first table that differs."""
    left, right = contents(a), contents(b)
    assert left.keys() == right.keys()
    assert left, f"{a} is empty"
    for key, value in left.items():
        assert value == right[key], f"{key} differs"
