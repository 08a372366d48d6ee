"""Guards: what a healthy training looks like, and each collapse by its name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

import distill
from corpus.errors import CollapseError
from distill import data
from distill.figures import cut, figures, interval, mutual
from distill.guards import Dev, Health, Watch, check_targets, measure, measure_dev, retrieval
from tests.hash_encoder import HashEncoder
from tests.test_distill_train import RECIPE, words

HALF = math.sqrt(0.5)
AXES = np.eye(3, dtype=np.float32)


def test_retrieval_counts_both_ways_and_no_ties() -> None:
    near = np.array([[1, 0, 0], [HALF, HALF, 0], [0, 0, 1]], np.float32)
    # Row 0 and 2 are found from both sides; the second text's nearest is the first, by a tie.
    assert retrieval(AXES, near) == pytest.approx((2 / 3 + 3 / 3) / 2)
    assert retrieval(AXES, AXES) == 1
    assert retrieval(AXES[[0, 0, 0]], AXES[[0, 0, 0]]) == 0


def test_health_of_three_axes_and_of_one_point() -> None:
    apart, one = measure(AXES, AXES), measure(AXES[[0, 0, 0]], AXES[[0, 0, 0]])
    assert apart.values() == {"retrieval": 1, "mean_cosine": 0, "uniformity": -4}
    assert one.values() == {"retrieval": 0, "mean_cosine": 1, "uniformity": 0}


def test_dev_is_measured_by_language_pair() -> None:
    vectors = dict(zip("abcdef", AXES[[0, 1, 0, 1, 0, 0]], strict=True))
    dev = Dev([*"abef"], [*"cdcd"], ["en-lb", "en-lb", "fr-lb", "fr-lb"])

    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([vectors[t] for t in texts])

    assert measure_dev(dev, encode)[0].retrieval == 0.625
    found = figures(dev, encode)
    by_langs = {name: (f["pairs"], f["retrieval"]) for name, f in found.items()}
    # of fr-lb only c finds e, and that is a tie
    assert by_langs == {"en-lb": (2, 1), "fr-lb": (2, 0.25)}
    assert found["en-lb"]["at_95"] is None  # two pairs show no precision


def test_an_interval_by_hand() -> None:
    # z = 1.96: centre (0.9 + z²/20) / (1 + z²/10), half z √(0.09/10 + z²/400) / (1 + z²/10)
    assert interval(0.9, 10) == pytest.approx((0.5958, 0.9821), abs=1e-4)
    assert interval(1, 500)[0] < 0.993 < interval(1, 500)[1] == 1


def test_cut_offs_by_hand() -> None:
    scores = np.repeat([0.9007, 0.5, 0.4], [20, 1, 18]).astype(np.float32)
    is_right = scores != 0.5
    assert cut(scores, is_right, 0.95) == 0.9  # 1 - 1/20; at 0.4 it is 1 - 2/39
    assert cut(np.append(scores, 0.4), np.append(is_right, True), 0.95) == 0.4  # 1 - 2/40
    assert cut(scores, is_right, 0.99) is None
    assert cut(np.full(100, 0.25), np.ones(100, bool), 0.99) == 0.25


def test_mutual_pairs_by_hand() -> None:
    sims = np.array([[0.9, 0.1, 0.3], [0.8, 0.2, 0.1], [0.1, 0.7, 0.2]], np.float32)
    # Row 0 and column 0 are each other's; so are row 2 and column 1; row 1 has none.
    for tgt, right in (("xyz", [True, False]), ("xyy", [True, True])):
        scores, is_right = mutual(sims, np.array([*"abc"], object), np.array([*tgt], object))
        np.testing.assert_allclose(scores, [0.9, 0.7])
        assert is_right.tolist() == right


@pytest.mark.parametrize(
    ("targets", "name"),
    [
        (np.zeros((5, 3)), "zero learning signal: the teacher gives no text a vector"),
        (3 * AXES, "norm mismatch: the teacher's vectors have norms from 3 to 3"),
        (AXES * [[1], [1], [0.5]], "norm mismatch.*from 0.5 to 1"),
        (AXES[[0, 0, 0]], "one repeated target: .*mean cosine of 1.000"),
    ],
)
def test_targets_that_teach_nothing_are_named(targets: np.ndarray, name: str) -> None:
    with pytest.raises(CollapseError, match=name):
        check_targets(targets.astype(np.float32))


def test_targets_that_teach_pass() -> None:
    check_targets(AXES)
    check_targets(np.concatenate([AXES, np.zeros((2, 3), np.float32)]))  # texts it cannot read


ONE = Health(0.5, 0.99, -0.01)
LOST = Health(0.001, 0.1, -3)
WELL = Health(0.5, 0.1, -3)


def watched(*seen: Health, still: bool = False, may_fall: float | None = None) -> None:
    watch = Watch(len(seen), 500, may_fall)
    for step, health in enumerate(seen):
        watch.see(step, health, AXES if still else AXES + np.float32(0.1 * step))


def test_collapses_are_named_and_the_healthy_go_on() -> None:
    watched(ONE, ONE, WELL, WELL, ONE, WELL, WELL)  # grace, and one bad look, are no collapse
    with pytest.raises(CollapseError, match="all texts get nearly one vector at step 3 of 6"):
        watched(ONE, ONE, ONE, ONE, ONE, ONE)
    with pytest.raises(CollapseError, match="no more often than by chance at step 5"):
        watched(WELL, WELL, WELL, WELL, LOST, LOST)
    with pytest.raises(CollapseError, match="zero learning signal: no vector has moved"):
        watched(WELL, WELL, still=True)
    with pytest.raises(CollapseError, match=r"retrieval fell from 0.500 to 0.001 by step 1"):
        watched(WELL, LOST, WELL, may_fall=0.01)


class Odd(HashEncoder):
    """A teacher whose vectors are changed."""

    def __init__(self, factor: float, repeated: bool) -> None:
        super().__init__()
        self.factor, self.repeated = factor, repeated

    def encode(self, texts: object) -> np.ndarray:
        rows = super().encode(texts)  # type: ignore[arg-type]
        return self.factor * (rows[[0] * len(rows)] if self.repeated else rows)


@pytest.mark.parametrize(
    ("factor", "repeated", "name"),
    [(5, False, "norm mismatch"), (1, True, "one repeated target"), (0, False, "zero learning")],
)
def test_a_run_stops_with_the_reason(
    tmp_path: Path, factor: float, repeated: bool, name: str
) -> None:
    (tmp_path / "tiny.toml").write_text(RECIPE)
    recipe = str(tmp_path / "tiny.toml")
    with pytest.raises(CollapseError, match=name):
        distill.run(recipe, words(0), tmp_path / "m", teacher=Odd(factor, repeated))
    assert not (tmp_path / "m").exists()


def test_pairs_that_repeat_one_text_are_a_collapse(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(RECIPE)
    same = words(0).with_columns(src=pl.lit("lb10 lb11"))
    with pytest.raises(CollapseError, match="collapse: all texts get nearly one vector"):
        distill.run(str(tmp_path / "tiny.toml"), same, tmp_path / "m")


def test_held_out_pairs_share_no_text_with_the_others() -> None:
    pairs = pl.concat([words(0), words(0).with_columns(src=pl.lit("lb10"))])
    left, dev = data.split_dev(pairs, 30)
    assert dev.height == 30
    assert not {*left["src"], *left["tgt"]} & {*dev["src"], *dev["tgt"]}
    assert data.split_dev(pairs, 30)[1].equals(dev)
