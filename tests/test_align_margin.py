"""Formulas against values worked out by hand on 3 x 3 scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from align import margin, mining
from align.neighbours import Embedded, nearest
from tests.hash_encoder import HashEncoder

SCORES = np.array([[0.9, 0.8, 0.1], [0.7, 0.6, 0.5], [0.2, 0.4, 0.3]], np.float32)


def embedded(scores: np.ndarray) -> tuple[Embedded, Embedded]:
    """Two sides whose products are the given scores."""
    return Embedded(scores), Embedded(np.eye(3, dtype=np.float32))


def test_ratio_by_hand() -> None:
    forward, backward = nearest(*embedded(SCORES), 2)
    found = margin.ratio(SCORES, forward.mean[:, None], backward.mean[None, :])
    # 0.9 / ((0.85 + 0.8) / 2) = 1.0909; 0.5 / ((0.65 + 0.4) / 2) = 0.9524
    assert found[0, 0] == pytest.approx(1.0909, abs=1e-4)
    assert found[1, 2] == pytest.approx(0.9524, abs=1e-4)
    assert found[2, 1] == pytest.approx(0.4 / 0.525, abs=1e-4)


def test_an_ambiguous_pair_scores_below_a_clear_one() -> None:
    clear = margin.ratio(np.array(0.8), np.array(0.4), np.array(0.4))
    ambiguous = margin.ratio(np.array(0.8), np.array(0.78), np.array(0.78))
    assert clear > ambiguous
    assert margin.ratio(np.array(0.0), np.array(0.0), np.array(0.0)) == 0


@given(*[st.floats(0.0, 1.0)] * 5)
def test_nearer_neighbours_never_raise_a_score(
    score: float, src: float, tgt: float, src_more: float, tgt_more: float
) -> None:
    clear = margin.ratio(np.array(score), np.array(src + 0.01), np.array(tgt + 0.01))
    near = np.array(src + 0.01 + src_more), np.array(tgt + 0.01 + tgt_more)
    assert margin.ratio(np.array(score), *near) <= clear


@pytest.mark.parametrize("n", [1, 3, 1500, 2100])
def test_nearest_in_blocks_equals_one_product(n: int) -> None:
    rng = np.random.default_rng(n)
    src, tgt = (rng.normal(size=(m, 8)).astype(np.float32) for m in (n, 700))
    forward, backward = nearest(Embedded(src), Embedded(tgt), 4)
    scores = src @ tgt.T
    assert forward.score == pytest.approx(-np.sort(-scores, axis=1)[:, :4], abs=1e-5)
    assert backward.score == pytest.approx(-np.sort(-scores.T, axis=1)[:, : min(4, n)], abs=1e-5)
    assert np.take_along_axis(scores, forward.at, 1) == pytest.approx(forward.score, abs=1e-5)


def test_mine_finds_what_translates() -> None:
    src = [f"lb{n} lb{n + 1} lb{n + 2}" for n in range(0, 60, 3)]
    tgt = [text.replace("lb", "en") for text in reversed(src[:15])] + ["en900 en901", ""]
    found = mining.mine(src, tgt, HashEncoder())
    right = [
        (s, t) for s, t in found.select("src", "tgt").iter_rows() if t == s.replace("lb", "en")
    ]
    assert len(right) == 15
    assert found["margin"].is_sorted(descending=True)
    assert found.filter(found["margin"] > 2)["src"].len() == 15
    assert mining.mine([], tgt, HashEncoder()).is_empty()
