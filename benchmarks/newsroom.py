"""The end-to-end benchmark: a site of aligned documents, crawled and aligned.

The documents are rendered as a news site, served on loopback and crawled over HTTP;
the whole chain runs at its default settings; what it found is scored against the
documents' lines.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from align import articles, decide, sentences
from align.encoders import check_languages, load_encoder
from benchmarks.measure import save
from benchmarks.results import Record, Score
from benchmarks.settings import SETTINGS
from benchmarks.tasks.newsroom import (
    Gold,
    Pair,
    article_quality,
    cover,
    lines_of,
    sentence_quality,
)
from corpus import chain as corpus_chain
from corpus import dedup, segment, stages, tables
from corpus.console import Console
from corpus.crawl import crawl
from corpus.errors import EmptyError, InputError
from corpus.pairs import MATCH_ARTICLES, SCORE_SENTENCES, aligned_pairs, scan, sentence_pairs
from corpus.sample.documents import load_documents
from corpus.sample.render import newsroom_profile, render
from corpus.sample.server import NewsroomServer
from corpus.sites import load_profile
from corpus.workspace import FILE, Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.tasks.newsroom import Coverage
    from corpus.sample.documents import Document
    from corpus.sample.render import Article, Newsroom

OLD_RULE = 0.7  # the bare threshold of published scripts, on the cosine
CONTACT = "benchmark@localhost"


def run(
    console: Console,
    documents: Path,
    pairs: Sequence[str] = (),
    encoder: str = "embedded",
    keep: Path | None = None,
    method: str = "margin",
    setting: str | None = None,
) -> list[Record]:
    """Render documents as a site, crawl it over HTTP, align it, and score what came out.

    Args:
        console: says what was done; records go to its workspace, if there is one.
        documents: a TSV with the columns doc, n and one per language.
        pairs: language pairs such as ``lb-en``; every two languages where none is given.
        encoder: finds the sentence pairs; articles are found by ``embedded``, as always.
        keep: folder for the workspace that is made; a temporary one by default.
        method: how sentences are paired, see `align.sentences`.
        setting: one of `SETTINGS`, each of which makes the documents harder.

    Raises:
        InputError: a setting without language pairs: it changes the target side alone.
    """
    stories = load_documents(documents)
    if setting is None:
        records = _run(console, stories, pairs, encoder, keep, method)
    elif not pairs:
        raise InputError(f"the setting {setting} needs --pair: it changes the target side alone")
    else:
        records = []
        for pair in pairs:
            harder = SETTINGS[setting](stories, pair.split("-")[1])
            place = keep / pair if keep else None
            found = _run(console, harder, [pair], encoder, place, method)
            records += [replace(record, data=f"{record.data} {setting}") for record in found]
    save(console.workspace if (console.root / FILE).exists() else None, records)
    return records


def _run(
    console: Console,
    stories: Sequence[Document],
    pairs: Sequence[str],
    encoder: str,
    keep: Path | None,
    method: str,
) -> list[Record]:
    with tempfile.TemporaryDirectory() as folder:
        inner = Console(keep or Path(folder))
        newsroom = read(console, inner, stories, pairs)
        _align(inner, corpus_chain.language_pairs(inner.workspace, pairs), encoder, method)
        return score(inner.workspace, newsroom, stories)


def read(
    console: Console, inner: Console, stories: Sequence[Document], pairs: Sequence[str]
) -> Newsroom:
    """Make a workspace of ``inner`` with the articles and sentences of rendered documents."""
    languages = dict.fromkeys(lang for story in stories for lang in story.lines)
    wanted = dict.fromkeys(lang for pair in pairs for lang in pair.split("-"))
    newsroom = render(stories, newsroom_profile(list(wanted or languages)))
    _crawl(Workspace.create(inner.root, CONTACT), newsroom, console)
    corpus_chain.text(inner)
    return newsroom


def score_sample(workspace: Workspace) -> list[Record]:
    """Score what was found in the bundled sample, and keep the records."""
    stories = load_documents()
    records = score(workspace, render(stories, load_profile("sample")), stories)
    save(workspace, records)
    return records


def show(console: Console, records: Sequence[Record]) -> None:
    """Show records as one table, a line for articles, sentences, and the old rule's sentences."""
    names = {"old rule": f"cosine ≥ {OLD_RULE}"}
    rows = [
        (
            "-".join(record.languages),
            record.split,
            record.n,
            names.get(score.name, score.name),
            *score.values.values(),
        )
        for record in records
        for score in record.scores
    ]
    columns = ["pair", "documents", "n", "what", "P", "R", "F1"]
    console.table("Newsroom, scored by lines", columns, rows)
    console.emit([record.as_json() for record in records])


def _crawl(workspace: Workspace, newsroom: Newsroom, console: Console) -> None:
    with NewsroomServer(newsroom.pages) as server, console.progress("crawl") as progress:
        crawl(
            workspace,
            newsroom.profile,
            host_map=server.host_map,
            all_=True,
            progress=lambda at: progress(at.n_done, at.n_total),
        )


def _align(console: Console, pairs: Sequence[str], spec: str, method: str) -> None:
    """Align articles and sentences at default settings."""
    workspace, fast, strong = console.workspace, load_encoder("embedded"), load_encoder(spec)
    for encoder in (fast, strong):
        check_languages(encoder, {lang for pair in pairs for lang in pair.split("-")})
    for pair in pairs:
        with console.progress(f"align {pair}") as progress:
            runs = articles.update(workspace, pair, fast, articles.Settings(), progress=progress)
            runs += sentences.update(
                workspace, pair, strong, decide.Cuts(), method=method, progress=progress
            )
        for stage in runs:
            console.stage(stage, pair)


def score(workspace: Workspace, newsroom: Newsroom, documents: Sequence[Document]) -> list[Record]:
    """Score the kept pairs of a workspace in which a newsroom was crawled.

    Returns:
        A record for every language pair and each of dev, test and all.

    Raises:
        EmptyError: nothing of this newsroom was aligned.
        InputError: the workspace was crawled from other documents.
    """
    gold = Gold.of(documents)
    places = places_of(newsroom)
    own = dedup.load(workspace).filter(site=newsroom.profile.name)
    if strange := set(own["article_id"]) - places.keys():
        raise InputError(
            f"{len(strange)} articles of the site {newsroom.profile.name} are not in its "
            "documents, which have changed since the crawl: crawl again in a new workspace"
        )
    records = [
        record
        for langs in aligned_pairs(workspace)
        for record in _score_pair(workspace, newsroom.profile.name, langs, gold, places)
    ]
    if not records:
        raise EmptyError(
            f"no aligned article of the site {newsroom.profile.name} in {workspace.root}; "
            f"first corpus crawl {newsroom.profile.name} && align sentences"
        )
    return records


def places_of(newsroom: Newsroom) -> dict[str, Article]:
    """Give the articles by the ids that they have in a workspace."""
    return {tables.article_id(article.url): article for article in newsroom.gold.values()}


def _score_pair(
    workspace: Workspace,
    name: str,
    langs: str,
    gold: Gold,
    places: Mapping[str, Article],
) -> Iterator[Record]:
    src, tgt = langs.split("-")
    folder = workspace.pair_stage(langs, MATCH_ARTICLES.name)
    matched = stages.scan(MATCH_ARTICLES, folder, tables.ARTICLE_PAIRS)
    paired = [
        (places[a].doc, places[b].doc)
        for a, b in matched.select("src_id", "tgt_id").iter_rows()
        if a in places and b in places
    ]
    if not paired:
        return
    covered = {lang: coverages(workspace, lang, places) for lang in langs.split("-")}
    pairs = list(predicted(places, covered, sentence_pairs(workspace, langs).filter("kept")))
    old = list(predicted(places, covered, _old_rule(workspace, langs)))
    for split in ("dev", "test", "all"):
        found = article_quality(gold, (src, tgt), paired, split)
        aligned, simple = (sentence_quality(gold, (src, tgt), p, split) for p in (pairs, old))
        yield Record(
            task="newsroom",
            data=f"{name} {langs}",
            split=split,
            languages=[src, tgt],
            model=str(matched["encoder"][0]),
            revision="",
            digest=gold.digest,
            n=found.n_gold,
            scores=[
                Score("articles", found.values()),
                Score("sentences", aligned.values()),
                Score("old rule", simple.values()),
            ],
        )


def _old_rule(workspace: Workspace, langs: str) -> pl.DataFrame:
    """Take what a bare threshold takes: every stored candidate of a cosine of 0.7 or more."""
    found = scan(workspace, langs, SCORE_SENTENCES, tables.SENTENCE_CANDIDATES)
    return found.filter(pl.col("sim") >= OLD_RULE).with_columns(
        src_ids=pl.col("src_id").str.split(" "), tgt_ids=pl.col("tgt_id").str.split(" ")
    )


def predicted(
    places: Mapping[str, Article],
    covered: Mapping[str, Mapping[str, Coverage]],
    rows: pl.DataFrame,
) -> Iterator[Pair]:
    """Say of each pair which lines its sides belong to; `coverages` of each language given."""
    for row in rows.select("src_article", "tgt_article", "src_ids", "tgt_ids").iter_rows():
        src, tgt = places.get(row[0]), places.get(row[1])
        if src is None or tgt is None:
            continue  # another site of the same workspace
        sides = [
            lines_of(article.lines, (covered[article.lang].get(i, {}) for i in ids))
            for article, ids in ((src, row[2]), (tgt, row[3]))
        ]
        yield Pair(src.doc, sides[0], tgt.doc, sides[1])


def coverages(
    workspace: Workspace, lang: str, places: Mapping[str, Article]
) -> dict[str, Coverage]:
    """Find every sentence of a language in the lines of its document."""
    found: dict[str, Coverage] = {}
    every = stages.scan(segment.STAGE, workspace.sentences / lang, tables.SENTENCES)
    for (article,), rows in every.partition_by("article_id", as_dict=True).items():
        if place := places.get(str(article)):
            covers = cover(place.lines, rows.sort("n")["text"])
            found.update(zip(rows.sort("n")["sentence_id"], covers, strict=True))
    return found
