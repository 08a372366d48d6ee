"""The articles and sentences of one language, as the alignment stages read them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from align.neighbours import Embedded
from corpus import dedup, tables
from corpus.vectors import encode_once, open_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from align.encoders import Encoder
    from corpus.workspace import Workspace

log = logging.getLogger(__name__)

EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Collection:
    """Some articles of one language with all their sentences.

    Attributes:
        articles: article_id, version, day, month, sorted by id.
        sentences: the table `sentences` of these articles, sorted by article and n.
        starts: where each article's sentences begin, and the end [n_articles + 1].
    """

    articles: pl.DataFrame
    sentences: pl.DataFrame
    starts: NDArray[np.intp]

    def rows(self, article: int) -> slice:
        """Give the sentence rows of an article by its position."""
        return slice(int(self.starts[article]), int(self.starts[article + 1]))

    @property
    def days(self) -> NDArray[np.int64]:
        """Publication day of each article, counted from 1970-01-01."""
        return self.articles["day"].to_numpy()


def dated_articles(workspace: Workspace, lang: str) -> pl.DataFrame:
    """List the kept articles of a language with their day and month (null: undated)."""
    day = (pl.col("published").dt.date() - pl.lit(EPOCH)).dt.total_days()
    return (
        dedup.load(workspace)
        .filter(pl.col("lang") == lang)
        .select(
            "article_id",
            "version",
            day.alias("day"),
            pl.col("published").dt.strftime("%Y-%m").alias("month"),
        )
        .sort("article_id")
    )


def collect(workspace: Workspace, lang: str, articles: pl.DataFrame) -> Collection:
    """Read the sentences of some dated articles of a language."""
    frames = [
        tables.read(path, tables.SENTENCES)
        for month in articles["month"].unique().sort().to_list()
        if (path := workspace.sentences / lang / f"{month}.parquet").exists()
    ]
    every = pl.concat(frames) if frames else tables.SENTENCES.empty()
    sentences = every.join(articles.select("article_id"), on="article_id", how="semi").sort(
        "article_id", "n"
    )
    lengths = articles.join(
        sentences.group_by("article_id").len(), on="article_id", how="left", maintain_order="left"
    )["len"].fill_null(0)
    starts = np.concatenate([[0], np.cumsum(lengths.to_numpy())]).astype(np.intp)
    return Collection(articles, sentences, starts)


def embed(
    workspace: Workspace,
    encoder: Encoder,
    collection: Collection,
    weight: float,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Embedded:
    """Give the vectors of all sentences of a collection, in order, encoding only new ones."""
    texts = collection.sentences["text"].to_list()
    keys = collection.sentences["text_key"].to_list()
    store = open_store(workspace, encoder)
    vectors, n_encoded = encode_once(store, encoder, texts, keys, progress)
    log.info("%s encoded %d of %d sentences", encoder.name, n_encoded, len(texts))
    return Embedded(vectors, encoder.lexical.vectors(texts) if weight else None)
