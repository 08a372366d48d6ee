"""What a run of sentence alignment prints: cut-offs, a hint, samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from align.confidence import FEWEST
from corpus import reserved

if TYPE_CHECKING:
    from align.decide import Cuts

SHARES = (1.0, 0.9, 0.75, 0.5, 0.25)  # of the matched pairs, best first
SHOWN = 70  # characters of a sample
FILTERS = (
    "length_ratio",
    "copy",
    "language",
    "duplicate",
    "unreadable",
    "residue",
    "years",
    reserved.REASON,
)  # no cut-off brings these back


def matched(pairs: pl.DataFrame) -> pl.DataFrame:
    """Take the pairs that only a cut-off may drop."""
    return pairs.filter(~pl.col("reason").is_in(FILTERS).fill_null(False))


def cut_table(pairs: pl.DataFrame) -> list[tuple[float | None, float | None, int, float | None]]:
    """Give five cut-offs: least margin, least cosine, pairs kept, estimated precision.

    A row's margin and cosine are two ways to keep about as many pairs; the
    precision is that of the margin, null where it cannot be estimated.
    """
    rows = matched(pairs).sort("margin", descending=True, nulls_last=True)
    table = []
    for share in SHARES:
        n = round(share * len(rows))
        if n:
            last = rows.row(n - 1, named=True)
            cosine = rows["sim"].sort(descending=True)[n - 1]
            precision = None if last["q"] is None else 1 - last["q"]
            table.append((last["margin"], cosine, n, precision))
    return table


def hint(pairs: pl.DataFrame, cuts: Cuts) -> str | None:
    """Say so where the given cut-offs drop more than half of what the default keeps."""
    if (cuts.threshold, cuts.margin, cuts.fdr) == (None, None, None):
        return None
    rows = matched(pairs)
    known = bool(rows["q"].count())
    default = rows.filter(pl.col("q") <= 0.05 if known else pl.col("margin").fill_null(1) >= 1)
    kept = rows.filter(pl.col("kept"))
    if 2 * len(kept) >= len(default):
        return None
    name = "--fdr 0.05" if known else "--margin 1"
    reach = min(default["sim"].to_list())
    return (
        f"these cut-offs keep {len(kept)} pairs where {name} keeps {len(default)}: a cosine is in "
        f"the encoder's own scale; --threshold {reach:.2f} would keep them"
    )


def unknown_rate(pairs: pl.DataFrame, cuts: Cuts) -> str | None:
    """Say why a rate was asked for and could not be estimated, so that nothing is kept."""
    if cuts.fdr is None or pairs["q"].count():
        return None
    n = len(matched(pairs))
    why = f"{n} pairs are too few, of {FEWEST}" if n < FEWEST else "there is no decoy article"
    return f"--fdr keeps nothing: no rate can be estimated, {why}; --margin 1 needs none"


def samples(pairs: pl.DataFrame, shown: int = SHOWN) -> list[tuple[float | None, float, str, str]]:
    """Take one kept pair per decile of the margin, worst first, texts cut at ``shown``."""
    kept = pairs.filter(pl.col("kept")).sort("margin", "pair_id")
    n = min(10, len(kept))
    picked = [kept.row(int((i + 0.5) * len(kept) / n), named=True) for i in range(n)]
    return [
        (row["margin"], row["sim"], _short(row["src_text"], shown), _short(row["tgt_text"], shown))
        for row in picked
    ]


def _short(text: str, shown: int) -> str:
    return text if len(text) <= shown else f"{text[: shown - 1]}…"
