from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from align import confidence
from corpus.errors import InputError

finite = st.floats(0, 2, width=32)


def test_rate_by_hand() -> None:
    accepted, decoys = np.array([3.0, 2.0, 1.0]), np.array([2.5, 0.5])
    # D(3) = 1 + 0, T = 1; D(2) = 1 + 1, T = 2; D(1) = 2, T = 3; D(0.4) = 3, T = 3
    cuts = np.array([3.0, 2.0, 1.0, 0.4])
    found = confidence.false_discovery_rate(cuts, accepted, decoys)
    assert found == pytest.approx([1, 1, 2 / 3, 1])


def test_fewer_decoys_count_where_no_pair_scores_like_a_false_one() -> None:
    decoys = np.arange(1000) / 1000
    # Of 500 decoys under the median 0.4995, and no, 9 or 100 accepted pairs.
    assert confidence.false_share(np.full(300, 0.9), decoys) == pytest.approx(12 * 1 / 500)
    low = np.concatenate([np.full(9, 0.2), np.full(300, 0.9)])
    assert confidence.false_share(low, decoys) == pytest.approx(12 * 10 / 500)
    assert confidence.false_share(np.full(300, 0.2), decoys) == 1
    rate = confidence.false_discovery_rate(np.array([0.9]), low, decoys, 12 * 10 / 500)
    assert rate == pytest.approx([(1 + 0.24 * 100) / 300])


def test_q_is_the_least_rate_of_a_set_that_holds_the_pair() -> None:
    accepted = np.linspace(1, 2, 400)
    decoys = np.array([1.5, 1.2, 1.1])
    q = confidence.q_values(accepted, decoys)
    assert q is not None
    assert q[-1] == pytest.approx(1 / np.sum(accepted > 1.5))  # one over the 200 above any decoy
    assert q[0] == pytest.approx(4 / 400)


def test_too_little_to_say() -> None:
    assert confidence.q_values(np.ones(199), np.ones(5)) is None
    assert confidence.q_values(np.ones(200), np.ones(0)) is None


@given(st.lists(finite, min_size=200, max_size=220), st.lists(finite, min_size=1, max_size=50))
def test_q_never_grows_with_the_score(accepted: list[float], decoys: list[float]) -> None:
    scores = np.array(accepted)
    q = confidence.q_values(scores, np.array(decoys))
    assert q is not None
    order = np.argsort(scores, kind="stable")
    assert (np.diff(q[order]) <= 1e-12).all()
    assert ((q > 0) & (q <= 1)).all()


def test_q_by_what_people_judged() -> None:
    """Of margins 1.4 1.2 1.2 .9 the shares of true pairs are 1 .8 .8 .5; below all, .5 too."""
    stair = confidence.Calibration(
        "lb-en", "embedded margin", ((1.0, 0.5), (1.1, 0.8), (1.3, 1)), 9
    )
    found = stair.q_values(np.array([1.2, 1.4, 0.9, 1.2]))
    assert found == pytest.approx([0.4 / 3, 0, 0.9 / 4, 0.4 / 3])


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"langs": "lb-en", "made_by": "x", "steps": []}',
             '{"langs": "lb-en", "made_by": "x", "steps": [{"least_margin": 1, "precision": 2,'
             ' "n_pairs": 1}]}'],
)  # fmt: skip
def test_a_file_that_is_no_calibration_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "calibration.json"
    path.write_text(text)
    with pytest.raises(InputError, match="benchmarks review SET --finish"):
        confidence.load_calibration(path)


def test_runner_up_is_the_best_other_target() -> None:
    candidates = pl.DataFrame(
        {
            "src_id": ["x", "x", "x", "y"],
            "tgt_id": ["a", "b", "c", "a"],
            "score": [3.0, 1.0, 2.0, 9.0],
        }
    )
    accepted = pl.DataFrame({"src_id": ["x", "y"], "tgt_id": ["a", "a"]})
    found = confidence.runners_up(accepted, candidates)
    assert found.select("src_id", "tgt_id", "score").rows() == [("x", "c", 2.0)]
