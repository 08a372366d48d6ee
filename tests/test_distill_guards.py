"""What nearly equals an evaluation text is found, and little else."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from corpus.errors import InputError
from distill import guards

RESERVED = [
    "The government promised 1,250 million euros for new schools on Monday evening.",
    "Den Zuch fiert haut net.",
    "house",
    "Every person has the right to life, liberty and security; no one shall be held in slavery.",
]


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("The Government promised 1,250 million euros for new schools on Monday evening", True),
        ("The government promised 1,300 million euros for new schools on Monday evening.", True),
        ("the government promised new schools", False),
        ("The minister promised nothing at all for the new year on Tuesday.", False),
        ("Den Zuch fiert haut net!", True),
        ("Den Zuch fiert muer erëm.", False),
        ("house", False),
        (
            "to life, liberty and security; no one shall be held in slavery.",
            True,
        ),  # a sentence out of a longer text
        ("", False),
    ],
)
def test_planted_near_duplicates_are_found(text: str, near: bool) -> None:
    filler = [f"filler number {n} about nothing" for n in range(20)]
    found = guards.near_duplicates([*filler, text], RESERVED)
    assert found.tolist() == [False] * 20 + [near]


def test_a_pair_falls_with_either_side() -> None:
    src = ["Den Zuch fiert haut net.", "Haut fuere keng Zich.", "Eppes anescht ass dat"]
    tgt = ["No train runs today.", "Every person has the right to life, liberty and security."]
    rows = pl.DataFrame({"src": src, "tgt": [*tgt, "That is something else"]})
    kept = guards.drop_near_duplicates(rows, RESERVED)
    assert kept["tgt"].to_list() == ["That is something else"]


def test_no_reserved_text_means_no_duplicate() -> None:
    assert not guards.near_duplicates(["two words", "more of them"], []).any()


def test_evaluation_texts_are_every_cell(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.tsv").write_text('n\t"en text\tlb text\n')
    (tmp_path / "b.csv").write_text('id,"one, text"\n')
    (tmp_path / "c.txt").write_text("a line\nanother\n")
    texts = guards.read_texts([tmp_path / "b.csv", tmp_path / "c.txt", tmp_path / "deep"])
    assert texts == ["id", "one, text", "a line", "another", "n", '"en text', "lb text"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no evaluation texts"):
        guards.read_texts([tmp_path / "empty"])
