"""Nearest neighbours in both directions, exact, in blocks of bounded memory."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from align.lexical import mix
from align.products import FLOAT32, product

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from scipy.sparse import csr_array

    from align.products import Product


BLOCK = (1024, 5120)  # source and target rows multiplied at once: 21 MB of scores
WORKERS = 2  # one multiplies while the other chooses
GROUPS = 31  # parts of a row whose maxima bound its k best from below; a prime: data may repeat
N_GRAMS = 1024  # more than a sentence's n-grams: roundings in a lexical score
MANY = 2**22  # candidates after which those that were overtaken are dropped: 50 MB
PAIRS = 4096  # scored at once


@dataclass(frozen=True, slots=True)
class Embedded:
    """Texts as vectors: dense unit rows [n, dim] and, where used, sparse n-gram rows."""

    vectors: NDArray[np.float32]
    lexical: csr_array | None = None

    def __len__(self) -> int:
        """Count the texts."""
        return len(self.vectors)

    def rows(self, at: NDArray[np.intp] | slice) -> Embedded:
        """Take some of the texts."""
        return Embedded(self.vectors[at], None if self.lexical is None else self.lexical[at])


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The k nearest of each row in the other side: scores descending, and positions."""

    score: NDArray[np.float64]
    at: NDArray[np.intp]

    @property
    def mean(self) -> NDArray[np.float64]:
        """The mean score of each row's neighbourhood [n]."""
        mean: NDArray[np.float64] = self.score.mean(axis=1)
        return mean


def similarities(
    src: Embedded, tgt: Embedded, dtype: type[np.floating] = np.float32
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Score all source rows against all target rows.

    Returns:
        Cosines [n_src, n_tgt] and lexical scores [n_src, n_tgt], zero without n-grams.
    """
    sim = src.vectors.astype(dtype) @ tgt.vectors.astype(dtype).T
    if src.lexical is None or tgt.lexical is None:
        return sim, np.zeros_like(sim)
    return sim, (src.lexical @ tgt.lexical.T).toarray().astype(dtype)


def pair_scores(
    src: Embedded, tgt: Embedded, pairs: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Score chosen pairs [n, 2] in float64 from vectors as stored: cosines and lexical scores."""
    sim, lexical = np.zeros(len(pairs)), np.zeros(len(pairs))
    for n in range(0, len(pairs), PAIRS):
        some = slice(n, n + PAIRS)
        a, b = src.rows(pairs[some, 0]), tgt.rows(pairs[some, 1])
        sim[some] = np.einsum("nd,nd->n", a.vectors.astype(np.float64), b.vectors)
        if a.lexical is not None and b.lexical is not None:
            shared = a.lexical.astype(np.float64).multiply(b.lexical)
            lexical[some] = np.asarray(shared.sum(axis=1)).ravel()
    return sim, lexical


def nearest(
    src: Embedded, tgt: Embedded, k: int, weight: float = 0.0, backend: str | None = None
) -> tuple[Neighbours, Neighbours]:
    """Find the k nearest targets of each source and sources of each target.

    Each similarity is computed once and serves both directions. Candidates come from
    a product that may round; their scores, and so the neighbours, do not depend on it.

    Args:
        src: source texts [n_src].
        tgt: target texts [n_tgt].
        k: neighbours a row; fewer where the other side is smaller.
        weight: weight of the lexical score.
        backend: see `align.products.product`.
    """
    k_src, k_tgt = min(k, len(tgt)), min(k, len(src))
    pairs = _candidates(src, tgt, (k_src, k_tgt), weight, backend)
    score = mix(*pair_scores(src, tgt, pairs), weight)
    return best(pairs, score, len(src), k_src), best(pairs[:, ::-1], score, len(tgt), k_tgt)


def nearest_targets(src: Embedded, tgt: Embedded, k: int, weight: float = 0.0) -> Neighbours:
    """Find the k nearest targets of each source; see `nearest`."""
    pairs = _candidates(src, tgt, (min(k, len(tgt)), 0), weight, None)
    score = mix(*pair_scores(src, tgt, pairs), weight)
    return best(pairs, score, len(src), min(k, len(tgt)))


def best(pairs: NDArray[np.intp], score: NDArray[np.float64], n: int, k: int) -> Neighbours:
    """Take the k best of each of n rows among scored pairs [m, 2], ties to the smaller position."""
    order = np.lexsort((pairs[:, 1], -score, pairs[:, 0]))
    first = np.searchsorted(pairs[order, 0], np.arange(n))
    at = order[first[:, None] + np.arange(k)]
    return Neighbours(score[at], pairs[at, 1])


Found = tuple["NDArray[np.intp]", "NDArray[np.intp]", "NDArray[np.float32]"]


def _candidates(
    src: Embedded, tgt: Embedded, k: tuple[int, int], weight: float, backend: str | None
) -> NDArray[np.intp]:
    """Find all pairs [n, 2] that may be among the k best of their source or of their target."""
    dots = product(src.vectors, tgt.vectors, backend)
    slack = 2 * (dots.slack + (N_GRAMS * FLOAT32 if weight else 0.0))
    sides = _Floor(len(src), k[0], slack), _Floor(len(tgt), k[1], slack)
    scan = partial(_scan, dots, src, tgt, weight, sides)
    parts: list[Found] = []
    with ThreadPoolExecutor(WORKERS) as pool:
        for part in pool.map(scan, _blocks(len(src), len(tgt))):
            parts.append(part)
            if sum(len(part[0]) for part in parts) > MANY:
                parts = [_prune(parts, sides)]
    row, column, _ = _prune(parts, sides)
    return np.stack([row, column], axis=1)


def _scan(
    dots: Product,
    src: Embedded,
    tgt: Embedded,
    weight: float,
    sides: tuple[_Floor, _Floor],
    block: tuple[slice, slice],
) -> Found:
    """Find the candidates of one block."""
    rows, columns = block
    scores = dots(rows, columns)
    if weight:
        _mix_in(scores, src.rows(rows), tgt.rows(columns), weight)
    above = scores >= sides[0].raised(rows, scores)[:, None]
    above |= scores >= sides[1].raised(columns, scores.T)
    at = np.flatnonzero(above)
    row, column = np.divmod(at, scores.shape[1])
    return row + rows.start, column + columns.start, scores.ravel()[at]


def _blocks(n_src: int, n_tgt: int) -> Iterator[tuple[slice, slice]]:
    for row in range(0, n_src, BLOCK[0]):
        for column in range(0, n_tgt, BLOCK[1]):
            end = min(row + BLOCK[0], n_src), min(column + BLOCK[1], n_tgt)
            yield slice(row, end[0]), slice(column, end[1])


def _mix_in(scores: NDArray[np.float32], src: Embedded, tgt: Embedded, weight: float) -> None:
    """Mix the lexical scores of a block into its cosines."""
    if src.lexical is not None and tgt.lexical is not None:
        lexical = (src.lexical @ tgt.lexical.T).toarray()
        lexical -= scores
        lexical *= np.float32(weight)
        scores += lexical


def _prune(parts: list[Found], sides: tuple[_Floor, _Floor]) -> Found:
    """Drop the candidates that later blocks have overtaken."""
    row, column, score = (np.concatenate(part) for part in zip(*parts, strict=True))
    keep = (score >= sides[0].all[row]) | (score >= sides[1].all[column])
    return row[keep], column[keep], score[keep]


class _Floor:
    """What a score must reach to be among the k best of its row, raised block by block."""

    def __init__(self, n: int, k: int, slack: float) -> None:
        self._best, self._slack = np.full((k, n), -np.inf, np.float32), np.float32(slack)
        self.all = np.full(n, -np.inf if k else np.inf, np.float32)
        self._lock = Lock()

    def raised(self, at: slice, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take more scores of some rows [n, m] into account; give their floors [n]."""
        k, (n, m) = len(self._best), scores.shape
        if not k:
            return self.all[at]
        width = max(1, m // GROUPS)
        groups = scores[:, : m // width * width].reshape(n, width, -1).max(axis=1)
        with self._lock:
            merged = np.concatenate([self._best[:, at], groups.T])
            self._best[:, at] = np.partition(merged, len(merged) - k, axis=0)[-k:]
            self.all[at] = self._best[:, at].min(axis=0) - self._slack
            return self.all[at].copy()
