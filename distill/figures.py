"""What a card tells of a student's worth, and what it was trained on."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from align.confidence import false_discovery_rate
from distill.guards import retrieval

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from distill.guards import Dev, Floats

CUTS = {"at_99": 0.99, "at_95": 0.95}  # estimated precision


def figures(
    dev: Dev, encode: Callable[[Sequence[str]], Floats], *, with_cuts: bool = True
) -> dict[str, dict[str, Any]]:
    """Measure an encoder on translations; of those that it has seen no cut-off can be told.

    Returns:
        By language pair: ``pairs``; ``retrieval``, and ``low`` and ``high`` of its interval;
        ``at_99`` and ``at_95``, the least cosine of mutual nearest pairs at which their
        estimated precision is that, None where it is nowhere.
    """
    found = {}
    for name, rows in dev.rows().items():
        sides = [[side[n] for n in rows.tolist()] for side in (dev.src, dev.tgt)]
        src, tgt = map(encode, sides)
        share = retrieval(src, tgt)
        scores, is_right = mutual(src @ tgt.T, *(np.array(side, object) for side in sides))
        low, high = interval(share, len(rows))
        values = {"retrieval": share, "low": low, "high": high}
        found[name] = {
            "pairs": len(rows),
            **{key: round(value, 4) for key, value in values.items()},
            **{key: cut(scores, is_right, p) if with_cuts else None for key, p in CUTS.items()},
        }
    return found


def interval(share: float, n: int) -> tuple[float, float]:
    """Give Wilson's 95 % interval (1927) of a share of n pairs.

    Both ways of a pair are tried and tell much the same, so that a pair counts once.
    """
    from scipy.stats import binomtest  # which takes a second to import

    found = binomtest(round(share * n), n).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def mutual(
    sims: Floats, src: NDArray[np.object_], tgt: NDArray[np.object_]
) -> tuple[Floats, NDArray[np.bool_]]:
    """Pair the texts that are nearest to each other.

    Args:
        sims: cosines [n, n]; row i translates column i.
        src: texts of the rows [n].
        tgt: texts of the columns [n].

    Returns:
        The pairs' cosines, and which are right; equal texts stand for each other.
    """
    there = sims.argmax(1)
    here = np.flatnonzero(sims.argmax(0)[there] == np.arange(len(sims)))
    there = there[here]
    return sims[here, there], (tgt[there] == tgt[here]) | (src[there] == src[here])


def cut(scores: Floats, is_right: NDArray[np.bool_], precision: float) -> float | None:
    """Find the least cosine at or above which pairs are right often enough.

    Precision is estimated as 1 - (1 + wrong) / found: a hundred pairs without a wrong one
    are the fewest that show 0.99.
    """
    rounded = np.floor(scores.astype(np.float64) * 1000) / 1000
    good = rounded[false_discovery_rate(rounded, rounded, rounded[~is_right]) <= 1 - precision]
    return float(good.min()) if good.size else None


def hardware() -> str:
    """Name what this process trains on: its cores, and a GPU that torch uses."""
    cores = f"{len(os.sched_getaffinity(0))} CPU cores"
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return cores
    return f"{torch.cuda.get_device_name()}, {cores}"
