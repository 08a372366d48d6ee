"""Exact mining beside the usual script: ``python -m benchmarks.speed.mining TSV...``.

Each TSV names its columns in a header, or in its name: ``en-lb.tsv``. Their vectors by
``embedded`` are repeated to the size and the dimensions that are asked for, each copy
moved a little, so that all rows have near neighbours. The usual script searches two
flat indexes of FAISS, one a direction, and scores and matches in Python. Both run in
turns; the least time of each counts.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from align import mining
from align.encoders import load_encoder
from align.neighbours import Embedded, nearest
from align.products import has_bfloat16, import_faiss
from benchmarks.tasks.efficiency import peak_mb

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
    Pairs = set[tuple[int, int]]

K = 4
NOISE = 0.1  # length of what a copy is moved by
LIMITS = {"numpy": 0.6, "torch": 0.35}  # of the usual script's time
MEMORY = 1000  # MB


def usual(src: Vectors, tgt: Vectors) -> Pairs:
    """Mine as the published scripts do: two searches, margins in Python, best first."""
    faiss = import_faiss()
    near, at = {}, {}
    for name, rows, others in (("src", src, tgt), ("tgt", tgt, src)):
        index = faiss.IndexFlatIP(others.shape[1])
        index.add(others)
        near[name], at[name] = index.search(rows, K)
    means = {name: scores.mean(axis=1) for name, scores in near.items()}
    scored = []
    for name, other, rows, others in (("src", "tgt", src, tgt), ("tgt", "src", tgt, src)):
        for n in range(len(rows)):
            ratios = [
                rows[n].dot(others[m]) / ((means[name][n] + means[other][m]) / 2)
                for m in at[name][n]
            ]
            top = int(np.argmax(ratios))
            pair = (n, int(at[name][n][top]))
            scored.append((ratios[top], pair if name == "src" else pair[::-1]))
    seen_src, seen_tgt, pairs = set(), set(), set()
    for _, (n, m) in sorted(scored, key=lambda row: -row[0]):
        if n not in seen_src and m not in seen_tgt:
            seen_src.add(n)
            seen_tgt.add(m)
            pairs.add((n, m))
    return pairs


def ours(src: Vectors, tgt: Vectors, backend: str) -> Pairs:
    """Mine with one product for both directions, matched as the usual script does."""
    forward, backward = nearest(Embedded(src), Embedded(tgt), K, backend=backend)
    return set(map(tuple, mining.match(forward, backward, greedy=True).tolist()))


def load(files: Sequence[Path], columns: Sequence[str], n: int, dim: int) -> tuple[Vectors, ...]:
    """Make two sides of vectors [n, dim] from aligned texts."""
    texts: tuple[list[str], list[str]] = ([], [])
    for path in files:
        rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
        named = set(columns) <= set(rows[0])
        names = rows.pop(0) if named else path.stem.split("-")
        for side, column in zip(texts, columns, strict=True):
            side += [row[names.index(column)] for row in rows]
    encoder, draw = load_encoder("embedded"), np.random.default_rng(0)
    return tuple(_grow(encoder.encode(side[:n]), n, dim, draw) for side in texts)


def _grow(vectors: Vectors, n: int, dim: int, draw: np.random.Generator) -> Vectors:
    """Repeat rows and dimensions, and move each row a little."""
    rows = np.resize(np.arange(len(vectors)), n)
    grown = vectors[rows][:, np.resize(np.arange(vectors.shape[1]), dim)]
    grown /= np.maximum(np.linalg.norm(grown, axis=1, keepdims=True), 1e-9)
    grown += draw.normal(scale=NOISE / np.sqrt(dim), size=grown.shape).astype(np.float32)
    result: Vectors = grown / np.linalg.norm(grown, axis=1, keepdims=True)
    return result


def compare(src: Vectors, tgt: Vectors, backends: Sequence[str], rounds: int) -> dict[str, Any]:
    """Time the usual script and ours in turns, and compare their pairs."""
    runs: dict[str, Callable[[], Pairs]] = {"usual": lambda: usual(src, tgt)}
    for backend in backends:
        runs[backend] = lambda backend=backend: ours(src, tgt, backend)  # type: ignore[misc]
    taken: dict[str, list[float]] = {name: [] for name in runs}
    pairs = {}
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            pairs[name] = run()
            taken[name].append(time.perf_counter() - start)
    least = {name: min(seconds) for name, seconds in taken.items()}
    return {
        name: {
            "seconds": round(least[name], 2),
            "of_usual": round(least[name] / least["usual"], 3),
            "pairs": len(pairs[name]),
            "of_usual_pairs": len(pairs[name] & pairs["usual"]) / len(pairs["usual"]),
        }
        for name in runs
    }


def peak_apart(folder: Path, backend: str) -> int:
    """Mine vectors from files in a process of its own; give its peak memory in MB."""
    command = [sys.executable, "-m", "benchmarks.speed.mining", "--child", backend, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    return int(done.stdout)


def main() -> None:
    """Print times, ratios, pairs found and peak memory as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--columns", nargs=2, default=["lb", "en"])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--dim", type=int, default=768)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", choices=LIMITS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        src, tgt = (np.load(args.files[0] / f"{side}.npy") for side in ("src", "tgt"))
        ours(src, tgt, args.child)
        sys.stdout.write(str(round(peak_mb())))
        return
    backends = [name for name in LIMITS if name == "numpy" or has_bfloat16()]
    src, tgt = load(args.files, args.columns, args.rows, args.dim)
    result = compare(src, tgt, backends, args.rounds)
    with tempfile.TemporaryDirectory() as folder:
        for side, vectors in (("src", src), ("tgt", tgt)):
            np.save(Path(folder) / f"{side}.npy", vectors)
        for name in backends:
            result[name] |= {
                "limit": LIMITS[name],
                "peak_mb": peak_apart(Path(folder), name),
                "limit_mb": MEMORY,
            }
    if "torch" not in backends:
        result["torch"] = "skipped: the processor has no bfloat16"
    sys.stdout.write(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
