"""Lexical overlap: the sparse cosine of hashed n-grams of letters and of sounds.

Names, numbers and loanwords look alike across languages. In Latin script n-grams of
letters find them. Across scripts n-grams of sounds do: every text is written in Latin
letters, vowels, which no two scripts write alike, are left out, and consonants of a kind
are one (the idea of Soundex, Russell 1918).

This signal is free, and it must stay apart from the dense vectors: folded into them it
costs pairs of different scripts more than it gives the others.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from anyascii import anyascii
from safetensors import SafetensorError
from safetensors.numpy import load_file, save
from scipy.sparse import csr_array, vstack

from corpus.errors import InputError
from corpus.files import write_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

FILE = "lexical.safetensors"
N_BUCKETS = 2**17
LENGTHS = (3, 4, 5)
SOUND_LENGTHS = (3, 4)
BATCH = 4096  # texts hashed at once: bounds memory
_SPACE, _END = 0x20, 0x0A
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


class Lexical:
    """Turns texts to sparse unit vectors of weighted n-grams of letters and sounds."""

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
        write_bytes(folder / FILE, content)

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
    letters, row = _letters(texts)
    own = ~_IS_CAPITAL[letters]
    of_sounds = _roll(*_sounds(letters, row), SOUND_LENGTHS, (len(texts), n_buckets))
    counts: csr_array = of_sounds + _roll(letters[own], row[own], LENGTHS, of_sounds.shape)
    return counts


def _roll(
    codes: NDArray[Any], row: NDArray[Any], lengths: tuple[int, ...], shape: tuple[int, int]
) -> csr_array:
    """Roll one hash over all texts at once, and keep it where an n-gram ends."""
    ahead = np.concatenate([codes, np.full(max(lengths), _END, np.uint64)])
    buckets = np.empty((len(codes), len(lengths)), np.int32)
    whole = np.empty(buckets.shape, bool)
    rolling, within = np.zeros(len(codes), np.uint64), np.ones(len(codes), bool)
    shift = np.uint64(65 - shape[1].bit_length())
    for k in range(max(lengths)):
        here = ahead[k : k + len(codes)]
        rolling = (rolling + here) * _MULTIPLIER
        rolling ^= rolling >> np.uint64(29)
        within = within & (here != _END)
        if k + 1 in lengths:
            column = lengths.index(k + 1)
            buckets[:, column] = (rolling * _MULTIPLIER) >> shift
            whole[:, column] = within
        if k:  # an n-gram may start or end with the space around a word, not span it
            within = within & (here != _SPACE)
    n_each = np.bincount(row, whole.sum(1), minlength=shape[0]).astype(np.int64)
    ends = np.concatenate([[0], np.cumsum(n_each)])
    counts = csr_array((np.ones(int(ends[-1]), np.float32), buckets[whole], ends), shape=shape)
    counts.sum_duplicates()
    return counts


class _Latin(dict[int, str]):
    """Writes a character in Latin letters, capital ones where it is of another script.

    What parts words becomes a space, what is neither letter nor digit nothing.
    """

    def __missing__(self, code: int) -> str:
        kind = unicodedata.category(chr(code))
        if kind[0] in "ZPS" or kind == "Cc":
            self[code] = " "
        else:
            latin = "".join(filter(str.isalnum, anyascii(chr(code))))
            self[code] = latin.lower() if code < _OTHER_SCRIPTS else latin.upper()
        return self[code]


_OTHER_SCRIPTS = 0x370  # Greek is the first
_LATIN = _Latin()


def _letters(texts: Sequence[str]) -> tuple[NDArray[np.uint64], NDArray[np.intp]]:
    """Give all texts' letters as `_Latin` writes them, words between spaces, and their row."""
    latin = [unicodedata.normalize("NFKD", t).casefold().translate(_LATIN) for t in texts]
    words = [f" {' '.join(text.split())} \n" for text in latin]
    codes = np.frombuffer("".join(words).encode("ascii"), np.uint8).astype(np.uint64)
    return codes, np.repeat(np.arange(len(texts)), [len(text) for text in words])


def _sounds(
    letters: NDArray[np.uint64], row: NDArray[np.intp]
) -> tuple[NDArray[np.uint64], NDArray[np.intp]]:
    """Give each word's consonants by their kind, doubled ones once; of vowels only a first one."""
    sound = _SOUNDS[letters]
    first = np.concatenate([[True], letters[:-1] == _SPACE])
    sound[first & (sound == 0)] = _VOWEL
    kept = sound != 0
    sound, row = sound[kept], row[kept]
    new = np.concatenate([[True], sound[1:] != sound[:-1]]) | (sound < _VOWEL)  # digits repeat
    return sound[new], row[new]


def _sound_table() -> NDArray[np.uint64]:
    """Give each ASCII character its sound, apart from all letters; 0 for one that is dropped."""
    table = np.arange(128, dtype=np.uint64) + 128
    table[[_SPACE, _END]] = _SPACE, _END
    table[ord("A") : ord("Z") + 1] = table[ord("a") : ord("z") + 1]
    for letters, sound in (("aeiouyh", ""), ("wv", "b"), ("f", "p"), ("cqx", "k"), ("z", "j")):
        for letter in letters + letters.upper():
            table[ord(letter)] = ord(sound) + 128 if sound else 0
    return table


_VOWEL = np.uint64(ord("a") + 128)
_SOUNDS = _sound_table()
_IS_CAPITAL = np.array([chr(code).isupper() for code in range(128)])
