"""Make the tables of docs/distilling.md: ``python docs/distilling_tables.py DATA NAME...``.

NAME is ``losses``, ``tokenizers`` or ``mixtures``; DATA holds the evaluation sets that
``benchmarks list`` names, and training pairs in DATA/train. Models stand in --models, and are
not trained again where they are there. The English teacher is --teacher (a path or Hub id).
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from tables import Rows, put, table

if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE = Path(__file__).with_name("distilling.md")
BANGLA = ("risingnews", "ipc", "bn-hate-explainer", "bn-hate")
FEW = ("cy", "eu", "fo", "ga", "is", "mt", "sw")  # low-resource, in Latin letters, not trained on


def main() -> None:
    """Train what is named, score it, and write its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("names", nargs="+", choices=sorted(TABLES))
    parser.add_argument("--teacher", default="sentence-transformers/all-MiniLM-L6-v2")
    parser.add_argument("--models", type=Path, default=Path("distilling"))
    options = parser.parse_args()
    options.models.mkdir(exist_ok=True)
    if not (options.models / "bitextile.toml").exists():
        run("corpus", "init", "--contact", "you@example.org", "-w", str(options.models))
    for name in options.names:
        rows = TABLES[name](options.data.resolve(), options.teacher, options.models.resolve())
        PAGE.write_text(put(PAGE.read_text(encoding="utf-8"), name, table(rows)), encoding="utf-8")


def bangla(data: Path, teacher: str, models: Path, variants: dict[str, list[str]]) -> Rows:
    """Train variants of bangla-small on the same pairs, and score them beside their start."""
    for name, changes in variants.items():
        sets = [x for changed in changes for x in ("--set", changed)]
        kept_out = [
            x
            for name in ("risingnews", "ipc", "tasks/bn", "ntrex")
            for x in ("--reserved", str(data / name))
        ]
        dev = ("--dev", str(data / "risingnews" / "valid.bn-en.tsv"))
        where = ("--out", str(models / name), "-w", str(models))
        pairs = ("--data", str(data / "train" / "en-bn.tsv"), "--teacher", teacher)
        run("distill", "run", "bangla-small", *pairs, *dev, *kept_out, *sets, *where)
    facts = {name: json.loads((models / name / "distilled.json").read_text()) for name in variants}
    first = next(iter(variants))
    forget(models / first, models / "untrained")
    facts["untrained"] = {"health": facts[first]["start"]}
    scores = scored(data, models, list(facts), BANGLA)
    header = ["student", "dev", *("bn→en " + t for t in BANGLA[:2]), *BANGLA[2:]]
    return [header] + [
        [name, f"{facts[name]['health']['retrieval']:.3f}"]
        + [
            pick(scores, name, "risingnews", "bn→en cosine"),
            pick(scores, name, "ipc", "bn→en cosine"),
        ]
        + [pick(scores, name, task, "") for task in BANGLA[2:]]
        for name in facts
    ]


def forget(trained: Path, out: Path) -> None:
    """Write a student as it was before it learned: its layers and tokenizer, drawn weights."""
    import torch
    from sentence_transformers import SentenceTransformer

    torch.manual_seed(0)
    model = SentenceTransformer(str(trained), local_files_only=True)
    for layer in model.modules():
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()
    model[0].auto_model.apply(model[0].auto_model._init_weights)
    model.save(str(out), create_model_card=False)


def losses(data: Path, teacher: str, models: Path) -> Rows:
    """Compare MSE, MNR and both."""
    only = {"mse": ["losses.mnr=0"], "mnr": ["losses.mse=0", "student.dim=384"], "both": []}
    return bangla(data, teacher, models, only)


def tokenizers(data: Path, teacher: str, models: Path) -> Rows:
    """Compare an uncased English tokenizer and one of the student's own."""
    return bangla(
        data, teacher, models, {"both": [], "uncased": [f"student.tokenizer='{teacher}'"]}
    )


def mixtures(data: Path, _teacher: str, models: Path) -> Rows:
    """Compare mixtures of language pairs for a static student."""
    pairs, dev = models / "pairs", models / "dev.tsv"
    pairs.mkdir(exist_ok=True)
    for name in ("en-lb", "fr-lb", "en-fr"):
        (pairs / f"{name}.tsv").write_bytes((data / "train" / f"{name}.tsv").read_bytes())
    texts: dict[str, dict[str, str]] = {}
    with (data / "sib200" / "sib200.tsv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row["split"] != "test" and row["lang"] in ("lb", "en", "fr"):
                texts.setdefault(row["index_id"], {})[row["lang"]] = row["text"]
    lines = [
        "doc\ten\tfr\tlb",
        *(f"{n}\t{t['en']}\t{t['fr']}\t{t['lb']}" for n, t in texts.items()),
    ]
    dev.write_text("\n".join(lines) + "\n", encoding="utf-8")
    kept_out = [x for name in ("ntrex", "sib200") for x in ("--reserved", str(data / name))]
    out = models / "pair-mix"
    where = ("--data", str(pairs), "--dev", str(dev), "--out", str(out), "-w", str(models))
    done = json.loads(run("distill", "run", "pair-mix", *where, *kept_out, "--json"))
    names = list(done["mixtures"])
    found = scored(data, out, names, ("flores", "sib200-spaces"))
    header = ["trained on", "pairs", "lb→en", "lb→fr", "seven others→en"]
    header += ["CKA lb·en", "CKA lb·fr", "CKA lb·others"]
    rows = [header]
    for name in names:
        others = [float(pick(found, name, "flores", f"{lang}→en cosine")) for lang in FEW]
        row = [name, str(done["mixtures"][name]["n_pairs"])]
        row += [pick(found, name, "flores", f"lb→{lang} cosine") for lang in ("en", "fr")]
        row += [f"{mean(others):.3f}"]
        rows.append(row + [pick(found, name, "sib200-spaces", what) for what in SPACES])
    return rows


SPACES = ("en·lb", "fr·lb", "lb·others")
TABLES = {"losses": losses, "tokenizers": tokenizers, "mixtures": mixtures}
Found = dict[tuple[str, str, str], str]


def scored(data: Path, models: Path, names: Iterable[str], tasks: Iterable[str]) -> Found:
    """Score models on the test parts of tasks: main values by model, task and score."""
    wanted = [x for task in tasks for x in ("--task", task)]
    specs = [f"{name}={models / name}" for name in names]
    out = run(
        "benchmarks", "run", *specs, "--data", str(data), *wanted, "--json", "-w", str(models)
    )
    found = {}
    for record in json.loads(out):
        for score in record["scores"]:
            value = next(iter(score["values"].values()))
            found[record["model"], record["data"], score["name"]] = f"{value:.3f}"
    return found


def pick(found: Found, model: str, task: str, name: str) -> str:
    """Take a value; without a name the task's first."""
    names = [key for key in found if key[:2] == (model, task) and key[2].startswith(name)]
    return found[names[0]]


def run(program: str, *args: str) -> str:
    """Run a command of this project and give what it prints."""
    code = f"from {program}.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code, *args], check=True, stdout=subprocess.PIPE)
    return done.stdout.decode()


if __name__ == "__main__":
    main()
