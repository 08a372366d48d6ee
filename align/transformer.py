"""Encoders that sentence-transformers loads (extra ``train``)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from align.lexical import Lexical
from corpus.errors import DeviceError, InputError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

# What a family of models wants before every text when both sides are alike, where its
# files do not say so. E5: Wang et al. 2024, arXiv:2402.05672, and its model cards. BGE
# wants an instruction before queries for retrieval alone: nothing here.
PROMPTS = (
    (
        re.compile(r"(^|[-_/])e5[-_].*instruct", re.I),
        "Instruct: Retrieve parallel sentences.\nQuery: ",
    ),
    (re.compile(r"(^|[-_/])e5[-_]", re.I), "query: "),
)
BATCH = {"cpu": 32, "cuda": 256}  # texts at once


class TransformerEncoder:
    """A model of sentence-transformers, in half precision where the device likes that."""

    def __init__(self, name: str, folder: Path, revision: str) -> None:
        """Load a model from a local folder; see `open_transformer`."""
        self._model = open_transformer(name, folder)
        self._device = str(self._model.device.type)
        dtype = "float32" if self._device == "cpu" else "float16"
        if dtype == "float16":
            self._model.half()
        self.name, self.revision = name, revision
        self.prompt = prompt_of(name, self._model.prompts, self._model.default_prompt_name)
        self.dim = int(self._encoded([""]).shape[1])
        self.languages: frozenset[str] | None = None
        self.lexical, self.lexical_weight = Lexical(), 0.0
        modules = " ".join(type(module).__name__ for module in self._model)
        self.key = (
            f"{name} {revision} [{modules}] length {self._model.max_seq_length} "
            f"prompt '{self.prompt}' dim {self.dim} torch {dtype}"
        )

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode texts to unit rows [n, dim] in input order; an empty text is a zero row.

        Raises:
            DeviceError: the device was lost or has too little memory.
        """
        if not texts:
            return np.zeros((0, self.dim), np.float32)
        vectors = self._encoded(texts)
        vectors[[not text.strip() for text in texts]] = 0
        return vectors

    def _encoded(self, texts: Sequence[str]) -> NDArray[np.float32]:
        try:
            rows = self._model.encode(
                list(texts),
                prompt=self.prompt,
                batch_size=BATCH.get(self._device, 64),
                normalize_embeddings=True,
                show_progress_bar=False,
            )
        except RuntimeError as error:  # torch's errors of devices and memory are no narrower
            raise DeviceError(
                f"the device '{self._model.device}' failed while '{self.name}' encoded "
                f"({' '.join(str(error).split())[:200]}); what was finished is kept: run again, "
                "on the processor with CUDA_VISIBLE_DEVICES= if it fails again"
            ) from error
        vectors: NDArray[np.float32] = np.array(rows, np.float32)
        return vectors


def prompt_of(name: str, prompts: dict[str, str], default: str | None) -> str:
    """Choose what stands before every text: as the model's files say, or its family wants.

    Args:
        name: the spec: the model's path or Hub id.
        prompts: the prompts that its files name.
        default: which of them its files make the default.
    """
    if default:
        return prompts.get(default, "")
    return next((prompt for known, prompt in PROMPTS if known.search(name)), "")


def open_transformer(name: str, folder: Path) -> Any:  # noqa: ANN401 - no torch in the types
    """Open a folder as a SentenceTransformer; nothing in it is run as code.

    Raises:
        MissingExtraError: sentence-transformers is not installed.
        InputError: the folder is no model, or only has pickled weights.
    """
    if not any(folder.rglob("*.safetensors")):
        raise InputError(f"{folder} has no .safetensors weights; pickled ones are not read")
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise MissingExtraError(f"the encoder {name}", "train") from error
    try:
        return SentenceTransformer(
            str(folder), local_files_only=True, model_kwargs={"use_safetensors": True}
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise InputError(f"{folder} is no model of sentence-transformers: {error}") from error
