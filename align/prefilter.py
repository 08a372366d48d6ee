"""The cascade: a cheap encoder says which sentences are worth a strong one.

The cheap encoder scores every sentence of the paired articles, as a run of its own
would. The strong one then sees the sentences of its mutual best pairs, those of the
next best, and so on, round by round: what it finds rules out weaker candidates of the
same sentences, and says whether two articles share anything, so whether more of their
candidates are worth a try. All that follows (pools, decoys, competition) is among the
sentences seen. Some article pairs, chosen by their ids, are scored in full, so that what
was lost is known.
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

# Chosen on the even documents of NTREX, of which a fifth of the target sentences was kept:
LEAST = 0.5  # margin of a candidate by the cheap encoder
SURE = 0.5  # above a candidate's margin: a sentence of which the strong encoder knows better
DOUBT = 0.4  # on top of LEAST where all that was tried of two articles is false, off it where right
RIGHT = 1.1  # margin of what is right by the strong encoder, among the sentences seen
LENGTH = 0.4  # of a margin, for a log ratio of lengths beyond the usual one
SMOOTH = 20  # characters added to all lengths
ROUNDS = 8
VERSION = 4  # of the rule
SAMPLE = 100  # one article pair in so many is scored in full

Sides = tuple[Collection, Collection]
Masks = tuple["NDArray[np.bool_]", "NDArray[np.bool_]"]


class Prefilter:
    """Takes the sentences that do not matter out of a month's articles."""

    def __init__(self, workspace: Workspace, weak: Encoder, strong: Encoder) -> None:
        """Keep both encoders and the workspace that stores their vectors."""
        self._workspace, self._weak, self._strong = workspace, weak, strong
        self.key = f"{weak.key} {weak.lexical_weight} {VERSION}"

    def __call__(self, sides: Sides, pairs: pl.DataFrame) -> tuple[Sides, dict[str, int]]:
        """Reduce both collections to the sentences that matter in some article pairs.

        Returns:
            The collections, and counts: sentences that stay, mutual best pairs of the
            sample by the strong encoder, and how many of these have both sentences left.
        """
        masks = self._chosen(sides, pairs)
        drawn = [int(article_id, 16) % SAMPLE == 0 for article_id in pairs["src_id"]]
        sample = pairs.filter(pl.Series(drawn, dtype=pl.Boolean))
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

    def _chosen(self, sides: Sides, pairs: pl.DataFrame) -> Masks:
        """Mark the sentences that the strong encoder is to see."""
        likely = self._scored(self._weak, sides, pairs)
        if likely["margin"].has_nulls():  # too few sentences to choose from
            src, tgt = (np.ones(len(side.sentences), bool) for side in sides)
            return src, tgt
        usual = float(likely.filter(pl.col("score") >= 1).select(_log_ratio()).median().item() or 0)
        likely = _by_length(likely, usual).with_columns(tried=pl.lit(False))
        found = likely.clear()
        for _ in range(ROUNDS):
            batch = decide.mutual_best(worth_a_try(likely, found))
            if not len(batch):
                break
            now = pl.struct("src_id", "tgt_id").is_in(
                batch.select("src_id", "tgt_id").to_struct().implode()
            )
            likely = likely.with_columns(pl.col("tried") | now)
            masks = seen(likely, sides)
            scored = self._scored(self._strong, reduced(sides, masks), pairs)
            found = _by_length(scored, usual).drop_nulls("margin")
        return seen(likely, sides)

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


def worth_a_try(likely: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """Take the candidates that may be right by what the strong encoder found so far.

    Args:
        likely: candidates by the cheap encoder: src_id, tgt_id, src_article, score, tried.
        found: candidates by the strong one, so far: src_id, tgt_id, score.
    """
    for side in ("src", "tgt"):
        best = found.group_by(f"{side}_id").agg(pl.col("score").max().alias(f"{side}_best"))
        likely = likely.join(best, f"{side}_id", "left", maintain_order="left")
    verdict = pl.when("tried").then(1 - 2 * (pl.col("tgt_best") >= RIGHT).cast(pl.Int32))
    doubt = (verdict.sum() / (1 + verdict.count())).over("src_article")
    known = pl.max_horizontal("src_best", "tgt_best").fill_null(0)
    score = pl.col("score")
    return likely.filter(~pl.col("tried"), score >= LEAST + DOUBT * doubt, known <= score + SURE)


def seen(likely: pl.DataFrame, sides: Sides) -> Masks:
    """Mark the sentences of the candidates that were tried."""
    tried = likely.filter("tried")
    src, tgt = (
        side.sentences["sentence_id"].is_in(tried[name].to_list()).to_numpy()
        for side, name in zip(sides, ("src_id", "tgt_id"), strict=True)
    )
    return src, tgt


def _log_ratio() -> pl.Expr:
    """The log ratio of the lengths of a pair's sentences."""
    src, tgt = (pl.col(f"{side}_text").str.len_chars() + SMOOTH for side in ("src", "tgt"))
    return (tgt / src).log()


def _by_length(pairs: pl.DataFrame, usual: float) -> pl.DataFrame:
    """Take off the scores what lengths make unlikely."""
    return pairs.with_columns(pl.col("score") - LENGTH * (_log_ratio() - usual).abs())


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
