"""Aligned pairs to judge: as many of each tenth of the margin, whether kept or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from benchmarks.build import items
from benchmarks.build.items import ITEMS, PAIR
from corpus.errors import EmptyError
from corpus.languages import check_pair
from corpus.pairs import sentence_pairs
from corpus.tables import REJECTS

if TYPE_CHECKING:
    from corpus.console import Console

N_STRATA = 10


def build(console: Console, name: str, pair: str, size: int) -> pl.DataFrame:
    """Build a set of aligned pairs: what calibrates align's confidence must cover all of it.

    Raises:
        EmptyError: the languages are not aligned.
        InputError: the set was judged already, or its name is none.
    """
    langs = check_pair(pair)
    every = sentence_pairs(console.workspace, langs).unique("pair_id").sort("margin", "pair_id")
    if not len(every):
        raise EmptyError(f"no sentence pairs in {langs}: run align sentences --pair {langs}")
    if every["margin"].count():  # what has none, such as imported pairs, calibrates nothing
        every = every.drop_nulls("margin")
    tenth = (pl.int_range(pl.len()) * min(N_STRATA, size) // pl.len()).alias("stratum")
    ranked = every.with_columns(tenth).sort("pair_id")
    ranked = ranked.with_columns(rank=pl.int_range(pl.len()).over("stratum"))
    chosen = ranked.sort("rank", "stratum").head(size)
    texts = pl.concat_list("src_text", "tgt_text").alias("texts")
    made_by = pl.concat_str("encoder", "method", separator=" ", ignore_nulls=True)
    rows = chosen.with_columns(
        texts,
        licence=pl.concat_list("licence", "licence"),
        kind=pl.lit(PAIR),
        proposer=made_by,
        edit=pl.lit(None, pl.String),
    )
    ids = [items.item_id(PAIR, langs, row) for row in rows["texts"]]
    rows = rows.with_columns(pl.Series("item_id", ids))
    columns = ["src_article", "tgt_article"]
    rows = items.with_origin(console.workspace, rows, langs.split("-"), columns)
    items.save(console.workspace, name, ITEMS.conform(rows), REJECTS.empty())
    console.show(f"{name}: {len(rows)} of {len(every)} pairs, as many of each tenth by margin")
    console.say(f"next, for each of two judges: benchmarks review {name} --judge NAME")
    console.emit({"set": name, "n_items": len(rows)})
    return rows
