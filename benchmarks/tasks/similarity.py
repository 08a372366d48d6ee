"""Is what means the same nearer: paraphrase triples, paraphrase detection, similarity.

Triples (ParaLux): the cosine of an anchor and its paraphrase must be above that of the
anchor and its negative. Detection (BanglaEmbed): pairs are paraphrases where their cosine
is at least 0.8, beside the best threshold and the average precision, which needs none; the
mean cosines of both kinds show an encoder that finds everything similar. Similarity: rank
correlation of cosines with people's scores.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from benchmarks.metrics import (
    Floats,
    average_precision,
    best_threshold,
    estimate,
    mean,
    pearson,
    spearman,
)
from benchmarks.results import Score, scored
from corpus.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmarks.models import Once
    from benchmarks.sets import Data

TRIPLES_MAIN, DETECTION_MAIN, STS_MAIN = "accuracy", "average_precision", "spearman"
THRESHOLD = 0.8
FALSE, TRUE = {"0", "false", "0.0"}, {"1", "true", "1.0"}


def run_triples(data: Data, encoder: Once, split: str) -> list[Score]:
    """Score a set with anchor, paraphrase, not_paraphrase, and perhaps lang and proposer.

    Twins, of which each is the other's anchor, are one cluster.
    """
    rows = data.part(split)
    anchor, positive, negative = (
        encoder.encode(rows[name].to_list()) for name in ("anchor", "paraphrase", "not_paraphrase")
    )
    near, far = _cosines(anchor, positive), _cosines(anchor, negative)
    twins = np.asarray(
        [" ".join(sorted(pair)) for pair in rows.select("anchor", "paraphrase").iter_rows()]
    )
    scores = []
    for name, mine in _groups(data, rows).items():
        found = estimate(mean(near[mine] > far[mine]), twins[mine].tolist())
        cosines = {"paraphrases": float(near[mine].mean()), "negatives": float(far[mine].mean())}
        is_whole = not name.startswith("by ")
        scores.append(scored(name, TRIPLES_MAIN, found, cosines, paired=is_whole))
    return scores


def _groups(data: Data, rows: pl.DataFrame) -> dict[str, NDArray[np.intp]]:
    """Number the rows of each language, and of each proposer where rows name one."""
    lang = (
        rows["lang"] if "lang" in rows.columns else pl.Series(data.spec.languages[:1] * len(rows))
    )
    groups = {str(name): (lang == name).to_numpy().nonzero()[0] for name in sorted(lang.unique())}
    if "proposer" in rows.columns:
        groups |= {
            f"by {name}": (rows["proposer"] == name).to_numpy().nonzero()[0]
            for name in sorted(rows["proposer"].unique())
        }
    return groups


def run_detection(data: Data, encoder: Once, split: str) -> list[Score]:
    """Score a set with text, text2 and label (1 or 0), or with true pairs alone."""
    rows = data.part(split)
    if data.spec.negatives == "next":
        moved = rows.with_columns(text2=pl.col("text2").shift(-1).fill_null(pl.first("text2")))
        rows = pl.concat(
            [rows.with_columns(label=pl.lit("1")), moved.with_columns(label=pl.lit("0"))]
        )
    labels = rows["label"].str.to_lowercase()
    if unknown := set(labels) - FALSE - TRUE:
        raise InputError(f"{data.spec.name}: label '{min(unknown)}' is neither 1 nor 0")
    gold = labels.is_in(list(TRUE)).to_numpy()
    if gold.all() or not gold.any():
        raise InputError(
            f"{data.spec.name}: all {len(gold)} labels are {int(gold[0])}; average precision "
            "needs paraphrases and others"
        )
    text, text2 = (encoder.encode(rows[name].to_list()) for name in ("text", "text2"))
    cosine = _cosines(text, text2)
    threshold, best = best_threshold(gold, cosine)
    found = estimate(average_precision(gold, cosine), rows["text"].to_list())
    others = {
        f"accuracy@{THRESHOLD}": float(((cosine >= THRESHOLD) == gold).mean()),
        "best_accuracy": best,
        "best_threshold": threshold,
        "paraphrases": float(cosine[gold].mean()),
        "negatives": float(cosine[~gold].mean()),
    }
    return [scored("-".join(data.spec.languages), DETECTION_MAIN, found, others)]


def run_sts(data: Data, encoder: Once, split: str) -> list[Score]:
    """Score a set with text, text2, score, and perhaps lang.

    Raises:
        InputError: a score is no number.
    """
    rows = data.part(split)
    wanted = rows["score"].cast(pl.Float64, strict=False).to_numpy()
    if not np.isfinite(wanted).all():
        at = int((~np.isfinite(wanted)).argmax())
        raise InputError(f"{data.spec.name}: score '{rows['score'][at]}' is no number")
    text, text2 = (encoder.encode(rows[name].to_list()) for name in ("text", "text2"))
    cosine = _cosines(text, text2)
    clusters = rows["text"].to_numpy()
    scores = []
    for name, mine in _groups(data, rows).items():
        found = estimate(spearman(wanted[mine], cosine[mine]), clusters[mine].tolist())
        straight = estimate(pearson(wanted[mine], cosine[mine]), clusters[mine].tolist()).value
        scores.append(scored(name, STS_MAIN, found, {"pearson": straight}))
    return scores


def _cosines(a: NDArray[np.float32], b: NDArray[np.float32]) -> Floats:
    """Multiply unit rows [n, dim] pairwise, in double precision [n]."""
    return np.asarray(np.einsum("nd,nd->n", a, b, dtype=np.float64))
