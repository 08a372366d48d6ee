"""Runs of neighbouring segments as vectors: what beads are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from align import margin as margins
from align.lexical import Lexical, count_ngrams, mix
from align.neighbours import Embedded, nearest_targets, similarities
from corpus.vectors import RUN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.floating]
    Ints = NDArray[np.intp]

SIZE = RUN  # most segments of a run
POOL = 500  # segments of the other document that a margin is taken over
AT_ONCE = 64  # segments whose neighbourhoods are searched at once


def joined(texts: Sequence[str], first: Ints) -> list[str]:
    """Join the runs of documents' segments: those of one segment, of two, and so on.

    Args:
        texts: the segments.
        first: where each one's document begins.
    """
    return [
        " ".join(texts[max(end - n, begin) : end])
        for n in range(1, SIZE + 1)
        for end, begin in enumerate(first.tolist(), 1)
    ]


@dataclass(frozen=True, slots=True)
class Spans:
    """The runs of 1 to ``size`` segments of documents, each standing at its last segment.

    Attributes:
        vectors: unit rows [size, n, dim]; a run that would begin before its document
            begins with it.
        lengths: characters [size, n].
        first: where each segment's document begins [n].
        counts: n-grams of the single segments [n, n_buckets], where they are scored.
        lexical: weighs them.
    """

    vectors: NDArray[np.float32]
    lengths: NDArray[np.int64]
    first: Ints
    counts: csr_array | None = None
    lexical: Lexical | None = None

    @classmethod
    def of(
        cls,
        texts: Sequence[str],
        embed: Callable[[Sequence[str]], NDArray[np.float32]],
        lexical: Lexical | None = None,
        starts: Ints | None = None,
    ) -> Spans:
        """Join and embed the runs of documents.

        Args:
            texts: the segments of one document, or of several in a row.
            embed: gives the unit rows of texts.
            lexical: counts and weighs n-grams, where they are scored.
            starts: where each document begins, and the end.
        """
        bounds = np.array([0, len(texts)]) if starts is None else starts
        first = np.repeat(bounds[:-1], np.diff(bounds))
        runs = joined(texts, first)
        lengths = np.fromiter(map(len, runs), np.int64, len(runs)).reshape(SIZE, len(texts))
        counts = count_ngrams(texts, lexical.idf.size) if lexical else None
        vectors = embed(runs)
        shape = (*lengths.shape, vectors.shape[1])
        return cls(vectors.reshape(shape), lengths, first, counts, lexical)

    def __len__(self) -> int:
        """Count the segments."""
        return len(self.first)

    @property
    def size(self) -> int:
        """The most segments of a run."""
        return len(self.vectors)

    def document(self, rows: slice) -> Spans:
        """Take one document by its segments."""
        counts = None if self.counts is None else self.counts[rows]
        first = self.first[rows] - rows.start
        return Spans(self.vectors[:, rows], self.lengths[:, rows], first, counts, self.lexical)

    def plain(self) -> Spans:
        """Take the single segments without n-grams."""
        return Spans(self.vectors[:1], self.lengths[:1], self.first)

    def halved(self) -> Spans:
        """Make one segment of every two neighbours, of a single plain document."""
        sums = np.add.reduceat(self.vectors, np.arange(0, len(self), 2), axis=1)
        norms = np.maximum(np.linalg.norm(sums, axis=2, keepdims=True), 1e-9)
        return Spans(sums / norms, np.zeros(sums.shape[:2], np.int64), self.first[::2])

    def rows(self, n: Ints, at: Ints) -> Embedded:
        """Take the runs of ``n`` segments that end with the segments ``at``."""
        vectors = self.vectors[n - 1, at]
        if self.counts is None or self.lexical is None:
            return Embedded(vectors)
        inside = np.minimum(n, at - self.first[at] + 1)
        ends = np.concatenate([[0], np.cumsum(inside)])
        segments = np.arange(ends[-1]) + np.repeat(at + 1 - ends[1:], inside)
        shape = (len(at), len(self))
        members = csr_array((np.ones(len(segments), np.float32), segments, ends), shape=shape)
        return Embedded(vectors, self.lexical.weigh(members @ self.counts))

    def all_at(self, at: Ints) -> Embedded:
        """Take the runs of every size at some segments [size * n_at]."""
        return self.rows(np.repeat(np.arange(self.size) + 1, len(at)), np.tile(at, self.size))

    def singles(self, at: Ints) -> Embedded:
        """Take single segments."""
        return self.rows(np.ones_like(at), at)

    def means(self, other: Spans, near: Floats, weight: float) -> Floats:
        """Average each run's k best scores over the other document's segments around it.

        Args:
            other: the other document.
            near: about where in it each segment's translation is [n].
            weight: weight of the lexical score.

        Returns:
            The means [size, n].
        """
        k, parts = min(margins.K, len(other)), []
        for start in range(0, len(self), AT_ONCE):
            at = np.arange(start, min(start + AT_ONCE, len(self)))
            left = max(min(int(near[at].mean()) - POOL // 2, len(other) - POOL), 0)
            pool = np.arange(left, min(left + POOL, len(other)))
            scores = mixed(self.all_at(at), other.singles(pool), weight)
            best = np.partition(scores, len(pool) - k, axis=1)[:, len(pool) - k :]
            parts.append(best.mean(axis=1, dtype=np.float64).reshape(self.size, -1))
        return np.concatenate(parts, axis=1)

    def pool_means(self, pool: Embedded, weight: float) -> Floats:
        """Average each run's k best scores over a declared pool [size, n]."""
        at = np.arange(len(self))
        sizes = (np.full(len(self), n) for n in range(1, self.size + 1))
        found = [nearest_targets(self.rows(n, at), pool, margins.K, weight).mean for n in sizes]
        return np.stack(found)


def mixed(src: Embedded, tgt: Embedded, weight: float) -> Floats:
    """Score all source rows against all target rows by the mixed score."""
    return mix(*similarities(src, tgt), weight)
