"""Write the generated tables of README and card: ``python docs/readme_tables.py DEMO [NTREX]``.

DEMO is the workspace of ``make demo``; NTREX is a TSV with doc, n and languages. With
NTREX the figures of the whole chain and of retrieval are measured and written too.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tables import put, table

from align.summary import samples
from corpus.pairs import sentence_pairs
from corpus.workspace import Workspace

README = Path(__file__).parents[1] / "README.md"
CARD = Path(__file__).parents[1] / "align" / "embedded" / "README.md"
PAIRS = ("lb-en", "lb-fr", "bn-en")
COLUMNS = ("lb,en", "bn,en")
CARD_COLUMNS = ("lb,en", "fr,en", "de,en", "bn,en", "lb,fr")
WAYS = ("cosine", "margin", "cosine+lexical", "margin+lexical")


def main() -> None:
    """Rewrite what stands between the README's markers."""
    text = put(README.read_text(encoding="utf-8"), "pairs", table(mined(Path(sys.argv[1]))))
    if len(sys.argv) > 2:
        tsv = sys.argv[2]
        text = put(text, "newsroom", table(newsroom(tsv)))
        text = put(text, "bitext", table(bitext(tsv)))
        own = CARD.read_text(encoding="utf-8")
        CARD.write_text(put(own, "card", table(figures(tsv))), encoding="utf-8")
    README.write_text(text, encoding="utf-8")


def mined(root: Path) -> list[list[str]]:
    """Take the pairs that `align sentences` shows."""
    found = samples(sentence_pairs(Workspace.open(root), "lb-en"), shown=100)
    rows = [[f"{margin:.2f}", f"{sim:.2f}", src, tgt] for margin, sim, src, tgt in found]
    return [["margin", "cosine", "Luxembourgish", "English"], *rows]


def newsroom(tsv: str) -> list[list[str]]:
    """Measure the whole chain."""
    wanted = [part for pair in PAIRS for part in ("--pair", pair)]
    rows = [["languages", "documents", "what", "precision", "recall", "F1"]]
    for record in run("newsroom", tsv, *wanted):
        if record["split"] == "test":
            rows += [
                ["-".join(record["languages"]), str(record["n"]), score["name"]]
                + [f"{score['values'][name]:.3f}" for name in ("precision", "recall", "f1")]
                for score in record["scores"][:2]
            ]
    return rows


def bitext(tsv: str) -> list[list[str]]:
    """Measure retrieval."""
    wanted = [part for columns in COLUMNS for part in ("--columns", columns)]
    rows = [["retrieval", "accuracy", "F1", "xsim error"]]
    for record in run("run", "embedded", "--tsv", tsv, *wanted, "--split", "test"):
        rows += [
            [score["name"]]
            + [f"{score['values'][name]:.3f}" for name in ("accuracy", "f1", "xsim")]
            for score in record["scores"]
        ]
    return rows


def figures(tsv: str) -> list[list[str]]:
    """Measure retrieval on dev and test, for the card of the embedded encoder."""
    rows = [["retrieval", "split", *WAYS]]
    for columns in CARD_COLUMNS:
        name = columns.replace(",", "→")
        for split in ("dev", "test"):
            args = ("--tsv", tsv, "--columns", columns, "--split", split)
            [record] = run("run", "embedded", *args)
            found = {s["name"]: f"{s['values']['accuracy']:.3f}" for s in record["scores"]}
            rows.append([name, split, *(found[f"{name} {way}"] for way in WAYS)])
    return rows


def run(*args: str) -> list[dict]:
    """Run `benchmarks` and read its records."""
    command = [sys.executable, "-m", "benchmarks.cli", *args, "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


if __name__ == "__main__":
    main()
