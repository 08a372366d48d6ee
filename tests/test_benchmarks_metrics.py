"""Metrics against scikit-learn and scipy, hand-computed cases, and bootstrap intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr

from benchmarks import metrics
from benchmarks.board import compare, mean_of
from benchmarks.metrics import Floats

SEEDS = st.integers(0, 2**32 - 1)


def one(metric: metrics.Metric, n: int) -> float:
    return float(metric(np.ones((1, n)))[0])


@settings(deadline=None, max_examples=30)
@given(SEEDS)
def test_correlations_agree_with_scipy_on_what_weights_stand_for(seed: int) -> None:
    random = np.random.default_rng(seed)
    x = random.integers(0, 6, 30).astype(float)
    y = x + random.integers(0, 9, 30)
    weights = random.integers(0, 4, (2, 30)).astype(float)
    for row, often in enumerate(weights.astype(int)):
        many = np.repeat(x, often), np.repeat(y, often)
        if min(np.ptp(side) for side in many) == 0:
            continue
        assert metrics.pearson(x, y)(weights)[row] == pytest.approx(pearsonr(*many)[0], abs=1e-9)
        assert metrics.spearman(x, y)(weights)[row] == pytest.approx(spearmanr(*many)[0], abs=1e-9)


@pytest.mark.train  # scikit-learn comes with it
@settings(deadline=None, max_examples=30)
@given(SEEDS)
def test_classification_metrics_agree_with_scikit_learn(seed: int) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(seed)
    gold, score = random.random(40) < 0.4, random.integers(0, 12, 40).astype(float)
    gold[:2] = True, False
    weights = random.integers(1, 4, (2, 40)).astype(float)
    labels, guesses = random.integers(0, 4, 40), random.integers(0, 5, 40)
    for row in (0, 1):
        expected = sklearn.average_precision_score(gold, score, sample_weight=weights[row])
        assert metrics.average_precision(gold, score)(weights)[row] == pytest.approx(expected)
        expected = sklearn.f1_score(
            labels, guesses, average="macro", sample_weight=weights[row], zero_division=0
        )
        assert metrics.macro_f1(labels, guesses)(weights)[row] == pytest.approx(expected)
    threshold, accuracy = metrics.best_threshold(gold, score)
    assert accuracy == max(((score >= cut) == gold).mean() for cut in [*score, 99])
    assert accuracy == ((score >= threshold) == gold).mean()


def test_metrics_by_hand() -> None:
    # Best first yes, no, yes: precision 1 at recall 1/2 and 2/3 at 1.
    gold, score = np.array([True, False, True]), np.array([0.9, 0.8, 0.7])
    assert one(metrics.average_precision(gold, score), 3) == pytest.approx(0.5 + 0.5 * 2 / 3)
    # All scores equal: one threshold, precision 2/3.
    assert one(metrics.average_precision(gold, np.ones(3)), 3) == pytest.approx(2 / 3)
    assert metrics.best_threshold(gold, score) == (
        0.9,
        pytest.approx(2 / 3),
    )  # of equals the highest
    # Class 0: 1 of 2 found, nothing else called so: F1 2/3. Class 1: 1 of 2 right: 2/3.
    guess = np.array([0, 1, 1])
    assert one(metrics.macro_f1(np.array([0, 0, 1]), guess), 3) == pytest.approx(2 / 3)
    # Ranks 1 2 3 against 1 3 2: 1 - 6 (0 + 1 + 1) / (3 * 8).
    x, y = np.array([1.0, 5.0, 9.0]), np.array([0.1, 0.9, 0.5])
    assert one(metrics.spearman(x, y), 3) == pytest.approx(0.5)
    assert one(metrics.pearson(x, 1 - 2 * x), 3) == pytest.approx(-1)


def test_what_a_resample_leaves_undefined_is_no_draw() -> None:
    # Of three clusters one has both classes: resamples without it have one class only.
    gold, score = np.array([True, False, True]), np.array([0.9, 0.5, 0.1])
    found = metrics.estimate(metrics.average_precision(~gold, score), ["a", "b", "c"])
    assert np.isnan(found.draws).any()
    assert np.isfinite([found.low, found.high]).all()
    assert np.isnan(metrics.interval(np.array([np.nan]))).all()


def test_bootstrap_resamples_whole_clusters() -> None:
    # Two documents, all right and all wrong: a resample is 1, 1/2 or 0.
    right = np.array([True, True, False, False])
    found = metrics.estimate(metrics.mean(right), ["a", "a", "b", "b"])
    assert found[:3] == (0.5, 0.0, 1.0)
    assert set(found.draws) == {0.0, 0.5, 1.0}
    # By rows the interval is about 1/2 ± 1.96 √(1/4 / 400) = ± .049.
    rows = np.arange(400) % 2 == 0
    low, high = metrics.estimate(metrics.mean(rows), [str(n) for n in range(400)])[1:3]
    assert (low, high) == (pytest.approx(0.451, abs=0.005), pytest.approx(0.549, abs=0.005))


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    random, hits = np.random.default_rng(0), 0
    for _ in range(100):
        rows = random.random(150) < 0.3
        found = metrics.estimate(metrics.mean(rows), [str(n) for n in range(150)])
        hits += found.low <= 0.3 <= found.high
    assert 88 <= hits <= 99


def estimate(right: Floats) -> metrics.Estimate:
    return metrics.estimate(metrics.mean(right), [str(n) for n in range(len(right))])


def test_of_one_cluster_nothing_is_sure() -> None:
    one, two = (metrics.estimate(metrics.mean(np.array(v)), ["d", "d"]) for v in ([1, 1], [0, 1]))
    assert (one.value, two.value) == (1, 0.5)
    assert np.isnan([one.low, one.high, two.low]).all()
    cells = compare({"one": one, "two": two})
    assert all(cell.is_best for cell in cells.values())
    assert str(cells["two"]) == "0.500"


def test_comparisons_are_paired() -> None:
    # B misses what A misses and six items more of 200: both intervals overlap, yet in
    # every resample that has one of the six B is worse.
    a = np.arange(200) < 120
    b = a & (np.arange(200) >= 6)
    found = compare({"a": estimate(a), "b": estimate(b)})
    assert found["b"].high > found["a"].low
    assert [found[name].is_best for name in "ab"] == [True, False]
    # C is right as often as B, but on other items: that may be chance.
    assert compare({"a": estimate(a), "c": estimate(np.roll(b, 60))})["c"].is_best


def test_a_mean_over_languages_resamples_the_same_clusters() -> None:
    # The same items in two languages are no more evidence than in one.
    a = estimate(np.arange(100) % 3 == 0)
    assert mean_of([a, a])[:3] == pytest.approx(a[:3])
    with_its_complement = mean_of([a, estimate(np.arange(100) % 3 != 0)])
    assert with_its_complement[:3] == pytest.approx((0.5, 0.5, 0.5))
