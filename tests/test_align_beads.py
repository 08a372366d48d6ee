"""Monotone alignment: the search, the runs, and what documents come to."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import align
from align import articles, bead_pairs, beads, sentences
from align.decide import Cuts
from align.lexical import Lexical
from align.spans import SIZE, Spans
from corpus import dedup, segment
from corpus.importing import Source, import_articles
from corpus.pairs import sentence_pairs
from corpus.workspace import Workspace
from tests.hash_encoder import HashEncoder

Step = tuple[int, int, int, int]


def whole(n: int, m: int) -> np.ndarray:
    return np.array([[0, m + 1]] * (n + 1))


def rows(gains: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Rows as the search takes them, of gains [n_shapes, n, m] at last segments."""
    nothing = np.zeros((len(gains), len(gains[0]), 1))
    padded = np.concatenate([nothing, gains], axis=2)
    return [(0, np.zeros((1, 1))), *((i + 1, padded[:, i]) for i in range(len(gains[0])))]


def search(gains: np.ndarray, size: int, skip: float, opening: float = 0.0) -> list[Step]:
    n, m = gains.shape[1:]
    steps = beads._search(rows(gains), whole(n, m), size, skip, opening)
    return [tuple(s) for s in steps.tolist()]


def test_three_by_three_by_hand() -> None:
    # One to one; with free skips the best chain is 0-0 (5), 1-2 (4): 2-2 (1) would need 1-1 (1).
    one = np.array([[[5, 1, 0], [1, 1, 4], [2, 3, 1]]], float)
    assert search(one, 1, 0.0) == [(0, 1, 0, 1), (1, 1, 1, 2), (1, 2, 2, 3), (2, 3, 3, 3)]
    # Each pair now saves two skips: 5 + 1 + 1 + 6 · 2 = 19 against 5 + 4 + 4 · 2 = 17.
    assert search(one, 1, 2.0) == [(0, 1, 0, 1), (1, 2, 1, 2), (2, 3, 2, 3)]
    # Up to two by two: 0-0 (5), then 1 with 1 and 2 (a gain of 7), then 2 alone.
    two = np.full((4, 3, 3), -9.0)
    two[0], two[1, 1, 2] = one[0], 7
    assert search(two, 2, 0.0) == [(0, 1, 0, 1), (1, 2, 1, 3), (2, 3, 3, 3)]
    # Two runs of skips at 3 each: 5 + 4 - 6 is less than 5 + 1 + 1 in a row without any.
    assert search(one, 1, 0.0, 3.0) == [(0, 1, 0, 1), (1, 2, 1, 2), (2, 3, 2, 3)]


def every_way(i: int, j: int, size: int) -> list[list[Step]]:
    """All ways to cover i and j segments."""
    if not i and not j:
        return [[]]
    moves = [*product(range(1, size + 1), repeat=2), (1, 0), (0, 1)]
    return [
        [*way, (i - n, i, j - m, j)]
        for n, m in moves
        if n <= i and m <= j
        for way in every_way(i - n, j - m, size)
    ]


@given(
    st.lists(st.integers(-20, 20), min_size=36, max_size=36),
    st.sampled_from([0.0, 0.5, 2.0]),
    st.sampled_from([0.0, 0.5, 9.0]),
)
def test_the_search_finds_the_greatest_sum(values: list[int], skip: float, opening: float) -> None:
    gains = np.array(values, float).reshape(4, 3, 3)

    def worth(way: list[Step]) -> float:
        total, skipping = 0.0, False
        for a, b, c, d in way:
            is_bead = a < b and c < d
            if is_bead:
                total += gains[2 * (b - a - 1) + d - c - 1, b - 1, d - 1]
                total += skip * (b - a + d - c)
            elif not skipping:
                total -= opening
            skipping = not is_bead
        return total

    found = search(gains, 2, skip, opening)
    assert worth(found) == max(worth(way) for way in every_way(3, 3, 2))


def words(n: int, draw: random.Random) -> str:
    return " ".join(f"xx{draw.randrange(10**6)}" for _ in range(n))


def covers(steps: list[Step], n: int, m: int) -> bool:
    """Monotone, covering, without overlap: each step begins where the last one ended."""
    ends = [(0, 0), *((b, d) for _, b, _, d in steps)]
    begins = [*((a, c) for a, _, c, _ in steps), (n, m)]
    return begins == ends and all(a <= b and c <= d for a, b, c, d in steps)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 14), st.integers(0, 14), st.integers(0, 99), st.sampled_from([0.0, 0.4]))
def test_steps_are_monotone_and_cover_both_documents(
    n: int, m: int, seed: int, weight: float
) -> None:
    draw = random.Random(seed)
    lines = [words(5, draw) for _ in range(max(n, m))]
    sides = [Spans.of(draw.sample(lines, k), HashEncoder().encode, Lexical()) for k in (n, m)]
    steps, _ = beads.align(*sides, weight)
    assert covers([tuple(s) for s in steps.tolist()], n, m)
    assert (np.diff(steps[:, :2]) <= SIZE).all()
    assert (np.diff(steps[:, 2:]) <= SIZE).all()


class Clear(HashEncoder):
    """All texts have a third of their meaning in common, as encoders have it; little noise."""

    dim = 512

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows = super().encode(texts) + np.eye(1, self.dim, dtype=np.float32) * 0.7
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_documents_with_merged_split_and_untranslated_segments() -> None:
    draw = random.Random(1)
    a, b, c, d, e, f, g, h = (words(8, draw) for _ in range(8))
    src = [a, b, c, d, g, f"{e} {f}", h]
    tgt = [a, f"{b} {c}", g, e, f, words(9, draw), words(7, draw), words(8, draw), h]
    found = align.align_documents(src, tgt, Clear())
    assert list(found.select("src", "tgt").iter_rows()) == [
        ([0], [0]), ([1, 2], [1]), ([3], []), ([4], [2]), ([5], [3, 4]), ([], [5]), ([], [6]),
        ([], [7]), ([6], [8]),
    ]  # fmt: skip
    kept = found.filter(found["sim"].is_not_null())
    assert kept["sim"].to_list() == pytest.approx([1] * 5)
    assert (kept["margin"] > 1).all()
    assert align.align_documents(src, tgt, Clear()).equals(found)


def test_nothing_aligns_to_nothing() -> None:
    found = align.align_documents(["xx1 xx2"], [], HashEncoder())
    assert found.rows() == [([0], [], None, None, None)]
    assert align.align_documents([], [], HashEncoder()).is_empty()


@pytest.mark.slow
def test_a_long_document_is_searched_in_a_band(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(2)
    tgt = [words(6, draw) for _ in range(800)]
    src = tgt[:400] + tgt[600:]
    seen: list[np.ndarray] = []
    band = beads._band
    monkeypatch.setattr(beads, "_band", lambda path: seen.append(band(path)) or seen[-1])
    sides = [Spans.of(side, Clear().encode) for side in (src, tgt)]
    steps, _ = beads.align(*sides)
    found = {tuple(s) for s in steps.tolist()}
    gold = {(i, i + 1, i, i + 1) for i in range(400)}
    gold |= {(i, i + 1, i + 200, i + 201) for i in range(400, 600)}
    assert all(397 <= bead[0] <= 403 for bead in gold - found)  # beside what is skipped
    cells = np.diff(seen[-1])[:, 0]
    assert cells.sum() < len(src) * len(tgt) / 10


def test_runs_end_at_their_segment_and_stay_in_their_document() -> None:
    texts = ["Muer reent et.", "D'Bréck", "ass zou.", "Sonn"]
    lexical = Lexical()
    spans = Spans.of(texts, HashEncoder().encode, lexical, np.array([0, 3, 4]))
    last = [14, 22, 31, 4]
    assert spans.lengths.tolist() == [[14, 7, 8, 4], [14, 22, 16, 4], *[last] * (SIZE - 2)]
    taken = spans.rows(np.array([2, 3, 4, 2]), np.array([1, 2, 2, 3]))
    expected = lexical.vectors(
        ["Muer reent et. D'Bréck", "Muer reent et. D'Bréck ass zou.", " ".join(texts[:3]), "Sonn"]
    )
    assert taken.lexical is not None
    np.testing.assert_allclose(taken.lexical.toarray(), expected.toarray(), atol=1e-6)
    alone = Spans.of(texts[3:], HashEncoder().encode, lexical)
    np.testing.assert_array_equal(spans.document(slice(3, 4)).vectors, alone.vectors)


def test_scores_by_hand() -> None:
    axes = {"a": [1.0, 0, 0], "b": [0, 1.0, 0], "c": [0.6, 0.8, 0]}

    def embed(runs: list[str]) -> np.ndarray:
        return np.array([axes.get(run, [0, 0, 1.0]) for run in runs], np.float32)

    src, tgt = Spans.of(["a", "b", "c"], embed), Spans.of(["c", "a", "b"], embed)
    means = np.full((SIZE, 3), 0.5), np.full((SIZE, 3), 0.3)
    found = beads.score(src, tgt, np.array([[0, 1, 0, 1], [1, 2, 2, 3], [0, 2, 1, 2]]), 0.0, means)
    # cos(a, c) = 0.6, cos(b, b) = 1, the run "a b" is orthogonal; margins over (0.5 + 0.3) / 2.
    assert found.rows() == [(0.6, 0, 1.5), (1.0, 0, 2.5), (0.0, 0, 0.0)]
    # An ambiguous pair, whose neighbourhood is as near, is below a clear one.
    near = np.full((SIZE, 3), 0.9), np.full((SIZE, 3), 0.9)
    ambiguous = beads.score(src, tgt, np.array([[1, 2, 2, 3]]), 0.0, near)["margin"][0]
    assert ambiguous == pytest.approx(1.11111)
    assert ambiguous < found["margin"][1]


def test_neighbourhoods_are_the_mean_of_the_four_best() -> None:
    vectors = {f"t{n}": [np.cos(n / 10), np.sin(n / 10)] for n in range(6)} | {"s": [1.0, 0.0]}

    def embed(runs: list[str]) -> np.ndarray:
        return np.array([vectors.get(run, [0.0, 1.0]) for run in runs], np.float32)

    src, tgt = Spans.of(["s"], embed), Spans.of([f"t{n}" for n in range(6)], embed)
    expected = np.mean(np.cos([0, 0.1, 0.2, 0.3]))
    assert src.means(tgt, np.zeros(1), 0.0)[0, 0] == pytest.approx(expected)
    assert src.pool_means(tgt.singles(np.arange(6)), 0.0)[0, 0] == pytest.approx(expected)


def test_runners_up_leave_out_the_bead() -> None:
    axes = {"a": [1.0, 0, 0], "b": [0, 1.0, 0], "c": [0.6, 0.8, 0], "b c": [0.8, 0.6, 0]}

    def embed(runs: Sequence[str]) -> NDArray[np.float32]:
        return np.array([axes.get(run, [0, 0, 1.0]) for run in runs], np.float32)

    src, tgt = Spans.of(["a"], embed), Spans.of(["a", "b", "c"], embed)
    means = np.full((SIZE, 1), 0.5), np.full((SIZE, 3), 0.5)
    # Beside target 0, c (0.6) is nearest to a; beside b there is a itself; and nothing of
    # two segments is left beside "b c".
    for bead, others in (
        ([0, 1, 0, 1], [[0, 1, 2, 3]]),
        ([0, 1, 1, 2], [[0, 1, 0, 1]]),
        ([0, 1, 1, 3], []),
    ):
        found = bead_pairs.runners_up(src, tgt, np.array([bead]), 0.0, means)
        assert found.tolist() == others


def test_beads_become_sentence_pairs_with_several_ids(tmp_path: Path) -> None:
    draw, rows = random.Random(3), []
    for n in range(24):
        lines = [words(8, draw) for _ in range(12)]
        halves = [f"{line}." for line in lines]
        joined = [f"{a} {b}." for a, b in zip(lines[:4:2], lines[1:4:2], strict=True)]
        day = f"2026-03-{n // 3 + 1:02}"
        for lang, texts in (("lb", halves), ("en", [*joined, *halves[4:]])):
            text = "\n\n".join(t.capitalize() for t in texts)
            rows.append({"id": f"{lang}{n}", "lang": lang, "title": "", "text": text, "date": day})
    file = tmp_path / "news.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows))
    workspace = Workspace.create(tmp_path / "w", "me@example.org")
    import_articles(workspace, Source(file))
    dedup.update(workspace)
    segment.update(workspace)
    encoder = Clear()
    articles.update(workspace, "lb-en", encoder, articles.Settings())
    sentences.update(workspace, "lb-en", encoder, Cuts(margin=1.0), method="beads")
    pairs = sentence_pairs(workspace, "lb-en")
    same = (
        pairs["src_text"].str.replace_all(r"\.", "").str.to_lowercase()
        == pairs["tgt_text"].str.replace_all(r"\.", "").str.to_lowercase()
    )
    assert same.mean() > 0.95  # type: ignore[operator]
    shapes = pairs.filter(same).select(pl.col("src_ids", "tgt_ids").list.len())
    assert shapes.filter(src_ids=2, tgt_ids=1).height >= 46  # two in each of 24 articles
    assert shapes.filter(src_ids=1, tgt_ids=1).height >= 186  # eight
    taken = pairs["src_ids"].explode()
    assert taken.n_unique() == len(taken)
    assert pairs["q"].count() == pairs["reason"].is_null().sum()
    assert (pairs["margin"] > 1).all()
    n_encoded = encoder.n_encoded
    sentences.update(workspace, "lb-en", encoder, Cuts(margin=1.2), method="beads")
    assert encoder.n_encoded == n_encoded
