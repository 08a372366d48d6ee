"""Two plain files in, pairs out."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from align import files
from align.cli import main
from corpus.workspace import Workspace
from tests.hash_encoder import HashEncoder

N = 20


@pytest.fixture
def encoder(monkeypatch: pytest.MonkeyPatch) -> HashEncoder:
    hashed = HashEncoder()
    monkeypatch.setattr(files, "load_encoder", lambda spec, terms: hashed)
    return hashed


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path]:
    """Twenty sentences and their translations in the opposite order, with odd lines between."""
    src = [f"lb{n}  lb{n + 1}\tlb{n + 2}" for n in range(0, 3 * N, 3)]
    tgt = [f"en{n} en{n + 1} en{n + 2}" for n in reversed(range(0, 3 * N, 3))]
    paths = tmp_path / "a.lb", tmp_path / "b.en"
    paths[0].write_text("\ufeff" + "\n".join([*src, "", src[0], "lb900\u2028lb901"]), "utf-8")
    paths[1].write_bytes("\r\n".join([*tgt, "x" * 30_000]).encode() + b"\nen5 \xff\n")
    return paths


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(main, ["files", *map(str, args)])


@pytest.mark.usefixtures("encoder")
def test_lines_in_pairs_out(sides: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "pairs.parquet"
    done = run(*sides, "--out", out, "--margin", "2")
    assert done.exit_code == 0, done.output
    assert "a.lb: 21 sentences, 1 more of the same text\n" in done.stderr
    assert "b.en: 20 sentences, 0 more of the same text, 2 left out" in done.stderr
    assert "exact search of 21 x 20 sentences in blocks" in done.stderr
    assert "20 pairs kept; what other cut-offs keep" in done.stdout
    pairs = pl.read_parquet(out)
    assert pairs.columns == ["src", "tgt", "sim", "lexical", "margin", "src_line", "tgt_line"]
    assert (pairs["src_line"] + pairs["tgt_line"] == N + 1).all()
    assert pairs["src"].str.replace_all("lb", "en").to_list() == pairs["tgt"].to_list()
    assert pairs["sim"].to_list() == [1.0] * N


@pytest.mark.usefixtures("encoder")
def test_stdout_tsv_and_json(sides: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "pairs.tsv"
    shown = run(*sides, "--margin", "2").stdout
    assert len(shown.splitlines()) == N + 1
    record = json.loads(run(*sides, "--margin", "2", "--out", out, "--json").stdout)
    assert (record["n_kept"], record["cuts"]["margin"]) == (N, 2)
    assert out.read_text("utf-8").strip() == shown.strip()


def test_a_workspace_keeps_the_vectors(
    sides: tuple[Path, Path], tmp_path: Path, encoder: HashEncoder
) -> None:
    Workspace.create(tmp_path, "me@example.org")
    first = run(*sides, "-w", tmp_path).stdout
    n = encoder.n_encoded
    assert n == 41
    assert run(*sides, "-w", tmp_path).stdout == first
    assert encoder.n_encoded == n


def test_bad_input_is_one_line(sides: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n\n")
    for args, part in (
        ((sides[0], tmp_path / "none"), "cannot read"),
        ((sides[0], tmp_path / "empty"), "has no sentence"),
        ((*sides, "--out", tmp_path / "pairs.doc"), "cannot write pairs as 'doc'; allowed: "),
        ((*sides, "--pair", "xx-en"), "does not know xx"),
    ):
        done = run(*args)
        assert done.exit_code == 1
        assert part in done.stderr.splitlines()[-1]


def test_beads_of_two_files_in_order(encoder: HashEncoder, tmp_path: Path) -> None:
    words = [f"{n} lb{n + 1} lb{n + 2} lb{n + 3} lb{n + 4}" for n in range(0, 60, 5)]
    src = [f"lb{text}" for text in words]
    tgt = [text.replace("lb", "en") for text in (f"{src[0]} {src[1]}", *src[2:])]
    paths = tmp_path / "a", tmp_path / "b"
    for path, side in zip(paths, (["", *src], tgt), strict=True):
        path.write_text("\n".join(side), "utf-8")
    out = tmp_path / "out.jsonl"
    result = run(*paths, "--method", "beads", "--out", out)
    assert result.exit_code == 0, result.output
    rows = pl.read_ndjson(out)
    lines = dict(rows.select("src_line", "tgt_line").iter_rows())
    assert lines["2 3"] == "1"  # the first line is blank
    assert lines["4"] == "2"
    assert rows.filter(src_line="2 3")["src"].item() == f"{src[0]} {src[1]}"
