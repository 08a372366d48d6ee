"""Write what docs/benchmarks.md shows of results: ``python docs/benchmark_tables.py WORKSPACE``.

WORKSPACE has the results of the commands that stand in that page.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from tables import put, table

from benchmarks import board, results
from corpus.workspace import Workspace

PAGE = Path(__file__).with_name("benchmarks.md")
FIGURE = Path(__file__).with_name("cka.svg")
STUDENTS = {"en-fr": "#8a8f98", "lb-en": "#0f766e", "lb-fr": "#d97706"}
TOPICS = ("lb", "bn", "en", "fr", "de")
TRANSFER = ("en→lb", "en→bn", "lb→en", "lb→bn", "bn→en", "bn→lb", "en→others", "lb→others")


def main() -> None:
    """Rewrite what stands between the page's markers, and the figure."""
    records = results.load(Workspace.open(sys.argv[1]).results)
    boards = board.boards(r for r in records if r.model not in STUDENTS)
    text = PAGE.read_text(encoding="utf-8")
    text = put(text, "leaderboard", board.markdown(boards))
    text = put(text, "sib200", sib200(records))
    [spaces] = board.boards(r for r in records if r.task == "spaces" and r.model in STUDENTS)
    text = put(text, "spaces", alignment(spaces))
    PAGE.write_text(text, encoding="utf-8")
    draw(spaces)


def sib200(records: list[results.Record]) -> str:
    """Show zero-shot topics, and transfer from a language to another, with intervals."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for record in records:
        names = {"topics": TOPICS, "transfer": TRANSFER}.get(record.task, ())
        for score in record.scores if record.split == "test" else ():
            if score.name in names:
                value, low, high = (score.values[n] for n in (record.main, "low", "high"))
                cell = f"{value:.3f} [{low:.3f}, {high:.3f}]"
                found.setdefault((record.data, score.name), {})[record.model] = cell
    models = sorted({model for cells in found.values() for model in cells})
    rows = [[*key, *(cells.get(m, "–") for m in models)] for key, cells in sorted(found.items())]
    return table([["task", "score", *models], *rows])


def alignment(spaces: board.Board) -> str:
    """Show each language's mean alignment with the nine others."""
    rows = [
        [name.partition("·")[0], *(bold(cells[student]) for student in STUDENTS)]
        for name, cells in [*spaces.parts.items(), ("all", spaces.overall)]
    ]
    return table([["language", *STUDENTS], *rows])


def bold(cell: board.Cell) -> str:
    """Write a cell, in bold if it may be the best."""
    return f"**{cell}**" if cell.is_best else str(cell)


def draw(spaces: board.Board) -> None:
    """Draw each language's mean alignment with its interval."""
    with mpl.rc_context({"svg.hashsalt": "bitextile", "font.size": 10}):
        figure = Figure(figsize=(6.5, 2.8), layout="constrained")
        axes = figure.add_subplot()
        names = [name.partition("·")[0] for name in spaces.parts]
        for n, (student, colour) in enumerate(STUDENTS.items()):
            cells = [parts[student] for parts in spaces.parts.values()]
            at = [x + 0.2 * (n - 1) for x in range(len(cells))]
            spread = [[c.value - c.low for c in cells], [c.high - c.value for c in cells]]
            axes.errorbar(
                at, [c.value for c in cells], spread, fmt="o", ms=4, color=colour, label=student
            )
        axes.set_xticks(range(len(names)), names)
        axes.set_ylabel("mean linear CKA with the others")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, title="trained with")
        figure.savefig(FIGURE, metadata={"Date": None})


if __name__ == "__main__":
    main()
