"""The cascade: a cheap encoder says which sentences are worth a strong one.

The cheap encoder scores every sentence of the paired articles, as a run of its own
would. A candidate goes on where its score is near the best of both its sentences; the
strong encoder sees the sentences of such candidates only, and all that follows (pools,
decoys, competition) is among them. Article pairs of a sample are scored in full, so
that what was lost is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from align import decide, filters
from align.collection import Collection
from align.sentences import by_margin

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from align.encoders import Encoder
    from corpus.workspace import Workspace

NEAR = 0.8  # of the best score of either sentence, by the cheap encoder
LEAST = 0.7  # ratio margin by the cheap encoder
SAMPLE, MOST = 50, 50  # one article pair in so many is scored in full, and at most so many

Sides = tuple[Collection, Collection]
Masks = tuple["NDArray[np.bool_]", "NDArray[np.bool_]"]


class Prefilter:
    """Takes the sentences that do not matter out of a month's articles."""

    def __init__(self, workspace: Workspace, weak: Encoder, strong: Encoder) -> None:
        """Keep both encoders and the workspace that stores their vectors."""
        self._workspace, self._weak, self._strong = workspace, weak, strong
        self.key = f"{weak.key} {weak.lexical_weight} {NEAR} {LEAST}"

    def __call__(self, sides: Sides, pairs: pl.DataFrame) -> tuple[Sides, dict[str, int]]:
        """Reduce both collections to the sentences that matter in some article pairs.

        Returns:
            The collections, and counts: sentences that stay, mutual best pairs of the
            sample by the strong encoder, and how many of these have both sentences left.
        """
        masks = matter(self._scored(self._weak, sides, pairs), sides)
        sample = pairs.sort("src_id").gather_every(max(SAMPLE, -(-len(pairs) // MOST)))
        src_known, tgt_known = (
            mask | side.sentences["article_id"].is_in(sample[name].to_list()).to_numpy()
            for mask, side, name in zip(masks, sides, ("src_id", "tgt_id"), strict=True)
        )
        full = self._scored(self._strong, reduced(sides, (src_known, tgt_known)), sample)
        best = decide.mutual_best(full).filter(pl.col("score") >= 1)
        src, tgt = (side.sentences["sentence_id"].to_list() for side in reduced(sides, masks))
        found = best.filter(pl.col("src_id").is_in(src), pl.col("tgt_id").is_in(tgt))
        counts = {"strong_sentences": len(src) + len(tgt)}
        counts |= {"sample_pairs": len(best), "sample_found": len(found)}
        return reduced(sides, masks), counts

    def _scored(self, encoder: Encoder, sides: Sides, pairs: pl.DataFrame) -> pl.DataFrame:
        """Score the sentences of article pairs; without those that the filters drop."""
        weight = encoder.lexical_weight
        score, _ = by_margin(self._workspace, encoder, weight, lambda done, total: None, *sides)
        found = decide.scored(score(pairs), weight)
        for name, side in zip(("src", "tgt"), sides, strict=True):
            text = side.sentences.select(
                pl.col("sentence_id").alias(f"{name}_id"), pl.col("text").alias(f"{name}_text")
            )
            found = found.join(text, on=f"{name}_id", how="left", maintain_order="left")
        reasons = pl.coalesce(filters.keep_length_ratio(), filters.keep_translated())
        return found.filter(reasons.is_null())


def matter(found: pl.DataFrame, sides: Sides) -> Masks:
    """Mark the sentences of candidates that are near the best of both their sentences."""
    score = pl.col("score")
    best = pl.max_horizontal(score.max().over("src_id"), score.max().over("tgt_id"))
    near = found.filter((score >= NEAR * best) & (score >= LEAST))
    src, tgt = (
        side.sentences["sentence_id"].is_in(near[name].to_list()).to_numpy()
        for side, name in zip(sides, ("src_id", "tgt_id"), strict=True)
    )
    return src, tgt


def reduced(sides: Sides, masks: Masks) -> Sides:
    """Take some sentences of both collections; the articles stay."""
    src, tgt = (
        Collection(
            side.articles,
            side.sentences.filter(pl.Series(mask)),
            np.concatenate([[0], np.cumsum(mask)])[side.starts].astype(np.intp),
        )
        for side, mask in zip(sides, masks, strict=True)
    )
    return src, tgt
