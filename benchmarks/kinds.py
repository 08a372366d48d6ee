"""The kinds of tasks: how each is scored, and a description of all that ship."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from benchmarks import sets
from benchmarks.tasks import (
    bitext,
    classification,
    efficiency,
    monotone,
    similarity,
    spaces,
    topics,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.models import Once
    from benchmarks.results import Score


class Kind(NamedTuple):
    """How a kind of task is scored, its main value, and whether it takes all rows."""

    run: Callable[[sets.Data, Once, str], list[Score]]
    main: str
    whole: bool = False


KINDS = {
    "beads": Kind(monotone.run, monotone.MAIN),
    "bitext": Kind(bitext.run, bitext.MAIN),
    "classification": Kind(classification.run, classification.MAIN),
    "detection": Kind(similarity.run_detection, similarity.DETECTION_MAIN),
    "spaces": Kind(spaces.run, spaces.MAIN, whole=True),
    "sts": Kind(similarity.run_sts, similarity.STS_MAIN),
    "topics": Kind(topics.run, topics.MAIN),
    "transfer": Kind(classification.run_transfer, classification.TRANSFER_MAIN),
    "triples": Kind(similarity.run_triples, similarity.TRIPLES_MAIN),
}


def listing() -> list[dict[str, object]]:
    """Describe the tasks."""
    return [
        {
            "task": spec.name,
            "what": spec.summary,
            "languages": ", ".join(spec.languages),
            "size": spec.size,
            "licence": spec.licence,
            "main score": main_of(spec),
            "chance": spec.chance,
            "differ by": None if spec.items == 1 else round(spec.least_difference, 3),
            "citation": spec.citation,
        }
        for spec in sets.catalogue().values()
    ]


def main_of(spec: sets.Set) -> str:
    """Name the value that counts of a set."""
    return efficiency.MAIN if spec.kind == efficiency.NAME else KINDS[spec.kind].main
