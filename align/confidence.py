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

Where people judged pairs of every margin (``benchmarks review``), what they said takes the
place of decoys: a `Calibration`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from corpus.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

FEWEST = 200  # accepted pairs below which a rate would be noise
SAFETY = 12.0  # times the estimated share of decoys that stand for false pairs
HOW_TO_JUDGE = "benchmarks build pairs, two judges and benchmarks review SET --finish make one"


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


@dataclass(frozen=True, slots=True)
class Calibration:
    """The share of true pairs by margin, as people judged: a stair that never falls.

    Attributes:
        langs: the languages of the pairs that were judged.
        made_by: encoder and method that aligned them: another's margins mean something else.
        steps: least margin and share of true pairs of each step, margins ascending.
        n_judged: how many pairs it rests on.
    """

    langs: str
    made_by: str
    steps: tuple[tuple[float, float], ...]
    n_judged: int

    def q_values(self, margins: NDArray[np.floating]) -> NDArray[np.float64]:
        """Give each pair the share of false ones among those of its margin and above [n].

        A margin below all that were judged counts as the least of these.
        """
        starts, shares = np.asarray(self.steps).T
        ranked = np.sort(margins)
        false = 1 - shares[np.maximum(np.searchsorted(starts, ranked, side="right") - 1, 0)]
        above = np.cumsum(false[::-1])[::-1]
        first = np.searchsorted(ranked, margins, side="left")
        return np.asarray(above[first] / (len(margins) - first), np.float64)


def load_calibration(path: Path) -> Calibration:
    """Read what ``benchmarks review SET --finish`` writes of judged pairs.

    Raises:
        InputError: the file cannot be read, or is none.
    """
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        rows = said["steps"]
        steps = tuple((float(row["least_margin"]), float(row["precision"])) for row in rows)
        n_judged = sum(int(row["n_pairs"]) for row in rows)
        found = Calibration(str(said["langs"]), str(said["made_by"]), steps, n_judged)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} is no calibration: {error!r}; {HOW_TO_JUDGE}") from error
    if not steps or sorted(steps) != list(steps) or not 0 <= steps[0][1] <= steps[-1][1] <= 1:
        raise InputError(f"{path} has no stair of margins and shares; {HOW_TO_JUDGE}")
    return found


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
