"""Records of scores: one JSON file per model, task, data and split."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from corpus import __version__, tables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

N_RESAMPLES = 2_000
SEED = 20_260


@dataclass(frozen=True, slots=True)
class Score:
    """What was scored, such as ``lb→en margin``, and its values by name."""

    name: str
    values: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Record:
    """One measurement, with all that is needed to make it again.

    Attributes:
        digest: sha256 of the data that decided the scores.
        n: lines, or documents, that were scored.
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
        record = asdict(self)
        for score in record["scores"]:
            score["values"] = {
                name: value if value is None else round(value, 6)
                for name, value in score["values"].items()
            }
        return record


def save(folder: Path, record: Record) -> Path:
    """Write a record, whole or not at all; a repeated measurement takes its place."""
    path = folder / record.filename
    tables.write_text(path, json.dumps(record.as_json(), ensure_ascii=False, indent=1) + "\n")
    return path


def bootstrap(right: NDArray[np.bool_], clusters: Sequence[str]) -> tuple[float, float]:
    """Estimate the 95 % interval of an accuracy by resampling whole clusters.

    Args:
        right: which items are right [n].
        clusters: each item's cluster, such as its document [n].

    Returns:
        The 2.5th and the 97.5th percentile of 2,000 resamples with a fixed seed.
    """
    _, of = np.unique(np.asarray(clusters), return_inverse=True)
    n_right, n_items = np.bincount(of, weights=right), np.bincount(of)
    draws = np.random.default_rng(SEED).multinomial(
        len(n_items), np.full(len(n_items), 1 / len(n_items)), size=N_RESAMPLES
    )
    low, high = np.percentile((draws @ n_right) / (draws @ n_items), [2.5, 97.5])
    return float(low), float(high)
