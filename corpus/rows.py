"""Rows of files that strangers wrote, one at a time: JSONL, CSV, TSV and Parquet, or lines.

All but Parquet may be gzipped. What cannot be read comes as the reason why, in a string:
the reason, a space, the value. Bytes that are no UTF-8 come as lone surrogates, so that
they are told from every character that a text may hold.
"""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from codecs import BOM_UTF8
from typing import TYPE_CHECKING, TypeAlias

import polars as pl

from corpus.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

MAX_ROW = 2_000_000  # bytes of a line or of a CSV field
CHUNK = 65_536
MAX_RATIO = 200  # what gzip may make of a byte, in a file that unpacks to more than SAFE bytes
SAFE = 50_000_000
SLICE = 5_000  # rows of a Parquet file that are read at once
SUFFIXES = (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")
TOO_LARGE = f"too_large over {MAX_ROW} bytes"
Row: TypeAlias = "Mapping[str, object] | str"


def kind_of(path: Path) -> str:
    """Give the ending that says how a file is read; ``.gz`` does not count."""
    return (path.with_suffix("") if path.suffix == ".gz" else path).suffix


def read_rows(path: Path) -> Iterator[Row]:
    """Read a file's rows, by its ending.

    Yields:
        A row's columns, or why it has none.

    Raises:
        InputError: a Parquet file cannot be read, or a CSV file has another separator.
    """
    kind = kind_of(path)
    if kind == ".parquet":
        yield from _parquet_rows(path)
    elif kind in (".csv", ".tsv"):
        yield from _csv_rows(path, "\t" if kind == ".tsv" else ",")
    else:
        yield from (_json_row(line) for line in read_pieces(path) if line.strip())


def read_pieces(path: Path, end: bytes = b"\n") -> Iterator[bytes | str]:
    """Cut a file at each ``end``; memory stays bounded, whatever it holds.

    Yields:
        A piece without its end, or why there is none: it is too large; or gzip is damaged
        or unpacks without end, and then nothing follows.

    Raises:
        InputError: the file cannot be opened.
    """
    rest, is_cut = b"", False
    for chunk in _chunks(path):
        if isinstance(chunk, str):
            yield chunk
            return
        *pieces, rest = (rest + chunk).split(end)
        for piece in pieces:
            yield TOO_LARGE if is_cut or len(piece) > MAX_ROW else piece
            is_cut = False
        if is_cut or len(rest) > MAX_ROW:
            rest, is_cut = rest[-len(end) :], True
    if is_cut or rest:
        yield TOO_LARGE if is_cut else rest


def _chunks(path: Path) -> Iterator[bytes | str]:
    """Read a file in blocks, unpacked; the last may be why it ends early."""
    n_out = 0
    try:
        opened = path.open("rb")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    with opened as raw:
        file = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
        try:
            while chunk := file.read1(CHUNK):
                yield chunk if n_out else chunk.removeprefix(BOM_UTF8)
                n_out += len(chunk)
                if n_out > SAFE and n_out > MAX_RATIO * raw.tell():
                    yield f"gzip_bomb {n_out} bytes of {raw.tell()}"
                    return
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            yield f"damaged_gzip {error}"


def _json_row(line: bytes | str) -> Row:
    if isinstance(line, str):
        return line
    try:
        row = json.loads(line)
    except UnicodeDecodeError:
        return "bad_encoding no UTF-8"
    except (ValueError, RecursionError) as error:
        return f"bad_row {type(error).__name__}"
    return row if isinstance(row, dict) else "bad_row no JSON object"


def read_cells(path: Path, separator: str) -> Iterator[list[str] | str]:
    """Read the cells of each line (TSV) or record (CSV), or why there are none."""
    if separator == "\t":
        for line in read_pieces(path):
            yield line if isinstance(line, str) else text_of(line).split("\t")
        return
    csv.field_size_limit(MAX_ROW)
    records = csv.reader(_CsvLines(path))
    while True:
        try:
            yield next(records)
        except StopIteration:
            return
        except _UnreadError as error:
            yield str(error)
        except csv.Error as error:
            yield f"bad_row {error}"


def text_of(line: bytes) -> str:
    """Decode a line, without the carriage return of other systems."""
    return line.removesuffix(b"\r").decode("utf-8", "surrogateescape")


class _UnreadError(csv.Error):
    """A line of a CSV file that could not be read."""


class _CsvLines:
    """The lines of a CSV file; one that cannot be read is an error, and the next comes after."""

    def __init__(self, path: Path) -> None:
        self.lines = read_pieces(path)

    def __iter__(self) -> _CsvLines:
        return self

    def __next__(self) -> str:
        line = next(self.lines)
        if isinstance(line, str):
            raise _UnreadError(line)
        return text_of(line) + "\n"


def _csv_rows(path: Path, separator: str) -> Iterator[Row]:
    rows = read_cells(path, separator)
    names = _names(path, next(rows, []), separator)
    for cells in rows:
        if isinstance(cells, str):
            yield cells
        elif len(cells) == len(names):
            yield dict(zip(names, cells, strict=True))
        elif any(cells):
            yield f"bad_row {len(cells)} cells in place of {len(names)}"


def _names(path: Path, names: list[str] | str, separator: str) -> list[str]:
    """See that the first line names columns."""
    if isinstance(names, str):
        raise InputError(f"{path}: its first line names no columns: {names}")
    for other in sorted({",", ";", "\t", "|"} - {separator}):
        if len(names) == 1 and other in names[0]:
            raise InputError(
                f"{path}: its columns are split by {other!r} ({names[0][:80]!r}), "
                f"and {kind_of(path)} by {separator!r}; save it so"
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
