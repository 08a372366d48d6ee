"""What the teacher says of each text: its vectors, computed once, in few dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from corpus.vectors import encode_once
from distill.guards import check_targets

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from align.encoders import Encoder
    from corpus.vectors import VectorStore
    from distill.data import Texts

    Floats = NDArray[np.float32]


def teach(
    texts: Texts,
    readable: NDArray[np.bool_],
    teacher: Encoder,
    dim: int,
    store: VectorStore | None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Floats:
    """Give every text a teacher's vector, its own or that of its translations.

    Args:
        texts: unique texts, and which of them translate each other.
        readable: which of them are in a language of the teacher, [n].
        teacher: any encoder.
        dim: most dimensions wanted; more are reduced to the principal ones.
        store: keeps the teacher's vectors for the next training.
        progress: called with texts done and to do.

    Returns:
        Unit rows [n, min(dim, teacher's)]; zero where no translation is readable.

    Raises:
        CollapseError: nothing can be learned from the teacher's vectors.
    """
    own = np.flatnonzero(readable)
    read = [texts.texts[i] for i in own.tolist()]
    if store is None:
        vectors = teacher.encode(read)
    else:
        vectors, _ = encode_once(store, teacher, read, progress=progress)
    check_targets(vectors)
    taught = np.zeros((len(readable), min(dim, teacher.dim)), np.float32)
    taught[own] = _unit(principal(vectors, dim))
    for here, there in ((texts.src, texts.tgt), (texts.tgt, texts.src)):
        lend = ~readable[here] & readable[there]
        np.add.at(taught, here[lend], taught[there[lend]])
    return _unit(taught)


def principal(vectors: Floats, dim: int) -> Floats:
    """Project vectors [n, d] on the ``dim`` directions of most energy (no centring)."""
    if vectors.shape[1] <= dim:
        return vectors
    _, axes = np.linalg.eigh(vectors.T.astype(np.float64) @ vectors)
    axes = axes[:, ::-1][:, :dim].astype(np.float32)
    axes *= np.sign(axes.sum(0))  # eigenvectors have no sign of their own
    projected: Floats = vectors @ axes
    return projected


def _unit(rows: Floats) -> Floats:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.where(norms > 1e-12, norms, np.inf)).astype(np.float32)
