"""Mining whole collections: mutual nearest neighbours by ratio margin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from align import margin as margins
from align.lexical import mix
from align.neighbours import Embedded, Neighbours, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from align.encoders import Encoder


def embed_texts(texts: Sequence[str], encoder: Encoder) -> Embedded:
    """Encode texts, with n-grams where the encoder's card gives them a weight."""
    lexical = encoder.lexical.vectors(texts) if encoder.lexical_weight else None
    return Embedded(encoder.encode(texts), lexical)


def mine(
    src: Sequence[str], tgt: Sequence[str], encoder: Encoder, margin: float = 1.0
) -> pl.DataFrame:
    """Find mutual best pairs of two lists; see `align.mine`."""
    if not src or not tgt:
        return _frame(src, tgt, np.zeros((0, 2), np.intp), np.zeros((3, 0)))
    a, b = embed_texts(src, encoder), embed_texts(tgt, encoder)
    forward, backward = nearest(a, b, margins.K, encoder.lexical_weight)
    pairs = _mutual(forward, backward)
    sim, lexical = _scores(a, b, pairs)
    score = mix(sim, lexical, encoder.lexical_weight)
    value = margins.ratio(score, forward.mean[pairs[:, 0]], backward.mean[pairs[:, 1]])
    found = np.stack([sim, lexical, value]).round(margins.DECIMALS)
    keep = found[2] >= margin
    return _frame(src, tgt, pairs[keep], found[:, keep])


def _mutual(forward: Neighbours, backward: Neighbours) -> NDArray[np.intp]:
    """Pair the rows that are each other's best by margin among their neighbours."""
    best_tgt = _best(forward, backward.mean)
    best_src = _best(backward, forward.mean)
    rows = np.arange(len(best_tgt))
    mutual = best_src[best_tgt] == rows
    return np.stack([rows[mutual], best_tgt[mutual]], axis=1)


def _best(neighbours: Neighbours, other_mean: NDArray[np.float64]) -> NDArray[np.intp]:
    """Choose each row's neighbour of the highest margin."""
    margin = margins.ratio(neighbours.score, neighbours.mean[:, None], other_mean[neighbours.at])
    best: NDArray[np.intp] = neighbours.at[np.arange(len(margin)), margin.argmax(axis=1)]
    return best


def _scores(
    a: Embedded, b: Embedded, pairs: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Score chosen pairs in float64: cosine and n-grams."""
    src, tgt = a.rows(pairs[:, 0]), b.rows(pairs[:, 1])
    sim = np.einsum("nd,nd->n", src.vectors, tgt.vectors, dtype=np.float64)
    if src.lexical is None or tgt.lexical is None:
        return sim, np.zeros_like(sim)
    return sim, np.asarray(src.lexical.multiply(tgt.lexical).sum(axis=1)).ravel()


def _frame(
    src: Sequence[str],
    tgt: Sequence[str],
    pairs: NDArray[np.intp],
    scores: NDArray[np.floating],
) -> pl.DataFrame:
    data = {
        "src": [src[i] for i in pairs[:, 0]],
        "tgt": [tgt[j] for j in pairs[:, 1]],
        **dict(zip(("sim", "lexical", "margin"), scores, strict=True)),
    }
    return pl.DataFrame(data, schema_overrides={"src": pl.String, "tgt": pl.String}).sort(
        "margin", "src", descending=[True, False]
    )
