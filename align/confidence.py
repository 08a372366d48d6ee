"""How sure: decoys, the false discovery rate they estimate, and q-values.

A decoy is a pair that is false by construction. *Article decoys* match each
source article, by the same competition, against a target article that is not its
partner. *Runner-up decoys* are the best other target of each accepted source
sentence in the same article. The count of decoys above a score stands for the
count of false pairs above it (target-decoy competition, Elias and Gygi 2007). No
share of true pairs is assumed, so the estimate over-states.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEWEST = 200  # accepted pairs below which a rate would be noise


def q_values(
    accepted: NDArray[np.floating], decoys: NDArray[np.floating]
) -> NDArray[np.float64] | None:
    """Give each accepted pair the least estimated FDR of a set that holds it.

    With D(t) = 1 + decoys scoring at least t and T(t) = accepted pairs scoring at
    least t, q is the minimum over t' <= t of min(1, D(t') / T(t')).

    Args:
        accepted: scores of the accepted pairs [n].
        decoys: scores of the decoys [m].

    Returns:
        q-values [n]; None under 200 accepted pairs or without decoys.
    """
    if len(accepted) < FEWEST or not len(decoys):
        return None
    rate = false_discovery_rate(accepted, accepted, decoys)
    order = np.argsort(accepted, kind="stable")
    q = np.empty(len(accepted))
    q[order] = np.minimum.accumulate(rate[order])
    return q


def false_discovery_rate(
    cuts: NDArray[np.floating], accepted: NDArray[np.floating], decoys: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Estimate the share of false pairs among those scoring at least each cut."""
    n_decoys = len(decoys) - np.searchsorted(np.sort(decoys), cuts, side="left")
    n_accepted = len(accepted) - np.searchsorted(np.sort(accepted), cuts, side="left")
    return np.minimum(1.0, (1 + n_decoys) / np.maximum(n_accepted, 1))


def runners_up(accepted: pl.DataFrame, candidates: pl.DataFrame) -> pl.DataFrame:
    """Find the best other target of each accepted source sentence.

    Args:
        accepted: has src_id and tgt_id.
        candidates: has src_id, tgt_id and score.
    """
    taken = accepted.select("src_id", pl.col("tgt_id").alias("own"))
    others = candidates.join(taken, on="src_id").filter(pl.col("tgt_id") != pl.col("own"))
    return others.sort("score", "tgt_id", descending=[True, False]).unique(
        "src_id", keep="first", maintain_order=True
    )
