"""Monotone alignment: are the beads of two documents those that people found?

A folder holds ``NAME.de``, ``NAME.fr`` (a segment a line) and ``NAME.defr`` (a bead a
line, such as ``[0, 1]:[2]``), as Text+Berg does in vecalign. A bead is strictly right if
the other side has it too, and laxly if one of its source segments is there in a bead
with one of its target segments (Sennrich and Volk 2011, W11-4624). Precision counts
skips, recall does not: vecalign's scorer does so, whose figures these compare with.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

import align
from benchmarks.metrics import estimate
from benchmarks.results import Score, scored
from corpus.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from align.encoders import Encoder
    from benchmarks.metrics import Floats, Metric
    from benchmarks.models import Once
    from benchmarks.sets import Data

Bead = tuple[tuple[int, ...], tuple[int, ...]]  # positions of source and target segments
Counts = tuple[Counter[str], Counter[str]]  # of a document: for precision, and for recall

MAIN = "f1"
LINE = re.compile(r"\s*\[([\d, ]*)\]:\[([\d, ]*)\](:.*)?")  # a score may follow


@dataclass(frozen=True, slots=True)
class Parallel:
    """Two documents, their segments, and the beads that people found."""

    name: str
    src: Sequence[str]
    tgt: Sequence[str]
    gold: Sequence[Bead]


def load(path: Path, languages: Sequence[str]) -> Parallel:
    """Read two documents by the file of their gold beads.

    Raises:
        InputError: a file is missing, or a line of gold is no bead of its documents.
    """
    src, tgt = (_lines(path.with_suffix(f".{lang}")) for lang in languages)
    gold = _gold(path)
    for side, texts in ((0, src), (1, tgt)):
        most = max((at for bead in gold for at in bead[side]), default=-1)
        if most >= len(texts):
            raise InputError(
                f"{path.stem}.{languages[side]} has {len(texts)} lines, "
                f"its gold names line {most}, counted from 0"
            )
    return Parallel(path.stem, src, tgt, gold)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path} as UTF-8 text: {error}") from error


def _gold(path: Path) -> list[Bead]:
    beads = []
    for n, line in enumerate(_lines(path), 1):
        match = LINE.fullmatch(line)
        if not match:
            raise InputError(f"{path}, line {n}: '{line[:60]}' is no bead such as [0, 1]:[2]")
        src, tgt = (tuple(int(at) for at in re.findall(r"\d+", side)) for side in match.group(1, 2))
        beads.append((src, tgt))
    return beads


def run(data: Data, encoder: Once, split: str) -> list[Score]:
    """Score a set of documents with gold beads; clusters are documents."""
    langs = data.spec.languages
    documents = [load(data.root / name, langs) for name in data.part(split)["document"]]
    counts = [count(each.gold, find(encoder, each)) for each in documents]
    names = [each.name for each in documents]
    return [
        scored(
            f"{'-'.join(langs)} {name}",
            MAIN,
            estimate(_f1(counts, name), names),
            pooled(counts, name),
            paired=name == "strict",
        )
        for name in ("strict", "lax")
    ]


def _f1(counts: Sequence[Counts], name: str) -> Metric:
    """F1 over documents, given each one's counts for precision and for recall."""
    hits, found, n_right, gold = np.array(
        [(p[name], p["all"], r[name], r["all"]) for p, r in counts], np.float64
    ).T

    def metric(weights: Floats) -> Floats:
        p = weights @ hits / np.maximum(weights @ found, 1)
        r = weights @ n_right / np.maximum(weights @ gold, 1)
        return np.asarray(2 * p * r / np.maximum(p + r, 1e-12))

    return metric


def pooled(counts: Sequence[Counts], name: str) -> dict[str, float]:
    """Give precision and recall over all documents."""
    sides = zip(("precision", "recall"), zip(*counts, strict=True), strict=True)
    return {
        what: sum(each[name] for each in side) / max(sum(each["all"] for each in side), 1)
        for what, side in sides
    }


def count(gold: Sequence[Bead], found: Sequence[Bead]) -> Counts:
    """Count what was found, and what of the gold; skips count for precision alone."""
    return right(found, gold), right(filter(all, gold), filter(all, found))


def find(encoder: Encoder, document: Parallel) -> list[Bead]:
    """Align a document's segments."""
    beads = align.align_documents(document.src, document.tgt, encoder)
    return [(tuple(src), tuple(tgt)) for src, tgt in beads.select("src", "tgt").iter_rows()]


def right(beads: Iterable[Bead], others: Iterable[Bead]) -> Counter[str]:
    """Count the beads, and those that are right by the others, strictly and laxly."""
    mine, theirs = set(beads), set(others)
    partners: dict[int, set[int]] = defaultdict(set)
    for src, tgt in theirs:
        for at in src:
            partners[at].update(tgt)
    lax = [(s, t) in theirs or any(partners[at] & set(t) for at in s) for s, t in mine]
    return Counter(all=len(mine), strict=len(mine & theirs), lax=sum(lax))
