"""Leaderboards: records of several encoders on the same data, compared draw by draw."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmarks.metrics import Estimate, Floats, interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from benchmarks.results import Record, Score


class Cell(NamedTuple):
    """A main value, its 95 % interval, and whether no other encoder is surely better."""

    value: float
    low: float
    high: float
    is_best: bool

    def __str__(self) -> str:
        """Write it as in a table of text; of one cluster no interval is known."""
        spread = "" if math.isnan(self.low) else f" [{self.low:.3f}, {self.high:.3f}]"
        return f"{self.value:.3f}{spread}"


@dataclass(frozen=True, slots=True)
class Board:
    """What encoders scored on one split of one set, and by language or pair.

    Attributes:
        name: of the set, and its split where that is not the test part.
        overall: by model, the mean over the scores that compare encoders.
        parts: by score, by model; empty where there is but one score.
    """

    name: str
    task: str
    split: str
    digest: str
    main: str
    overall: Mapping[str, Cell]
    parts: Mapping[str, Mapping[str, Cell]]


def boards(records: Iterable[Record]) -> list[Board]:
    """Group records that were made on the same data and compare their models.

    Records that were not drawn, such as speeds, are left out.
    """
    groups: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        if any(score.draws is not None for score in record.scores):
            key = (record.task, record.data, record.split, record.digest)
            groups.setdefault(key, []).append(record)
    return [_board(group) for group in groups.values()]


def _board(group: Sequence[Record]) -> Board:
    first = group[0]
    drawn = {r.model: {s.name: estimate_of(s, r.main) for s in comparable(r)} for r in group}
    names = list(dict.fromkeys(name for scores in drawn.values() for name in scores))
    parts = {
        name: compare({model: scores[name] for model, scores in drawn.items() if name in scores})
        for name in names
    }
    return Board(
        name=first.data + ("" if first.split == "test" else f" ({first.split})"),
        task=first.task,
        split=first.split,
        digest=first.digest,
        main=first.main,
        overall=compare({model: mean_of(list(scores.values())) for model, scores in drawn.items()}),
        parts=parts if len(parts) > 1 else {},
    )


def comparable(record: Record) -> list[Score]:
    """Give the scores by which encoders are compared."""
    return [score for score in record.scores if score.draws is not None]


def estimate_of(score: Score, main: str) -> Estimate:
    """Read a score's main value as the estimate that it came from."""
    draws = np.asarray(score.draws, np.float64)
    value = score.values[main]
    return Estimate(np.nan if value is None else value, *interval(draws), draws)


def mean_of(estimates: Sequence[Estimate]) -> Estimate:
    """Average scores; their draws resampled the same clusters where these are the same."""
    draws = np.mean([each.draws for each in estimates], axis=0)
    return Estimate(float(np.mean([each.value for each in estimates])), *interval(draws), draws)


def compare(models: Mapping[str, Estimate]) -> dict[str, Cell]:
    """Mark every model whose paired difference to the best has 0 in its 95 % interval."""
    best = max(models, key=lambda name: (models[name].value, name))
    return {
        name: Cell(*each[:3], name == best or is_tied(models[best].draws, each.draws))
        for name, each in models.items()
    }


def is_tied(best: Floats, other: Floats) -> bool:
    """Tell whether a paired difference [2,000] may be 0, or nothing is known of it."""
    low, high = interval(best - other)
    return not (low > 0 or high < 0)


def models_of(boards: Iterable[Board]) -> list[str]:
    """Rank models by their mean over the boards that they are on, best first."""
    values: dict[str, list[float]] = {}
    for board in boards:
        for model, cell in board.overall.items():
            values.setdefault(model, []).append(cell.value)
    return sorted(values, key=lambda model: (-float(np.nanmean(values[model])), model))


def markdown(boards: Sequence[Board]) -> str:
    """Write a table for a README or a card: a row a task, a column a model."""
    models = models_of(boards)
    lines = [f"| task | score | {' | '.join(models)} |", "|---" * (len(models) + 2) + "|"]
    for board in boards:
        cells = [_cell(board.overall.get(model)) for model in models]
        lines.append(f"| {board.name} | {board.main.replace('_', ' ')} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return "–"
    value = f"**{cell.value:.3f}**" if cell.is_best else f"{cell.value:.3f}"
    return value if math.isnan(cell.low) else f"{value} <sub>{cell.low:.3f}–{cell.high:.3f}</sub>"
