"""What happened to every page, article and sentence: tables, and one HTML page.

Everything is read from what the stages left, nothing is computed again. Counts are
conserved: what a step took is what it kept and what it did not, by reason.
"""

from __future__ import annotations

import logging
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl
from jinja2 import Environment, PackageLoader, StrictUndefined

from corpus import dedup, extract, plots, segment, stages, tables
from corpus.languages import language_name
from corpus.stages import Stage
from corpus.tables import (
    ARTICLE_PAIRS,
    ARTICLE_STATES,
    ARTICLES,
    CATALOGUE,
    REJECTS,
    SENTENCE_CANDIDATES,
    SENTENCE_PAIRS,
    SENTENCES,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from corpus.workspace import Workspace

log = logging.getLogger(__name__)

# What the stages of `align` leave below `Workspace.pair_stage`.
MATCH_ARTICLES = Stage("article_pairs", 1, (ARTICLE_PAIRS, ARTICLE_STATES))
SCORE_SENTENCES = Stage("sentence_candidates", 1, (SENTENCE_CANDIDATES,))
MATCH_SENTENCES = Stage("sentence_pairs", 1, (SENTENCE_PAIRS,))

KEPT = {"articles", "kept", "paired", "done"}  # outcomes that go on to the next step
PAIRS_TITLE = "Sentence pairs"
SAMPLES = 2  # pairs of each decile, rejects of each reason
SCORES = {"margin": "ratio margin", "sim": "cosine", "lexical": "lexical score"}
FRONTIER = """SELECT host, CASE state WHEN 'failed' THEN 'failed: ' || reason ELSE state END, count(*)
    FROM urls GROUP BY 1, 2 ORDER BY 1, 2"""
# What a user can do about an outcome.
HINTS = {
    "not_article": "compare the profile's article patterns: corpus sites check SITE --live",
    "wrong_language": "compare the languages of the profile's editions",
    "too_short": "these pages hold little text; look at a few of them below",
    "http_status": "the site refused; crawl again later",
    "waiting": "crawl again to go on",
    "undated": "pages without a date are not paired; see published_from of their site",
    "none_in_window": "crawl the same days of both languages, or raise --window",
    "below_floor": "the articles in reach do not translate each other by this encoder",
    "not_mutual_best": "another sentence fits better; comparable text has many of these",
    "no_candidate": "nothing in the other article is near; shortened translations have these",
    "fdr": "raise --fdr, or train a stronger encoder",
    "length_ratio": "one side is far longer: a sentence split or joined in translation",
    "copy": "the same words on both sides: not translated",
    "duplicate": "the same pair is kept from another article",
    "threshold": "lower --threshold, or cut by --margin, which travels between encoders",
    "margin": "lower --margin",
    "language": "sentences in a third language; compare the editions",
}


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
        names = [name.replace("_", " ") for name in self.outcomes]
        return [*self.keys, self.item, *names, "in = out"]

    @property
    def rows(self) -> list[list[object]]:
        """Give the cells of each row; the last says whether its counts are conserved."""
        return [
            [
                *row.where,
                row.n,
                *(row.outcomes.get(name, 0) for name in self.outcomes),
                "yes" if row.balanced else f"no: {row.n - sum(row.outcomes.values()):+}",
            ]
            for row in self.items
        ]


def summary(workspace: Workspace) -> list[tuple[str, list[str], list[list[object]]]]:
    """Give the report as tables (title, columns, rows); the last says what came out."""
    found, months = steps(workspace), _by_month(workspace)
    columns = _columns(months)
    by_month = [[month, *(n.get(c, 0) for c in columns)] for month, n in months.items()]
    return [
        *((step.title, step.columns, step.rows) for step in found),
        *([("By month of publication", ["month", *columns], by_month)] if months else []),
        ("In short", ["result"], [[line] for line in verdicts(found)]),
    ]


def steps(workspace: Workspace) -> list[Step]:
    """Say what every step took, kept and dropped, and why; steps that never ran are left out."""
    every = [
        _crawl(workspace),
        _pages(workspace),
        _articles(workspace),
        *_by_pair(workspace),
    ]
    return [step for step in every if step.items]


def verdicts(steps: Sequence[Step]) -> list[str]:
    """Say what came out, and for whatever gave nothing where it was lost and what to do."""
    if not steps:
        return ["Nothing has been crawled or imported yet: corpus crawl SITE"]
    lines = [
        f"{' '.join(row.where)}: none of {row.n:,} {step.item} went on{_largest_loss(row)}"
        for step in steps
        for row in step.items
        if not row.n_kept
    ]
    final = [row for step in steps if step.title == PAIRS_TITLE for row in step.items]
    lines += [
        f"{row.where[0]}: {row.n_kept:,} of {row.n:,} matched pairs kept" + _largest_loss(row)
        for row in final
        if row.n_kept
    ]
    if not final:
        lines.append(f"No step after '{steps[-1].title}' has run: align sentences")
    return lines


def build(workspace: Workspace) -> Path:
    """Write the report as one HTML page that opens without a network."""
    found, months = steps(workspace), _by_month(workspace)
    page = (
        _environment()
        .get_template("report.html")
        .render(
            name=workspace.root.resolve().name,
            verdicts=verdicts(found),
            steps=found,
            kept=KEPT,
            hints=HINTS,
            months={"columns": _columns(months), "rows": months} if months else None,
            pairs=[_pair_page(workspace, langs) for langs in _language_pairs(workspace)],
            rejects=_reject_samples(workspace),
        )
    )
    tables.write_text(workspace.report, page)
    return workspace.report


def _largest_loss(row: Row) -> str:
    lost = {name: n for name, n in row.outcomes.items() if name not in KEPT and n}
    if not lost:
        return ""
    name = max(lost, key=lambda reason: (lost[reason], reason))
    hint = f": {HINTS[name]}" if name in HINTS and 10 * lost[name] >= row.n else ""
    return f"; the largest loss is {name.replace('_', ' ')} ({lost[name]:,}){hint}"


def _crawl(workspace: Workspace) -> Step:
    """URLs are done, wait, or failed, by site and host; read beside a running crawl."""
    step = Step("Crawl", ("site", "host"), "URLs")
    for folder in sorted(workspace.pages.glob("*/")):
        uri = f"{workspace.frontier(folder.name).resolve().as_uri()}?mode=ro"
        try:
            with closing(sqlite3.connect(uri, uri=True)) as db:
                rows = db.execute(FRONTIER).fetchall()
        except sqlite3.Error as error:
            log.warning("no crawl state of %s: %s", folder.name, error)
            continue
        found: dict[str, dict[str, int]] = {}
        for host, outcome, n in rows:
            found.setdefault(host, {})[outcome] = n
        step.items.extend(Row((folder.name, h), sum(by.values()), by) for h, by in found.items())
    return step


def _pages(workspace: Workspace) -> Step:
    """Pages become articles or rejects, by site; imported files count as sites."""
    found: dict[str, Counter[str]] = {}
    for folder in (workspace.extracted, workspace.imported):
        for path, manifest in stages.manifests(folder):
            name = path.relative_to(folder).parts[0].removesuffix(".json")
            found.setdefault(name, Counter()).update(manifest["counts"])
    step = Step("Pages", ("site",), "pages")
    for site, counts in sorted(found.items()):
        rejects = {k.removeprefix("rejects."): n for k, n in counts.items() if "rejects." in k}
        outcomes = {"articles": counts["articles"], **rejects}
        step.items.append(Row((site,), counts["pages"], outcomes))
    return step


def _articles(workspace: Workspace) -> Step:
    """Articles are kept or give way to a newer version or a copy, by site and language."""
    keys = ["site", "lang"]
    columns = [*keys, "article_id", "version"]
    every = pl.concat(
        stages.scan(extract.STAGE, folder, ARTICLES).select(columns)
        for folder in (workspace.extracted, workspace.imported)
    )
    once = every.unique(["article_id", "version"])
    states = _nested(_catalogue(workspace), keys, "state")
    n_once = dict(_groups(once, keys))
    step = Step("Articles", ("site", "language"), "articles")
    for where, n in _groups(every, keys):
        again = {"fetched_again": n - n_once.get(where, 0)}
        step.items.append(Row(where, n, _filled({**states.get(where, {}), **again})))
    return step


def _by_pair(workspace: Workspace) -> Iterator[Step]:
    matching = Step("Articles of a language pair", ("pair", "language"), "articles")
    sentences = Step("Sentences of paired articles", ("pair", "language"), "sentences")
    pairs = Step(PAIRS_TITLE, ("pair",), "matched pairs")
    for langs in _language_pairs(workspace):
        for side, lang in zip(("src", "tgt"), langs.split("-"), strict=True):
            states = _scan(workspace, langs, MATCH_ARTICLES, ARTICLE_STATES).filter(side=side)
            outcomes = _nested(states, ["side"], "state").get((side,), {})
            kept = _catalogue(workspace).filter(state="kept", lang=lang).height
            matching.items.append(Row((langs, lang), kept, outcomes))
            fates = _fates(workspace, langs, side, lang)
            outcomes = _nested(fates, ["side"], "fate").get((side,), {})
            sentences.items.append(Row((langs, lang), fates.height, outcomes))
        decided = _decided(workspace, langs).with_columns(reason=_reason)
        outcomes = _nested(decided, ["langs"], "reason").get((langs,), {})
        pairs.items.append(Row((langs,), decided.height, outcomes))
    return iter((matching, sentences, pairs))


_reason = pl.when("kept").then(pl.lit("kept")).otherwise(pl.col("reason").fill_null("no reason"))


def _fates(workspace: Workspace, langs: str, side: str, lang: str) -> pl.DataFrame:
    """Say what became of each sentence of the paired articles of one side."""
    paired = _scan(workspace, langs, MATCH_ARTICLES, ARTICLE_PAIRS)[f"{side}_id"].unique()
    folder = workspace.sentences / lang
    sentences = stages.scan(segment.STAGE, folder, SENTENCES).filter(
        pl.col("article_id").is_in(paired.to_list())
    )
    decided = (
        _decided(workspace, langs)
        .select(pl.col(f"{side}_ids").alias("sentence_id"), "kept", _reason.alias("fate"))
        .explode("sentence_id")
        .sort("kept", descending=True)
        .unique("sentence_id", keep="first", maintain_order=True)
    )
    scored = _scan(workspace, langs, SCORE_SENTENCES, SENTENCE_CANDIDATES)[f"{side}_id"].unique()
    seen = pl.col("sentence_id").is_in(scored.to_list())
    otherwise = pl.when(seen).then(pl.lit("not_mutual_best")).otherwise(pl.lit("no_candidate"))
    return sentences.join(decided, on="sentence_id", how="left").select(
        "sentence_id", pl.lit(side).alias("side"), pl.coalesce("fate", otherwise).alias("fate")
    )


def _by_month(workspace: Workspace) -> dict[str, dict[str, int]]:
    """Count kept articles by month and language, and kept pairs by their source's month."""
    month = pl.col("published").dt.strftime("%Y-%m").fill_null("undated").alias("month")
    articles = _catalogue(workspace).filter(state="kept").select("article_id", "lang", month)
    found = _nested(articles, ["month"], "lang")
    for langs in _language_pairs(workspace):
        kept = _decided(workspace, langs).filter("kept").select("langs", article_id="src_article")
        for where, counts in _nested(kept.join(articles, "article_id"), ["month"], "langs").items():
            found[where].update(counts)
    return {month: found[month,] for (month,) in sorted(found)}


def _columns(months: Mapping[str, Mapping[str, int]]) -> list[str]:
    """List languages, then language pairs."""
    return sorted(
        {name for counts in months.values() for name in counts}, key=lambda n: ("-" in n, n)
    )


def _pair_page(workspace: Workspace, langs: str) -> dict[str, Any]:
    """Gather what the page shows of one language pair."""
    decided = _decided(workspace, langs).with_columns(reason=_reason)
    src, tgt = langs.split("-")
    kept, dropped = decided.filter("kept"), decided.filter(~pl.col("kept"))
    return {
        "langs": langs,
        "name": f"{language_name(src)} – {language_name(tgt)}",
        "src": src,
        "tgt": tgt,
        "histograms": [
            plots.histogram(kept[column], dropped[column], label)
            for column, label in SCORES.items()
            if decided[column].drop_nulls().len()
        ],
        "score": _decile_score(decided),
        "deciles": _deciles(decided),
    }


def _decile_score(decided: pl.DataFrame) -> str:
    return "margin" if decided["margin"].drop_nulls().len() else "sim"


def _deciles(decided: pl.DataFrame) -> list[dict[str, Any]]:
    """Take a few pairs of each tenth by score, best first; the choice is by id."""
    score = _decile_score(decided)
    ranked = decided.drop_nulls(score).sort(score, "pair_id", descending=[True, False])
    tenths = []
    for n in range(10 if len(ranked) else 0):
        start, stop = len(ranked) * n // 10, len(ranked) * (n + 1) // 10
        part = ranked[start:stop]
        if len(part):
            rows = part.sort("pair_id").head(SAMPLES).sort(score, descending=True)
            tenths.append(
                {
                    "high": part[score].max(),
                    "low": part[score].min(),
                    "kept": int(part["kept"].sum()),
                    "n": len(part),
                    "rows": rows.to_dicts(),
                }
            )
    return tenths


def _reject_samples(workspace: Workspace) -> dict[str, list[dict[str, str]]]:
    """Show a few rejects of each reason."""
    rejects = stages.scan(extract.STAGE, workspace.extracted, REJECTS)
    return {
        str(reason): rows.head(SAMPLES).to_dicts()
        for (reason,), rows in rejects.sort("reason", "id")
        .partition_by("reason", as_dict=True, maintain_order=True)
        .items()
    }


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("corpus"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["words"] = lambda name: str(name).replace("_", " ")
    environment.filters["thousands"] = lambda n: f"{n:,}"
    return environment


def _language_pairs(workspace: Workspace) -> list[str]:
    if not workspace.pairs.exists():
        return []
    return sorted(p.name for p in workspace.pairs.iterdir() if p.is_dir() and "-" in p.name)


def _scan(workspace: Workspace, langs: str, stage: Stage, table: tables.Table) -> pl.DataFrame:
    return stages.scan(stage, workspace.pair_stage(langs, stage.name), table)


def _decided(workspace: Workspace, langs: str) -> pl.DataFrame:
    return _scan(workspace, langs, MATCH_SENTENCES, SENTENCE_PAIRS)


def _catalogue(workspace: Workspace) -> pl.DataFrame:
    return stages.scan(dedup.STAGE, workspace.catalogue, CATALOGUE)


def _groups(frame: pl.DataFrame, keys: Sequence[str]) -> Iterator[tuple[tuple[str, ...], int]]:
    for *where, n in frame.group_by(keys).len().sort(keys).iter_rows():
        yield tuple(map(str, where)), n


def _nested(
    frame: pl.DataFrame, keys: Sequence[str], by: str
) -> dict[tuple[str, ...], dict[str, int]]:
    """Count the values of a column in each group."""
    found: dict[tuple[str, ...], dict[str, int]] = {}
    for (*where, value), n in _groups(frame, [*keys, by]):
        found.setdefault(tuple(where), {})[value] = n
    return found


def _filled(outcomes: Mapping[str, int]) -> dict[str, int]:
    return {name: n for name, n in outcomes.items() if n}
