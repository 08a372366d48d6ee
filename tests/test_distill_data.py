"""Pairs to train on: reading, licences, near duplicates, what is held out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from corpus.errors import EmptyError, InputError
from corpus.tables import SENTENCE_PAIRS
from distill import data
from distill.recipe import Data
from tests.conftest import PEAK
from tests.test_distill_train import RECIPE


def pairs(*rows: tuple[str, str, str]) -> pl.DataFrame:
    """Make lb-en pairs of source, target and source tag."""
    full = [(src, tgt, "lb", "en", tag) for src, tgt, tag in rows]
    return pl.DataFrame(full, schema=dict.fromkeys(data.COLUMNS, pl.String), orient="row")


def table(n: int) -> pl.DataFrame:
    return SENTENCE_PAIRS.frame(
        {
            "pair_id": f"{n:04}",
            "src_text": f"Saz {n}",
            "tgt_text": f"sentence {n}",
            "langs": "lb-en",
            "src_article": f"a{n // 4}",
            "tgt_article": f"b{n // 4}",
            "licence": "CC0-1.0" if n % 2 else None,
            "kept": n != 1,
        }
        for n in range(n)
    )


def test_files_are_read_by_their_names_and_headers(tmp_path: Path) -> None:
    (tmp_path / "terms-en-lb.tsv").write_text('a "b\tAa\tLOD\n')
    (tmp_path / "bn-pt.tsv").write_text("x\ty\n")
    (tmp_path / "many.tsv").write_text("source\tkey\ten\tlb\tfr\nui\tk\tsave\tspäicheren\t\n")
    table(3).write_parquet(tmp_path / "p.parquet")
    read = data.read_pairs(tmp_path).rows()
    assert read == [
        ("x", "y", "bn", "pt", ""),
        ("save", "späicheren", "en", "lb", "ui"),
        ("Saz 0", "sentence 0", "lb", "en", ""),
        ("Saz 2", "sentence 2", "lb", "en", ""),
        ('a "b', "Aa", "en", "lb", "LOD"),
    ]
    assert data.read_pairs(tmp_path / "terms-en-lb.tsv").height == 1


def test_what_holds_no_pairs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EmptyError, match="no pairs in"):
        data.read_pairs(tmp_path)
    broken = tmp_path / "p.parquet"
    broken.write_bytes(b"PAR1 not really")
    with pytest.raises(InputError, match="cannot read pairs"):
        data.read_pairs(broken)
    lonely = tmp_path / "words.tsv"
    lonely.write_text("one column\n")
    with pytest.raises(InputError, match=r"call it SRC-TGT\.tsv"):
        data.read_pairs(lonely)
    with pytest.raises(InputError, match="has one column; a line is source, tab, target"):
        data.read_pairs(lonely.rename(tmp_path / "en-lb.tsv"))


def test_rules_drop_and_count() -> None:
    rules = Data(
        max_chars=20,
        licences={"mw:": "GPL-2.0-or-later", "mw:Echo": "MIT", "owncloud": "AGPL-3.0-only"},
        allow=["MIT", "CC0-1.0"],
    )
    rows = pairs(
        ("eent", "one", "mw:Echo"),
        ("zwee", "two", "mw:Flow"),
        ("dräi", "three", "owncloud-core"),
        ("véier", "four", "CC0-1.0"),
        ("fënnef", "five", "nowhere"),
        ("eent", "one", "CC0-1.0"),
        ("same", "same", "MIT"),
        ("  ", "blank", "MIT"),
        ("laang", "x" * 21, "MIT"),
    )
    rows = rows.vstack(rows[:1].with_columns(src_lang=pl.lit("fo")))
    turned = rows[:1].select(
        src="tgt", tgt="src", src_lang="tgt_lang", tgt_lang="src_lang", source="source"
    )
    kept, dropped = data.select(rows.vstack(turned), rules, ["lb", "en"])
    assert kept.rows() == [
        ("one", "eent", "en", "lb", "mw:Echo", "MIT"),
        ("four", "véier", "en", "lb", "CC0-1.0", "CC0-1.0"),
    ]
    assert dropped == {
        "other language": 1,
        "licence": 3,
        "empty or too long": 2,
        "same text": 1,
        "repeated": 2,
    }
    everything, _ = data.select(rows, Data(), None)
    assert everything.height == 7


def test_whole_article_pairs_are_held_out_and_stay_so() -> None:
    many = table(2000)
    held = data.hold_out(many, 0.1)
    assert 0.06 < held.mean() < 0.14
    together = (
        many.with_columns(held=pl.Series(held))
        .group_by("src_article")
        .agg(pl.col("held").n_unique())
    )
    assert together["held"].max() == 1
    assert (data.hold_out(many[:400], 0.1) == held[:400]).all()
    assert not data.hold_out(many, 0).any()


def peak(folder: Path, data_file: Path) -> tuple[dict[str, int], int]:
    """Train on a file in a process of its own; give what was dropped, and its memory in MB."""
    code = "from distill.cli import main; main(standalone_mode=False); " + PEAK
    args = ["run", str(folder / "tiny.toml"), "--data", str(data_file), "--no-reserved", "--json"]
    args += ["--dev", str(data_file), "--out", str(data_file.parent / "m"), "-w", str(folder)]
    command = [sys.executable, "-c", code, *args]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    *facts, peak_mb = done.stdout.splitlines()
    return json.loads("\n".join(facts))["dropped"], int(peak_mb)


@pytest.mark.slow
def test_a_line_of_a_gigabyte_takes_little_memory(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(RECIPE)
    good = "".join(f"lb{n} Saz\ten{n} one\n" for n in range(10, 60)).encode()
    files = [tmp_path / name / "lb-en.tsv" for name in ("good", "long")]
    for path in files:
        path.parent.mkdir()
        path.write_bytes(good)
    with files[1].open("ab") as file:
        file.write(b"long\t")
        file.seek(2**30, os.SEEK_CUR)  # a hole, which reads as zeros and takes no room
        file.write(b"\n" + good.replace(b"lb", b"LU"))
    (_, alone), (dropped, beside) = (peak(tmp_path, path) for path in files)
    assert dropped["empty or too long"] == 1
    assert beside < alone + 100
