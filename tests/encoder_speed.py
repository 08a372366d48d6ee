"""Time the embedded encoder and its tokenizer alone, in turns, on one core."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

from tokenizers import Tokenizer  # noqa: E402

from align.encoders import EMBEDDED  # noqa: E402
from align.static import StaticEncoder  # noqa: E402


def seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main() -> None:
    lines = Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()[1:]
    texts = [text for line in lines for text in line.split("\t")[2:]]
    short = [" ".join(text.split()[:8]) for text in texts]
    tokenizer = Tokenizer.from_file(str(EMBEDDED / "tokenizer.json"))
    taken: dict[str, list[float]] = {"tokenizer": [], "encoder": [], "short": []}
    for _ in range(5):
        cold = StaticEncoder.load(EMBEDDED)  # no word is known yet
        taken["tokenizer"].append(seconds(lambda: tokenizer.encode_batch(texts)))
        taken["encoder"].append(seconds(lambda cold=cold: cold.encode(texts)))  # type: ignore[misc]
        cold = StaticEncoder.load(EMBEDDED)
        taken["short"].append(seconds(lambda cold=cold: cold.encode(short)))  # type: ignore[misc]
    best = {name: min(values) for name, values in taken.items()}
    ratio = best["tokenizer"] / best["encoder"]
    per_s = {f"{name}_per_s": round(len(texts) / value) for name, value in best.items()}
    sys.stdout.write(json.dumps({"ratio": ratio, **per_s}) + "\n")


if __name__ == "__main__":
    main()
