from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from benchmarks import confidence
from benchmarks.confidence import Draw
from corpus.console import Console
from tests.test_benchmarks_newsroom import HashEncoder, stories

if TYPE_CHECKING:
    from pathlib import Path


def test_what_a_rate_keeps_by_hand() -> None:
    right = np.array([True, True, False, True, False, False])
    draw = Draw(right, np.array([0.0, 0.0, 0.05, 0.05, 0.3, 0.3]))
    # At 0.05 four are kept, one of them false; within 0.05 the best cut-off keeps two.
    assert confidence._outcome(draw, 0.05) == (0.25, 1.5)
    assert confidence._outcome(draw, 0.25) == (0.25, 1.0)
    assert confidence._outcome(Draw(right, np.ones(6)), 0.05) == (0.0, 0.0)


def test_spoiled_article_pairs_change_targets_among_themselves() -> None:
    pairs = pl.DataFrame({"src_id": list("abcdefghij"), "tgt_id": list("ABCDEFGHIJ")})
    spoiled = confidence._spoiled(pairs, 0.3, np.random.default_rng(0))
    assert sorted(spoiled["tgt_id"]) == sorted(pairs["tgt_id"])
    assert (spoiled["tgt_id"] != pairs["tgt_id"]).sum() == 3


@pytest.mark.slow
def test_each_setting_is_drawn_aligned_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.confidence.load_encoder", lambda spec: HashEncoder())
    documents = stories(tmp_path / "stories.tsv", n_stories=50, n_lines=14)
    found = confidence.run(Console(tmp_path), documents, ["lb-en"], seeds=1)
    half, wrong, fifth = found[::2]
    assert [r.setting for r in found[::2]] == [s.name for s in confidence.SETTINGS]
    assert half.n_refused == wrong.n_refused == 0
    assert fifth.n_refused == 1  # under 200 pairs
    assert half.fdr_of_all < 0.1 < wrong.fdr_of_all
    assert half.n_within == wrong.n_within == 1
    assert half.recall.min() > 0.9
