"""From scored candidates to decided pairs: mutual best, filters, cut-offs.

Reads ids, scores and texts, computes no vector; a changed cut-off takes seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from align import confidence, filters
from align.bead_pairs import RUNNER_UP
from align.lexical import mix
from corpus import dedup, reserved, tables
from corpus.pairs import SCORE_SENTENCES, scan
from corpus.stages import Made
from corpus.tables import DECOYS, SENTENCE_CANDIDATES, SENTENCE_PAIRS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from corpus.workspace import Workspace

DEFAULT_FDR = 0.05


@dataclass(frozen=True, slots=True)
class Cuts:
    """What a kept pair must reach; all that are given must hold.

    With none given it is ``fdr`` 0.05 where the rate can be estimated, else
    ``margin`` 1.

    Attributes:
        threshold: least cosine, in the encoder's own scale.
        margin: least ratio margin; where it is given a pair without a margin is dropped.
        fdr: largest estimated false discovery rate of the kept set.
    """

    threshold: float | None = None
    margin: float | None = None
    fdr: float | None = None

    def resolve(self, *, estimated: bool) -> Cuts:
        """Fill in the default where no cut is given."""
        if (self.threshold, self.margin, self.fdr) != (None, None, None):
            return self
        return Cuts(fdr=DEFAULT_FDR) if estimated else Cuts(margin=1.0)


def make(
    workspace: Workspace,
    cuts: Cuts,
    weight: float,
    calibration: confidence.Calibration | None,
    langs: str,
) -> Made:
    """Decide the sentence pairs of a language pair."""
    found, false = (
        scored(scan(workspace, langs, SCORE_SENTENCES, table), weight)
        for table in (SENTENCE_CANDIDATES, DECOYS)
    )
    first = pl.col("method") != RUNNER_UP
    matched, decoys = (
        filtered(workspace, mutual_best(f.filter(first)), langs) for f in (found, false)
    )
    matched = without_reserved(matched, reserved.load(workspace))
    known = judged_q(matched, calibration) if calibration else with_q(matched, decoys, found)
    pairs = decide(known, cuts)
    counts = {"pairs": len(pairs), "kept": int(pairs["kept"].sum())}
    for reason, n in pairs["reason"].drop_nulls().value_counts().iter_rows():
        counts[f"dropped.{reason}"] = n
    return Made({"sentence_pairs": pairs}, counts)


def scored(candidates: pl.DataFrame, weight: float) -> pl.DataFrame:
    """Add the score that pairs compete by: the margin, or the mixed score without one."""
    sim, lexical = (candidates[column].to_numpy() for column in ("sim", "lexical"))
    mixed = pl.Series("mixed", mix(sim, lexical, weight), pl.Float64)
    return candidates.with_columns(pl.col("margin").fill_null(mixed).alias("score"))


def mutual_best(candidates: pl.DataFrame) -> pl.DataFrame:
    """Keep the candidates that are each other's best, ties to the smaller id."""
    ranked = candidates.sort("score", "src_id", "tgt_id", descending=[True, False, False])
    best_tgt = ranked.unique("src_id", keep="first", maintain_order=True)
    best_src = ranked.unique("tgt_id", keep="first", maintain_order=True)
    return best_tgt.join(best_src.select("src_id", "tgt_id"), on=["src_id", "tgt_id"], how="semi")


def filtered(workspace: Workspace, pairs: pl.DataFrame, langs: str) -> pl.DataFrame:
    """Join what the filters read, and name the reason of each pair that they drop."""
    return with_texts(workspace, pairs, langs).with_columns(
        pl.coalesce(*filters.reasons()).alias("reason")
    )


def without_reserved(pairs: pl.DataFrame, texts: Sequence[str]) -> pl.DataFrame:
    """Drop the pairs of which either side leaks a reserved text."""
    if not texts:
        return pairs
    leaks = reserved.mark(pairs, ["src_text", "tgt_text"], texts)
    return pairs.with_columns(pl.coalesce("reason", filters.drop(pl.lit(leaks), reserved.REASON)))


def with_q(matched: pl.DataFrame, decoys: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """Add the q-value of each pair that the filters keep, null where unknown."""
    accepted = matched.filter(pl.col("reason").is_null())
    false = decoys.filter(pl.col("reason").is_null())["score"].to_numpy()
    second = confidence.runners_up(accepted, found)["score"].to_numpy()
    q = None
    # Decoy articles may hold no bead at all; mutual best pairs they always hold.
    aligned = (found["method"] == RUNNER_UP).any() and found["tgt_article"].n_unique() > 1
    if len(false) or aligned:
        q = confidence.q_values(accepted["score"].to_numpy(), np.concatenate([false, second]))
    values = pl.Series("q", [None] * len(accepted) if q is None else q.round(5), pl.Float64)
    return matched.join(
        accepted.select("src_id", "tgt_id").with_columns(values),
        on=["src_id", "tgt_id"],
        how="left",
    )


def judged_q(matched: pl.DataFrame, calibration: confidence.Calibration) -> pl.DataFrame:
    """Add the q-value of each pair that the filters keep by what people judged, not by decoys."""
    has_q = pl.col("reason").is_null() & pl.col("margin").is_not_null()
    rows = matched.with_row_index("row")
    q = calibration.q_values(rows.filter(has_q)["margin"].to_numpy()).round(5)
    known = rows.filter(has_q).select("row", q=pl.Series(q, dtype=pl.Float64))
    return rows.join(known, on="row", how="left", maintain_order="left").drop("row")


def with_texts(workspace: Workspace, pairs: pl.DataFrame, langs: str) -> pl.DataFrame:
    """Join texts, languages, origin and licence to matched candidates, beads or sentences."""
    src_lang, tgt_lang = langs.split("-")
    for side, lang in (("src", src_lang), ("tgt", tgt_lang)):
        pairs = pairs.join(
            _texts(workspace, lang, pairs[f"{side}_id"]).select(pl.all().name.prefix(f"{side}_")),
            on=f"{side}_id",
            how="left",
        )
    keys = [
        tables.pair_id(langs, [src], [tgt])
        for src, tgt in pairs.select("src_text_key", "tgt_text_key").iter_rows()
    ]
    return pairs.join(
        _origins(workspace), left_on="src_article", right_on="article_id", how="left"
    ).with_columns(
        pl.Series("pair_id", keys, pl.String),
        pl.lit(langs).alias("langs"),
        pl.col("src_id").str.split(" ").alias("src_ids"),
        pl.col("tgt_id").str.split(" ").alias("tgt_ids"),
    )


def decide(pairs: pl.DataFrame, cuts: Cuts) -> pl.DataFrame:
    """Say of each matched pair whether it is kept, or why not."""
    without = pl.lit(cuts.margin is not None) & pl.col("margin").is_null()
    cuts = cuts.resolve(estimated=bool(pairs["q"].count()))
    reasons = [pl.col("reason")]
    if cuts.threshold is not None:
        reasons.append(filters.drop(pl.col("sim") < cuts.threshold, "threshold"))
    if cuts.margin is not None:
        reasons.append(filters.drop((pl.col("margin") < cuts.margin) | without, "margin"))
    if cuts.fdr is not None:
        reasons.append(filters.drop(pl.col("q").fill_null(1.0) > cuts.fdr, "fdr"))
    judged = pairs.with_columns(pl.coalesce(*reasons).alias("reason")).sort(SENTENCE_PAIRS.key)
    for reason, again in filters.REPEATS.items():
        judged = judged.with_columns(pl.coalesce("reason", filters.drop(again(), reason)))
    kept = pl.col("reason").is_null()
    return SENTENCE_PAIRS.conform(judged.with_columns(kept.alias("kept")))


def _texts(workspace: Workspace, lang: str, ids: pl.Series) -> pl.DataFrame:
    paths = sorted((workspace.sentences / lang).glob("*.parquet"))
    columns = ["sentence_id", "lang", "text", "text_key"]
    frames = [pl.read_parquet(path, columns=columns) for path in paths]
    every = pl.concat(frames) if frames else tables.SENTENCES.empty().select(columns)
    beads = pl.DataFrame({"id": ids.unique()}).with_columns(sentence_id=pl.col("id").str.split(" "))
    members = beads.explode("sentence_id").join(
        every, on="sentence_id", how="left", maintain_order="left"
    )
    key = pl.col("text_key").bin.encode("hex").str.join("").str.decode("hex")
    langs = pl.col("lang").unique().sort().str.join("+")
    return members.group_by("id", maintain_order=True).agg(langs, pl.col("text").str.join(" "), key)


def _origins(workspace: Workspace) -> pl.DataFrame:
    return dedup.load(workspace).select("article_id", pl.col("site").alias("origin"), "licence")
