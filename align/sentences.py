"""Which sentence translates which, inside the article pairs.

Candidates hold scores; the fold `sentence_pairs` only decides. So a changed
cut-off never computes a vector.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from align import bead_pairs, decide
from align import margin as margins
from align.collection import Collection, collect, dated_articles, embed
from align.lexical import mix
from align.neighbours import Embedded, nearest, nearest_targets, similarities
from corpus import reserved, segment, stages, tables
from corpus.pairs import MATCH_SENTENCES, SCORE_SENTENCES, article_pairs
from corpus.stages import Made, Part, StageRun
from corpus.vectors import identity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from align.confidence import Calibration
    from align.encoders import Encoder
    from align.prefilter import Prefilter
    from corpus.workspace import Workspace

POOL = 20_000  # sentences a side that a margin is taken over
FEW = 50  # pools of fewer sentences have no margin
KEPT_RANKS = 3  # candidates a sentence, by score
FLOOR = 0.1  # least mixed score of a candidate


@dataclass(frozen=True, slots=True)
class _Work:
    month: str
    src: pl.DataFrame  # paired articles of the month and of the window around it
    tgt: pl.DataFrame
    pairs: pl.DataFrame  # article pairs of the month
    window: int


def update(
    workspace: Workspace,
    langs: str,
    encoder: Encoder,
    cuts: decide.Cuts,
    *,
    window: int = 2,
    lexical: float | None = None,
    method: str = "margin",
    prefilter: Prefilter | None = None,
    calibration: Calibration | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    dry: bool = False,
) -> list[StageRun]:
    """Bring the sentence pairs of a language pair up to date.

    Args:
        workspace: its article pairs are up to date.
        langs: source and target language, such as ``lb-en``.
        encoder: makes the vectors.
        cuts: what a kept pair must reach.
        window: days around a month whose sentences form its margin's pool.
        lexical: weight of the lexical score; the encoder's own where None.
        method: one of `SCORERS`.
        prefilter: chooses the sentences that ``encoder`` sees (method margin); all where None.
        calibration: what people judged, in place of decoys.
        progress: called with sentences or parts done and to do.
        dry: count what would be made, and make nothing.
    """
    weight = encoder.lexical_weight if lexical is None else lexical
    segmented = [segment.identity(workspace, lang) for lang in langs.split("-")]
    params = {"window": window, "weight": weight, "encoder": identity(workspace, encoder)}
    params |= {"sentences": segmented, "method": method, "prefilter": prefilter and prefilter.key}
    parts = list(_parts(workspace, langs, params, window))
    scorer = partial(SCORERS[method], workspace, encoder, weight, progress)
    make = partial(_candidates, workspace, langs, scorer, prefilter)
    folder = workspace.pair_stage(langs, SCORE_SENTENCES.name)
    with workspace.lock(f"{SCORE_SENTENCES.name} {langs}"):
        first = stages.run(SCORE_SENTENCES, folder, parts, make, progress=progress, dry=dry)
        inputs: list[Any] = [stages.outputs_digest(folder), asdict(cuts), weight, segmented]
        inputs += [reserved.load(workspace), *([asdict(calibration)] if calibration else [])]
        make_pairs = partial(decide.make, workspace, cuts, weight, calibration)
        target = workspace.pair_stage(langs, MATCH_SENTENCES.name)
        second = stages.run_fold(MATCH_SENTENCES, target, inputs, langs, make_pairs, dry=dry)
    return [first, second]


def _parts(
    workspace: Workspace, langs: str, params: dict[str, Any], window: int
) -> Iterator[Part[_Work]]:
    """Cut by the month of the source article; a part reads the window around it."""
    pairs = article_pairs(workspace, langs)
    src, tgt = (
        dated_articles(workspace, lang).filter(pl.col("article_id").is_in(pairs[column].to_list()))
        for lang, column in zip(langs.split("-"), ("src_id", "tgt_id"), strict=True)
    )
    for month in src["month"].unique().sort().to_list():
        own = src.filter(pl.col("month") == month)
        first, last = int(own["day"].min()), int(own["day"].max())  # type: ignore[arg-type]
        near = pl.col("day").is_between(first - window, last + window)
        mine = pairs.filter(pl.col("src_id").is_in(own["article_id"].to_list()))
        partners = pl.col("article_id").is_in(mine["tgt_id"].to_list())
        work = _Work(month, src.filter(near), tgt.filter(near | partners), mine, window)
        rows = [stages.row_digest(f, ["article_id", "version"]) for f in (work.src, work.tgt)]
        rows.append(stages.row_digest(mine, ["src_id", "tgt_id"]))
        yield Part(month, [langs, params, *rows], work)


Score = Callable[[pl.DataFrame], pl.DataFrame]  # article pairs to scored candidates


def _candidates(
    workspace: Workspace,
    langs: str,
    scorer: Callable[[Collection, Collection], tuple[Score, bool]],
    prefilter: Prefilter | None,
    work: _Work,
) -> Made:
    """Score the sentences of one month's article pairs."""
    src_lang, tgt_lang = langs.split("-")
    src, tgt = collect(workspace, src_lang, work.src), collect(workspace, tgt_lang, work.tgt)
    counts: dict[str, int] = {}
    if prefilter is not None:
        (src, tgt), counts = prefilter((src, tgt), work.pairs)
    score, has_margin = scorer(src, tgt)
    found = score(work.pairs)
    false = score(_decoy_articles(work, src, tgt)) if has_margin else tables.DECOYS.empty()
    counts |= {"candidates": len(found), "parts_without_margin": int(not has_margin)}
    return Made({"sentence_candidates": found, "decoys": false}, counts)


def by_margin(
    workspace: Workspace,
    encoder: Encoder,
    weight: float,
    progress: Callable[[int, int], None],
    src: Collection,
    tgt: Collection,
) -> tuple[Score, bool]:
    """Score every two sentences of an article pair."""
    src_texts, tgt_texts = (embed(workspace, encoder, s, weight, progress) for s in (src, tgt))
    means = _pool_means(src_texts, _pool(src), tgt_texts, _pool(tgt), weight)

    def score(pairs: pl.DataFrame) -> pl.DataFrame:
        frames = [
            score_pairs(src_texts.rows(a), tgt_texts.rows(b), (a, b), means, weight)
            for a, b in _rows(pairs, src, tgt)
        ]
        return _with_ids(frames, src, tgt, encoder.name)

    return score, means is not None


def _by_beads(
    workspace: Workspace,
    encoder: Encoder,
    weight: float,
    progress: Callable[[int, int], None],
    src: Collection,
    tgt: Collection,
) -> tuple[Score, bool]:
    """Align an article pair in order, several sentences to several."""
    a, b = (bead_pairs.spans(workspace, encoder, s, weight, progress) for s in (src, tgt))
    means = None
    if min(len(a), len(b)) >= FEW:
        pools = a.singles(_pool(src)), b.singles(_pool(tgt))
        means = a.pool_means(pools[1], weight), b.pool_means(pools[0], weight)
    ids = [side.sentences["sentence_id"].to_list() for side in (src, tgt)]

    def score(pairs: pl.DataFrame) -> pl.DataFrame:
        rows = _rows(pairs, src, tgt)
        found = bead_pairs.candidates((a, b), (ids[0], ids[1]), rows, means, weight)
        return found.with_columns(
            src.sentences["article_id"].gather(found["src"]).alias("src_article"),
            tgt.sentences["article_id"].gather(found["tgt"]).alias("tgt_article"),
            pl.lit(encoder.name).alias("encoder"),
        )

    return score, means is not None


SCORERS = {"margin": by_margin, "beads": _by_beads}


def _rows(pairs: pl.DataFrame, src: Collection, tgt: Collection) -> Iterator[tuple[slice, slice]]:
    """Give the sentence rows of both articles of each pair."""
    src_at = {a: n for n, a in enumerate(src.articles["article_id"])}
    tgt_at = {a: n for n, a in enumerate(tgt.articles["article_id"])}
    for src_id, tgt_id in pairs.select("src_id", "tgt_id").sort("src_id").iter_rows():
        yield src.rows(src_at[src_id]), tgt.rows(tgt_at[tgt_id])


def _decoy_articles(work: _Work, src: Collection, tgt: Collection) -> pl.DataFrame:
    """Give each source article a target that is not its partner.

    One outside the date window where there is one, nearest in sentence count.
    """
    lengths = np.diff(tgt.starts)
    ids = tgt.articles["article_id"].to_list()
    day_of = dict(src.articles.select("article_id", "day").iter_rows())
    length_of = dict(zip(src.articles["article_id"], np.diff(src.starts), strict=True))
    chosen = []
    for src_id, tgt_id in work.pairs.select("src_id", "tgt_id").iter_rows():
        inside = np.abs(tgt.days - day_of[src_id]) <= work.window
        apart = np.abs(lengths - length_of[src_id])
        order = np.lexsort((apart, inside))
        other = next((ids[n] for n in order if ids[n] != tgt_id), None)
        if other is not None:
            chosen.append({"src_id": src_id, "tgt_id": other})
    return pl.DataFrame(chosen, schema={"src_id": pl.String, "tgt_id": pl.String})


Means = tuple["NDArray[np.float64]", "NDArray[np.float64]"]


def _pool_means(
    src: Embedded,
    src_pool: NDArray[np.intp],
    tgt: Embedded,
    tgt_pool: NDArray[np.intp],
    weight: float,
) -> Means | None:
    """Average each sentence's k best over the declared pool; None where it is too small."""
    if min(len(src), len(tgt)) < FEW:
        return None
    if (len(src_pool), len(tgt_pool)) == (len(src), len(tgt)):
        src_best, tgt_best = nearest(src, tgt, margins.K, weight)
    else:
        src_best = nearest_targets(src, tgt.rows(tgt_pool), margins.K, weight)
        tgt_best = nearest_targets(tgt, src.rows(src_pool), margins.K, weight)
    return src_best.mean, tgt_best.mean


def _pool(side: Collection) -> NDArray[np.intp]:
    """Choose the rows that form a pool: all, or those of the smallest text_keys."""
    keys = side.sentences["text_key"]
    return np.sort(keys.arg_sort().to_numpy()[:POOL]).astype(np.intp)


def score_pairs(
    src: Embedded, tgt: Embedded, rows: tuple[slice, slice], means: Means | None, weight: float
) -> pl.DataFrame:
    """Score all sentence pairs of two articles, and keep the best few of each sentence.

    Scores are float64 from the vectors as stored, rounded to 1e-5.

    Returns:
        src and tgt (rows of the collections), sim, lexical, margin.
    """
    sim, lexical = similarities(src, tgt, np.float64)
    score = mix(sim, lexical, weight)
    margin = None
    if means is not None:
        margin = margins.ratio(score, means[0][rows[0], None], means[1][None, rows[1]])
    rank = score if margin is None else margin
    chosen = (_ranks(rank) < KEPT_RANKS) | (_ranks(rank.T) < KEPT_RANKS).T
    at = np.argwhere(chosen & (score >= FLOOR))
    values = {"sim": sim, "lexical": lexical}
    if margin is not None:
        values["margin"] = margin
    columns = {name: v[at[:, 0], at[:, 1]] for name, v in values.items()}
    return _scored(at + np.array([rows[0].start, rows[1].start]), columns)


def _ranks(scores: NDArray[np.floating]) -> NDArray[np.intp]:
    """Rank each row's scores, best 0."""
    return np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1, kind="stable")


def _scored(at: NDArray[np.intp], columns: dict[str, NDArray[np.floating]]) -> pl.DataFrame:
    schema = {"src": pl.Int64, "tgt": pl.Int64, "sim": pl.Float64, "lexical": pl.Float64}
    data: dict[str, Any] = dict.fromkeys(("sim", "lexical", "margin"), [None] * len(at))
    data |= {"src": at[:, 0], "tgt": at[:, 1]}
    data |= {name: values.round(margins.DECIMALS) for name, values in columns.items()}
    return pl.DataFrame(data, schema={**schema, "margin": pl.Float64})


def _with_ids(
    frames: list[pl.DataFrame], src: Collection, tgt: Collection, name: str
) -> pl.DataFrame:
    """Join scored pairs, and replace rows by sentence and article ids."""
    found = pl.concat(frames) if frames else _scored(np.zeros((0, 2), np.intp), {})
    ids = {
        f"{side}_{what}": collection.sentences[column].gather(found[side])
        for side, collection in (("src", src), ("tgt", tgt))
        for what, column in (("id", "sentence_id"), ("article", "article_id"))
    }
    method = pl.lit("margin").alias("method")
    return found.with_columns(method, pl.lit(name).alias("encoder"), **ids)
