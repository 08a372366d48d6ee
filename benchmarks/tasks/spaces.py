"""Do languages share a space: linear centred kernel alignment of their vectors.

The same sentences in two languages give vectors X and Y; with K = XXᵀ and L = YYᵀ,
centred, it is <K, L> / (|K| |L|) (Kornblith et al. 2019): 1 where one space is a rotation
of the other. Unrelated vectors of dim d do not score 0 but d / (n + d); ``debiased`` is
about 0 there (Song et al. 2012). A resample repeats sentences, which raises alignment: so
the draws are moved to have the estimate as their mean.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from benchmarks.metrics import Estimate, Floats, interval, resampled
from benchmarks.results import Score, scored

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from benchmarks.models import Once
    from benchmarks.sets import Data

MAIN = "cka"


def run(data: Data, encoder: Once, _split: str) -> list[Score]:
    """Score every two languages of a set with text, lang and cluster, over all its rows.

    ``lb·en`` fills a heat map; ``lb·others``, a language's mean, compares encoders.
    """
    rows = data.part("all").filter(pl.col("lang").is_in(data.spec.languages))
    wide = rows.pivot("lang", index="cluster", values="text").drop_nulls()
    languages = sorted(set(wide.columns) - {"cluster"})
    grams = {lang: gram(encoder.encode(wide[lang].to_list())) for lang in languages}
    found = align_all(grams, np.concatenate(list(resampled(wide["cluster"].to_list()))))
    scores = []
    for a, b in combinations(languages, 2):
        others = {"debiased": debiased_cka(grams[a], grams[b])}
        scores.append(scored(f"{a}·{b}", MAIN, found[a, b], others, paired=False))
    for a in languages:
        mine = [found[a, b] if (a, b) in found else found[b, a] for b in languages if b != a]
        draws = np.mean([each.draws for each in mine], axis=0)
        value = float(np.mean([each.value for each in mine]))
        scores.append(scored(f"{a}·others", MAIN, Estimate(value, *interval(draws), draws)))
    return scores


def gram(vectors: NDArray[np.float32]) -> Floats:
    """Give the inner products of rows [n, dim] less their mean [n, n]."""
    rows = vectors.astype(np.float64)
    rows -= rows.mean(axis=0)
    return np.asarray(rows @ rows.T)


def cka(k: Floats, other: Floats) -> float:
    """Align two centred kernels [n, n]."""
    return float((k * other).sum() / np.sqrt((k * k).sum() * (other * other).sum()))


def align_all(grams: Mapping[str, Floats], weights: Floats) -> dict[tuple[str, str], Estimate]:
    """Align every two kernels [n, n], under all items and under weights [r, n] of them.

    Under weights w of sum m the kernels are centred anew: their inner product is
    w'(K∘L)w - 2 Σ w Kw Lw / m + w'Kw w'Lw / m². Draws are in single precision.
    """
    w = weights.astype(np.float32)
    small = {lang: k.astype(np.float32) for lang, k in grams.items()}
    moved = {lang: w @ k for lang, k in small.items()}
    total = w.sum(axis=1, dtype=np.float64)
    whole = {lang: (w * kw).sum(axis=1, dtype=np.float64) for lang, kw in moved.items()}

    def inner(a: str, b: str) -> Floats:
        both = ((w @ (small[a] * small[b])) * w).sum(axis=1, dtype=np.float64)
        cross = (w * moved[a] * moved[b]).sum(axis=1, dtype=np.float64)
        return np.asarray(both - 2 * cross / total + whole[a] * whole[b] / total**2)

    own = {lang: inner(lang, lang) for lang in grams}
    found = {}
    for a, b in combinations(grams, 2):
        value = cka(grams[a], grams[b])
        draws = inner(a, b) / np.sqrt(own[a] * own[b])
        draws += value - draws.mean()
        found[a, b] = Estimate(value, *interval(draws), draws)
    return found


def debiased_cka(k: Floats, other: Floats) -> float:
    """Align two kernels [n, n] by unbiased estimates of their inner products."""
    a, b = (_without_diagonal(each) for each in (k, other))
    norm = _unbiased(a, a) * _unbiased(b, b)
    return _unbiased(a, b) / float(np.sqrt(norm)) if norm > 0 else float("nan")


def _without_diagonal(k: Floats) -> Floats:
    return np.asarray(k - np.diag(np.diag(k)))


def _unbiased(a: Floats, b: Floats) -> float:
    n = len(a)
    means = a.sum() * b.sum() / ((n - 1) * (n - 2))
    cross = 2 * (a.sum(axis=0) @ b.sum(axis=0)) / (n - 2)
    return float(((a * b).sum() + means - cross) / (n * (n - 3)))
