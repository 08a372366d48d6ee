"""Two long documents aligned in a band: ``python -m benchmarks.speed.beads TSV... [-n N]``.

Rows of the TSVs (two columns of translations) become two documents: of every twenty,
two lose their translation and two are one segment of the source. Prints time, peak
memory, and how much of the known alignment is found.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from itertools import cycle, islice
from pathlib import Path

from align import beads
from align.encoders import load_encoder
from align.spans import Spans
from benchmarks.tasks.efficiency import peak_mb

Side = list[str]


def documents(rows: list[list[str]], n: int) -> tuple[Side, Side, set[tuple[int, ...]]]:
    """Make two documents of about n segments, and their beads: begin and end of both sides."""
    draw, stream = random.Random(0), cycle(rows)  # noqa: S311 - no secret
    src: Side = []
    tgt: Side = []
    gold: set[tuple[int, ...]] = set()
    while min(len(src), len(tgt)) < n:
        chance, taken = draw.random(), list(islice(stream, 2))
        if chance < 0.1:
            src.append(taken[0][0])
            tgt.append(taken[1][1])  # what neither has
            continue
        at = (len(src), len(tgt))
        tgt += [row[1] for row in taken]
        if chance < 0.2:
            src.append(" ".join(row[0] for row in taken))
            gold.add((at[0], at[0] + 1, at[1], at[1] + 2))
        else:
            src += [row[0] for row in taken]
            gold |= {(at[0] + k, at[0] + k + 1, at[1] + k, at[1] + k + 1) for k in (0, 1)}
    return src, tgt, gold


def main() -> None:
    """Align, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tsv", nargs="+", type=Path)
    parser.add_argument("-n", type=int, default=50_000, help="segments a side")
    options = parser.parse_args()
    lines = [x for path in options.tsv for x in path.read_text(encoding="utf-8").splitlines()]
    src, tgt, gold = documents([line.split("\t")[:2] for line in lines], options.n)
    encoder = load_encoder("embedded")
    start = time.perf_counter()
    a, b = (Spans.of(side, encoder.encode, encoder.lexical) for side in (src, tgt))
    middle = time.perf_counter()
    steps, _ = beads.align(a, b, encoder.lexical_weight)
    found = {tuple(step) for step in steps[beads.is_bead(steps)].tolist()}
    right = len(found & gold)
    sys.stdout.write(
        f"{len(src)} × {len(tgt)} segments: runs {middle - start:.0f} s, "
        f"alignment {time.perf_counter() - middle:.0f} s, "
        f"peak {peak_mb() / 1000:.2f} GB, "
        f"precision {right / len(found):.3f}, recall {right / len(gold):.3f}\n"
    )


if __name__ == "__main__":
    main()
