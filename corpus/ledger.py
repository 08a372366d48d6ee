"""The counts of every step from pages to pairs: what it took, kept and dropped, and why.

Everything is read from what the stages left, nothing is computed again. Counts are
conserved: what a step took is the sum of its outcomes.
"""

from __future__ import annotations

import logging
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from corpus import dedup, extract, pairs, segment, stages
from corpus.crawl.frontier import Frontier
from corpus.tables import (
    ARTICLE_STATES,
    ARTICLES,
    CATALOGUE,
    SENTENCE_CANDIDATES,
    SENTENCES,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from corpus.workspace import Workspace

log = logging.getLogger(__name__)

KEPT = {"articles", "pairs", "kept", "paired", "done"}  # outcomes that go on to the next step
PAIRS_TITLE = "Sentence pairs"
REASON = pl.when("kept").then(pl.lit("kept")).otherwise(pl.col("reason").fill_null("no reason"))


@dataclass(frozen=True, slots=True)
class Row:
    """What became of some items: their number, and how many ended in each outcome."""

    where: tuple[str, ...]
    n: int
    outcomes: Mapping[str, int]

    @property
    def balanced(self) -> bool:
        """Tell whether every item has one outcome."""
        return self.n == sum(self.outcomes.values())

    @property
    def n_kept(self) -> int:
        """Count what went on to the next step."""
        return sum(n for name, n in self.outcomes.items() if name in KEPT)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the way from pages to pairs, as a table.

    Attributes:
        title: what the table shows.
        keys: names of what rows are told apart by.
        item: what is counted.
    """

    title: str
    keys: tuple[str, ...]
    item: str
    items: list[Row] = field(default_factory=list)

    @property
    def outcomes(self) -> list[str]:
        """List the outcomes that occur: kept first, then by number."""
        total: dict[str, int] = {}
        for row in self.items:
            for name, n in row.outcomes.items():
                total[name] = total.get(name, 0) + n
        return sorted(total, key=lambda name: (name not in KEPT, -total[name], name))

    @property
    def columns(self) -> list[str]:
        """Name the columns."""
        return [*self.keys, self.item, "went on", "did not, by reason", "in = out"]

    @property
    def rows(self) -> list[list[object]]:
        """Give the cells of each row; the last says whether its counts are conserved."""
        return [
            [*row.where, row.n, row.n_kept, self._lost(row), "yes" if row.balanced else "no"]
            for row in self.items
        ]

    def _lost(self, row: Row) -> str:
        lost = (name for name in self.outcomes if name not in KEPT and row.outcomes.get(name))
        return ", ".join(f"{row.outcomes[name]} {name.replace('_', ' ')}" for name in lost)


def steps(workspace: Workspace) -> list[Step]:
    """Say what every step took, kept and dropped, and why; steps that never ran are left out."""
    crawled = _crawl(workspace)
    every = [
        crawled,
        _pages(workspace, crawled),
        _articles(workspace),
        *_by_pair(workspace),
    ]
    return [step for step in every if step.items]


def _crawl(workspace: Workspace) -> Step:
    """URLs are done, wait, or failed, by site and host; read beside a running crawl."""
    step = Step("Crawl", ("site", "host"), "URLs")
    for folder in sorted(workspace.pages.glob("*/")):
        try:
            path = workspace.frontier(folder.name)
            with closing(Frontier(path, read_only=True)) as frontier:
                rows = frontier.outcomes()
        except sqlite3.Error as error:
            log.warning("no crawl state of %s: %s", folder.name, error)
            continue
        found: dict[str, dict[str, int]] = {}
        for host, outcome, n in rows:
            found.setdefault(host, {})[outcome] = n
        step.items.extend(Row((folder.name, h), sum(by.values()), by) for h, by in found.items())
    return step


def _pages(workspace: Workspace, crawled: Step) -> Step:
    """Pages become articles or rejects, by site; imported files count as sites.

    A page that the crawl stored and `extract` did not read is told: it is not extracted
    yet, or its WARC file is gone or cut.
    """
    n_stored: Counter[str] = Counter()
    for row in crawled.items:
        n_stored[row.where[0]] += row.outcomes.get("done", 0)
    found = {site: Counter[str]() for site, n in n_stored.items() if n}
    for folder in (workspace.extracted, workspace.imported):
        for path, manifest in stages.manifests(folder):
            name = path.relative_to(folder).parts[0].removesuffix(".json")
            found.setdefault(name, Counter()).update(manifest["counts"])
    step = Step("Pages", ("site",), "pages")
    for site, counts in sorted(found.items()):
        outcomes = _outcomes(counts, "articles")
        n = counts["pages"] + counts["rows"]
        if n_stored[site] > n:
            outcomes["not_extracted"] = n_stored[site] - n
        step.items.append(Row((site,), max(n, n_stored[site]), outcomes))
    return step


def _articles(workspace: Workspace) -> Step:
    """Articles are kept or give way to a newer version or a copy, by site and language.

    The same version that came again, perhaps under another site's name, counts as *again*.
    """
    every = read_articles(workspace, ["site", "lang", "article_id", "version"])
    catalogue = _catalogue(workspace)
    ids = ["article_id", "version"]
    step = Step("Articles", ("site", "language"), "articles")
    for (site, lang), rows in sorted(every.partition_by("site", "lang", as_dict=True).items()):
        own = catalogue.filter(site=site, lang=lang)
        outcomes = _tally(own, "state")
        unique = rows.unique(ids)
        elsewhere = unique.join(own, ids, "anti").join(catalogue, ids, "semi")
        if n_again := rows.height - unique.height + elsewhere.height:
            outcomes["again"] = n_again
        step.items.append(Row((str(site), str(lang)), rows.height, outcomes))
    return step


def _by_pair(workspace: Workspace) -> tuple[Step, ...]:
    matching = Step("Articles of a language pair", ("pair", "language"), "articles")
    sentences = Step("Sentences of paired articles", ("pair", "language"), "sentences")
    decisions = Step(PAIRS_TITLE, ("pair",), "matched pairs")
    kept = _tally(_catalogue(workspace).filter(state="kept"), "lang")
    for langs in pairs.aligned_pairs(workspace):
        states = pairs.scan(workspace, langs, pairs.MATCH_ARTICLES, ARTICLE_STATES)
        for side, lang in zip(("src", "tgt"), langs.split("-"), strict=True):
            where, outcomes = (langs, lang), _tally(states.filter(side=side), "state")
            matching.items.append(Row(where, kept.get(lang, 0), outcomes))
            fates = _tally(_fates(workspace, langs, side, lang), "fate")
            sentences.items.append(Row(where, sum(fates.values()), fates))
    imported = Step("Imported pairs", ("pair",), "rows")
    for langs in pairs.language_pairs(workspace):
        if counts := stages.counts(workspace.pair_stage(langs, pairs.IMPORT.name)):
            imported.items.append(Row((langs,), counts["rows"], _outcomes(counts, "pairs")))
        decided = pairs.sentence_pairs(workspace, langs)
        outcomes = _tally(decided.select(reason=REASON), "reason")
        decisions.items.append(Row((langs,), decided.height, outcomes))
    return matching, sentences, imported, decisions


def _outcomes(counts: Mapping[str, int], good: str) -> dict[str, int]:
    """Give what became of a stage's input: what is good, and the rejects by reason."""
    rejects = {k.removeprefix("rejects."): n for k, n in counts.items() if "rejects." in k}
    return {good: counts.get(good, 0), **rejects}


def _fates(workspace: Workspace, langs: str, side: str, lang: str) -> pl.DataFrame:
    """Say what became of each sentence of the paired articles of one side."""
    paired = pairs.article_pairs(workspace, langs)[f"{side}_id"]
    folder = workspace.sentences / lang
    sentences = stages.scan(segment.STAGE, folder, SENTENCES).filter(
        pl.col("article_id").is_in(paired.to_list())
    )
    decided = (
        pairs.sentence_pairs(workspace, langs)
        .select(pl.col(f"{side}_ids").alias("sentence_id"), "kept", REASON.alias("fate"))
        .explode("sentence_id")
        .sort("kept", descending=True)
        .unique("sentence_id", keep="first", maintain_order=True)
    )
    scored = pairs.scan(workspace, langs, pairs.SCORE_SENTENCES, SENTENCE_CANDIDATES)
    seen = pl.col("sentence_id").is_in(scored[f"{side}_id"].unique().to_list())
    otherwise = pl.when(seen).then(pl.lit("not_mutual_best")).otherwise(pl.lit("no_candidate"))
    found = sentences.join(decided, on="sentence_id", how="left")
    return found.select("sentence_id", pl.coalesce("fate", otherwise).alias("fate"))


def by_month(workspace: Workspace) -> dict[str, dict[str, int]]:
    """Count kept articles by month and language, and kept pairs by their source's month."""
    month = pl.col("published").dt.strftime("%Y-%m").fill_null("undated").alias("month")
    articles = _catalogue(workspace).filter(state="kept").select("article_id", "lang", month)
    frames = [articles.select("month", "lang")]
    for langs in pairs.language_pairs(workspace):
        kept = (
            pairs.sentence_pairs(workspace, langs).filter("kept").select(article_id="src_article")
        )
        frames.append(kept.join(articles, "article_id").select("month", lang=pl.lit(langs)))
    found = pl.concat(frames).partition_by("month", as_dict=True)
    return {str(month): _tally(rows, "lang") for (month,), rows in sorted(found.items())}


def read_articles(workspace: Workspace, columns: Sequence[str]) -> pl.DataFrame:
    """Read some columns of all articles, crawled and imported, in every version."""
    frames = [ARTICLES.empty().select(columns)]
    for folder in (workspace.extracted, workspace.imported):
        for path, _ in stages.manifests(folder):
            part = extract.STAGE.path(path.parent, path.stem, ARTICLES)
            frames.append(pl.read_parquet(part, columns=list(columns)))
    return pl.concat(frames)


def _catalogue(workspace: Workspace) -> pl.DataFrame:
    return stages.scan(dedup.STAGE, workspace.catalogue, CATALOGUE)


def _tally(frame: pl.DataFrame, column: str) -> dict[str, int]:
    """Count the values of a column."""
    return dict(frame.group_by(column).len().sort(column).iter_rows())
