"""Metrics over weighted items, and their intervals by bootstrap over clusters.

A metric takes weights [r, n] of n items and gives r values: all ones is the estimate,
and how often a resample drew an item's cluster is one draw of its distribution (Efron
and Tibshirani 1993). Draws depend on the number of clusters alone, so two encoders that
were scored on the same items are compared draw by draw, which is a paired comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

Floats = NDArray[np.float64]
Metric = Callable[[Floats], Floats]

N_RESAMPLES = 2_000
SEED = 20_260
CHUNK = 2_000_000  # weights at once: 16 MB


class Estimate(NamedTuple):
    """A value, its 95 % interval, and the draws [2,000] that it comes from."""

    value: float
    low: float
    high: float
    draws: Floats


def estimate(metric: Metric, clusters: Sequence[str]) -> Estimate:
    """Estimate a metric and its interval by resampling whole clusters.

    Args:
        metric: of n items.
        clusters: each item's cluster [n], such as its document.
    """
    draws = np.full(N_RESAMPLES, np.nan)  # of one cluster alone nothing can be told
    if len(set(clusters)) > 1:
        draws = np.concatenate([metric(weights) for weights in resampled(clusters)])
    value = float(metric(np.ones((1, len(clusters))))[0])
    return Estimate(value, *interval(draws), draws)


def resampled(clusters: Sequence[str]) -> Iterator[Floats]:
    """Give the weights of n items in 2,000 resamples of their clusters, in blocks [r, n]."""
    names, of = np.unique(np.asarray(clusters), return_inverse=True)
    for part in np.array_split(_resamples(len(names)), 1 + N_RESAMPLES * len(of) // CHUNK):
        yield part[:, of].astype(np.float64)


def interval(draws: Floats) -> tuple[float, float]:
    """Give the 2.5th and the 97.5th percentile of draws; what is undefined is left out."""
    defined = draws[np.isfinite(draws)]
    if not len(defined):
        return float("nan"), float("nan")
    low, high = np.percentile(defined, [2.5, 97.5])
    return float(low), float(high)


@lru_cache(maxsize=4)
def _resamples(n: int) -> NDArray[np.uint16]:
    """Draw n clusters of n with replacement, 2,000 times: how often each was drawn."""
    generator = np.random.default_rng(SEED)
    return generator.multinomial(n, np.full(n, 1 / n), size=N_RESAMPLES).astype(np.uint16)


def mean(values: NDArray[np.generic]) -> Metric:
    """The mean of values [n]: an accuracy where they are right or wrong."""
    numbers = np.asarray(values, np.float64)
    return lambda weights: (weights @ numbers) / weights.sum(axis=1)


def pearson(x: Floats, y: Floats) -> Metric:
    """Pearson's correlation of x and y [n]."""
    return lambda weights: _correlation(x[None], y[None], weights)


def spearman(x: Floats, y: Floats) -> Metric:
    """Spearman's correlation of x and y [n]: Pearson's of their middle ranks."""
    return lambda weights: _correlation(_ranks(x, weights), _ranks(y, weights), weights)


def average_precision(gold: NDArray[np.bool_], score: Floats) -> Metric:
    """The area under precision by recall, as a sum over distinct scores."""
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(score[order]) != 0, [True]))

    def metric(weights: Floats) -> Floats:
        found = weights[:, order].cumsum(axis=1)[:, ends]
        right = (weights * gold)[:, order].cumsum(axis=1)[:, ends]
        with np.errstate(invalid="ignore"):
            precision = np.where(found > 0, right / found, 0.0)
            area = (np.diff(right, axis=1, prepend=0) * precision).sum(axis=1)
            return np.asarray(area / right[:, -1])

    return metric


def macro_f1(gold: NDArray[np.generic], predicted: NDArray[np.generic]) -> Metric:
    """The mean over classes of F1; a class that a resample lacks is left out."""
    classes = np.unique(np.concatenate([gold, predicted]))
    is_gold, is_predicted = (labels[:, None] == classes for labels in (gold, predicted))

    def metric(weights: Floats) -> Floats:
        right = weights @ (is_gold & is_predicted)
        total = weights @ (is_gold.astype(np.float64) + is_predicted)
        with np.errstate(invalid="ignore"):
            return np.asarray(np.nanmean(2 * right / total, axis=1))

    return metric


def best_threshold(gold: NDArray[np.bool_], score: Floats) -> tuple[float, float]:
    """Find the cut with the most right decisions, and their share.

    A score at or above the cut says yes; of equal cuts the highest is taken. It is chosen
    on what it is scored on, as in MTEB's pair classification: an upper bound.
    """
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(score[order]) != 0, [True]))
    gained = np.where(gold[order], 1, -1).cumsum()[ends]  # over saying no to everything
    at = int(gained.argmax())
    n_no = int((~gold).sum())
    if gained[at] <= 0:
        return float(np.nextafter(score.max(), np.inf)), n_no / len(gold)
    return float(score[order][ends[at]]), (n_no + int(gained[at])) / len(gold)


def _correlation(x: Floats, y: Floats, weights: Floats) -> Floats:
    """Correlate rows of x and y ([r, n] or [1, n]) under weights [r, n]."""
    total = weights.sum(axis=1, keepdims=True)
    x, y = (v - (weights * v).sum(axis=1, keepdims=True) / total for v in (x, y))
    spread = (weights * x * x).sum(axis=1) * (weights * y * y).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((weights * x * y).sum(axis=1) / np.sqrt(spread))


def _ranks(values: Floats, weights: Floats) -> Floats:
    """Rank values [n] where each stands there as often as its weight says [r, n]."""
    _, first, of = np.unique(np.sort(values), return_index=True, return_inverse=True)
    order = np.argsort(values, kind="stable")
    grouped = np.add.reduceat(weights[:, order], first, axis=1)
    ranks = np.empty_like(weights)
    ranks[:, order] = (grouped.cumsum(axis=1) - (grouped - 1) / 2)[:, of]
    return ranks
