"""Make the table of docs/embedded.md that trains anew: ``python docs/embedded_tables.py DATA``.

DATA holds ntrex/ntrex.tsv, the sets that are kept out, and training pairs in DATA/train. Models
stand in --models, and are not trained again where they are there; each takes about eight minutes
on two cores. The English teacher is --teacher (a path or Hub id).
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from statistics import mean

from distilling_tables import run
from tables import Rows, put, table

PAGE = Path(__file__).with_name("embedded.md")
PAIRS = ("lb,en", "fr,en", "de,en", "bn,en", "lb,fr", "lb,de")
KEPT_OUT = ("ntrex", "sib200", "tatoeba", "udhr", "ipc", "risingnews", "tasks", "textberg")
READINGS = ("cosine", "margin", "cosine+lexical", "margin+lexical")
SHORT = "training.epochs=4"  # of sixteen
IDEAS: dict[str, list[str]] = {
    "the recipe, 4 epochs": [],
    "without a teacher": ["teacher=''"],
    "without terms": [],
    "half the vocabulary": ["vocabulary=25000"],
}


def main() -> None:
    """Train what is not there yet, score it on the development documents, write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--teacher", default="sentence-transformers/all-MiniLM-L6-v2")
    parser.add_argument("--models", type=Path, default=Path("ideas"))
    options = parser.parse_args()
    data, models = options.data.resolve(), options.models.resolve()
    sentences = models / "sentences"  # pairs without the terms
    sentences.mkdir(parents=True, exist_ok=True)
    for file in data.glob("train/*.tsv"):
        if not file.name.startswith("terms-"):
            (sentences / file.name).write_bytes(file.read_bytes())
    kept_out = [x for name in KEPT_OUT for x in ("--reserved", str(data / name))]
    for idea, changes in IDEAS.items():
        pairs = sentences if idea == "without terms" else data / "train"
        sets = [x for changed in (SHORT, *changes) for x in ("--set", changed)]
        teacher = () if "teacher=''" in changes else ("--teacher", options.teacher)
        what = ("--data", str(pairs), *teacher, *kept_out, *sets)
        run("distill", "run", "embedded", *what, "--out", str(models / name(idea)))
    text = put(PAGE.read_text(encoding="utf-8"), "ideas", table(scores(data, models)))
    PAGE.write_text(text, encoding="utf-8")


def name(idea: str) -> str:
    """Name an idea's model."""
    return idea.replace(",", "").replace(" ", "-")


def scores(data: Path, models: Path) -> Rows:
    """Average retrieval on the development documents over all pairs, both ways."""
    specs = [f"{name(idea)}={models / name(idea)}" for idea in IDEAS]
    wanted = [x for pair in PAIRS for x in ("--columns", pair)]
    news = ("--tsv", str(data / "ntrex" / "ntrex.tsv"), *wanted, "--split", "dev")
    if not (models / "bitextile.toml").exists():
        run("corpus", "init", "--contact", "you@example.org", "-w", str(models))
    found = defaultdict(list)
    for record in json.loads(run("benchmarks", "run", *specs, *news, "--json", "-w", str(models))):
        for score in record["scores"]:
            found[record["model"], score["name"].split()[1]].append(score["values"]["accuracy"])
    cells = [[f"{mean(found[name(idea), reading]):.3f}" for reading in READINGS] for idea in IDEAS]
    return [["trained", *READINGS], *([idea, *row] for idea, row in zip(IDEAS, cells, strict=True))]


if __name__ == "__main__":
    main()
