"""The static trainer: gradients against differences, batches, determinism."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_array

from align.static import count_tokens, splits_at_space
from distill import gradients, static
from distill.recipe import Training

SCALE = 5.0
NOTHING = np.zeros((3, 3), bool)


def rows(seed: int, shape: tuple[int, int] = (3, 3)) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def slow_loss(
    src: NDArray[np.float64], tgt: NDArray[np.float64], masked: NDArray[np.bool_]
) -> float:
    """Write the symmetric softmax loss out, one logarithm at a time."""
    total = 0.0
    n = len(src)
    for a, b, mask in ((src, tgt, masked), (tgt, src, masked.T)):
        for i in range(n):
            negatives = [j for j in range(n) if j == i or not mask[i, j]]
            total -= SCALE * (a[i] @ b[i])
            total += math.log(sum(math.exp(SCALE * (a[i] @ b[j])) for j in negatives))
    return total / (2 * n)


def differences(loss: object, at: NDArray[np.float32]) -> NDArray[np.float64]:
    """Give a function's gradient by central differences in double precision."""
    exact, step = at.astype(np.float64), 1e-5
    gradient = np.zeros_like(exact)
    for index in np.ndindex(exact.shape):
        up, down = exact.copy(), exact.copy()
        up[index] += step
        down[index] -= step
        gradient[index] = (loss(up) - loss(down)) / (2 * step)  # type: ignore[operator]
    return gradient


@pytest.mark.parametrize("masked", [NOTHING, np.array([[1, 1, 0], [0, 0, 0], [1, 0, 0]], bool)])
def test_contrastive_by_hand(masked: NDArray[np.bool_]) -> None:
    src, tgt = (gradients.unit_rows(rows(seed))[0] for seed in (1, 2))
    loss, by_src, by_tgt = gradients.contrastive(src, tgt, SCALE, masked)
    assert loss == pytest.approx(slow_loss(src, tgt, masked), rel=1e-5)
    expected = differences(lambda x: slow_loss(x, tgt, masked), src)
    np.testing.assert_allclose(by_src, expected, atol=1e-5)
    expected = differences(lambda x: slow_loss(src, x, masked), tgt)
    np.testing.assert_allclose(by_tgt, expected, atol=1e-5)


def test_one_row_has_nothing_to_learn() -> None:
    one = gradients.unit_rows(rows(3, (1, 3)))[0]
    loss, by_src, _ = gradients.contrastive(one, one, SCALE, np.ones((1, 1), bool))
    assert loss == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(by_src, 0, atol=1e-6)


def test_gradient_through_the_norm() -> None:
    raw, direction = rows(4), rows(5)
    unit, inverse = gradients.unit_rows(raw)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, rtol=1e-6)
    got = gradients.unit_gradient(unit, inverse, direction)

    def loss(x: NDArray[np.float64]) -> float:
        return float((x / np.linalg.norm(x, axis=1, keepdims=True) * direction).sum())

    np.testing.assert_allclose(got, differences(loss, raw), atol=1e-4)
    zero, none = gradients.unit_rows(np.zeros((1, 3), np.float32))
    assert not zero.any()
    assert not none.any()


def test_follow_by_hand() -> None:
    unit = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    teacher = np.array([[0.6, 0.8], [0, 1], [0, 0]], np.float32)  # the third has none
    loss, gradient = gradients.follow(unit, teacher)
    assert loss == pytest.approx(((1 - 0.6) + (1 - 1)) / 2)
    np.testing.assert_allclose(gradient, [[-0.3, -0.4, 0], [0, -0.5, 0], [0, 0, 0]])


def test_adam_by_hand() -> None:
    parameters = np.ones((3, 2), np.float32)
    adam = static.RowAdam(parameters)
    touched = np.array([0, 2])
    gradient = np.array([[1, -2], [4, 0.5]], np.float32)
    adam.step(touched, gradient, 0.1)  # the first step moves by the rate, whatever the size
    np.testing.assert_allclose(parameters, [[0.9, 1.1], [1, 1], [0.9, 0.9]], atol=1e-5)
    adam.step(np.array([0]), np.zeros((1, 2), np.float32), 0.1)
    first, second = 0.9 * 0.1 / (1 - 0.81), 0.98 * 0.02 / (1 - 0.98**2)
    moved = 0.1 * first / math.sqrt(second)
    np.testing.assert_allclose(parameters[0], [0.9 - moved, 1.1 + moved], atol=1e-5)
    np.testing.assert_allclose(parameters[1:], [[1, 1], [0.9, 0.9]], atol=1e-5)


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=60),
    st.integers(2, 16),
    st.sampled_from([0.0, 0.5, 1.0]),
)
def test_batches_hold_one_language_pair(groups: list[int], size: int, power: float) -> None:
    group = np.array(groups)
    drawn = list(static.batches(group, size, power, np.random.default_rng(0)))
    assert all(len(set(group[batch])) == 1 and len(batch) <= size for batch in drawn)
    if power == 1:
        assert sorted(np.concatenate(drawn)) == list(range(len(group)))  # each pair once
    n_each = np.bincount(group[np.concatenate(drawn)], minlength=4)
    share = np.bincount(group, minlength=4)[np.unique(group)] ** power
    expected = np.ceil(len(group) * share / share.sum())
    np.testing.assert_array_equal(n_each[np.unique(group)], expected)


TEXTS = [
    f"{a} {b} wuert{a}" for a in ("haus", "katz", "hond", "bam") for b in ("rout", "blo", "gro")
]


def corpus(teacher: bool = True) -> static.Corpus:
    tokenizer = static.train_vocabulary(TEXTS, 60)
    half = len(TEXTS) // 2
    return static.Corpus(
        counts=count_tokens(tokenizer, TEXTS),
        src=np.arange(half),
        tgt=np.arange(half, 2 * half),
        group=np.zeros(half, np.int64),
        teacher=np.tile(gradients.unit_rows(rows(6, (half, 4)))[0], (2, 1)) if teacher else None,
    )


def training(**changes: object) -> Training:
    settings = {"epochs": 30, "batch": 4, "rate": 0.02, "scale": 5, "temperature": 1}
    return Training.model_validate(settings | {"teacher_weight": 1} | changes)


@pytest.mark.parametrize("head", [0, 2])
def test_the_gradient_of_a_step(head: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """All dimensions have the loss, and the head its own again in part."""
    taken: list[NDArray[np.float32]] = []
    monkeypatch.setattr(static.RowAdam, "step", lambda self, rows, by, rate: taken.append(by))
    data = corpus(teacher=False)
    adam = static.RowAdam(rows(8, (data.counts.shape[1], 4)))
    static._step(data, np.arange(len(data.src)), adam, 0.1, training(head=head))
    counts = data.counts[np.concatenate([data.src, data.tgt])]
    tokens = np.unique(counts.indices)

    def loss(vectors: NDArray[np.float64]) -> float:
        sums = counts[:, tokens] @ vectors
        src, tgt = np.split(sums / np.linalg.norm(sums, axis=1, keepdims=True), 2)
        return slow_loss(src, tgt, np.zeros((len(src), len(src)), bool))

    expected = differences(loss, adam.parameters[tokens])
    if head:
        expected[:, :head] += 0.3 * differences(loss, adam.parameters[tokens, :head])
    np.testing.assert_allclose(taken[0], expected, atol=1e-4)


@pytest.mark.parametrize("teacher", [True, False])
def test_training_is_deterministic_and_learns(teacher: bool) -> None:
    data, seen = corpus(teacher), []
    start = [static.start(data, 8, seed) for seed in (0, 0, 0)]
    first = static.fit(data, start[0], training(), lambda *steps: seen.append(steps))
    again = static.fit(data, start[1], training(), lambda *steps: None)
    other = static.fit(data, start[2], training(seed=1), lambda *steps: None)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.01
    assert seen[-1] == (60, 60)
    assert not first[0].any()
    unit = gradients.unit_rows(np.asarray(data.counts @ first))[0]
    sims = unit[data.src] @ unit[data.tgt].T
    assert (sims.argmax(1) == np.arange(len(sims))).all()


def test_the_start_is_what_the_teacher_says() -> None:
    counts = csr_array(np.array([[0, 1, 0], [0, 1, 1]], np.float32))
    teacher = np.array([[1, 0], [0, 1]], np.float32)
    data = static.Corpus(counts, np.array([0]), np.array([1]), np.array([0]), teacher)
    noise = static.start(static.Corpus(counts, data.src, data.tgt, data.group), 3, 0)
    said = static.start(data, 3, 0) - np.float32(static.NOISE) * noise
    np.testing.assert_allclose(said[:2], 0, atol=1e-6)  # in no text; in both, which cancels
    direction = said[2] / np.linalg.norm(said[2])
    np.testing.assert_allclose(direction, [-math.sqrt(0.5), math.sqrt(0.5), 0], atol=1e-5)


def test_the_vocabulary_knows_words_and_splits_at_space() -> None:
    tokenizer = static.train_vocabulary(TEXTS * 3, 60)
    assert tokenizer.token_to_id(static.UNK) == 0
    assert tokenizer.encode("HAUS ☃").ids[-1] == 0
    assert tokenizer.encode("d´Haus").tokens == tokenizer.encode("d’haus").tokens
    import json

    assert splits_at_space(json.loads(tokenizer.to_str()))
