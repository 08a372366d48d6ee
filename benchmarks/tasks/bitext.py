"""Bitext mining: of all lines of the other side, is a line's translation the first?

Measured both ways, by cosine and by ratio margin (means over k = 4 neighbours), and by both
again with the lexical score mixed in where the encoder has one. `xsim` is the error
of that retrieval in percent, as in "xsim" (Heffernan et al. 2022, LASER); F1 is
weighted over lines, as in MTEB's bitext mining.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from align import margin
from align.neighbours import Embedded, Neighbours, nearest
from benchmarks.metrics import estimate, mean
from benchmarks.results import Score, scored
from corpus.errors import EmptyError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl
    from numpy.typing import NDArray

    from align.encoders import Encoder
    from benchmarks.models import Once
    from benchmarks.sets import Data

    Floats = NDArray[np.float32]

MAIN = "accuracy"
COMPARED = "margin"  # the scoring by which encoders are compared
AMONG = 16  # nearest of a line that compete by margin; farther ones next to never win


@dataclass(frozen=True, slots=True)
class Bitext:
    """Lines that translate each other, in order.

    Attributes:
        clusters: each line's document, or its number where that is not known.
        splits: what each line is for.
    """

    languages: tuple[str, str]
    src: tuple[str, ...]
    tgt: tuple[str, ...]
    clusters: tuple[str, ...]
    splits: tuple[str, ...]


def run(data: Data, encoder: Once, split: str) -> list[Score]:
    """Score every language pair of a set: queries are a split's lines, candidates all lines.

    Raises:
        EmptyError: a pair has no lines in the split.
    """
    wanted = set(data.part(split)["split"])
    scores = []
    for each in bitexts(data):
        rows = np.flatnonzero([name in wanted for name in each.splits])
        if not len(rows):
            pair = "-".join(each.languages)
            raise EmptyError(f"{data.spec.name} has no row of {pair} in {split}; see --split")
        found = retrieve(encoder, each, encoder.encode(each.src), encoder.encode(each.tgt))
        scores += [_score(each, rows, *key, hits) for key, hits in found.items()]
    return scores


def retrieve(
    encoder: Encoder, data: Bitext, src: Floats, tgt: Floats
) -> dict[tuple[str, str], NDArray[np.intp]]:
    """Find the first candidate of every line, each way and by each score.

    Returns:
        By direction (``lb→en``) and scoring: the position found for each line [n].
    """
    there, back = "→".join(data.languages), "→".join(reversed(data.languages))
    ways = {"": (Embedded(src), Embedded(tgt), 0.0)}
    if encoder.lexical_weight:
        lexical = encoder.lexical.vectors(data.src), encoder.lexical.vectors(data.tgt)
        ways["+lexical"] = (
            Embedded(src, lexical[0]),
            Embedded(tgt, lexical[1]),
            encoder.lexical_weight,
        )
    found = {}
    for plus, (a, b, weight) in ways.items():
        forward, backward = nearest(a, b, AMONG, weight)
        for way, own, other in ((there, forward, backward), (back, backward, forward)):
            found[way, "cosine" + plus] = own.at[:, 0]
            found[way, "margin" + plus] = best_by_margin(own, other)
    return found


def best_by_margin(own: Neighbours, other: Neighbours) -> NDArray[np.intp]:
    """Choose of each row's neighbours the one of the highest ratio margin [n]."""
    mean, other_mean = (side.score[:, : margin.K].mean(axis=1) for side in (own, other))
    margins = margin.ratio(own.score, mean[:, None], other_mean[own.at])
    return np.take_along_axis(own.at, margins.argmax(axis=1)[:, None], axis=1)[:, 0]


def f1_weighted(gold: NDArray[np.intp], predicted: NDArray[np.intp]) -> float:
    """Average the F1 of every gold line, as scikit-learn's weighted F1.

    A gold line occurs once, so its F1 is 2 / (1 + times it was predicted) or 0.
    """
    times = np.bincount(predicted, minlength=int(gold.max()) + 1)
    return float(np.mean(np.where(gold == predicted, 2 / (1 + times[gold]), 0.0)))


def _score(
    data: Bitext, rows: NDArray[np.intp], way: str, scoring: str, found: NDArray[np.intp]
) -> Score:
    """Score a retrieval, by cluster."""
    right = found[rows] == rows
    clusters = [data.clusters[n] for n in rows.tolist()]
    values = {
        "f1": f1_weighted(rows, found[rows]),
        "xsim": 100 * (1 - float(right.mean())),
    }
    accuracy = estimate(mean(right), clusters)
    return scored(f"{way} {scoring}", MAIN, accuracy, values, paired=scoring == COMPARED)


def bitexts(data: Data) -> list[Bitext]:
    """Make bitexts of a set: a file each pair, a column each language, or rows with lang.

    Raises:
        EmptyError: no row has both sides, or no pair both languages.
    """
    rows, name = data.rows, data.spec.name
    if "pair" in rows.columns:
        parts = sorted(rows.partition_by("pair", as_dict=True).items())
        return [_of_rows(name, str(pair).split("-"), part) for (pair,), part in parts]
    if "text2" in rows.columns:
        return [_of_rows(name, data.spec.languages, rows)]
    if "lang" in rows.columns:
        rows = rows.pivot("lang", index=["cluster", "split"], values="text")
    pairs = [pair.split("-") for pair in data.spec.pairs]
    found = [
        _of_rows(name, pair, rows.rename(dict(zip(pair, ("text", "text2"), strict=True))))
        for pair in pairs
        if set(pair) <= set(rows.columns)
    ]
    if not found:
        raise EmptyError(f"{name} has none of the pairs {', '.join(data.spec.pairs)}")
    return found


def _of_rows(name: str, languages: Sequence[str], rows: pl.DataFrame) -> Bitext:
    if "cluster" not in rows.columns:
        rows = rows.with_row_index("cluster")
    cells = rows.select("text", "text2", "cluster", "split").fill_null("").rows()
    both = [row for row in cells if row[0].strip() and row[1].strip()]
    if not both:
        raise EmptyError(f"{name} has no row with both sides, {' and '.join(languages)}")
    texts, others, clusters, splits = zip(*both, strict=True)
    src, tgt = languages
    return Bitext((src, tgt), texts, others, tuple(map(str, clusters)), splits)
