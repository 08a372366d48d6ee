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
from scipy.sparse import csr_array

from corpus.errors import InputError

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
        df = np.zeros(n_buckets)
        for start in range(0, len(texts), BATCH):
            counts = count_ngrams(texts[start : start + BATCH], n_buckets)
            df += np.bincount(counts.indices, minlength=n_buckets)
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
        (folder / FILE).write_bytes(save({"idf": self.idf.astype(np.float16)}))

    def vectors(self, texts: Sequence[str]) -> csr_array:
        """Give each text a sparse row of unit norm, [n, n_buckets]; zero without letters."""
        starts = range(0, len(texts), BATCH)
        parts = [count_ngrams(texts[start : start + BATCH], self.idf.size) for start in starts]
        parts = parts or [count_ngrams([], self.idf.size)]
        indices = np.concatenate([part.indices for part in parts])
        data = np.sqrt(np.concatenate([part.data for part in parts])) * self.idf[indices]
        sizes = np.concatenate([np.diff(part.indptr) for part in parts])
        row = np.repeat(np.arange(len(texts)), sizes)
        norms = np.sqrt(np.bincount(row, data**2, minlength=len(texts)))
        data = (data / np.maximum(norms, 1e-12)[row]).astype(np.float32)
        return csr_array(
            (data, indices, np.concatenate([[0], np.cumsum(sizes)])),
            shape=(len(texts), self.idf.size),
        )


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
    codes, row = _letters(texts)
    width = max(LENGTHS)
    padded = np.concatenate([codes, np.full(width, _END, np.uint64)])
    buckets = np.empty((len(codes), len(LENGTHS)), np.int32)
    valid = np.empty_like(buckets, dtype=bool)
    rolling = np.zeros(len(codes), np.uint64)
    open_ = np.ones(len(codes), bool)
    shift = np.uint64(64 - n_buckets.bit_length() + 1)
    for k in range(width):
        here = padded[k : k + len(codes)]
        rolling = (rolling + here) * _MULTIPLIER
        rolling ^= rolling >> np.uint64(29)
        open_ = open_ & (here != _END)
        if k + 1 in LENGTHS:
            n = LENGTHS.index(k + 1)
            buckets[:, n] = (rolling * _MULTIPLIER) >> shift
            valid[:, n] = open_
        if k:  # a space ends a word: an n-gram may end, not go on there
            open_ = open_ & (here != _SPACE)
    per_text = np.bincount(row, valid.sum(1), minlength=len(texts)).astype(np.int64)
    counts = csr_array(
        (
            np.ones(int(per_text.sum()), np.float32),
            buckets[valid],
            np.concatenate([[0], np.cumsum(per_text)]),
        ),
        shape=(len(texts), n_buckets),
    )
    counts.sum_duplicates()
    return counts


def _letters(texts: Sequence[str]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Give all texts' folded characters, words between single spaces, and their text's row."""
    folded = [" " + unicodedata.normalize("NFKD", t).casefold() + " \n" for t in texts]
    codes = np.frombuffer("".join(folded).encode("utf-32-le", "replace"), np.uint32)
    row = np.repeat(np.arange(len(texts)), [len(t) for t in folded])
    accent = (codes >= 0x300) & (codes <= 0x36F)
    end = np.zeros(len(codes), bool)
    end[np.cumsum([len(t) for t in folded], dtype=np.int64) - 1] = True
    space = _is_separator()[np.minimum(codes, 0xFFFF)] & ~end
    keep = ~accent
    codes, row, space, end = codes[keep], row[keep], space[keep], end[keep]
    codes = np.where(space, _SPACE, np.where(end, _END, codes)).astype(np.uint64)
    again = np.zeros(len(codes), bool)
    again[1:] = space[1:] & space[:-1]
    return codes[~again], row[~again]


@cache
def _is_separator() -> NDArray[np.bool_]:
    """Tell of each character of the basic plane whether it parts words."""
    return np.array([unicodedata.category(chr(c))[0] in "ZPSC" for c in range(0x10000)])
