"""Nearest neighbours in both directions, exact, in blocks of bounded memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from align.lexical import mix

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

BLOCK = 1024  # source rows a block: 80 MB of scores against 20,000 targets


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

    score: NDArray[np.float32]
    at: NDArray[np.intp]

    @property
    def mean(self) -> NDArray[np.float64]:
        """The mean score of each row's neighbourhood [n]."""
        mean: NDArray[np.float64] = self.score.mean(axis=1, dtype=np.float64)
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


def mixed(src: Embedded, tgt: Embedded, weight: float) -> NDArray[np.floating]:
    """Score all source rows against all target rows by the mixed score."""
    sim, lexical = similarities(src, tgt)
    return mix(sim, lexical, weight)


def nearest(
    src: Embedded, tgt: Embedded, k: int, weight: float = 0.0
) -> tuple[Neighbours, Neighbours]:
    """Find the k nearest targets of each source and sources of each target.

    Each score is computed once and serves both directions.

    Args:
        src: source texts [n_src].
        tgt: target texts [n_tgt].
        k: neighbours a row; fewer where the other side is smaller.
        weight: weight of the lexical score.
    """
    k_src, k_tgt = min(k, len(tgt)), min(k, len(src))
    rows = []
    best = Neighbours(
        np.full((len(tgt), k_tgt), -np.inf, np.float32), np.zeros((len(tgt), k_tgt), np.intp)
    )
    for start in range(0, len(src), BLOCK):
        scores = mixed(src.rows(slice(start, start + BLOCK)), tgt, weight)
        rows.append(_top(scores, k_src, 0))
        best = _merge(best, _top(scores.T, min(k_tgt, len(scores)), start))
    return _stack(rows), best


def _top(scores: NDArray[np.floating], k: int, offset: int) -> Neighbours:
    """Take each row's k best, ties to the smaller position."""
    part = np.argpartition(-scores, k - 1, axis=1)[:, :k] if k < scores.shape[1] else None
    at = np.sort(part, axis=1) if part is not None else np.arange(scores.shape[1])[None, :]
    at = np.broadcast_to(at, (len(scores), k))
    order = np.argsort(-np.take_along_axis(scores, at, axis=1), axis=1, kind="stable")
    at = np.take_along_axis(at, order, axis=1)
    return Neighbours(
        np.take_along_axis(scores, at, axis=1).astype(np.float32), at.astype(np.intp) + offset
    )


def _merge(old: Neighbours, new: Neighbours) -> Neighbours:
    score = np.concatenate([old.score, new.score], axis=1)
    at = np.concatenate([old.at, new.at], axis=1)
    order = np.argsort(-score, axis=1, kind="stable")[:, : old.score.shape[1]]
    return Neighbours(
        np.take_along_axis(score, order, axis=1), np.take_along_axis(at, order, axis=1)
    )


def _stack(parts: list[Neighbours]) -> Neighbours:
    return Neighbours(
        np.concatenate([p.score for p in parts]), np.concatenate([p.at for p in parts])
    )
