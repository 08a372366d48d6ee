"""Which article translates which: date window, scores, one to one, best first.

How sure that is follows from decoys: the same competition with the target's articles
moved by 60 days, among which no translation is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from align import confidence
from align.bimax import REACH, score_articles
from align.collection import collect, dated_articles, embed
from corpus import segment, stages
from corpus.pairs import MATCH_ARTICLES, SCORE_ARTICLES
from corpus.stages import Made, Part, StageRun
from corpus.tables import ARTICLE_DECOYS, ARTICLE_PAIRS
from corpus.vectors import identity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from align.encoders import Encoder
    from corpus.workspace import Workspace


AWAY = 60  # days between an article and those that its decoys are among
WEEK = 7  # first days of a month of which articles have decoys; they stand for the others


@dataclass(frozen=True, slots=True)
class Settings:
    """What decides article pairs.

    Attributes:
        window: most days between two articles that translate each other.
        floor: least ratio margin of a pair.
        lexical: weight of the lexical score; the encoder's own where None.
    """

    window: int = 2
    floor: float = 1.05
    lexical: float | None = None


@dataclass(frozen=True, slots=True)
class _Work:
    month: str
    src: pl.DataFrame
    tgt: pl.DataFrame
    moved: pl.DataFrame  # targets of other days, dated as if they were in reach


def update(
    workspace: Workspace,
    langs: str,
    encoder: Encoder,
    settings: Settings,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
    dry: bool = False,
) -> list[StageRun]:
    """Bring the article pairs of a language pair up to date."""
    weight = encoder.lexical_weight if settings.lexical is None else settings.lexical
    src, tgt = (dated_articles(workspace, lang) for lang in langs.split("-"))
    params = {
        "window": settings.window,
        "weight": weight,
        "encoder": identity(workspace, encoder),
        "sentences": [segment.identity(workspace, lang) for lang in langs.split("-")],
    }
    parts = list(_parts(langs, src, tgt, params, settings.window))
    make = partial(_candidates, workspace, langs, encoder, settings.window, weight, progress)
    folder = workspace.pair_stage(langs, SCORE_ARTICLES.name)
    with workspace.lock(f"{SCORE_ARTICLES.name} {langs}"):
        first = stages.run(SCORE_ARTICLES, folder, parts, make, progress=progress, dry=dry)
        inputs = [stages.outputs_digest(folder), settings.floor]
        inputs += [stages.row_digest(side, ["article_id", "day"]) for side in (src, tgt)]
        make_pairs = partial(_assign, folder, settings.floor)
        target = workspace.pair_stage(langs, MATCH_ARTICLES.name)
        second = stages.run_fold(MATCH_ARTICLES, target, inputs, (src, tgt), make_pairs, dry=dry)
    return [first, second]


def _parts(
    langs: str, src: pl.DataFrame, tgt: pl.DataFrame, params: dict[str, Any], window: int
) -> Iterator[Part[_Work]]:
    """Cut by the month of the source article; a part reads what it can reach."""
    for month in src["month"].drop_nulls().unique().sort().to_list():
        days = src.filter(pl.col("month") == month)["day"]
        first, last = int(days.min()), int(days.max())  # type: ignore[arg-type]
        near_tgt = tgt.filter(pl.col("day").is_between(first - REACH, last + REACH))
        near_src = src.filter(
            pl.col("day").is_between(first - window - REACH, last + window + REACH)
        )
        moved = _moved(tgt, first - REACH, min(last, first + WEEK - 1) + REACH)
        rows = [
            stages.row_digest(f, ["article_id", "version", "day"])
            for f in (near_src, near_tgt, moved)
        ]
        yield Part(month, [langs, params, *rows], _Work(month, near_src, near_tgt, moved))


def _moved(tgt: pl.DataFrame, first: int, last: int) -> pl.DataFrame:
    """Take the articles of 60 days later or earlier, whichever are more, as of some days."""
    sides = (tgt.with_columns(pl.col("day") + days) for days in (-AWAY, AWAY))
    return max((s.filter(pl.col("day").is_between(first, last)) for s in sides), key=len)


def _candidates(
    workspace: Workspace,
    langs: str,
    encoder: Encoder,
    window: int,
    weight: float,
    progress: Callable[[int, int], None],
    work: _Work,
) -> Made:
    """Score the article pairs of one month of the source, and its decoys."""
    src_lang, tgt_lang = langs.split("-")
    src = collect(workspace, src_lang, work.src)
    src_texts = embed(workspace, encoder, src, weight, progress)
    mine = work.src.filter(pl.col("month") == work.month)["day"]
    days = int(mine.min()), int(mine.max())  # type: ignore[arg-type]
    tables = {}
    few = days[0], min(days[1], days[0] + WEEK - 1)
    jobs = {"article_pairs": (work.tgt, days), "article_decoys": (work.moved, few)}
    for name, (articles, of) in jobs.items():
        tgt = collect(workspace, tgt_lang, articles)
        tgt_texts = embed(workspace, encoder, tgt, weight, progress)
        scores = score_articles(src, src_texts, tgt, tgt_texts, of, window, weight)
        tables[name] = scores.select(
            work.src["article_id"].gather(scores["src"]).alias("src_id"),
            articles["article_id"].gather(scores["tgt"]).alias("tgt_id"),
            pl.lit(langs).alias("langs"),
            "sim",
            "lexical",
            "margin",
            "days",
            pl.lit(None, pl.Float64).alias("q"),
            pl.lit(encoder.name).alias("encoder"),
        )
    return Made(tables, {"candidates": len(tables["article_pairs"])})


def _assign(folder: Path, floor: float, sides: tuple[pl.DataFrame, pl.DataFrame]) -> Made:
    """Pair articles one to one, best margin first, and say what became of each."""
    candidates = stages.scan(SCORE_ARTICLES, folder, ARTICLE_PAIRS)
    false = stages.scan(SCORE_ARTICLES, folder, ARTICLE_DECOYS)
    times = candidates["src_id"].n_unique() / max(false["src_id"].n_unique(), 1)
    pairs = _with_q(_one_to_one(candidates, floor), _one_to_one(false, floor), times)
    states = pl.concat(
        _states(side, name, candidates, pairs)
        for side, name in zip(sides, ("src", "tgt"), strict=True)
    )
    counts = {"pairs": len(pairs)}
    for side, state, n in states.group_by("side", "state").len().iter_rows():
        counts[f"{side}.{state}"] = n
    return Made({"article_pairs": pairs, "article_states": states}, counts)


def _one_to_one(candidates: pl.DataFrame, floor: float) -> pl.DataFrame:
    """Take the best pair of two articles that are both free, and so on."""
    ranked = candidates.filter(pl.col("margin").fill_null(floor) >= floor).sort(
        pl.col("margin").fill_null(pl.col("sim")),
        "src_id",
        "tgt_id",
        descending=[True, False, False],
    )
    taken: set[str] = set()
    chosen = []
    for row in ranked.iter_rows(named=True):
        if row["src_id"] not in taken and row["tgt_id"] not in taken:
            taken |= {row["src_id"], row["tgt_id"]}
            chosen.append(row)
    return ARTICLE_PAIRS.frame(chosen)


def _with_q(pairs: pl.DataFrame, decoys: pl.DataFrame, times: float) -> pl.DataFrame:
    """Add the q-value of each pair; null where it cannot be estimated.

    Each decoy counts so many times. No share of true pairs is assumed, so that it
    over-states.
    """
    accepted, false = (f["margin"].drop_nulls().to_numpy() for f in (pairs, decoys))
    q = confidence.q_values(accepted, false, share=times)
    if q is None:
        return pairs
    known = pairs["margin"].is_not_null().to_numpy()
    values = np.full(len(pairs), np.nan)
    values[known] = q.round(5)
    return pairs.with_columns(pl.Series("q", values).fill_nan(None))


def _states(
    side: pl.DataFrame, name: str, candidates: pl.DataFrame, pairs: pl.DataFrame
) -> pl.DataFrame:
    column = f"{name}_id"
    article = pl.col("article_id")
    state = (
        pl.when(pl.col("day").is_null())
        .then(pl.lit("undated"))
        .when(article.is_in(pairs[column].to_list()))
        .then(pl.lit("paired"))
        .when(article.is_in(candidates[column].unique().to_list()))
        .then(pl.lit("below_floor"))
        .otherwise(pl.lit("none_in_window"))
    )
    return side.select(
        "article_id", "version", pl.lit(name).alias("side"), state.alias("state"), "day"
    )
