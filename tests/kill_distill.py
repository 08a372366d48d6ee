"""Kill trainings and let them go on: ``python -m tests.kill_distill [--kills 10]``.

A static student and a small transformer are each trained once in peace and once with kills
(kill -9) at random moments, every other one while a checkpoint is being written. Prints by how
much weights and dev scores of the two differ.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

RECIPES = {
    "static": """
name = "static"
summary = "A static one."
vocabulary = 300
dim = 64
[training]
epochs = 60
batch = 16
rate = 0.02
scale = 10
temperature = 1
teacher_weight = 0
""",
    "transformer": """
name = "transformer"
summary = "A transformer."
[student]
vocabulary = 150
layers = 1
hidden = 32
heads = 2
max_length = 16
[losses]
mnr = 1
[training]
epochs = 6
batch = 32
rate = 0.003
evaluations = 12
patience = 12
""",
}


def write_pairs(path: Path, n: int) -> None:
    """Write sentences over 30 words; lbNN and enNN mean the same."""
    draw = np.random.default_rng(0).integers(10, 40, size=(n, 5))
    rows = ["\t".join(" ".join(f"{lang}{w}" for w in row) for lang in ("lb", "en")) for row in draw]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def start(folder: Path, kind: str, out: Path) -> subprocess.Popen[bytes]:
    """Start a training."""
    code = "from distill.cli import main; main()"
    args = ["run", str(folder / f"{kind}.toml"), "--data", str(folder / "lb-en.tsv")]
    args += ["--no-reserved", "--out", str(out), "-w", str(folder)]
    return subprocess.Popen(
        [sys.executable, "-c", code, *args],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def is_writing(out: Path) -> bool:
    """Tell whether a checkpoint is being written."""
    folders = list(out.glob("checkpoints/*/checkpoint-*"))
    parts = list(out.glob(".checkpoint.safetensors.part"))
    return bool(parts) or any(not (f / "trainer_state.json").exists() for f in folders)


def has_checkpoint(out: Path) -> bool:
    """Tell whether there is one to go on from."""
    return any(out.glob("checkpoint.safetensors")) or any(
        out.glob("checkpoints/*/checkpoint-*/trainer_state.json")
    )


def kill_when(
    process: subprocess.Popen[bytes], seen: Callable[[], bool], seconds: float = 0
) -> bool:
    """Kill a process some time after something is seen; False where it ended before."""
    while process.poll() is None:
        if seen():
            time.sleep(seconds)
            process.send_signal(signal.SIGKILL)
            process.wait()
            return True
        time.sleep(0.0005)
    return False


def compare(folder: Path, kind: str, kills: int) -> dict[str, float]:
    """Train in peace and with kills.

    Returns:
        Kills that hit, those of them in the middle of a checkpoint, and the largest
        difference of weights and of dev scores.
    """
    (folder / f"{kind}.toml").write_text(RECIPES[kind], encoding="utf-8")
    if not (folder / "lb-en.tsv").exists():
        write_pairs(folder / "lb-en.tsv", 800)
    peace, killed = folder / f"{kind}-peace", folder / f"{kind}-killed"
    if start(folder, kind, peace).wait():
        raise RuntimeError("the run in peace failed")
    draw, hits, torn = random.Random(0), 0, 0
    for n in range(kills):
        process = start(folder, kind, killed)
        seen, wait = (is_writing, 0.0) if n % 2 else (has_checkpoint, draw.uniform(0, 0.5))
        hits += kill_when(process, lambda seen=seen: seen(killed), wait)  # type: ignore[misc]
        torn += is_writing(killed)
    if start(folder, kind, killed).wait():
        raise RuntimeError("the last run failed")
    facts = []
    for out in (peace, killed):
        found = (out / "distilled.json").read_text(encoding="utf-8")
        facts.append(json.loads(found)["health"])
    a, b = (load_file(out / "model.safetensors") for out in (peace, killed))
    return {
        "kills": hits,
        "in the middle of a checkpoint": torn,
        "weights differ by": max(
            float(np.abs(a[k].astype(float) - b[k].astype(float)).max()) for k in a
        ),
        "dev differs by": max(abs(facts[0][k] - facts[1][k]) for k in facts[0]),
    }


def main() -> None:
    """Compare both kinds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for kind in RECIPES:
            found = compare(Path(folder), kind, options.kills)
            sys.stdout.write(f"{kind}: {found}\n")


if __name__ == "__main__":
    main()
