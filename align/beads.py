"""Monotone alignment of two documents: many to many, with skips.

A *bead* is a run of source segments and the run of target segments that translate
it. Dynamic programming chooses the beads of the greatest sum, inside a band around
the path of a coarser alignment (Thompson and Koehn, "Vecalign", EMNLP 2019), so that
memory and time grow with the documents' length. A run is scored as one text, by its
distance margin over its nearest neighbours (Artetxe and Schwenk, ACL 2019), where
vecalign takes random ones, and by what its lengths cost (after Gale and Church, CL
1993). What would cost more in any bead is skipped; as whole passages go untranslated
more often than scattered segments, a run of skips costs more to open than to lengthen
(Gotoh, J. Mol. Biol. 1982).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from align import margin as margins
from align.lexical import mix
from align.neighbours import pair_scores
from align.spans import Spans, mixed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from align.encoders import Encoder
    from align.spans import Floats, Ints

    Means = tuple[Floats, Floats]

WHOLE = 256  # segments up to which a document is searched without a band
RADIUS = 16  # segments on either side of the coarser path
MOST = 8  # segments of both sides of a bead, as in vecalign
CELLS = 2**15  # pairs of segments that are scored at once
# Chosen on Text+Berg's development document and on the even documents of NTREX, with half of
# the target left out, or with segments cut, merged and dropped:
FREE = 0.5  # distance margin of a bead that costs nothing; one below costs the difference
POWER = 0.7  # of a bead's segments but one, which multiplies that: they err together
GROWTH = 0.18  # cost of each segment beyond one to one
LENGTH = 1.0  # cost of a squared log ratio of a bead's lengths
SMOOTH = 20  # characters added to all lengths
PATH_SKIP = 0.35  # cost of a skipped segment on the coarser path
SKIP = 0.9  # the same among beads, while it is not known how much is skipped: few, if in doubt
PRIOR = (0.33, 0.05)  # then: a constant, and the part of the log odds against a skip
OPENING = 0.05  # part of the log odds against a run of skips that its first one costs too
PASSES = 4
# Ways to a skip: a segment of the source after a bead, after a skip; one of the target.
SKIPS = np.array([(1, 0), (1, 0), (0, 1), (0, 1)])


def align(
    src: Spans, tgt: Spans, weight: float = 0.0, means: Means | None = None
) -> tuple[Ints, Means]:
    """Align two documents, again and again: what is skipped says what a skip costs.

    Args:
        src: runs of the source.
        tgt: runs of the target.
        weight: weight of the lexical score.
        means: the mean score of each run's neighbourhood, [size, n] a side; taken over
            the other document where not given.

    Returns:
        Beads and skips in order, as begin and end of the source's and of the target's
        segments [n, 4], the two equal on a side that has none; and the means.
    """
    if not len(src) or not len(tgt):
        alone = [(n, n + 1, 0, 0) for n in range(len(src))]
        alone += [(0, 0, n, n + 1) for n in range(len(tgt))]
        empty = np.zeros(src.lengths.shape), np.zeros(tgt.lengths.shape)
        return np.array(alone, np.intp).reshape(-1, 4), means or empty
    path = _path(src.plain(), tgt.plain())
    means = means or _means(src, tgt, weight, path)
    gains = _Gains(src, tgt, weight, means, _shift(path, src, tgt))
    small = max(len(src), len(tgt)) <= WHOLE
    band = _band(_ends(src, tgt) if small else path)
    rows, costs = list(_by_row(gains.at, band)), (SKIP, 0.0)
    for _ in range(PASSES):
        steps = _search(rows, band, src.size, *costs)
        costs = _costs(steps, len(src) + len(tgt))
    return steps, means


def is_bead(steps: Ints) -> NDArray[np.bool_]:
    """Tell of each step whether it is a bead, not a skip [n]."""
    result: NDArray[np.bool_] = (steps[:, 0] < steps[:, 1]) & (steps[:, 2] < steps[:, 3])
    return result


def score(src: Spans, tgt: Spans, beads: Ints, weight: float, means: Means) -> pl.DataFrame:
    """Score beads [n, 4] in float64, rounded to 1e-5.

    Returns:
        sim, lexical and the ratio margin.
    """
    n, m = beads[:, 1] - beads[:, 0], beads[:, 3] - beads[:, 2]
    at, to = beads[:, 1] - 1, beads[:, 3] - 1
    both = np.repeat(np.arange(len(beads))[:, None], 2, axis=1)
    sim, lexical = pair_scores(src.rows(n, at), tgt.rows(m, to), both)
    margin = margins.ratio(mix(sim, lexical, weight), means[0][n - 1, at], means[1][m - 1, to])
    columns = {"sim": sim, "lexical": lexical, "margin": margin}
    return pl.DataFrame({name: v.round(margins.DECIMALS) for name, v in columns.items()})


def align_documents(a: Sequence[str], b: Sequence[str], encoder: Encoder) -> pl.DataFrame:
    """Align the segments of two documents; see `align.align_documents`."""
    weight = encoder.lexical_weight
    lexical = encoder.lexical if weight else None
    src, tgt = (Spans.of(side, encoder.encode, lexical) for side in (a, b))
    steps, means = align(src, tgt, weight)
    beads = is_bead(steps)
    ids = [[list(range(*step[at : at + 2])) for step in steps.tolist()] for at in (0, 2)]
    frame = pl.DataFrame(
        {"n": np.arange(len(steps)), "src": ids[0], "tgt": ids[1]},
        schema_overrides={"src": pl.List(pl.Int64), "tgt": pl.List(pl.Int64)},
    )
    scores = score(src, tgt, steps[beads], weight, means)
    known = scores.with_columns(pl.Series("n", np.flatnonzero(beads)))
    return frame.join(known, "n", "left", maintain_order="left").drop("n")


def _costs(steps: Ints, n_segments: int) -> tuple[float, float]:
    """Price each skip by how many there are, and a run of them by how many runs."""
    skips = ~is_bead(steps)
    opens = int((skips & np.diff(skips, prepend=False)).sum())
    ends = len(steps) - int(skips.sum()) + opens  # of beads and of runs, where one may open
    skip = PRIOR[0] + PRIOR[1] * _against(int(skips.sum()), n_segments)
    return skip, OPENING * max(_against(opens, ends), 0.0)


def _against(n: int, of: int) -> float:
    """Estimate the log odds against what was seen ``n`` times (rule of succession)."""
    return float(np.log((of - n + 1) / (n + 1)))


def _ends(src: Spans, tgt: Spans) -> Ints:
    """Give the path of which nothing is known: one step from end to end."""
    return np.array([[0, len(src), 0, len(tgt)]])


def _path(src: Spans, tgt: Spans) -> Ints:
    """Align one to one, with skips; coarsest first, where two neighbours are one segment."""
    near = _ends(src, tgt)
    if max(len(src), len(tgt)) > WHOLE:
        near = np.minimum(2 * _path(src.halved(), tgt.halved()), near[:, [1, 1, 3, 3]])
    gains, band = _Gains(src, tgt, 0.0, _means(src, tgt, 0.0, near)), _band(near)
    return _search(_by_row(gains.at, band), band, src.size, PATH_SKIP)


def _means(src: Spans, tgt: Spans, weight: float, path: Ints) -> Means:
    """Average every run's neighbourhood around a path."""
    to_tgt = np.interp(np.arange(len(src)), path[:, 1], path[:, 3])
    to_src = np.interp(np.arange(len(tgt)), path[:, 3], path[:, 1])
    return src.means(tgt, to_tgt, weight), tgt.means(src, to_src, weight)


def _band(path: Ints) -> Ints:
    """Say which numbers of target segments are near a path after each number of source ones.

    Args:
        path: begin and end of both sides of each step [n, 4].

    Returns:
        First and end for 0, 1, … n_src source segments [n_src + 1, 2], ascending.
    """
    src, tgt = np.concatenate([path[:1, [0, 2]], path[:, [1, 3]]]).T
    rows = np.arange(src[-1] + 1)
    before = np.maximum(np.searchsorted(src, rows - RADIUS) - 1, 0)
    after = np.minimum(np.searchsorted(src, rows + RADIUS, "right"), len(src) - 1)
    low, high = tgt[before] - RADIUS, tgt[after] + RADIUS
    return np.stack([np.maximum(low, 0), np.minimum(high, tgt[-1]) + 1], axis=1)


def _shift(path: Ints, src: Spans, tgt: Spans) -> float:
    """Take the median log ratio of lengths over the pairs of a one-to-one path."""
    at = path[is_bead(path)]
    ratio = _log(tgt.lengths[0, at[:, 2]]) - _log(src.lengths[0, at[:, 0]])
    return float(np.median(ratio)) if len(at) else 0.0


def _log(lengths: NDArray[np.int64]) -> Floats:
    result: Floats = np.log(lengths + SMOOTH)
    return result


@dataclass(frozen=True, slots=True)
class _Gains:
    """What each bead gains, were skips free.

    Attributes:
        shift: log ratio of lengths that costs nothing; without it lengths do not count.
    """

    src: Spans
    tgt: Spans
    weight: float
    means: Means
    shift: float | None = None

    def at(self, rows: slice, columns: slice) -> Floats:
        """Give each shape's gain at some last segments [n_shapes, n_rows, n_columns]."""
        a, b = (np.arange(s.start, s.stop) for s in (rows, columns))
        n, m = _shapes(self.src.size).T
        score = mixed(self.src.all_at(a), self.tgt.all_at(b), self.weight)
        score = score.reshape(self.src.size, len(a), -1, len(b))[n - 1, :, m - 1]
        around = self.means[0][n - 1][:, a, None] + self.means[1][m - 1][:, None, b]
        both = (n + m)[:, None, None]  # segments of a bead
        cost = np.maximum(FREE - (score - around / 2), 0)
        gain = -((both - 1) ** POWER) * cost - (both - 2) * GROWTH
        if self.shift is not None:
            src, tgt = _log(self.src.lengths[:, a]), _log(self.tgt.lengths[:, b])
            gain -= LENGTH * (tgt[m - 1][:, None] - src[n - 1][..., None] - self.shift) ** 2
        result: Floats = gain.astype(np.float32)
        return result


def _shapes(size: int) -> Ints:
    """List how many source and target segments a bead may have [n_shapes, 2]."""
    sizes = range(1, size + 1)
    return np.array([(n, m) for n in sizes for m in sizes if n + m <= MOST])


def _search(
    rows: Iterable[tuple[int, Floats]], band: Ints, size: int, skip: float, opening: float = 0.0
) -> Ints:
    """Find the way of the greatest sum of gains through a band; ties to the smaller bead.

    Args:
        rows: 0, 1, … n_src segments with the gain of each shape of a bead that ends
            there and in the band's columns [n_shapes, n_columns].
        band: the columns to search after each number of segments [n_src + 1, 2].
        size: most segments on a side of a bead.
        skip: cost of a skipped segment.
        opening: what the first of a run of skips costs besides.
    """
    moves = np.array([*_shapes(size), (1, 0)])
    n, m = moves[:, :1], moves[:, 1:]
    starts = np.concatenate([[0], np.cumsum(np.diff(band)[:, 0])])
    best = np.full((2, starts[-1] + 1), -np.inf)  # after a bead, after a skip; last: outside
    how = np.zeros((2, starts[-1]), np.int8)
    for i, gain in rows:
        columns = np.arange(*band[i])
        row = np.maximum(i - n, 0)
        before, low, high = columns - m, band[row, 0], band[row, 1]
        known = (n <= i) & (before >= low) & (before < high)
        came = best[:, np.where(known, starts[row] + before - low, -1)]
        beads = came.max(axis=0)[:-1] + gain + skip * (n + m)[:-1]
        if not i:
            beads[0, 0] = 0.0
        here = slice(starts[i], starts[i + 1])
        best[0, here], how[0, here] = beads.max(axis=0), beads.argmax(axis=0)
        aside = np.concatenate([[-np.inf], best[0, here][:-1]])
        skips = np.stack([came[0, -1] - opening, came[1, -1], aside - opening])
        reached = skips.max(axis=0)
        best[1, here] = np.maximum.accumulate(reached)  # by skips of target segments
        how[1, here] = np.where(best[1, here] > reached, 3, skips.argmax(axis=0))
    return _trace(best, how, starts, band, moves)


def _by_row(gains: Callable[[slice, slice], Floats], band: Ints) -> Iterator[tuple[int, Floats]]:
    """Give the gains of each row of the band, computed some rows at once; row 0 has none."""
    yield 0, np.zeros((1, 1))
    first = 1
    while first < len(band):
        cells = (band[first:, 1] - band[first, 0]) * (np.arange(len(band) - first) + 1)
        last = first + max(int(np.searchsorted(cells, CELLS, "right")), 1)
        left, right = max(band[first, 0] - 1, 0), max(band[last - 1, 1] - 1, 1)
        table = gains(slice(first - 1, last - 1), slice(left, right))
        for i in range(first, last):
            yield i, table[:, i - first, np.maximum(np.arange(*band[i]) - 1, 0) - left].copy()
        first = last


def _trace(best: Floats, how: NDArray[np.int8], starts: Ints, band: Ints, moves: Ints) -> Ints:
    """Walk back from the last segments."""
    i, j = len(band) - 1, int(band[-1, 1]) - 1
    steps, layer = [], -1
    while i or j:
        at = starts[i] + j - band[i, 0]
        layer = int(best[:, at].argmax()) if layer < 0 else layer
        way = how[layer, at]
        n, m = (SKIPS[way] if layer else moves[way]).tolist()
        steps.append((i - n, i, j - m, j))
        i, j = i - n, j - m
        layer = way % 2 if layer else -1  # a bead comes after whichever is better
    return np.array(steps[::-1], np.intp).reshape(-1, 4)
