"""The cheap encoder chooses, the strong one sees only that."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from align import articles, prefilter, sentences
from align.cli import main
from align.collection import Collection
from align.decide import Cuts
from align.prefilter import Prefilter
from corpus import dedup, segment
from corpus.importing import Source, import_articles
from corpus.pairs import SCORE_SENTENCES, sentence_pairs
from corpus.workspace import Workspace
from tests.hash_encoder import HashEncoder
from tests.test_align_stages import write_articles


class Weak(HashEncoder):
    name, key = "weak", "weak v1"


def side(name: str, n: int) -> Collection:
    ids = [f"{name}{k}" for k in range(n)]
    sentences = pl.DataFrame({"sentence_id": ids})
    return Collection(pl.DataFrame({"article_id": ["x", "y"]}), sentences, np.array([0, 1, n]))


def frame(rows: list[tuple[object, ...]], *more: str) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["src_id", "tgt_id", "score", *more], orient="row")


def test_what_was_found_says_what_is_worth_a_try() -> None:
    likely = frame(
        [
            ("a0", "b0", 1.5, "x", True),
            ("a1", "b0", 1.15, "x", False),  # b0 has 1.7, and 1.15 may be off by 0.5
            ("a2", "b0", 1.25, "x", False),
            ("a3", "b1", 0.4, "x", False),  # over 0.5 - 0.4 / 2, as all tried of x is right
            ("a4", "b2", 1.0, "y", True),
            ("a5", "b3", 0.65, "y", False),  # under 0.5 + 0.4 / 2, as all tried of y is false
            ("a6", "b4", 0.8, "y", False),
            ("a7", "b5", 0.45, "z", False),  # nothing of z was tried
            ("a8", "b6", 0.6, "z", False),
        ],
        "src_article",
        "tried",
    )
    found = frame([("a0", "b0", 1.7), ("a4", "b2", 0.9)])
    chosen = prefilter.worth_a_try(likely, found)
    assert chosen["src_id"].to_list() == ["a2", "a3", "a6", "a8"]
    at_first = prefilter.worth_a_try(likely, found.clear())
    assert at_first["src_id"].to_list() == ["a1", "a2", "a5", "a6", "a8"]


def test_only_sentences_that_were_tried_stay() -> None:
    sides = side("a", 3), side("b", 3)
    rows = [("a0", "b1", 1.0, True), ("a0", "b0", 0.9, True), ("a2", "b2", 0.6, False)]
    masks = prefilter.seen(frame(rows, "tried"), sides)
    assert [mask.tolist() for mask in masks] == [[True, False, False], [True, True, False]]
    left = prefilter.reduced(sides, masks)
    assert [s.sentences["sentence_id"].to_list() for s in left] == [["a0"], ["b0", "b1"]]
    assert [s.starts.tolist() for s in left] == [[0, 1, 1], [0, 1, 2]]


def test_the_strong_encoder_sees_less_and_finds_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefilter, "SAMPLE", 1)
    write_articles(tmp_path / "news.jsonl")
    pairs, encoded = [], []
    for name in ("full", "cascade"):
        workspace = Workspace.create(tmp_path / name, "me@example.org")
        import_articles(workspace, Source(tmp_path / "news.jsonl"))
        dedup.update(workspace)
        segment.update(workspace)
        articles.update(workspace, "lb-en", HashEncoder(), articles.Settings())
        strong = HashEncoder()
        strong.key = f"strong {name}"
        chosen = Prefilter(workspace, Weak(), strong) if name == "cascade" else None
        first, _ = sentences.update(workspace, "lb-en", strong, Cuts(), prefilter=chosen)
        pairs.append(sentence_pairs(workspace, "lb-en").filter("kept")["pair_id"].to_list())
        encoded.append(strong.n_encoded)
    assert first.stage == SCORE_SENTENCES.name
    assert first.counts["sample_pairs"] == first.counts["sample_found"] > 0
    assert pairs[0] == pairs[1]
    assert encoded[1] <= encoded[0]


@pytest.mark.parametrize("args", [["--prefilter", "embedded", "--method", "beads"]])
def test_beads_need_every_sentence(tmp_path: Path, args: list[str]) -> None:
    Workspace.create(tmp_path, "me@example.org")
    done = CliRunner().invoke(main, ["sentences", "-w", str(tmp_path), "--only", *args])
    assert done.exit_code == 1
    assert done.stderr.strip().startswith("Error: ")
