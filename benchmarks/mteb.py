"""MTEB: its tasks by name where it is installed, and our records in its JSON.

A record becomes ``MODEL/REVISION/TASK.json`` as in MTEB's results repository: scores by
split, each with ``main_score``, ``hf_subset`` and ``languages``.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from benchmarks.results import Record, Score
from corpus import tables
from corpus.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from benchmarks.models import Once

PREFIX = "mteb:"


def as_mteb(record: Record) -> dict[str, Any]:
    """Give a record in MTEB's layout; a score's name is its subset, one without is left out."""
    scores = [
        {
            **{name: value for name, value in score["values"].items() if value is not None},
            "main_score": score["values"].get(record.main),
            "hf_subset": score["name"],
            "languages": languages_of(score["name"], record),
        }
        for score in record.as_json()["scores"]  # type: ignore[attr-defined]
        if score["values"].get(record.main) is not None
    ]
    return {
        "dataset_revision": record.digest[:40] or "none",
        "task_name": f"Bitextile-{record.data}",
        "mteb_version": None,
        "evaluation_time": None,
        "kg_co2_emissions": None,
        "scores": {record.split: scores},
    }


def languages_of(name: str, record: Record) -> list[str]:
    """Give the languages of a score in MTEB's form, such as ltz-Latn."""
    from langcodes import Language

    own = re.findall(r"[a-z]{2,3}(?=[→·]|\b)", name.partition(" ")[0])
    named = [lang for lang in own if lang in record.languages] or list(record.languages)
    full = [Language.get(lang).maximize() for lang in named]
    return [f"{each.to_alpha3()}-{each.script}" for each in full]


def save(folder: Path, records: Iterable[Record]) -> None:
    """Write records in MTEB's layout below a folder; splits of one task share a file."""
    for record in records:
        model = re.sub(r"[^\w.-]+", "__", record.model).strip("_")
        path = folder / model / (record.revision or "none") / f"Bitextile-{record.data}.json"
        said = as_mteb(record)
        if path.exists():
            old = json.loads(path.read_text(encoding="utf-8"))
            if old["dataset_revision"] == said["dataset_revision"]:
                said["scores"] = old["scores"] | said["scores"]
        tables.write_text(path, json.dumps(said, ensure_ascii=False, indent=1) + "\n")


def run(name: str, encoder: Once) -> list[Record]:
    """Run a task of MTEB by name (``mteb:NTREXBitextMining``) on an encoder.

    Raises:
        MissingExtraError: MTEB is not installed.
        InputError: it has no such task, or the task failed.
    """
    try:
        import mteb
    except ImportError as error:
        raise MissingExtraError(f"the task {name}", "mteb") from error
    try:
        task = mteb.get_task(name.removeprefix(PREFIX))
        result = mteb.evaluate(Model(mteb, encoder), task, cache=None)[0]
    except Exception as error:  # data, network and task errors share no narrower root
        raise InputError(f"{type(error).__name__}: {str(error).splitlines()[0]}") from error
    return [
        Record(
            task="mteb",
            data=result.task_name,
            split=split,
            languages=sorted({lang for each in scores for lang in each["languages"]}),
            model=encoder.name,
            revision=encoder.revision,
            digest=result.dataset_revision,
            n=len(scores),
            scores=[Score(each["hf_subset"], _numbers(each)) for each in scores],
            main="main_score",
        )
        for split, scores in result.scores.items()
    ]


def _numbers(values: dict[str, Any]) -> dict[str, float | None]:
    return {k: float(v) for k, v in values.items() if isinstance(v, int | float)}


class Model:
    """An encoder as MTEB takes one: batches of dictionaries in, rows out."""

    def __init__(self, mteb: Any, encoder: Once) -> None:  # noqa: ANN401 - an optional module
        """Wrap an encoder; similarity is the cosine of its unit rows."""
        self._encoder = encoder
        name = encoder.name if "/" in encoder.name.strip("/") else f"bitextile/{encoder.name}"
        meta = {"name": "/".join(name.split("/")[-2:]), "revision": encoder.revision}
        self.mteb_model_meta = mteb.models.ModelMeta.create_empty(overwrites=meta)

    def encode(self, inputs: Iterable[dict[str, list[str]]], **_: object) -> NDArray[np.float32]:
        """Encode all batches to rows [n, dim]."""
        return self._encoder.encode([text for batch in inputs for text in batch["text"]])

    def similarity(self, a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compare all rows of a with all of b [n, m]."""
        return a @ b.T

    def similarity_pairwise(
        self, a: NDArray[np.float32], b: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Compare rows of equal number [n]."""
        product: NDArray[np.float32] = (a * b).sum(axis=1)
        return product
