"""Rows of tables that strangers wrote: JSONL, CSV, TSV and Parquet, one at a time."""

from __future__ import annotations

import csv
import json
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import polars as pl

from corpus.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

MAX_ROW = 2_000_000  # bytes of a line or of a CSV field
SLICE = 5_000  # rows of a Parquet file that are read at once
SUFFIXES = (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")
Row: TypeAlias = "Mapping[str, object] | str"


def read_rows(path: Path) -> Iterator[Row]:
    """Read a file's rows, by its ending.

    Yields:
        A row's columns, or why it has none: a reason, a space, the value.

    Raises:
        InputError: a Parquet file cannot be read, or a CSV file has another separator.
    """
    if path.suffix == ".parquet":
        yield from _parquet_rows(path)
    elif path.suffix in (".csv", ".tsv"):
        yield from _csv_rows(path)
    else:
        yield from _json_rows(path)


def _json_rows(path: Path) -> Iterator[Row]:
    with path.open("rb") as file:
        while line := file.readline(MAX_ROW + 1):
            if len(line) > MAX_ROW:
                while line and not line.endswith(b"\n"):
                    line = file.readline(MAX_ROW)
                yield f"too_large over {MAX_ROW} bytes"
            elif line.strip():
                yield _json_row(line)


def _json_row(line: bytes) -> Row:
    try:
        row = json.loads(line)
    except UnicodeDecodeError:
        return "bad_encoding no UTF-8"
    except (ValueError, RecursionError) as error:
        return f"bad_row {type(error).__name__}"
    return row if isinstance(row, dict) else "bad_row no JSON object"


def _csv_rows(path: Path) -> Iterator[Row]:
    csv.field_size_limit(MAX_ROW)
    is_tsv = path.suffix == ".tsv"
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        lines = iter(partial(file.readline, MAX_ROW), "")
        if is_tsv:
            rows = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        else:
            rows = csv.reader(lines)
        names = _names(path, rows, "\t" if is_tsv else ",")
        while True:
            try:
                cells = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                yield f"bad_row {error}"
                continue
            if len(cells) == len(names):
                yield dict(zip(names, cells, strict=True))
            elif cells:
                yield f"bad_row {len(cells)} cells in place of {len(names)}"


def _names(path: Path, rows: Iterator[list[str]], separator: str) -> list[str]:
    """Read the names of the columns."""
    try:
        names = next(rows, [])
    except csv.Error as error:
        raise InputError(f"{path}: its first line names no columns: {error}") from error
    for other in sorted({",", ";", "\t", "|"} - {separator}):
        if len(names) == 1 and other in names[0]:
            raise InputError(
                f"{path}: its columns are split by {other!r} ({names[0][:80]!r}), "
                f"and {path.suffix} by {separator!r}; save it so"
            )
    return names


def _parquet_rows(path: Path) -> Iterator[Row]:
    try:
        lazy = pl.scan_parquet(path)
        n_rows = lazy.select(pl.len()).collect().item()
        for start in range(0, n_rows, SLICE):
            yield from lazy.slice(start, SLICE).collect().iter_rows(named=True)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"cannot read {path}: {error}") from error
