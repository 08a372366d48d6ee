"""Plots of results as inline SVG in a page's own colours: intervals, maps, speed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from corpus.plots import QUIET, drawn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markupsafe import Markup
    from matplotlib.axes import Axes

    from benchmarks.board import Board, Cell

# Told apart by people who see few colours, on light and dark (Wong 2011).
COLOURS = ("#0f766e", "#d97706", "#3b82c4", "#c2417f", "#7c6fd0", "#84913a", "#8a8f98")
MAP = "viridis"
ROW = 0.24  # inches


def colours(models: Sequence[str]) -> dict[str, str]:
    """Give each model its colour on the whole page."""
    return {model: COLOURS[n % len(COLOURS)] for n, model in enumerate(models)}


def intervals(
    rows: Mapping[str, Mapping[str, Cell]], board: Board, own: Mapping[str, str]
) -> Markup:
    """Draw a dot with its 95 % interval for each row and model."""
    figure = Figure(figsize=(5.4, 0.7 + ROW * len(rows)), layout="constrained")
    axes = _plain(figure.add_subplot())
    for n, model in enumerate(own):
        shift = (n - (len(own) - 1) / 2) * 0.6 / max(len(own), 1)
        found = [(at + shift, row[model]) for at, row in enumerate(rows.values()) if model in row]
        for at, cell in found:
            axes.plot([cell.low, cell.high], [at, at], color=own[model], lw=1.6, alpha=0.55)
        at_, cells = [at for at, _ in found], [cell.value for _, cell in found]
        axes.scatter(cells, at_, color=own[model], s=13, zorder=3)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(axis="x", color=QUIET, alpha=0.2, lw=0.6)
    axes.set_xlabel(board.main.replace("_", " "))
    return drawn(figure, f"{board.name} by language, with 95 % intervals")


def heat_map(cells: Mapping[tuple[str, str], float], label: str) -> Markup:
    """Draw a value for every two languages; what was not measured stays empty."""
    down, across = (sorted({pair[n] for pair in cells}) for n in (0, 1))
    grid = [[cells.get((a, b), float("nan")) for b in across] for a in down]
    size = 0.33 * max(len(down), 4)
    figure = Figure(figsize=(size + 1.3, size + 0.5), layout="constrained")
    axes = _plain(figure.add_subplot())
    image = axes.imshow(grid, cmap=MAP, vmin=0, vmax=1, aspect="equal", interpolation="nearest")
    axes.set_xticks(range(len(across)), across)
    axes.set_yticks(range(len(down)), down)
    for y, row in enumerate(grid):
        for x, value in enumerate(row):
            if value == value and len(down) <= 12:
                ink = "black" if value > 0.6 else "white"
                axes.text(x, y, f"{value:.2f}"[1:] if value < 1 else "1", ha="center",
                          va="center", fontsize=7, color=ink)  # fmt: skip
    figure.colorbar(image, ax=axes, shrink=0.75).outline.set_visible(False)
    return drawn(figure, label)


def speed(points: Mapping[str, tuple[float, float]], own: Mapping[str, str]) -> Markup:
    """Draw each model's mean main score by its sentences a second, on a log scale."""
    figure = Figure(figsize=(5.4, 3), layout="constrained")
    axes = _plain(figure.add_subplot())
    by_score = sorted(points.items(), key=lambda point: point[1][::-1])
    for n, (model, (per_second, score)) in enumerate(by_score):
        axes.scatter([per_second], [score], color=own[model], s=40, zorder=3)
        beside = (7, 5 if n % 2 else -11)  # above and below by turns: neighbours stay legible
        axes.annotate(model, (per_second, score), xytext=beside, textcoords="offset points",
                      color=QUIET, fontsize=9)  # fmt: skip
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.margins(x=0.25, y=0.2)
    axes.grid(color=QUIET, alpha=0.2, lw=0.6)
    axes.set_xlabel("ordinary sentences a second, largest batch")
    axes.set_ylabel("mean of main scores")
    return drawn(figure, "score by speed")


def _plain(axes: Axes) -> Axes:
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, pad=5)
    return axes
