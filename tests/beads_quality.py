"""What the costs of `align.beads` were chosen by: ``python -m tests.beads_quality DATA``.

Development documents alone: Text+Berg's own, and the even documents of NTREX in two ways.
*Uneven* ones have segments cut at a comma, merged with the next, or dropped in runs; of
*comparable* ones half of the target's segments are dropped. Both are scored as Text+Berg is.
"""

from __future__ import annotations

import csv
import random
import re
import sys
from collections import defaultdict
from pathlib import Path
from statistics import harmonic_mean, mean
from typing import TYPE_CHECKING

from align.encoders import load_encoder
from benchmarks.tasks import monotone
from benchmarks.tasks.monotone import Bead, Parallel

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from align.encoders import Encoder

PAIRS = (("de", "fr"), ("lb", "fr"), ("lb", "en"), ("bn", "en"))
CUT, MERGED, DROPPED = 0.3, 0.15, 0.03  # shares of segments; a drop takes up to four lines
DRAWS = 3  # of each document
SCORES = ("strict", "lax")

Segment = tuple[str, frozenset[int]]  # a text and the lines that it is made of


def even_documents(ntrex: Path) -> list[dict[str, list[str]]]:
    """Read the lines of every other document, by language."""
    documents: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    with ntrex.open(encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            name, *cells = row.items()
            for lang, text in cells:
                documents[name[1]][lang].append(text)
    return list(documents.values())[::2]


def halves(text: str) -> list[str]:
    """Cut a text where a clause ends near its middle, if one does."""
    ends = [m.end() for m in re.finditer(r"[,;:.!?–।]\s", text)]
    near = [end for end in ends if len(text) / 4 < end < 3 * len(text) / 4]
    middle = near[len(near) // 2] if near else len(text)
    return [part.strip() for part in (text[:middle], text[middle:]) if part.strip()]


def uneven(lines: Sequence[str], dropped: set[int], draw: random.Random) -> list[Segment]:
    """Cut, merge and drop the lines of one side."""
    segments: list[Segment] = []
    for n, line in enumerate(lines):
        parts = halves(line) if draw.random() < CUT else [line]
        for part in parts if n not in dropped else ():
            if segments and draw.random() < MERGED:
                text, of = segments.pop()
                segments.append((f"{text} {part}", of | {n}))
            else:
                segments.append((part, frozenset([n])))
    return segments


def gold(src: Sequence[Segment], tgt: Sequence[Segment]) -> list[Bead]:
    """Join what has a line in common; monotone sides meet again at the first that has none."""
    groups: list[tuple[set[int], list[int], list[int]]] = []
    marked = [
        (min(of), side, n, of) for side in (0, 1) for n, (_, of) in enumerate((src, tgt)[side])
    ]
    for _, side, n, of in sorted(marked, key=lambda each: each[:3]):
        if not groups or not groups[-1][0] & of:
            groups.append((set(), [], []))
        groups[-1][0].update(of)
        groups[-1][1 + side].append(n)
    beads: list[Bead] = []
    for _, a, b in groups:
        alone = [((n,), ()) for n in a] + [((), (n,)) for n in b]
        beads += [(tuple(a), tuple(b))] if a and b else alone
    return beads


def made_uneven(document: dict[str, list[str]], langs: tuple[str, str], seed: str) -> Parallel:
    """Make two uneven sides of a document."""
    draw = random.Random(seed)
    dropped: tuple[set[int], set[int]] = set(), set()
    for n in range(len(document[langs[0]])):
        if draw.random() < DROPPED:
            dropped[draw.randrange(2)].update(range(n, n + draw.randint(1, 4)))
    src, tgt = (uneven(document[x], gone, draw) for x, gone in zip(langs, dropped, strict=True))
    return Parallel(seed, [text for text, _ in src], [text for text, _ in tgt], gold(src, tgt))


def made_comparable(document: dict[str, list[str]], langs: tuple[str, str], seed: str) -> Parallel:
    """Leave out half of the target."""
    draw = random.Random(seed)
    src, tgt = (document[lang] for lang in langs)
    kept = [n for n in range(len(tgt)) if draw.random() < 0.5]
    pairs: list[Bead] = [((n,), (kept.index(n),) if n in kept else ()) for n in range(len(src))]
    return Parallel(seed, src, [tgt[n] for n in kept], pairs)


def f1(encoder: Encoder, documents: Iterable[Parallel]) -> dict[str, float]:
    """Align documents; F1 over all, strict and lax."""
    counts = [monotone.count(each.gold, monotone.find(encoder, each)) for each in documents]
    return {name: harmonic_mean(monotone.pooled(counts, name).values()) for name in SCORES}


def main(data: Path) -> None:
    """Print both scores of each kind of document, the means over pairs of languages and draws."""
    encoder = load_encoder("embedded")
    news = even_documents(data / "ntrex" / "ntrex.tsv")
    kinds = {"uneven": made_uneven, "comparable": made_comparable}
    scores = {
        "textberg": [f1(encoder, [monotone.load(data / "textberg" / "dev.defr", ("de", "fr"))])]
    }
    for kind, make in kinds.items():
        scores[kind] = [
            f1(encoder, [make(each, langs, f"{draw} {langs} {n}") for n, each in enumerate(news)])
            for langs in PAIRS
            for draw in range(DRAWS)
        ]
    for kind, found in scores.items():
        shown = (f"{name} {mean(each[name] for each in found):.4f}" for name in SCORES)
        sys.stdout.write(f"{kind}: {', '.join(shown)}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
