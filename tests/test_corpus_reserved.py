"""What nearly equals a reserved text is found, and little else."""

from __future__ import annotations

import gzip
import os
import random
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from benchmarks.cli import main as benchmarks
from corpus import reserved
from corpus.errors import InputError
from corpus.workspace import Workspace
from tests.conftest import PEAK

RESERVED = [
    "The government promised 1,250 million euros for new schools on Monday evening.",
    "Den Zuch fiert haut net.",
    "house",
    "Every person has the right to life, liberty and security; no one shall be held in slavery.",
    "সরকার সোমবার সন্ধ্যায় নতুন স্কুলের জন্য অর্থ দেওয়ার প্রতিশ্রুতি দিয়েছে।",
]


@pytest.mark.parametrize(
    ("text", "leaks"),
    [
        ("THE GOVERNMENT PROMISED 1250 MILLION EUROS FOR NEW SCHOOLS ON MONDAY EVENING", True),
        ("The government promised 1,300 million euros for new schools on Monday evening.", True),
        ("the government promised new schools", True),  # 28 of its 31 5-grams
        ("schools of the evening and government", False),
        ("The minister promised nothing at all for the new year on Tuesday.", False),
        ("Den Zuch fiert haut net!", True),
        ("Den Zuch fiert muer erëm.", False),
        ("Den Zuch fiert haut", False),  # under 20 characters
        ("house", False),
        ("to life, liberty and security; no one shall be held in slavery.", True),
        ("He said: every person has the right to life, liberty and security; no one shall be "
         "held in slavery. And then he went on about taxes, trains and the weather of the "
         "week, which was far too warm for a day in March, as all of them agreed.", True),
        ("সরকার সোমবার সন্ধ্যায় নতুন স্কুলের জন্য টাকা দেওয়ার প্রতিশ্রুতি দিয়েছে", True),
        ("", False),
    ],
)  # fmt: skip
def test_planted_texts_are_found(text: str, leaks: bool) -> None:
    filler = [f"filler number {n} about nothing" for n in range(20)]
    found = reserved.leaks([*filler, text], RESERVED)
    assert found.tolist() == [False] * 20 + [leaks]


def test_common_ngrams_hide_no_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reserved, "MOST_TEXTS_AN_NGRAM", 3)
    days = [f"The weather of the coming day, number {n}" for n in range(9)]
    assert reserved.leaks(["THE weather of the coming day number 4!"], days).all()


def test_a_row_falls_with_any_column() -> None:
    src = ["Den Zuch fiert haut net.", "Haut fuere keng Zich.", "Eppes anescht ass dat"]
    tgt = ["No train runs today.", "Every person has the right to life, liberty and security."]
    rows = pl.DataFrame({"src": src, "tgt": [*tgt, "That is something else"]})
    kept = reserved.drop(rows, ["src", "tgt"], RESERVED)
    assert kept["tgt"].to_list() == ["That is something else"]
    assert reserved.drop(rows, ["src", "tgt"], []).equals(rows)


def test_evaluation_texts_are_every_cell(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.tsv").write_text('n\t"en text\tlb text\n')
    (tmp_path / "b.csv").write_text('id,"one, text"\n')
    (tmp_path / "c.txt").write_text("a line\nanother\n")
    texts = reserved.read_texts([tmp_path / "b.csv", tmp_path / "c.txt", tmp_path / "deep"])
    assert texts == ["id", "one, text", "a line", "another", "n", '"en text', "lb text"]
    assert reserved.read_texts([tmp_path / "b.csv"], ["one, text"]) == []
    with pytest.raises(InputError, match="no column 'fr'; it has id, one, text"):
        reserved.read_texts([tmp_path / "b.csv"], ["fr"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no evaluation texts"):
        reserved.read_texts([tmp_path / "empty"])


def peak(folder: Path, file: Path) -> int:
    """Reserve a file in a process of its own; give its memory in MB."""
    code = "from benchmarks.cli import main; main(standalone_mode=False); " + PEAK
    args = [sys.executable, "-c", code, "reserve", str(file), "-w", str(folder)]
    done = subprocess.run(args, check=True, capture_output=True, text=True)
    return int(done.stdout.split()[-1])


@pytest.mark.parametrize("name", ["lines.txt", "lines.csv"])
def test_a_line_of_a_gigabyte_takes_little_memory(tmp_path: Path, name: str) -> None:
    workspace = Workspace.create(tmp_path / "w", "you@example.org")
    (tmp_path / name).write_text("A sentence that stands alone.\n")
    alone = peak(workspace.root, tmp_path / name)
    with (tmp_path / name).open("ab") as file:
        file.seek(2**30, os.SEEK_CUR)  # a hole, which reads as zeros and takes no room
        file.write(b"\nA sentence that comes behind.\n")
    beside = peak(workspace.root, tmp_path / name)
    assert reserved.load(workspace)[-1] == "A sentence that stands alone."
    assert reserved.load(workspace)[0] == "A sentence that comes behind."
    assert beside < alone + 100


def test_what_cannot_be_read_is_no_evaluation_text(tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_bytes(b"\xef\xbb\xbfcaf\xe9 \xff\r\nnext")
    assert reserved.read_texts([tmp_path / "bad.txt"]) == ["caf? ?", "next"]
    (tmp_path / "torn.tsv.gz").write_bytes(gzip.compress(b"a\tb\n" * 99)[:-9])
    with pytest.raises(InputError, match=r"evaluation texts from .*torn.tsv.gz: damaged_gzip"):
        reserved.read_texts([tmp_path / "torn.tsv.gz"])


def test_the_command_fills_the_list(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "w", "me@example.org")
    file = tmp_path / "a.tsv"
    file.write_text(
        "id\ten\n1\tA sentence of some length.\n2\tshort\n3\tAnother  one of some length\n"
    )
    for _ in range(2):
        args = ["reserve", str(file), "--columns", "en", "-w", str(tmp_path / "w")]
        done = CliRunner().invoke(benchmarks, args)
        assert done.exit_code == 0, done.output
    assert "0 texts are newly reserved, 2 in all" in done.output
    assert reserved.load(workspace) == ["A sentence of some length.", "Another one of some length"]


def planted(texts: list[str], seed: int) -> list[str]:
    """Change case and punctuation, and a fifth of the words to words of other texts."""
    draw = random.Random(seed)
    words = [word for text in texts for word in text.split()]
    changed = []
    for text in texts:
        own = text.split()
        for n in draw.sample(range(len(own)), len(own) // 5):
            own[n] = draw.choice(words)
        said = " ".join(own).translate({ord(mark): draw.choice(["", " -", "!"]) for mark in ".,:;"})
        changed.append(draw.choice([said, said.lower(), said.upper()]))
    return changed


@pytest.mark.realdata
@pytest.mark.slow
def test_planted_sentences_are_caught_and_other_news_is_not(shared: Path) -> None:
    options = {"separator": "\t", "quote_char": None, "infer_schema": False}
    sib = pl.read_csv(shared / "sib200" / "sib200.tsv", **options)  # type: ignore[arg-type]
    news = pl.read_csv(shared / "ntrex" / "ntrex.tsv", **options)  # type: ignore[arg-type]
    flagged = []
    for lang in ("lb", "fr", "bn", "en", "de"):
        flagged += reserved.leaks(news[lang].to_list(), sib["text"].to_list()).tolist()
        own = sib.filter(pl.col("lang") == lang, pl.col("split") == "test")["text"].to_list()
        long = [text for text in own if len(text) >= reserved.SHORTEST]
        assert reserved.leaks(planted(long, 0), long).mean() >= 0.99, lang
    assert sum(flagged) / len(flagged) <= 0.001
