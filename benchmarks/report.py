"""The report of benchmarks: one HTML page that opens offline, and Markdown tables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

from benchmarks import board, plots, sets
from benchmarks.metrics import N_RESAMPLES
from benchmarks.tasks import efficiency
from corpus import tables
from corpus.errors import EmptyError
from corpus.plots import SETTINGS
from corpus.report import environment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from benchmarks.board import Board
    from benchmarks.results import Record

ORDINARY = efficiency.Setting(efficiency.ORDINARY, max(efficiency.BATCHES))
MAPPED = ("spaces", "transfer")  # kinds with a score for every two languages
ONE = efficiency.Setting(efficiency.ORDINARY, min(efficiency.BATCHES))

FILTERS: dict[str, Callable[[Any], str]] = {
    "score": lambda v: "–" if v is None or v != v else f"{v:.3f}",
    "number": lambda v: "–" if v is None else f"{v:,.{1 if v < 100 else 0}f}",
    "anchor": lambda name: re.sub(r"[^\w-]+", "-", str(name)),
}


def build(records: Sequence[Record], name: str, path: Path) -> list[Path]:
    """Write the page, and its leaderboard as Markdown beside it.

    Args:
        records: what to show; the newest version of each model.
        name: of the page.
        path: of the page.

    Raises:
        EmptyError: there are no records.
    """
    if not records:
        raise EmptyError(f"no results to report in {path.parent}; first benchmarks run MODEL")
    boards = board.boards(records)
    own = plots.colours(_models(records, boards))
    chances = {spec.name: spec.chance for spec in sets.catalogue().values()}
    pages = environment("benchmarks")
    pages.filters |= FILTERS
    template = pages.get_template("benchmarks.html")
    with mpl.rc_context(SETTINGS):
        page = template.render(
            name=name,
            boards=boards,
            colours=own,
            chances=chances,
            resamples=N_RESAMPLES,
            speed=_speed(records, boards, own),
            tasks=[_task(each, records, own) for each in boards],
            others=[r for r in records if not _is_shown(r)],
        )
    tables.write_text(path, page)
    table = path.with_suffix(".md")
    tables.write_text(table, board.markdown(boards))
    return [path, table]


def _is_shown(record: Record) -> bool:
    return record.task == efficiency.NAME or bool(board.comparable(record))


def _models(records: Sequence[Record], boards: Sequence[Board]) -> list[str]:
    """Name all models, ranked where they were compared."""
    ranked = board.models_of(boards)
    return [*ranked, *sorted({r.model for r in records if _is_shown(r)} - {*ranked})]


def _task(each: Board, records: Sequence[Record], own: Mapping[str, str]) -> dict[str, Any]:
    """Gather what the page shows of one task."""
    spec = sets.catalogue().get(each.name.partition(" ")[0])
    key = (each.task, each.split, each.digest)
    mine = [r for r in records if (r.task, r.split, r.digest) == key]
    cells = {r.model: _cells(r) for r in mine if each.task in MAPPED}
    return {
        "board": each,
        "summary": f"{spec.summary} {spec.size}. {spec.citation}; {spec.licence}." if spec else "",
        "plot": plots.intervals(each.parts or {"all": each.overall}, each, own),
        "maps": {m: plots.heat_map(c, f"{each.name} of {m}") for m, c in cells.items() if c},
        "tables": {r.model: _table(r) for r in mine},
    }


def _table(record: Record) -> dict[str, Any]:
    columns = list(dict.fromkeys(key for score in record.scores for key in score.values))
    rows = {s.name: [s.values.get(column) for column in columns] for s in record.scores}
    return {"columns": columns, "rows": rows}


def _cells(record: Record) -> dict[tuple[str, str], float]:
    """Read the scores ``a·b`` and ``a→b`` of a record as cells of a heat map."""
    cells = {}
    for score in record.scores:
        match = re.fullmatch(r"([\w-]+)([·→])([\w-]+)", score.name)
        value = score.values.get(record.main)
        if match and match[3] != "others" and value is not None:
            cells[match[1], match[3]] = value
            if match[2] == "·":
                cells[match[3], match[1]] = value
                cells[match[1], match[1]] = cells[match[3], match[3]] = 1.0
    return cells


def _speed(
    records: Sequence[Record], boards: Sequence[Board], own: Mapping[str, str]
) -> dict[str, Any] | None:
    """Gather speeds, and a plot of the score by speed over the tasks that all models ran."""
    timed = {r.model: {s.name: s.values for s in r.scores} for r in records
             if r.task == efficiency.NAME}  # fmt: skip
    if not timed:
        return None
    speeds = list(dict.fromkeys(name for rows in timed.values() for name in rows if name != "size"))
    sizes = list(dict.fromkeys(key for rows in timed.values() for key in rows["size"]))
    rows = {
        model: [
            *(values.get(name, {}).get(efficiency.MAIN) for name in speeds),
            values.get(str(ONE), {}).get("milliseconds"),
            *map(values["size"].get, sizes),
        ]
        for model, values in timed.items()
    }
    common = [each for each in boards if timed.keys() <= each.overall.keys()]
    points = {
        model: (
            float(values[str(ORDINARY)][efficiency.MAIN] or 0),
            sum(each.overall[model].value for each in common) / len(common),
        )
        for model, values in timed.items()
        if common
    }
    return {
        "columns": [*speeds, "ms for one", *sizes],
        "rows": rows,
        "plot": plots.speed(points, own) if points else None,
    }
