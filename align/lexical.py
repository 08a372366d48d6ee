"""Lexical overlap: the sparse cosine of hashed character 3- to 5-grams.

Names, numbers and loanwords look alike across languages of one script. This signal
is free, and it must stay apart from the dense vectors: folded into them it costs
pairs of different scripts more than it gives the others.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save
from scipy.sparse import csr_array, vstack

from corpus.errors import InputError
from corpus.tables import write_whole

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

FILE = "lexical.safetensors"
N_BUCKETS = 2**17
LENGTHS = (3, 4, 5)
BATCH = 4096  # texts hashed at once: bounds memory
_SPACE, _END = 0x20, 0x0A
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


class Lexical:
    """Turns texts to sparse unit vectors of weighted character n-grams."""

    def __init__(self, idf: NDArray[np.float32] | None = None) -> None:
        """Keep the weights of the buckets [n_buckets]; without any, all weigh the same."""
        self.idf = np.ones(N_BUCKETS, np.float32) if idf is None else idf

    @classmethod
    def fit(cls, texts: Sequence[str], n_buckets: int = N_BUCKETS) -> Lexical:
        """Fix the weights: log of texts over texts with the n-gram, add-one smoothed."""
        df = np.bincount(count_ngrams(texts, n_buckets).indices, minlength=n_buckets)
        idf = np.log((1 + len(texts)) / (1 + df))
        return cls(idf.astype(np.float16).astype(np.float32))  # as it will be stored

    @classmethod
    def load(cls, folder: Path) -> Lexical:
        """Read the weights that stand beside a model; uniform where there are none.

        Raises:
            InputError: the file is there and no such table.
        """
        path = folder / FILE
        if not path.is_file():
            return cls()
        try:
            idf = load_file(path)["idf"].astype(np.float32)
        except (SafetensorError, KeyError, OSError) as error:
            raise InputError(f"{path} is no table of n-gram weights: {error}") from error
        n = idf.size
        if idf.ndim != 1 or not 256 <= n <= 2**24 or n & (n - 1) or not np.isfinite(idf).all():
            raise InputError(f"{path} has weights of shape {idf.shape}; a power of two is expected")
        return cls(idf)

    def save(self, folder: Path) -> None:
        """Write the weights as float16 beside a model."""
        content = save({"idf": self.idf.astype(np.float16)})
        write_whole(folder / FILE, lambda path: _write(path, content))

    def vectors(self, texts: Sequence[str]) -> csr_array:
        """Give each text a sparse row of unit norm, [n, n_buckets]; zero without letters."""
        return self.weigh(count_ngrams(texts, self.idf.size))

    def weigh(self, rows: csr_array) -> csr_array:
        """Turn counts of n-grams to sparse rows of unit norm, in place."""
        weights = np.sqrt(rows.data) * self.idf[rows.indices]
        row = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
        norms = np.sqrt(np.bincount(row, weights**2, minlength=rows.shape[0]))
        rows.data = (weights / np.maximum(norms, 1e-12)[row]).astype(np.float32)
        return rows


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


@overload
def mix(sim: float, lexical: float, weight: float) -> float: ...
@overload
def mix(sim: NDArray[Any], lexical: NDArray[Any], weight: float) -> NDArray[Any]: ...
def mix(
    sim: float | NDArray[Any], lexical: float | NDArray[Any], weight: float
) -> float | NDArray[Any]:
    """Blend cosine and lexical score: ``(1 - weight) * sim + weight * lexical``."""
    return sim + weight * (lexical - sim)


def count_ngrams(texts: Sequence[str], n_buckets: int) -> csr_array:
    """Count each text's n-grams by bucket, [n, n_buckets]; words are padded with one space."""
    starts = range(0, max(len(texts), 1), BATCH)
    parts = [_count(texts[n : n + BATCH], n_buckets) for n in starts]
    counts: csr_array = vstack(parts, format="csr")
    return counts


def _count(texts: Sequence[str], n_buckets: int) -> csr_array:
    """Roll one hash over all texts at once, and keep it where an n-gram ends."""
    codes, row = _letters(texts)
    ahead = np.concatenate([codes, np.full(max(LENGTHS), _END, np.uint64)])
    buckets = np.empty((len(codes), len(LENGTHS)), np.int32)
    whole = np.empty(buckets.shape, bool)
    rolling, within = np.zeros(len(codes), np.uint64), np.ones(len(codes), bool)
    shift = np.uint64(65 - n_buckets.bit_length())
    for k in range(max(LENGTHS)):
        here = ahead[k : k + len(codes)]
        rolling = (rolling + here) * _MULTIPLIER
        rolling ^= rolling >> np.uint64(29)
        within = within & (here != _END)
        if k + 1 in LENGTHS:
            column = LENGTHS.index(k + 1)
            buckets[:, column] = (rolling * _MULTIPLIER) >> shift
            whole[:, column] = within
        if k:  # an n-gram may start or end with the space around a word, not span it
            within = within & (here != _SPACE)
    n_each = np.bincount(row, whole.sum(1), minlength=len(texts)).astype(np.int64)
    ends = np.concatenate([[0], np.cumsum(n_each)])
    ones = np.ones(int(ends[-1]), np.float32)
    counts = csr_array((ones, buckets[whole], ends), shape=(len(texts), n_buckets))
    counts.sum_duplicates()
    return counts


def _letters(texts: Sequence[str]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Give all texts' folded characters, words between single spaces, and their text's row."""
    folded = [f" {unicodedata.normalize('NFKD', text).casefold()} \n" for text in texts]
    sizes = [len(text) for text in folded]
    codes = np.frombuffer("".join(folded).encode("utf-32-le", "replace"), np.uint32).copy()
    row = np.repeat(np.arange(len(texts)), sizes)
    codes[_is_separator()[np.minimum(codes, 0xFFFF)]] = _SPACE
    codes[np.cumsum(sizes, dtype=np.int64) - 1] = _END
    letters = (codes < 0x300) | (codes > 0x36F)  # all but accents
    codes, row = codes[letters], row[letters]
    first = np.ones(len(codes), bool)
    first[1:] = (codes[1:] != _SPACE) | (codes[:-1] != _SPACE)
    return codes[first].astype(np.uint64), row[first]


@cache
def _is_separator() -> NDArray[np.bool_]:
    """Tell of each character of the basic plane whether it parts words; others do not."""
    plane = [unicodedata.category(chr(c))[0] in "ZPSC" for c in range(0xFFFF)]
    return np.array([*plane, False])
