"""Keep evaluation out of training: find what nearly equals a text of a benchmark."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np

from align.lexical import count_ngrams
from corpus.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    import polars as pl
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

N_BUCKETS = 2**20
MOST_TEXTS_AN_NGRAM = 300  # commoner n-grams tell nothing of copies and cost the most
SENTENCE_NGRAMS = 80  # about 30 characters
CHUNK = 4096


def read_texts(paths: Iterable[Path]) -> list[str]:
    """Read every text of evaluation files: all cells, of all files below a folder.

    Raises:
        InputError: a folder is empty, or a file is no table.
    """
    texts: dict[str, None] = {}
    for path in paths:
        files = sorted(f for f in path.rglob("*") if f.is_file()) if path.is_dir() else [path]
        if not files:
            raise InputError(f"no evaluation texts in {path}; name a file or a folder")
        for file in files:
            try:
                texts.update(dict.fromkeys(_cells(file)))
            except (csv.Error, OSError) as error:
                raise InputError(f"cannot read evaluation texts from {file}: {error}") from error
    return list(texts)


def _cells(file: Path) -> Iterator[str]:
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    rows = csv.reader(lines) if file.suffix == ".csv" else (line.split("\t") for line in lines)
    for row in rows:
        yield from row


def drop_near_duplicates(pairs: pl.DataFrame, reserved: Sequence[str]) -> pl.DataFrame:
    """Drop pairs of which either side nearly equals a reserved text."""
    texts = pairs["src"].append(pairs["tgt"]).unique(maintain_order=True)
    near = near_duplicates(texts.to_list(), reserved)
    found = texts.filter(near).to_list()
    return pairs.filter(~pairs["src"].is_in(found) & ~pairs["tgt"].is_in(found))


def near_duplicates(texts: Sequence[str], reserved: Sequence[str]) -> NDArray[np.bool_]:
    """Tell which texts nearly equal a reserved one, in one pass over character n-grams.

    Two texts of several words are near duplicates where they share at least 0.6 of their
    n-grams (Jaccard), or where one holds four fifths of the other's and that one is at
    least a short sentence. Single words are no sentences and never count. Candidates are
    texts that share n-grams which few reserved texts have.
    """
    theirs = _ngrams([text for text in reserved if _n_words(text) > 1])
    common = np.bincount(theirs.indices, minlength=N_BUCKETS) > MOST_TEXTS_AN_NGRAM
    by_rare_ngram = _without(theirs, common).T.tocsr()
    n_rare = by_rare_ngram.sum(0)
    found = np.zeros(len(texts), bool)
    several = np.flatnonzero([_n_words(text) > 1 for text in texts])
    for start in range(0, len(several), CHUNK):
        ours = _ngrams([texts[i] for i in several[start : start + CHUNK]])
        rare = _without(ours, common)
        shared = (rare @ by_rare_ngram).tocoo()
        row, column = shared.coords
        worth = shared.data >= 0.5 * np.minimum(rare.sum(1)[row], n_rare[column])
        row, column = row[worth], column[worth]
        near = _nearly_equal(ours[row], theirs[column])
        found[several[start + row[near]]] = True
    return found


def _nearly_equal(ours: csr_array, theirs: csr_array) -> NDArray[np.bool_]:
    """Compare binary n-gram rows one to one."""
    shared = np.asarray(ours.multiply(theirs).sum(1)).ravel()
    a, b = np.diff(ours.indptr), np.diff(theirs.indptr)
    least = np.minimum(a, b)
    contained = (least >= SENTENCE_NGRAMS) & (shared >= 0.8 * least)
    equal: NDArray[np.bool_] = (shared >= 0.6 * (a + b - shared)) | contained
    return equal


def _n_words(text: str) -> int:
    return len(text.split())


def _ngrams(texts: Sequence[str]) -> csr_array:
    rows = count_ngrams(texts, N_BUCKETS)
    rows.data[:] = 1
    return rows


def _without(rows: csr_array, columns: NDArray[np.bool_]) -> csr_array:
    """Clear some columns of a binary matrix."""
    kept = rows.copy()
    kept.data[columns[kept.indices]] = 0
    kept.eliminate_zeros()
    return kept
