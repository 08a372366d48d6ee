"""Pairs of sentences of one language that may say the same.

First *pivots*: two sentences whose translations are the same sentence, or nearly; only a
parallel corpus has them, and no encoder of the language chose them. Then *near
neighbours*, which at least two encoders must propose, so that none is judged by its own.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from align.neighbours import Embedded, nearest_targets
from benchmarks.build import items
from corpus.pairs import language_pairs, sentence_pairs
from corpus.vectors import encode_once, open_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from align.encoders import Encoder
    from corpus.workspace import Workspace

K = 8  # neighbours of each sentence that an encoder proposes
SIDE = {"text": pl.String, "article": pl.String, "licence": pl.String}
CANDIDATES = {
    **{f"{side}_{name}": kind for side in ("a", "b") for name, kind in SIDE.items()},
    "proposer": pl.String,
    "score": pl.Float64,  # of what proposed it: the best come first
}


def pivots(workspace: Workspace, lang: str, encoder: Encoder, least: float) -> pl.DataFrame:
    """Pair sentences whose translations are as near as ``least``, by cosine and n-grams.

    Args:
        workspace: its kept sentence pairs with ``lang``, aligned or imported.
        lang: the language of the paraphrases.
        encoder: compares the translations.
        least: mixed score from which two translations count as the same.
    """
    frames = [pl.DataFrame(schema=CANDIDATES)]
    for langs in language_pairs(workspace):
        src, _, tgt = langs.partition("-")
        if lang not in (src, tgt):
            continue
        own, other, pivot = ("src", "tgt", tgt) if src == lang else ("tgt", "src", src)
        pairs = sentence_pairs(workspace, langs).filter("kept").sort("pair_id")
        rows = pairs.select(
            text=f"{own}_text", article=f"{own}_article", licence="licence", pivot=f"{other}_text"
        )
        near = _near(workspace, encoder, rows["pivot"].to_list(), K)
        close = [(a, b, score) for a, b, score in near if score >= least]
        frames.append(_frame(rows, close, f"pivot {pivot}"))
    return pl.concat(frames)


def neighbours(
    workspace: Workspace, lang: str, encoders: Sequence[Encoder], band: tuple[float, float]
) -> pl.DataFrame:
    """Pair sentences that are near each other by at least two encoders.

    Args:
        workspace: its kept articles' sentences.
        lang: their language.
        encoders: those that propose; a pair must be in the neighbourhoods of two of them.
        band: least and greatest score by the first of them: above it texts are copies.
    """
    rows = items.sentences(workspace, lang).unique("text").sort("text_key")
    rows = rows.select("text", article="article_id", licence=pl.lit(None, pl.String))
    votes: Counter[tuple[int, int]] = Counter()
    scores: dict[tuple[int, int], float] = {}
    for encoder in encoders:
        for a, b, score in _near(workspace, encoder, rows["text"].to_list(), K):
            votes[a, b] += 1
            if encoder is encoders[0]:
                scores[a, b] = score
    low, high = band
    agreed = [(a, b, s) for (a, b), s in scores.items() if votes[a, b] > 1 and low <= s <= high]
    names = "+".join(sorted(encoder.name.rpartition("/")[2] for encoder in encoders))
    return _frame(rows, agreed, f"neighbours {names}")


def scores(
    workspace: Workspace, encoder: Encoder, pairs: pl.DataFrame
) -> tuple[list[float], list[float]]:
    """Give the cosine and the lexical score of each pair of texts, rounded."""
    from align.neighbours import pair_scores

    texts = [*pairs["a_text"], *pairs["b_text"]]
    found, n = _embed(workspace, encoder, texts), len(pairs)
    both = pair_scores(found, found, np.stack([np.arange(n), np.arange(n, 2 * n)], axis=1))
    sim, lexical = (np.round(values, 5).tolist() for values in both)
    return sim, lexical


def _near(
    workspace: Workspace, encoder: Encoder, texts: list[str], k: int
) -> Iterator[tuple[int, int, float]]:
    """Give each pair of near texts once, the smaller position first, with its score."""
    if len(texts) < 2:
        return
    found = _embed(workspace, encoder, texts)
    near = nearest_targets(found, found, k + 1, encoder.lexical_weight)
    given = set()
    for a in range(len(texts)):
        for b, score in zip(near.at[a].tolist(), near.score[a].tolist(), strict=True):
            pair = (min(a, b), max(a, b))
            if a != b and pair not in given:
                given.add(pair)
                yield (*pair, round(score, 5))


def _embed(workspace: Workspace, encoder: Encoder, texts: list[str]) -> Embedded:
    vectors = encode_once(open_store(workspace, encoder), encoder, texts)[0]
    return Embedded(vectors, encoder.lexical.vectors(texts))


def _frame(
    rows: pl.DataFrame, pairs: Sequence[tuple[int, int, float]], proposer: str
) -> pl.DataFrame:
    """Give pairs of rows as candidates, best first."""
    ranked = sorted(pairs, key=lambda pair: (-pair[2], pair[0], pair[1]))
    sides = [rows[[(a, b)[n] for a, b, _ in ranked]].select(*SIDE) for n in (0, 1)]
    a, b = (
        side.rename({name: f"{s}_{name}" for name in SIDE})
        for s, side in zip("ab", sides, strict=True)
    )
    found = pl.concat([a, b], how="horizontal")
    score = pl.Series("score", [pair[2] for pair in ranked], pl.Float64)
    return found.with_columns(proposer=pl.lit(proposer), score=score).select(*CANDIDATES)
