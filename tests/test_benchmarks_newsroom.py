from __future__ import annotations

import json
from itertools import cycle, islice
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import benchmarks.cli
from align.lexical import Lexical
from benchmarks.tasks.newsroom import (
    Gold,
    Pair,
    Quality,
    article_quality,
    cover,
    lines_of,
    sentence_quality,
)
from corpus.sample.documents import Document
from corpus.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

LINES = {0: "Storm", 1: "It rained a lot.", 3: "Then it stopped. The sun\u00a0shone."}


class HashEncoder:
    """Vectors from hashed n-grams: good enough for texts that share names."""

    name, revision, key, dim, languages = "hash", "1", "hash 1", 64, None
    lexical, lexical_weight = Lexical(), 0.3

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        project = np.random.default_rng(0).standard_normal((2**17, 64)).astype(np.float32)
        rows: NDArray[np.float32] = self.lexical.vectors(texts) @ project
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def test_cover_counts_the_characters_of_each_line() -> None:
    #            Storm It rained a lot. Then it stopped. The sun shone.
    # characters 0-5   6-22             23-54
    sentences = [
        "Storm",
        "It  rained",
        "a lot. Then it stopped.",
        "The sun shone.",
        "Elsewhere",
        "",
    ]
    assert cover(LINES, sentences) == [
        {0: 5}, {1: 9}, {1: 6, 3: 16}, {3: 14}, {}, {},
    ]  # fmt: skip


def test_a_text_that_occurs_twice_is_found_in_reading_order() -> None:
    lines = {0: "Yes.", 1: "He said it.", 2: "Yes."}
    assert cover(lines, ["Yes.", "He said it.", "Yes."]) == [{0: 4}, {1: 11}, {2: 4}]
    # Out of order: found from the beginning again.
    assert cover(lines, ["He said it.", "Yes.", "He said it."]) == [{1: 11}, {2: 4}, {1: 11}]


def test_a_sentence_belongs_to_lines_of_which_it_covers_half() -> None:
    # Line 1 has 16 characters, line 3 has 31.
    assert lines_of(LINES, [{1: 8}]) == {1}
    assert lines_of(LINES, [{1: 7}]) == frozenset()
    assert lines_of(LINES, [{3: 16}]) == {3}
    assert lines_of(LINES, [{3: 15}]) == frozenset()
    assert lines_of(LINES, [{3: 15}, {3: 1, 0: 5}]) == {0, 3}


@given(
    st.lists(st.text("ab \n", min_size=1, max_size=12).filter(str.strip), min_size=1, max_size=6)
)
def test_lines_themselves_cover_themselves(texts: list[str]) -> None:
    lines = dict(enumerate(texts))
    covered = cover(lines, texts)
    joined = " ".join(" ".join(text.split()) for text in texts)
    if len({joined.find(" ".join(t.split())) for t in texts}) == len(texts):
        assert [lines_of(lines, [c]) for c in covered] == [{n} for n in lines]
    assert all(sum(c.values()) <= len(joined) for c in covered)


def documents() -> Gold:
    rows = {n: f"line {n}" for n in range(4)}
    return Gold.of(
        [
            Document("first", {"lb": rows, "en": rows}),
            Document("second", {"lb": {0: "a", 1: "b"}, "en": {0: "a", 2: "c"}}),
            Document("lb only", {"lb": rows}),
            Document("fourth", {"lb": rows, "en": rows}),
        ]
    )


def pair(src: str, src_lines: set[int], tgt: str, tgt_lines: set[int]) -> Pair:
    return Pair(src, frozenset(src_lines), tgt, frozenset(tgt_lines))


def test_sentences_are_scored_by_lines() -> None:
    pairs = [
        pair("first", {0}, "first", {0}),
        pair("first", {1, 2}, "first", {1, 2}),  # a bead of two lines
        pair("first", {3}, "first", {2}),  # other lines
        pair("first", {3}, "fourth", {3}),  # the same line of another document
        pair("first", set(), "first", set()),  # no line at all
        pair("second", {0}, "second", {0}),
    ]
    # dev: first and "lb only"; test: second and fourth. Lines in both languages:
    # first 4, second 1 (0 only), fourth 4.
    dev = sentence_quality(documents(), ("lb", "en"), pairs, "dev")
    assert dev == Quality(n_predicted=5, n_right=2, n_gold=4, n_found=3)
    assert (dev.precision, dev.recall, dev.f1) == (0.4, 0.75, pytest.approx(0.6 / 1.15))
    test = sentence_quality(documents(), ("lb", "en"), pairs, "test")
    assert test == Quality(1, 1, 5, 1)
    assert sentence_quality(documents(), ("lb", "en"), pairs, "all") == Quality(6, 3, 9, 4)


def test_a_line_found_twice_is_found_once() -> None:
    twice = [pair("first", {0}, "first", {0})] * 2
    assert sentence_quality(documents(), ("lb", "en"), twice, "all") == Quality(2, 2, 9, 1)


def test_articles_are_scored_by_documents() -> None:
    pairs = [("first", "first"), ("second", "fourth"), ("lb only", "first")]
    everything = article_quality(documents(), ("lb", "en"), pairs, "all")
    assert everything == Quality(n_predicted=3, n_right=1, n_gold=3, n_found=1)
    assert article_quality(documents(), ("lb", "en"), pairs, "test") == Quality(1, 0, 2, 0)


def test_nothing_predicted_has_no_precision() -> None:
    empty = sentence_quality(documents(), ("lb", "en"), [], "all")
    assert empty.values() == {"precision": None, "recall": 0.0, "f1": 0.0}


def stories(path: Path, n_stories: int = 6, n_lines: int = 6) -> Path:
    names = ["Zacharias", "Wilhelmina", "Bartholomew", "Quentin", "Ottokar", "Kunigunde"]
    rows = ["doc\tn\tlb\ten"]
    for d, name in enumerate(islice(cycle(names), n_stories)):
        name += chr(97 + d // 6) * (d // 6)  # no two alike
        for n in range(n_lines):
            code = f"{name}{d}{n} {name[:4]}{n * 7919 + d} {chr(97 + n) * 5}{name[-3:]}"
            lb = f"Den {code} huet haut zu {code[::-1].title()} geschafft a gewunnen."
            en = f"The {code} worked today in {code[::-1].title()} and has won."
            rows.append(f"story-{d}\t{n}\t{lb}\t{en}")
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


@pytest.mark.slow
def test_a_site_is_crawled_aligned_and_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.newsroom.load_encoder", lambda spec: HashEncoder())
    here = Workspace.create(tmp_path / "here", "you@example.org")
    keep = tmp_path / "keep"
    tsv = str(stories(tmp_path / "stories.tsv"))
    arguments = ["newsroom", tsv, "-w", str(here.root), "--keep", str(keep), "--json"]
    result = CliRunner().invoke(benchmarks.cli.main, arguments)
    assert result.exit_code == 0, result.output
    records = json.loads(result.stdout)
    assert [(r["data"], r["split"], r["n"]) for r in records] == [
        ("newsroom lb-en", "dev", 3), ("newsroom lb-en", "test", 3), ("newsroom lb-en", "all", 6),
    ]  # fmt: skip
    scores = {score["name"]: score["values"] for score in records[2]["scores"]}
    assert scores["articles"] == {"precision": 1.0, "recall": 1.0, "f1": 1.0}
    assert scores["sentences"]["f1"] > 0.9
    assert len(list(here.results.glob("*.json"))) == 3
    assert (keep / "pairs" / "lb-en").is_dir()


def test_the_sample_is_scored_only_where_it_was_crawled(tmp_path: Path) -> None:
    Workspace.create(tmp_path, "you@example.org")
    result = CliRunner().invoke(benchmarks.cli.main, ["newsroom", "-w", str(tmp_path)])
    assert result.exit_code == 1
    assert "corpus crawl sample && align sentences" in result.output
