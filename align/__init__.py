"""What translates what: encoders, neighbours, margins, articles, sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from align.encoders import Encoder

__all__ = ["align_documents", "load_encoder", "mine"]


def load_encoder(spec: str = "embedded") -> Encoder:
    """Load an encoder: ``embedded``, the path of a model, or a Hub id.

    Raises:
        InputError: the model's folder is not what it should be.
        MissingExtraError: the model needs the extra ``train``.
        OfflineError: the model is not here and cannot be fetched.
    """
    from align.encoders import load_encoder as load

    return load(spec)


def mine(
    src: Sequence[str], tgt: Sequence[str], encoder: Encoder, *, margin: float = 1.0
) -> pl.DataFrame:
    """Find the sentences of two lists that translate each other.

    Args:
        src: source sentences.
        tgt: target sentences.
        encoder: from `load_encoder`.
        margin: least ratio margin of a pair (k = 4).

    Returns:
        src, tgt, sim, lexical, margin of mutual best pairs, best first.
    """
    from align.mining import mine as run

    return run(src, tgt, encoder, margin)


def align_documents(a: Sequence[str], b: Sequence[str], encoder: Encoder) -> pl.DataFrame:
    """Align the segments of two documents that translate each other, in order.

    Args:
        a: the segments of one, from whatever splitter.
        b: the segments of the other.
        encoder: from `load_encoder`.

    Returns:
        Beads and skips in order: src and tgt (positions of 0 to 4 segments), sim,
        lexical and margin (distance margin), null where a side has no segment.
    """
    from align.beads import align_documents as run

    return run(a, b, encoder)
