"""Splits that share no article: train, validation and test by connected components.

Articles that translate each other, in whatever languages, and copies of them stay
together. So no article stands on two sides, and neither does a translation or a copy.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

if TYPE_CHECKING:
    from numpy.typing import NDArray

SPLITS = ("train", "validation", "test")
SHARE = 0.05  # of the components (by hash) or of the articles (by date), for each held-out split
COPY = 0.5  # of the shorter article's sentences: with so many in common two are copies
COMMON = 50  # articles; a sentence in more of them is furniture and makes no copy


def assign(articles: pl.DataFrame, links: pl.DataFrame, how: str = "hash") -> pl.DataFrame:
    """Give every article its split.

    Args:
        articles: article_id and published of each article, once.
        links: pairs of articles that must stay together, a and b.
        how: ``hash`` of the component's smallest id, which does not move when other
            articles come; or ``date``: the newest components are held out.

    Returns:
        article_id and split.
    """
    rows = articles.with_columns(component=_components(articles["article_id"], links))
    facts = rows.group_by("component").agg(
        pl.col("article_id").min().alias("name"),
        pl.col("published").min().alias("first"),
        pl.len().alias("n"),
    )
    held_out = _by_date(facts) if how == "date" else _by_hash(facts)
    return rows.join(held_out, "component").select("article_id", "split").sort("article_id")


def copies(sentences: pl.DataFrame) -> pl.DataFrame:
    """Find articles that share at least half of the shorter one's sentences.

    Args:
        sentences: article_id and text_key.

    Returns:
        Pairs of articles, a and b.
    """
    unique = sentences.select("article_id", "text_key").unique()
    n_of = unique.group_by("article_id").len("n")
    shared = unique.filter(pl.len().over("text_key").is_between(2, COMMON))
    both = shared.join(shared, "text_key", suffix="_b").filter(
        pl.col("article_id") < pl.col("article_id_b")
    )
    counted = both.group_by(a="article_id", b="article_id_b").len("n_shared")
    sized = counted.join(n_of, left_on="a", right_on="article_id").join(
        n_of, left_on="b", right_on="article_id", suffix="_b"
    )
    is_copy = pl.col("n_shared") >= COPY * pl.min_horizontal("n", "n_b")
    return sized.filter(is_copy).select("a", "b").sort("a", "b")


def _components(ids: pl.Series, links: pl.DataFrame) -> NDArray[np.int32]:
    """Number the connected component of each article; links to strangers do not count."""
    place = pl.DataFrame({"id": ids}).with_row_index("at")
    known = links.join(place, left_on="a", right_on="id").join(
        place, left_on="b", right_on="id", suffix="_b"
    )
    at, at_b = known["at"].to_numpy(), known["at_b"].to_numpy()
    graph = coo_array((np.ones(len(at), bool), (at, at_b)), shape=(len(ids), len(ids)))
    component: NDArray[np.int32] = connected_components(graph, directed=False)[1]
    return component


def _by_hash(facts: pl.DataFrame) -> pl.DataFrame:
    def split(name: str) -> str:
        draw = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) / 2**64
        return "test" if draw < SHARE else "validation" if draw < 2 * SHARE else "train"

    return facts.select("component", split=pl.col("name").map_elements(split, pl.String))


def _by_date(facts: pl.DataFrame) -> pl.DataFrame:
    """Hold out the newest components, by their oldest article; undated ones train."""
    ranked = facts.sort("first", "name", descending=[True, False], nulls_last=True)
    seen = ranked["n"].cum_sum() - ranked["n"]
    share = seen / max(1, int(facts["n"].sum()))
    split = (
        pl.when(pl.col("first").is_null() | (pl.col("share") >= 2 * SHARE))
        .then(pl.lit("train"))
        .when(pl.col("share") < SHARE)
        .then(pl.lit("test"))
        .otherwise(pl.lit("validation"))
    )
    return ranked.with_columns(share=share).select("component", split=split)
