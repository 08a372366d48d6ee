"""Encoders that `distill export` made: one ONNX graph from tokens to unit vectors, no torch."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from align.lexical import Lexical
from corpus.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

GRAPH, TOKENIZER, FACTS = "model.onnx", "tokenizer.json", "encoder.json"
OUTPUT = "sentence_embedding"
MOST_BYTES = 2**31  # of a graph, which is one file


class OnnxEncoder:
    """A transformer as a graph (extra ``onnx``): an `align.encoders.Encoder`."""

    def __init__(self, name: str, folder: Path) -> None:
        """Load a folder that `distill export` wrote; nothing in it is run as code.

        Raises:
            MissingExtraError: onnxruntime is not installed.
            InputError: the folder is not whole, or not what it should be.
        """
        try:
            import onnxruntime  # type: ignore[import-untyped]
        except ImportError as error:
            raise MissingExtraError(f"the encoder {name}", "onnx") from error
        from tokenizers import Tokenizer

        try:
            if (folder / GRAPH).stat().st_size > MOST_BYTES:
                raise InputError(f"{folder / GRAPH} has over {MOST_BYTES} bytes")
            facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
            tokenizer = (folder / TOKENIZER).read_bytes()
            graph = (folder / GRAPH).read_bytes()
            self._tokenizer = Tokenizer.from_buffer(tokenizer)
            self._tokenizer.no_padding()
            self._tokenizer.enable_truncation(int(facts["max_length"]))
            self._prompt = str(facts["prompt"])
            self.languages = frozenset(map(str, facts["languages"])) or None
            options = onnxruntime.SessionOptions()
            options.log_severity_level = 3
            self._session: Any = onnxruntime.InferenceSession(
                graph, options, providers=["CPUExecutionProvider"]
            )
            self.dim = int(self._session.get_outputs()[0].shape[1])
        except InputError:
            raise
        except Exception as error:  # tokenizers and onnxruntime raise their bare roots
            raise InputError(f"{folder} is no encoder of distill export: {error}") from error
        digest = hashlib.sha256(hashlib.sha256(graph).digest() + tokenizer).hexdigest()[:12]
        self.name, self.revision = name, digest
        self.lexical, self.lexical_weight = Lexical.load(folder), 0.0
        self.key = (
            f"{name} {digest} length {facts['max_length']} prompt '{self._prompt}' "
            f"dim {self.dim} onnx"
        )

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode texts to unit rows [n, dim] in input order; an empty text is a zero row.

        Each text runs alone: int8 scales are taken over all that is run at once, so a
        text's vector would move with its neighbours; and nothing is padded.
        """
        vectors = np.zeros((len(texts), self.dim), np.float32)
        for n, text in enumerate(texts):
            if text.strip():
                ids = np.array([self._tokenizer.encode(self._prompt + text).ids], np.int64)
                inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
                vectors[n] = self._session.run([OUTPUT], inputs)[0][0]
        return vectors
