"""Files of rows as evaluation sets come in them: TSV, CSV, JSON, JSON lines, Parquet."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import polars as pl

from corpus.errors import EmptyError, InputError, choices

if TYPE_CHECKING:
    from pathlib import Path

SUFFIXES = (".tsv", ".csv", ".json", ".jsonl", ".parquet")
MAX_LINES = 1_000_000  # of a TSV: the work grows with the square of it


def read(path: Path, *, has_header: bool) -> pl.DataFrame:
    """Read a file as text: TSV without quoting, CSV with it, JSON, JSON lines, Parquet."""
    try:
        if not path.stat().st_size:
            raise EmptyError(f"{path} has no rows")
        if path.suffix in (".tsv", ".csv"):
            rows = read_tsv(path) if path.suffix == ".tsv" else _read_csv(path)
            names = rows.pop(0) if has_header else [f"column_{n + 1}" for n in range(len(rows[0]))]
            return pl.DataFrame(rows, schema=names, orient="row")
        if path.suffix == ".parquet":
            return pl.read_parquet(path)
        if path.suffix in SUFFIXES:  # .json is one list, or a record a line
            is_list = path.read_bytes().lstrip().startswith(b"[")
            return pl.read_json(path) if is_list else pl.read_ndjson(path)
    except (pl.exceptions.PolarsError, OSError, ValueError, csv.Error) as error:
        kind = path.suffix.removeprefix(".").upper()
        raise InputError(f"cannot read {path} as {kind}: {str(error).splitlines()[0]}") from error
    raise InputError(f"{path} is of no kind {choices(path.suffix, SUFFIXES)}")


def read_tsv(path: Path) -> list[list[str]]:
    """Read a TSV without quoting; every row has as many cells as the first.

    Raises:
        InputError: no such file, not UTF-8, too long, or a row of another width.
        EmptyError: it has no rows.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path} as UTF-8 text: {error}") from error
    rows = [line.rstrip("\r").split("\t") for line in lines if line.strip()]
    if not rows:
        raise EmptyError(f"{path} has no rows; give lines of two texts with a tab between")
    if len(rows) > MAX_LINES:
        raise InputError(f"{path} has {len(rows)} rows, at most {MAX_LINES} can be scored")
    for n, row in enumerate(rows, 1):
        if len(row) != len(rows[0]):
            raise InputError(
                f"{path}, row {n}: {len(row)} columns where the first row has {len(rows[0])}"
            )
    return rows


def _read_csv(path: Path) -> list[list[str]]:
    """Read quoted rows; a short one is filled up with empty cells, which may be missed."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.reader(file) if row]
    width = len(rows[0]) if rows else 0
    for n, row in enumerate(rows, 1):
        if len(row) > width:
            raise InputError(f"{path}, row {n}: {len(row)} columns, the first row has {width}")
    if not rows:
        raise EmptyError(f"{path} has no rows")
    return [row + [""] * (width - len(row)) for row in rows]
