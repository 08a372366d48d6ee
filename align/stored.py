"""Encoders whose vectors come from a workspace's store, and what the missing ones will cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from align.collection import collect, dated_articles
from align.spans import joined
from corpus.pairs import article_pairs
from corpus.tables import text_key
from corpus.vectors import Foresees, encode_once, open_store
from corpus.workspace import FILE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from align.encoders import Encoder
    from corpus.console import Console
    from corpus.vectors import VectorStore
    from corpus.workspace import Workspace


class Stored:
    """An `align.encoders.Encoder` that encodes a text once, ever.

    Attributes:
        inner: the encoder.
        n_encoded: texts that it was asked for.
    """

    def __init__(self, encoder: Encoder, store: VectorStore) -> None:
        """Put a store before an encoder."""
        self.inner, self._store, self.n_encoded = encoder, store, 0
        self.name, self.revision, self.key = encoder.name, encoder.revision, encoder.key
        self.languages, self.lexical = encoder.languages, encoder.lexical
        self.lexical_weight = encoder.lexical_weight

    @property
    def dim(self) -> int:
        """Dimensions of a vector."""
        return self._store.dim or self.inner.dim

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode texts to unit rows [n, dim] in input order; an empty text is a zero row."""
        vectors, n_encoded = encode_once(self._store, self.inner, texts)
        self.n_encoded += n_encoded
        return vectors

    def foresee(self, texts: Iterable[str]) -> None:
        """Say what encoding texts will cost; nothing for those in the store.

        Raises:
            ServiceError: it would pass the limit.
        """
        if isinstance(self.inner, Foresees):
            self.inner.foresee(self.missing(texts))

    def missing(self, texts: Iterable[str]) -> list[str]:
        """List the different texts that the store lacks."""
        text_of = {text_key(text): text for text in texts}
        found = self._store.get(list(text_of))[1]
        return [text for text, there in zip(text_of.values(), found, strict=True) if not there]


def stored(console: Console, encoder: Encoder) -> Encoder:
    """Take vectors from the console's workspace, if there is one."""
    if not (console.root / FILE).exists():
        return encoder
    return Stored(encoder, open_store(console.workspace, encoder))


def foresee_pairs(
    workspace: Workspace,
    encoder: Encoder,
    pairs: Sequence[str],
    *,
    paired: bool = False,
    in_runs: bool = False,
) -> None:
    """Say what the sentences of all language pairs will cost, before the first call.

    Args:
        workspace: holds the sentences, and the vectors that need no call.
        encoder: one that costs nothing says nothing.
        pairs: language pairs such as ``lb-en``.
        paired: only sentences of paired articles will be encoded.
        in_runs: runs of sentences will be encoded, as beads are made of.

    Raises:
        ServiceError: it would pass the limit.
    """
    if not isinstance(encoder, Foresees):
        return
    texts: list[str] = []
    for langs in pairs:
        found = article_pairs(workspace, langs)
        for lang, column in zip(langs.split("-"), ("src_id", "tgt_id"), strict=True):
            dated = dated_articles(workspace, lang).drop_nulls("month")
            is_paired = pl.col("article_id").is_in(found[column].to_list())
            articles = dated.filter(is_paired) if paired else dated
            side = collect(workspace, lang, articles)
            own = side.sentences["text"].to_list()
            first = np.repeat(side.starts[:-1], np.diff(side.starts))
            texts += joined(own, first) if in_runs else own
    encoder.foresee(Stored(encoder, open_store(workspace, encoder)).missing(texts))


def foresee(encoder: Encoder, texts: Iterable[str]) -> None:
    """Say what encoding texts will cost, before the first call.

    Raises:
        ServiceError: it would pass the limit.
    """
    if isinstance(encoder, Foresees):
        encoder.foresee(texts)
