"""Records of scores: one JSON file per model, task, data and split."""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from corpus import __version__, tables
from corpus.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from benchmarks.metrics import Estimate


@dataclass(frozen=True, slots=True)
class Score:
    """What was scored, such as ``lb→en margin``, and its values by name.

    Attributes:
        draws: of the main value [2,000], where encoders are compared by this score.
    """

    name: str
    values: Mapping[str, float | None]
    draws: NDArray[np.floating] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Record:
    """One measurement, with all that is needed to make it again.

    Attributes:
        digest: sha256 of the data that decided the scores.
        n: lines, or documents, that were scored.
        main: name of the value that counts.
    """

    task: str
    data: str
    split: str
    languages: Sequence[str]
    model: str
    revision: str
    digest: str
    n: int
    scores: Sequence[Score]
    main: str = "accuracy"
    bitextile: str = field(default=__version__)

    @property
    def filename(self) -> str:
        """Name the record's file: readable, and different for different measurements."""
        identity = (self.task, self.data, self.split, self.model, self.revision)
        digest = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:8]
        words = "-".join((self.task, self.data, self.split, self.model))
        slug = re.sub(r"[^A-Za-z0-9.]+", "-", words).strip("-.")[:80]
        return f"{slug}-{digest}.json"

    def as_json(self) -> dict[str, object]:
        """Give the record as plain values, rounded to what can mean something."""
        values = {name: getattr(self, name) for name in self.__slots__}
        values["scores"] = [
            {
                "name": score.name,
                "values": {k: _rounded(v) for k, v in score.values.items()},
            }
            for score in self.scores
        ]
        return values


def _rounded(value: float | None) -> float | None:
    """Round to what can mean something; what is undefined is null in JSON."""
    return None if value is None or math.isnan(value) else round(value, 6)


def save(folder: Path, record: Record) -> Path:
    """Write a record, whole or not at all; a repeated measurement takes its place.

    The draws of its scores stand beside it as Parquet, a column for each score.
    """
    path = folder / record.filename
    drawn = {s.name: s.draws.astype(np.float32) for s in record.scores if s.draws is not None}
    if drawn:
        tables.write_whole(path.with_suffix(".parquet"), pl.DataFrame(drawn).write_parquet)
    tables.write_text(path, json.dumps(record.as_json(), ensure_ascii=False, indent=1) + "\n")
    return path


def load(folder: Path) -> list[Record]:
    """Read the records of a folder with their draws; older ones without a main score too.

    Raises:
        InputError: a file is no record.
    """
    return [_load(path) for path in sorted(folder.glob("*.json"))]


def _load(path: Path) -> Record:
    drawn = path.with_suffix(".parquet")
    try:
        draws = pl.read_parquet(drawn) if drawn.exists() else pl.DataFrame()
        values = json.loads(path.read_text(encoding="utf-8"))
        values["scores"] = [
            Score(
                score["name"],
                score["values"],
                draws[score["name"]].to_numpy() if score["name"] in draws.columns else None,
            )
            for score in values["scores"]
        ]
        return Record(**values)
    except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError) as error:
        raise InputError(
            f"{path} is no record of benchmarks: {error}; delete it, run again"
        ) from error


def scored(
    name: str,
    main: str,
    found: Estimate,
    others: Mapping[str, float | None] | None = None,
    *,
    paired: bool = True,
) -> Score:
    """Make a score of an estimate: its main value and interval first, then others.

    Args:
        name: of the score.
        main: name of its main value.
        found: the estimate.
        others: further values by name.
        paired: keep the draws, which compare encoders.
    """
    values = {main: found.value, "low": found.low, "high": found.high, **(others or {})}
    return Score(name, values, found.draws if paired else None)
