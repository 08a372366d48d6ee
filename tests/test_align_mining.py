"""Exact blocks, the recall gate and matching against brute force and values by hand."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from align import approximate, mining, neighbours, products
from align.lexical import Lexical
from align.neighbours import Embedded, Neighbours, nearest, nearest_targets
from corpus.errors import InputError

BACKENDS = ["numpy", "torch", "faiss"]
SCORES = np.array([[0.9, 0.8, 0.1], [0.7, 0.6, 0.5], [0.2, 0.4, 0.3]], np.float32)


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def topics(n: int, seed: int, dim: int = 32) -> tuple[Embedded, Embedded]:
    """Two sides that translate each other row by row, in topics, with near neighbours."""
    draw = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(40, dim))[np.arange(n) % 40]
    meaning = centres + draw.normal(scale=0.6, size=(n, dim))
    meaning[1::7] = meaning[: len(meaning[1::7])]  # the same text more than once
    return tuple(Embedded(unit(meaning + draw.normal(scale=0.1, size=(n, dim)))) for _ in "ab")


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if name != "numpy":
        pytest.importorskip(name)
    return name


def test_neighbours_and_margins_by_hand(backend: str) -> None:
    forward, backward = nearest(
        Embedded(SCORES), Embedded(np.eye(3, dtype=np.float32)), 2, 0, backend
    )
    assert forward.at.tolist() == [[0, 1], [0, 1], [1, 2]]
    assert backward.at.tolist() == [[0, 1], [0, 1], [1, 2]]
    assert forward.mean == pytest.approx([0.85, 0.65, 0.35])
    assert backward.mean == pytest.approx([0.8, 0.7, 0.4])
    # row 0: 0.9 / 0.825 = 1.09, 0.8 / 0.775 = 1.03; row 2: 0.4 / 0.525 = 0.76, 0.3 / 0.375 = 0.8
    # column 1: row 0 at 1.03 before row 1 at 0.6 / 0.675 = 0.89; column 2: row 1 at 0.95
    assert mining.match(forward, backward).tolist() == [[0, 0]]
    assert mining.match(forward, backward, greedy=True).tolist() == [[0, 0], [1, 2]]


def test_every_backend_gives_the_neighbours_of_brute_force(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "BLOCK", (300, 450))
    monkeypatch.setattr(neighbours, "MANY", 5000)
    (src, _), (_, tgt) = topics(1500, 1), topics(1100, 1)
    for found, scores in zip(
        nearest(src, tgt, 4, backend=backend), oriented(src.vectors, tgt.vectors), strict=True
    ):
        order = np.argsort(-scores, axis=1, kind="stable")[:, :4]
        assert found.at.tolist() == order.tolist()
        assert found.score == pytest.approx(np.take_along_axis(scores, order, 1), abs=1e-12)


def oriented(src: np.ndarray, tgt: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All scores in float64 both ways; equal rows have equal scores, whatever the BLAS."""
    scores = np.array([(tgt.astype(np.float64) * row).sum(axis=1) for row in src])
    return scores.round(13), scores.T.round(13)


def test_bfloat16_keeps_what_rounding_could_hide(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(products, "has_bfloat16", lambda: True)
    src, tgt = topics(600, 3, dim=256)
    dots = products.product(src.vectors, tgt.vectors, "torch")
    if not torch.cuda.is_available():
        assert dots.name == "torch bfloat16 on cpu"
    every = slice(0, 600)
    error = np.abs(dots(every, every) - src.vectors.astype(np.float64) @ tgt.vectors.T).max()
    assert 0 < error <= dots.slack < 0.02
    same = nearest(src, tgt, 4, backend="numpy")
    for found, expected in zip(nearest(src, tgt, 4, backend="torch"), same, strict=True):
        assert found.at.tolist() == expected.at.tolist()
        assert found.score.tolist() == expected.score.tolist()


def test_an_unknown_backend_is_named() -> None:
    with pytest.raises(InputError, match="did you mean 'numpy'"):
        products.product(SCORES, SCORES, "nunpy")


def test_the_lexical_score_is_mixed_in_by_blocks(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "BLOCK", (64, 50))
    draw = np.random.default_rng(5)
    words = [f"Wuert{n}" for n in range(40)]
    sides = []
    for n in (130, 110):
        texts = [" ".join(draw.choice(words, 5)) for _ in range(n)]
        sides.append(Embedded(unit(draw.normal(size=(n, 8))), Lexical().vectors(texts)))
    src, tgt = sides
    sim = src.vectors.astype(np.float64) @ tgt.vectors.T.astype(np.float64)
    score = 0.7 * sim + 0.3 * (src.lexical.astype(np.float64) @ tgt.lexical.T).toarray()  # type: ignore[union-attr]
    forward, backward = nearest(src, tgt, 3, 0.3, backend)
    assert forward.score == pytest.approx(-np.sort(-score, axis=1)[:, :3], abs=1e-9)
    assert backward.score == pytest.approx(-np.sort(-score.T, axis=1)[:, :3], abs=1e-9)
    assert nearest_targets(src, tgt, 3, 0.3).at.tolist() == forward.at.tolist()


def lines_of(recall: float, sides: tuple[Embedded, Embedded]) -> tuple[list[str], object]:
    said: list[str] = []
    return said, approximate.nearest(*sides, 4, 0.0, recall, said.append)


def test_a_low_recall_climbs(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("faiss")
    monkeypatch.setattr(approximate, "FIRST_PROBES", 1)
    monkeypatch.setattr(approximate, "MOST_PROBES", 1.0)
    said, found = lines_of(0.999, topics(4000, 2))
    climbs = [line for line in said if line.endswith("taking twice the cells")]
    assert climbs[0].startswith("IVF with 1 of 102 cells: recall 0.")
    assert climbs[1].startswith("IVF with 2 of 102 cells: recall 0.")
    assert isinstance(found, tuple)
    exact = nearest(*topics(4000, 2), 4)
    for near, true in zip(found, exact, strict=True):
        assert (near.at[:, :, None] == true.at[:, None, :]).any(axis=1).mean() > 0.99


def test_an_impossible_recall_says_so_and_goes_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("faiss")
    monkeypatch.setattr(mining, "EXACT", 0)
    draw = np.random.default_rng(1)
    sides = tuple(Embedded(unit(draw.normal(size=(3000, 64)))) for _ in range(2))
    said: list[str] = []
    found = mining.search(*sides, recall=0.99, say=said.append)
    assert said[-2].endswith("0.99 was asked for: going on with the exact search")
    assert said[-1].startswith("exact search of 3,000 x 3,000 sentences in blocks: about")
    assert found[0].at.tolist() == nearest(*sides, 4)[0].at.tolist()
    assert mining.search(*sides, recall=1, say=said.append)[0].at.shape == (3000, 4)
    assert said[-1] == said[-2].replace("IVF", "")  # nothing but the exact search again


def test_greedy_pairs_hold_the_mutual_ones() -> None:
    forward, backward = nearest(*topics(900, 4), 4)
    mutual, greedy = (
        set(map(tuple, mining.match(forward, backward, greedy=g).tolist())) for g in (False, True)
    )
    assert mutual < greedy
    assert len({src for src, _ in greedy}) == len({tgt for _, tgt in greedy}) == len(greedy)


def test_ties_go_to_the_smaller_position() -> None:
    same = Embedded(np.tile(SCORES[:1], (9, 1)))
    forward, backward = nearest(same, same, 2)
    assert forward.at.tolist() == backward.at.tolist() == [[0, 1]] * 9
    assert mining.match(forward, backward).tolist() == [[0, 0]]
    assert isinstance(forward, Neighbours)


def test_pairs_do_not_depend_on_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    sides = topics(700, 6)
    whole = mining.mine_vectors(*sides)
    monkeypatch.setattr(neighbours, "BLOCK", (128, 96))
    blocks = mining.mine_vectors(*sides)
    assert isinstance(whole.frame(["a"] * 700, ["b"] * 700), pl.DataFrame)
    for name in ("pairs", "sim", "margin"):
        assert getattr(whole, name).tolist() == getattr(blocks, name).tolist()
