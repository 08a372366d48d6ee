"""Quality floors on real data: ``python -m tests.floors`` raises them, never lowers.

A floor is what was once measured on the test documents, less what another machine's
rounding may cost.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import newsroom, sets
from benchmarks import run as bitext
from benchmarks.models import load_model
from benchmarks.tasks import monotone
from corpus.console import Console
from tests import extraction_quality, language_quality

FLOORS = Path(__file__).with_suffix(".json")
SHARED = Path(__file__).parents[2] / "shared" / "data"
SLACK = 0.003
PAIRS = ("lb-en", "lb-fr", "bn-en")
RETRIEVAL = (("lb", "en"), ("bn", "en"), ("fr", "en"), ("de", "en"))


def measure(ntrex: Path) -> dict[str, float]:
    """Measure the whole chain and retrieval by `embedded` on the test documents."""
    found = {}
    for record in newsroom.run(Console(Path("/nowhere")), ntrex, PAIRS):
        if record.split == "test":
            langs = "-".join(record.languages)
            for score in record.scores[:2]:
                found[f"newsroom {langs} {score.name} F1"] = score.values["f1"]
    for src, tgt in RETRIEVAL:
        for record in bitext("embedded", ntrex, (src, tgt), "test"):
            for score in record.scores:
                if score.name.startswith(src):
                    found[f"embedded {score.name}"] = score.values["accuracy"]
    return {name: round(value, 4) for name, value in found.items() if value is not None}


def measure_beads(data: Path) -> dict[str, float]:
    """Measure monotone alignment by `embedded` on the test documents of Text+Berg."""
    with TemporaryDirectory() as folder:
        encoder = load_model("embedded", None, Path(folder))
        scores = monotone.run(sets.load(*sets.find("textberg", data)), encoder, "test")
    return {f"beads {s.name} F1": round(s.values["f1"] or 0, 4) for s in scores}


def raised(old: dict[str, float], new: dict[str, float]) -> dict[str, float]:
    """Raise floors to what was measured; refuse to lose or lower one.

    Raises:
        ValueError: a floor is not reached any more.
    """
    fallen = {name: new.get(name) for name, floor in old.items() if new.get(name, -1.0) < floor}
    if fallen:
        raise ValueError(f"floors are not lowered: {fallen}")
    return {name: max(old.get(name, 0.0), round(v - SLACK, 4)) for name, v in sorted(new.items())}


if __name__ == "__main__":
    found = measure(SHARED / "ntrex" / "ntrex.tsv") | measure_beads(SHARED)
    found |= language_quality.measure(data=SHARED)
    found |= {k: v for k, v in extraction_quality.measure(data=SHARED).items() if "plain" not in k}
    floors = raised(json.loads(FLOORS.read_text()), found)
    FLOORS.write_text(json.dumps(floors, indent=1, ensure_ascii=False) + "\n")
    sys.stdout.write(f"{len(floors)} floors\n")
