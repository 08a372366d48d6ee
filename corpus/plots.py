"""Plots as inline SVG that takes a page's own colours, light and dark."""

from __future__ import annotations

import io
import math
import re
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import polars as pl
from markupsafe import Markup, escape
from matplotlib.figure import Figure

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Colours that matplotlib writes → the page's variables that take their place.
KEPT, DROPPED, QUIET = "#0a0b01", "#0a0b02", "#0a0b03"
COLOURS = {KEPT: "var(--kept)", DROPPED: "var(--dropped)", QUIET: "var(--quiet)"}
PLAIN = ("#2a6f97", "#c9ced6")  # kept and dropped, where a plot stands alone
MAX_BINS = 40
NAMES = "figure|axes|patch|text|matplotlib|xtick|ytick|line2d"
SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "bitextile",  # equal data give equal bytes
    "svg.fonttype": "none",
    "text.parse_math": False,  # a name may hold a dollar
    "font.size": 11,
    "axes.labelcolor": QUIET,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
}


def histogram(kept: pl.Series, dropped: pl.Series, label: str) -> Markup:
    """Draw the distribution of a score: what was kept, and on top what was not."""
    sides = [side.drop_nulls().to_numpy() for side in (kept, dropped)]
    n_bins = min(MAX_BINS, 8 + math.isqrt(sum(map(len, sides))))
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(4.2, 2.2), layout="constrained")
        axes = figure.add_subplot()
        axes.hist(sides, bins=n_bins, stacked=True, color=[KEPT, DROPPED])
        axes.yaxis.set_major_locator(mpl.ticker.MaxNLocator(4, integer=True))
        return _drawn(figure, label)


def precision_curve(decided: pl.DataFrame) -> Markup:
    """Draw the estimated precision of the best pairs, by how many are kept.

    Args:
        decided: matched pairs with q, known of some, and margin.
    """
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(4.2, 2.2), layout="constrained")
        figure.add_subplot().plot(*_precisions(decided), color=KEPT)
        return _drawn(figure, "estimated precision, by pairs kept")


def scores_png(decided: pl.DataFrame) -> bytes:
    """Draw margins of kept and dropped pairs, and estimated precision by pairs kept, as PNG.

    Args:
        decided: matched pairs with margin, q and kept.
    """
    kept, dropped = decided.filter("kept"), decided.filter(~pl.col("kept"))
    sides = [side["margin"].drop_nulls().to_numpy() for side in (kept, dropped)]
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(8, 2.6), dpi=110, layout="constrained")
        left, right = figure.subplots(1, 2)
        left.hist(sides, bins=MAX_BINS, stacked=True, color=PLAIN, label=["kept", "dropped"])
        left.set_xlabel("ratio margin")
        left.legend(frameon=False)
        right.plot(*_precisions(decided), color=PLAIN[0])
        right.set_xlabel("pairs kept, best first")
        right.set_ylabel("estimated precision")
        for axes in (left, right):
            axes.spines[["top", "right"]].set_visible(False)
        file = io.BytesIO()
        figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def _precisions(decided: pl.DataFrame) -> tuple[range, NDArray[np.float64]]:
    """Give numbers of pairs kept, best first, and the estimated precision of each."""
    known = decided.drop_nulls("q").sort("q", "margin", descending=[False, True])
    return range(1, len(known) + 1), 1 - known["q"].to_numpy()


def _drawn(figure: Figure, label: str) -> Markup:
    """Give a figure of one plot as SVG."""
    [axes] = figure.axes
    axes.set_xlabel(label)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, pad=6)
    axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(6))
    return drawn(figure, label)


def drawn(figure: Figure, label: str) -> Markup:
    """Write any figure, made within `SETTINGS`, as SVG for a page."""
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return Markup(_inline(file.getvalue(), label))  # noqa: S704 - drawn here, from numbers


def _inline(svg: str, label: str) -> str:
    """Strip an SVG file to what stands in a page, in the page's colours and font."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(rf' id="(?:{NAMES})[^"]*"', "", svg)
    svg = re.sub(r'font: ([\d.]+px)[^;"]*', r"font: \1 var(--font)", svg)
    for fixed, own in COLOURS.items():
        svg = svg.replace(fixed, own)
    return re.sub(
        r'<svg [^>]*?viewBox="([^"]*)"[^>]*>',
        lambda m: f'<svg viewBox="{m[1]}" role="img" aria-label="{escape(label)}">',
        svg,
        count=1,
    )
