"""Scores article pairs: BiMax, and the ratio margin over an article's neighbourhood.

BiMax is the mean of each sentence's best similarity in the other article, both
ways (Wang et al., arXiv 2510.15577). Mean vectors only propose candidates: on
their own they are far weaker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from align import margin as margins
from align.lexical import mix

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from align.collection import Collection
    from align.neighbours import Embedded

REACH = 30  # days: an article's neighbourhood for the margin
SHORTLIST = 32  # articles proposed by mean vectors, in the window and in the reach
BLOCK = 256  # articles shortlisted at once
FEW = 8  # neighbourhoods of fewer articles have no margin


def score_articles(
    src: Collection,
    src_texts: Embedded,
    tgt: Collection,
    tgt_texts: Embedded,
    days: tuple[int, int],
    window: int,
    weight: float,
) -> pl.DataFrame:
    """Score likely pairs of the source articles of some days by BiMax and its ratio margin.

    Args:
        src: articles of these days, and all that targets in their window have for neighbours.
        src_texts: their sentences.
        tgt: articles in the reach of these days.
        tgt_texts: their sentences.
        days: first and last day.
        window: most days between two articles of a pair.
        weight: weight of the lexical score.

    Returns:
        src and tgt (positions), days, sim, lexical, margin; the margin is null
        where a neighbourhood has fewer than 8 articles.
    """
    means = _means(src, src_texts), _means(tgt, tgt_texts)
    first, last = days
    ours = np.flatnonzero((src.days >= first) & (src.days <= last))
    theirs = np.flatnonzero((tgt.days >= first - window) & (tgt.days <= last + window))
    forward = _shortlist(src.days, means[0], tgt.days, means[1], ours, window)
    backward = _shortlist(tgt.days, means[1], src.days, means[0], theirs, window)
    # Each pair is scored once, beside others of the article that proposed it.
    known = np.isin(_codes(backward[:, ::-1], len(tgt.days)), _codes(forward, len(tgt.days)))
    backward = backward[~known]
    found = (
        _bimax(src, src_texts, tgt, tgt_texts, forward),
        _bimax(tgt, tgt_texts, src, src_texts, backward),
    )
    pairs = np.concatenate([forward, backward[:, ::-1]])
    order = np.lexsort(pairs.T[::-1])
    pairs = pairs[order]
    sim, lexical = (np.concatenate(both)[order] for both in zip(*found, strict=True))
    score = mix(sim, lexical, weight)
    src_mean, src_n = _neighbourhood(pairs[:, 0], score, len(src.articles))
    tgt_mean, tgt_n = _neighbourhood(pairs[:, 1], score, len(tgt.articles))
    margin = margins.ratio(score, src_mean[pairs[:, 0]], tgt_mean[pairs[:, 1]])
    known = np.minimum(src_n[pairs[:, 0]], tgt_n[pairs[:, 1]]) >= FEW
    frame = pl.DataFrame(
        {
            "src": pairs[:, 0],
            "tgt": pairs[:, 1],
            "days": (tgt.days[pairs[:, 1]] - src.days[pairs[:, 0]]).astype(np.int32),
            "sim": sim.round(margins.DECIMALS),
            "lexical": lexical.round(margins.DECIMALS),
            "margin": pl.Series(margin.round(margins.DECIMALS)).set(pl.Series(~known), None),
        }
    )
    return frame.filter(pl.col("src").is_in(ours.tolist()), pl.col("days").abs() <= window)


def _shortlist(
    days: NDArray[np.int64],
    means: NDArray[np.float32],
    other_days: NDArray[np.int64],
    other_means: NDArray[np.float32],
    rows: NDArray[np.intp],
    window: int,
) -> NDArray[np.intp]:
    """Propose pairs [n, 2] of some rows: their nearest means in the window and in the reach.

    Rows go by their days, some at once, beside what is in their reach alone: the work
    grows with the articles, not with their square.
    """
    rows = rows[np.argsort(days[rows], kind="stable")]
    order = np.argsort(other_days, kind="stable")
    pairs = [np.zeros((0, 2), np.intp)]
    for start in range(0, len(rows), BLOCK):
        some = rows[start : start + BLOCK]
        ends = [days[some[0]] - REACH, days[some[-1]] + REACH + 1]
        near = order[slice(*np.searchsorted(other_days[order], ends))]
        sim = means[some] @ other_means[near].T
        apart = np.abs(other_days[near] - days[some][:, None])
        chosen = np.zeros(sim.shape, bool)
        for reach in (window, REACH):
            chosen |= _best(np.where(apart <= reach, sim, -np.inf), SHORTLIST)
        row, column = np.nonzero(chosen)
        pairs.append(np.stack([some[row], near[column]], axis=1))
    return np.concatenate(pairs)


def _codes(pairs: NDArray[np.intp], n: int) -> NDArray[np.intp]:
    """Number pairs, of which the second is under n."""
    codes: NDArray[np.intp] = pairs[:, 0] * n + pairs[:, 1]
    return codes


def _best(scores: NDArray[np.floating], k: int) -> NDArray[np.bool_]:
    """Mark each row's k best finite scores."""
    finite: NDArray[np.bool_] = np.isfinite(scores)
    if k >= scores.shape[1]:
        return finite
    at = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    marks = np.zeros(scores.shape, bool)
    np.put_along_axis(marks, at, True, axis=1)
    return marks & finite


def _means(side: Collection, texts: Embedded) -> NDArray[np.float32]:
    """Give each article's mean vector, of unit norm [n_articles, dim]."""
    sums = _reduce(np.add, texts.vectors, side.starts)
    means: NDArray[np.float32] = sums / np.maximum(
        np.linalg.norm(sums, axis=1, keepdims=True), 1e-9
    )
    return means


def _reduce(
    ufunc: np.ufunc, rows: NDArray[np.floating], starts: NDArray[np.intp]
) -> NDArray[np.floating]:
    """Reduce the rows of each article; one without sentences gives zeros."""
    result = np.zeros((len(starts) - 1, *rows.shape[1:]), rows.dtype)
    filled = np.flatnonzero(np.diff(starts))
    if len(filled):
        result[filled] = ufunc.reduceat(rows, starts[filled], axis=0)
    return result


def _bimax(
    src: Collection,
    src_texts: Embedded,
    tgt: Collection,
    tgt_texts: Embedded,
    pairs: NDArray[np.intp],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Score article pairs [n, 2], grouped by source, by cosine and by n-grams."""
    sim, lexical = np.zeros(len(pairs)), np.zeros(len(pairs))
    for article in np.unique(pairs[:, 0]):
        at = np.flatnonzero(pairs[:, 0] == article)
        own = src_texts.rows(src.rows(int(article)))
        slices = [tgt.rows(int(t)) for t in pairs[at, 1]]
        lengths = np.array([s.stop - s.start for s in slices])
        rows = np.concatenate([np.arange(s.start, s.stop) for s in slices])
        if not len(own) or not len(rows):
            continue
        others = tgt_texts.rows(rows)
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.intp)
        sim[at] = _bimax_of(own.vectors @ others.vectors.T, starts)
        if own.lexical is not None and others.lexical is not None:
            lexical[at] = _bimax_of((own.lexical @ others.lexical.T).toarray(), starts)
    return sim, lexical


def _bimax_of(scores: NDArray[np.floating], starts: NDArray[np.intp]) -> NDArray[np.floating]:
    """Average the best similarities both ways.

    Args:
        scores: one article's sentences against those of many [n_own, n_others].
        starts: where each other article begins, and the end.
    """
    forward = _reduce(np.maximum, scores.T, starts).mean(axis=1)
    lengths = np.maximum(np.diff(starts), 1)
    backward = _reduce(np.add, scores.max(axis=0), starts) / lengths
    result: NDArray[np.floating] = (forward + backward) / 2
    return result


def _neighbourhood(
    article: NDArray[np.intp], score: NDArray[np.float64], n: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Average each article's k best scores, and count its scored pairs."""
    order = np.lexsort((-score, article))
    ranked = article[order]
    counts = np.bincount(article, minlength=n)
    first = np.concatenate([[0], np.cumsum(counts)])[:-1]
    top = np.arange(len(order)) - first[ranked] < margins.K
    sums = np.bincount(ranked[top], score[order][top], minlength=n)
    return sums / np.maximum(np.minimum(counts, margins.K), 1), counts
