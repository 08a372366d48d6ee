"""How sure: decoys, the false discovery rate they estimate, and q-values.

A decoy is a pair that is false by construction. *Article decoys* match each
source article, by the same competition, against a target article that is not its
partner. *Runner-up decoys* are the best other target of each accepted source
sentence in the same article. The count of decoys above a score stands for the
count of false pairs above it (target-decoy competition, Elias and Gygi 2007).

Every accepted pair has decoys, also a true one, so that their count over-states. Where
hardly any accepted pair scores among the lower half of the decoys, as false ones would,
fewer decoys count: the share that Storey (2002) estimates so, twelve times over. That
changes nothing where a tenth of the pairs is false.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEWEST = 200  # accepted pairs below which a rate would be noise
SAFETY = 12.0  # times the estimated share of decoys that stand for false pairs


def q_values(
    accepted: NDArray[np.floating], decoys: NDArray[np.floating], share: float | None = None
) -> NDArray[np.float64] | None:
    """Give each accepted pair the least estimated FDR of a set that holds it.

    With D(t) = 1 + s times the decoys scoring at least t, where s is `false_share`, and
    T(t) = accepted pairs scoring at least t, q is the minimum over t' <= t of
    min(1, D(t') / T(t')).

    Args:
        accepted: scores of the accepted pairs [n].
        decoys: scores of the decoys [m].
        share: of the decoys, where it is not to be estimated.

    Returns:
        q-values [n]; None under 200 accepted pairs or without decoys.
    """
    if len(accepted) < FEWEST or not len(decoys):
        return None
    share = false_share(accepted, decoys) if share is None else share
    rate = false_discovery_rate(accepted, accepted, decoys, share)
    order = np.argsort(accepted, kind="stable")
    q = np.empty(len(accepted))
    q[order] = np.minimum.accumulate(rate[order])
    return q


def false_share(accepted: NDArray[np.floating], decoys: NDArray[np.floating]) -> float:
    """Bound the share of decoys that stand for false pairs, from those under their median.

    Storey, "A direct approach to false discovery rates" (2002), times ``SAFETY``.
    """
    low = np.median(decoys)
    n_accepted, n_decoys = np.sum(accepted < low), np.sum(decoys < low)
    return float(min(1.0, SAFETY * (1 + n_accepted) / max(n_decoys, 1)))


def false_discovery_rate(
    cuts: NDArray[np.floating],
    accepted: NDArray[np.floating],
    decoys: NDArray[np.floating],
    share: float = 1.0,
) -> NDArray[np.float64]:
    """Estimate the share of false pairs among those scoring at least each cut."""
    n_decoys = len(decoys) - np.searchsorted(np.sort(decoys), cuts, side="left")
    n_accepted = len(accepted) - np.searchsorted(np.sort(accepted), cuts, side="left")
    return np.minimum(1.0, (1 + share * n_decoys) / np.maximum(n_accepted, 1))


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
