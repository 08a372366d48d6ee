"""The encoders that are measured: each text is encoded once, and random vectors as a floor."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from align.encoders import load_encoder
from align.lexical import Lexical
from align.stored import Stored
from corpus.vectors import VectorStore, open_store

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from align.encoders import Encoder
    from corpus.workspace import Workspace


class RandomEncoder:
    """Gives each text a direction of its own: what chance scores."""

    name, revision, key, dim = "random", "1", "random 1 dim 256 numpy", 256
    languages: frozenset[str] | None = None
    lexical_weight = 0.0

    def __init__(self) -> None:
        """Take no lexical score."""
        self.lexical = Lexical()

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode texts to unit rows [n, 256] that depend on nothing but the text."""
        rows = [np.random.default_rng(_seed(text)).normal(size=self.dim) for text in texts]
        vectors = np.asarray(rows, np.float32).reshape(-1, self.dim)
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


class Once(Stored):
    """An encoder that encodes a text once, whatever asks for it.

    Attributes:
        spec: what the encoder was loaded by.
    """

    def __init__(self, name: str, spec: str, encoder: Encoder, store: VectorStore) -> None:
        """Keep vectors in a store, through whose precision all go."""
        super().__init__(encoder, store)
        self.name, self.spec = name, spec


def load_model(model: str, workspace: Workspace | None, folder: Path) -> Once:
    """Load ``SPEC`` or ``NAME=SPEC``; ``random`` is a spec too.

    Args:
        model: what to load, and what to call it.
        workspace: whose store is used, if there is one.
        folder: for vectors otherwise.
    """
    name, _, spec = model.rpartition("=")
    encoder: Encoder = RandomEncoder() if spec == "random" else load_encoder(spec)
    if workspace is None:
        digest = hashlib.sha256(encoder.key.encode()).hexdigest()[:16]
        store = VectorStore(folder / digest, encoder.dim)
    else:
        store = open_store(workspace, encoder)
    return Once(name or encoder.name, spec, encoder, store)


def _seed(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
