"""Scores for corpora made elsewhere."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from align import bitext
from align.cli import main
from align.decide import Cuts
from corpus.errors import BitextileError
from tests.hash_encoder import HashEncoder


def lines(n: int, seed: int = 0) -> list[tuple[str, str]]:
    """Pairs that translate each other by `HashEncoder`."""
    draw = random.Random(seed)
    rows = [[draw.randrange(10**6) for _ in range(7)] for _ in range(n)]
    return [tuple(" ".join(f"{lang}{w}" for w in r) for lang in ("lb", "en")) for r in rows]  # type: ignore[misc]


def write(path: Path, pairs: list[tuple[str, str]]) -> Path:
    path.write_text("".join(f"{a}\t{b}\n" for a, b in pairs), encoding="utf-8")
    return path


def scored(paths: list[Path], monkeypatch: pytest.MonkeyPatch, block: int) -> pl.DataFrame:
    monkeypatch.setattr(bitext, "BLOCK", block)
    encoder = HashEncoder()
    pools = bitext.pools(paths, encoder, 0.0)
    scorer = bitext.Scorer(encoder, 0.0, "", Cuts(), pools)
    return pl.concat([scorer.score(block) for block in bitext.blocks(paths)])


def test_scores_are_those_of_the_pairs_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = lines(60)
    pairs = [*good[:50], (good[50][0], good[51][1]), good[3], ("", good[52][1]), good[53]]
    path = write(tmp_path / "a.tsv", pairs)
    whole = scored([path], monkeypatch, 1000)
    assert whole["src"].to_list() == [src for src, _ in pairs]
    reasons = dict(enumerate(whole["reason"]))
    assert {n: reason for n, reason in reasons.items() if reason} == {
        50: "margin", 51: "duplicate", 52: "unreadable",
    }  # fmt: skip
    assert (whole["margin"].gather([0, 49, 53]) > 1.5).all()
    # In blocks of any size the same, duplicates across blocks too.
    assert scored([path], monkeypatch, 7).equals(whole)
    sides = [tmp_path / "a.lb", tmp_path / "a.en"]
    for n, side in enumerate(sides):
        side.write_text("".join(f"{pair[n]}\n" for pair in pairs), encoding="utf-8")
    assert scored(sides, monkeypatch, 1000).equals(whole)


def test_margins_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = {f"x{n}": np.eye(3)[n] for n in range(3)} | {f"y{n}": np.eye(3)[n] for n in range(3)}
    vectors["y0"] = np.array([0.6, 0.8, 0.0])
    encoder = HashEncoder()
    monkeypatch.setattr(
        encoder, "encode", lambda texts: np.array([vectors[t] for t in texts], np.float32)
    )
    path = write(tmp_path / "a.tsv", [("x0", "y0"), ("x1", "y1"), ("x2", "y2")])
    scorer = bitext.Scorer(encoder, 0.0, "", Cuts(), bitext.pools([path], encoder, 0.0))
    [found] = [scorer.score(block) for block in bitext.blocks([path])]
    assert found["sim"].to_list() == [0.6, 1.0, 1.0]
    # Over all three: x0 0.2, x1 0.6, x2 1/3; y0 1.4/3, y1 1/3, y2 1/3.
    expected = [0.6 / ((0.2 + 1.4 / 3) / 2), 1 / ((0.6 + 1 / 3) / 2), 1 / ((1 / 3 + 1 / 3) / 2)]
    assert found["margin"].to_list() == pytest.approx(expected, abs=1e-4)


def test_the_pool_is_the_texts_of_the_smallest_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bitext, "POOL", 5)
    monkeypatch.setattr(bitext, "BLOCK", 4)
    pairs = lines(20)
    pools = bitext.pools([write(tmp_path / "a.tsv", pairs)], HashEncoder(), 0.0)
    smallest = sorted((src for src, _ in pairs), key=bitext.text_key)[:5]
    np.testing.assert_array_equal(pools.src.vectors, HashEncoder().encode(smallest))
    assert (len(pools.tgt), pools.n_pairs) == (5, 20)


def test_the_command_writes_and_reports(tmp_path: Path) -> None:
    words = ["Haus", "Brücke", "Fluss", "Regen", "Schule", "Straße", "Zug", "Wald"]
    english = ["house", "bridge", "river", "rain", "school", "street", "train", "forest"]
    pairs = [
        (f"Es gibt ein neues {a} neben dem alten {c}", f"There is a new {b} next to the old {d}")
        for a, b in zip(words, english, strict=True)
        for c, d in zip(words, english, strict=True)
    ]
    path = write(tmp_path / "a.tsv", [*pairs, pairs[0], ("Guten Morgen, wie geht es Ihnen?",) * 2])
    out = tmp_path / "out.parquet"
    command = ["score", str(path), "--pair", "de-en", "--out", str(out), "--margin", "0.5"]
    result = CliRunner().invoke(main, [*command, "--json"])
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    rows = pl.read_parquet(out)
    assert rows.columns == ["src", "tgt", "sim", "lexical", "margin", "kept", "reason"]
    assert rows["reason"].to_list()[64:] == ["duplicate", "copy"]
    assert record["n_kept"] == rows["kept"].sum() == record["fates"]["kept"]
    shown = CliRunner().invoke(main, command)
    assert "What became of the pairs" in shown.output
    assert "a pair of each tenth" in shown.output


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"a.tsv": "one text\n"}, "no pair of two texts"),
        ({"a.tsv": ""}, "no pair of two texts"),
        ({"a.lb": "a\nb\n", "a.en": "a\n"}, "a.en has 1 lines, the other file more"),
        ({}, "cannot read"),
    ],
)
def test_bad_files_get_one_clear_line(tmp_path: Path, files: dict[str, str], words: str) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    paths = [tmp_path / name for name in files or ["missing.tsv"]]
    with pytest.raises(BitextileError, match=words) as caught:
        bitext.pools(paths, HashEncoder(), 0.0)
    assert "\n" not in str(caught.value)
