"""Reserved texts: what nothing may train on or publish, because models are judged by it.

A text leaks where it shares most of its n-grams with one reserved text, whatever its
case and punctuation. Lists of whole sentences miss that: a headline in another case, a
quote with one word changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from corpus.errors import InputError
from corpus.files import list_files, write_text
from corpus.rows import TOO_LARGE, kind_of, read_cells

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from corpus.workspace import Workspace

REASON = "reserved"
SHORTEST = 20  # characters: what is shorter is no sentence, and never leaks
# What counts as a unit, how many make an n-gram, and how much of the shorter text must be
# in the longer one. A fifth of the words changed breaks most 3-grams of words and up to 0.4
# of 5-grams of letters.
GRAMS = ((" ", 3, 0.7), ("", 5, 0.6))
FEW = 36  # n-grams: short phrases meet by chance
LEAST_OF_FEW = 0.7
MOST_TEXTS_AN_NGRAM = 300  # commoner n-grams tell nothing of copies and cost the most
CHUNK = 4096
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


def load(workspace: Workspace) -> list[str]:
    """Read the workspace's reserved texts; none where there is no list."""
    path = workspace.reserved
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def reserve(workspace: Workspace, texts: Iterable[str]) -> int:
    """Add texts to the workspace's list; give how many are new.

    Those that are too short to be known again are left out.
    """
    known = set(load(workspace))
    found = {" ".join(text.split()) for text in texts}
    new = {text for text in found if len(text) >= SHORTEST} - known
    if new:
        write_text(workspace.reserved, "".join(f"{text}\n" for text in sorted(known | new)))
    return len(new)


def drop(rows: pl.DataFrame, columns: Sequence[str], reserved: Sequence[str]) -> pl.DataFrame:
    """Drop the rows of which any of the columns leaks."""
    return rows.filter(~mark(rows, columns, reserved)) if reserved else rows


def mark(rows: pl.DataFrame, columns: Sequence[str], reserved: Sequence[str]) -> pl.Series:
    """Tell of each row whether any of the columns leaks."""
    every = pl.concat([rows[column].rename("text") for column in columns]).unique()
    found = every.filter(leaks(every.to_list(), reserved)).to_list()
    return rows.select(pl.any_horizontal(pl.col(columns).is_in(found)).alias("leaks"))["leaks"]


def read_texts(paths: Iterable[Path], columns: Sequence[str] = ()) -> list[str]:
    """Read every text of evaluation files, of all files below a folder.

    Args:
        paths: TSV, CSV or plain lines.
        columns: which columns of their headers; all cells where none is named.

    Raises:
        InputError: a folder is empty, a file is no table or lacks the columns.
    """
    texts: dict[str, None] = {}
    for path in paths:
        files = list_files(path) if path.is_dir() else [path]
        if not files:
            raise InputError(f"no evaluation texts in {path}; name a file or a folder")
        for file in files:
            texts.update(dict.fromkeys(_cells(file, columns)))
    return list(texts)


def _cells(file: Path, columns: Sequence[str]) -> Iterator[str]:
    rows = _rows(file)
    if columns:
        header: list[str] = next(rows, [])
        if missing := [name for name in columns if name not in header]:
            raise InputError(f"{file} has no column '{missing[0]}'; it has {', '.join(header)}")
        places = [header.index(name) for name in columns]
        rows = ([row[n] for n in places if n < len(row)] for row in rows)
    for row in rows:
        yield from row


def _rows(file: Path) -> Iterator[list[str]]:
    """Read the cells of each line; one beyond all measure holds no sentence."""
    for row in read_cells(file, "," if kind_of(file) == ".csv" else "\t"):
        if isinstance(row, list):
            yield [cell.encode("utf-8", "replace").decode() for cell in row]
        elif row != TOO_LARGE:
            raise InputError(f"cannot read evaluation texts from {file}: {row}")


def leaks(texts: Sequence[str], reserved: Sequence[str]) -> NDArray[np.bool_]:
    """Tell which texts of 20 characters and more are mostly in a reserved one, or hold one."""
    ours, theirs = _folded(texts), _folded(reserved)
    theirs = theirs.filter(theirs.str.len_chars() >= SHORTEST).unique(maintain_order=True)
    found = ours.is_in(theirs.to_list()).to_numpy().copy()
    long = np.flatnonzero((ours.str.len_chars() >= SHORTEST).to_numpy())
    for unit, n, least in GRAMS if len(theirs) else ():
        index = _Index(theirs, unit, n)
        for start in range(0, len(long), CHUNK):
            rows = long[start : start + CHUNK]
            found[rows[index.holding(ours[rows], least)]] = True
    return found


class _Index:
    """The n-grams of reserved texts, to look others up in."""

    def __init__(self, texts: pl.Series, unit: str, n: int) -> None:
        self._unit, self._n = unit, n
        row, grams = _ngrams(texts, unit, n)
        self._known = np.unique(grams)
        self._rows, self._sizes = self._matrix(row, grams, len(texts))
        self._is_common = np.bincount(self._rows.indices) > MOST_TEXTS_AN_NGRAM
        rare = _without(self._rows, self._is_common)
        self._by_rare_gram, self._n_rare = rare.T.tocsr(), rare.sum(1)

    def holding(self, texts: pl.Series, least: float) -> NDArray[np.int64]:
        """Give the rows that share ``least`` of the n-grams of the smaller of both texts.

        Only texts that share n-grams which few reserved texts have are compared in full.
        """
        ours, sizes = self._matrix(*_ngrams(texts, self._unit, self._n), len(texts))
        rare = _without(ours, self._is_common)
        met = (rare @ self._by_rare_gram).tocoo()
        row, column = met.coords
        worth = met.data >= 0.5 * least * np.minimum(rare.sum(1)[row], self._n_rare[column])
        row, column = row[worth], column[worth]
        shared = np.asarray(ours[row].multiply(self._rows[column]).sum(1)).ravel()
        smaller = np.minimum(sizes[row], self._sizes[column])
        enough = shared >= np.where(smaller < FEW, LEAST_OF_FEW, least) * smaller
        return np.unique(row[enough & (smaller > 0)])

    def _matrix(
        self, row: NDArray[np.int64], grams: NDArray[np.uint64], n_texts: int
    ) -> tuple[csr_array, NDArray[np.int64]]:
        """Give each text's known n-grams [n_texts, n_known], and how many it has in all."""
        at = np.searchsorted(self._known, grams)
        known = self._known[np.minimum(at, len(self._known) - 1)] == grams
        ones = np.ones(int(known.sum()), np.float32)
        shape = (n_texts, len(self._known))
        marks = csr_array((ones, (row[known], at[known])), shape)
        return marks, np.bincount(row, minlength=n_texts)


def _folded(texts: Sequence[str]) -> pl.Series:
    """Take case, punctuation and width out of texts."""
    folded = pl.Series("text", texts, pl.String).str.normalize("NFKC").str.to_lowercase()
    return folded.str.replace_all(r"[^\p{L}\p{M}\p{N}]+", " ").str.strip_chars()


def _ngrams(texts: pl.Series, unit: str, n: int) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Hash each text's n-grams of letters (unit "") or words (" "), each once a text.

    Returns:
        The text's row of each n-gram, and the n-gram.
    """
    units = texts.str.split(unit)
    row = np.repeat(np.arange(len(texts)), units.list.len().to_numpy())
    codes = units.explode().hash(0).to_numpy()
    n_windows = max(len(codes) - n + 1, 0)
    grams = np.zeros(n_windows, np.uint64)
    for k in range(n):
        grams = (grams + codes[k : k + n_windows]) * _MULTIPLIER
        grams ^= grams >> np.uint64(29)
    inside = row[:n_windows] == row[len(row) - n_windows :]
    frame = pl.DataFrame({"row": row[:n_windows][inside], "gram": grams[inside]}).unique()
    return frame["row"].to_numpy(), frame["gram"].to_numpy()


def _without(rows: csr_array, columns: NDArray[np.bool_]) -> csr_array:
    """Clear some columns of a binary matrix."""
    kept = rows.copy()
    kept.data[columns[kept.indices]] = 0
    kept.eliminate_zeros()
    return kept
