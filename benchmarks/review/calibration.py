"""How sure align may be: judged pairs against the margin, by isotonic regression."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from corpus import tables

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from benchmarks.review.finish import Facts
    from corpus.console import Console

FILE = "calibration.json"
N_ROWS = 8  # of the table that is shown


def calibrate(
    items: Mapping[str, Mapping[str, Any]], right: Mapping[str, bool]
) -> list[tuple[float, float, float | None, int]]:
    """Estimate the share of true pairs by margin; it never falls where the margin rises.

    Pool adjacent violators (Ayer et al. 1955), as Zadrozny and Elkan (2002) calibrate
    scores: the fit is a stair, and a row is one step of it.

    Args:
        items: judged pairs, with margin and q.
        right: what both judges said of each: whether it is a translation.

    Returns:
        Per step: the least margin, the share of true pairs, the mean of align's own
        ``1 - q`` (None where it was silent), and the number of pairs.
    """
    from scipy.optimize import isotonic_regression

    known = sorted((items[i]["margin"], i) for i in right if items[i]["margin"] is not None)
    if not known:
        return []
    margins, ids = zip(*known, strict=True)
    fitted = isotonic_regression([float(right[i]) for i in ids]).x
    starts = np.flatnonzero(np.diff(fitted, prepend=-1.0) > 1e-12)
    steps = []
    for start, end in zip(starts, [*starts[1:], len(ids)], strict=True):
        own = [1 - items[i]["q"] for i in ids[start:end] if items[i]["q"] is not None]
        mean = round(float(np.mean(own)), 5) if own else None
        steps.append((margins[start], round(float(fitted[start]), 5), mean, int(end - start)))
    return steps


def save(path: Path, facts: Facts, steps: list[tuple[float, float, float | None, int]]) -> None:
    """Write the stair as `align sentences --calibration` reads it."""
    names = ("least_margin", "precision", "estimated", "n_pairs")
    rows = [dict(zip(names, step, strict=True)) for step in steps]
    made_by = " and ".join(facts.proposers)
    said = {"langs": facts.langs, "made_by": made_by, "steps": rows}
    tables.write_text(path, json.dumps(said, ensure_ascii=False, indent=1) + "\n")


def show(console: Console, steps: list[tuple[float, float, float | None, int]]) -> None:
    """Show the highest steps, beside what align estimated without a judge."""
    columns = ("margin ≥", "true pairs", "align's 1 - q", "judged")
    console.table("Share of true pairs by margin", columns, steps[-N_ROWS:])
