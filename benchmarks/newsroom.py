"""The end-to-end benchmark: a site of aligned documents, crawled and aligned.

The documents are rendered as a news site, served on loopback and crawled over HTTP;
the whole chain runs at its default settings; what it found is scored against the
documents' lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.results import Record, Score
from benchmarks.tasks.bitext import SPLITS
from benchmarks.tasks.newsroom import (
    Gold,
    Pair,
    article_quality,
    cover,
    lines_of,
    sentence_quality,
)
from corpus import segment, stages, tables
from corpus.errors import EmptyError
from corpus.ledger import MATCH_ARTICLES, decided_pairs, language_pairs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.tasks.newsroom import Coverage
    from corpus.sample.documents import Document
    from corpus.sample.render import Article, Newsroom
    from corpus.workspace import Workspace


def score(workspace: Workspace, newsroom: Newsroom, documents: Sequence[Document]) -> list[Record]:
    """Score the kept pairs of a workspace in which a newsroom was crawled.

    Returns:
        A record for every language pair and each of dev, test and all.

    Raises:
        EmptyError: nothing of this newsroom was aligned.
    """
    gold = Gold.of(documents)
    places = {tables.article_id(article.url): article for article in newsroom.gold.values()}
    records = [
        record
        for langs in language_pairs(workspace)
        for record in _score_pair(workspace, newsroom.profile.name, langs, gold, places)
    ]
    if not records:
        raise EmptyError(
            f"no aligned article of the site {newsroom.profile.name} in {workspace.root}; "
            f"first corpus crawl {newsroom.profile.name} && align sentences"
        )
    return records


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
    articles = [
        (places[a].doc, places[b].doc)
        for a, b in matched.select("src_id", "tgt_id").iter_rows()
        if a in places and b in places
    ]
    if not articles:
        return
    pairs = list(_predicted(workspace, langs, places))
    for split in SPLITS:
        found = article_quality(gold, (src, tgt), articles, split)
        aligned = sentence_quality(gold, (src, tgt), pairs, split)
        yield Record(
            task="newsroom",
            data=f"{name} {langs}",
            split=split,
            languages=[src, tgt],
            model=str(matched["encoder"][0]),
            revision="",
            digest=gold.digest,
            n=found.n_gold,
            scores=[Score("articles", found.values()), Score("sentences", aligned.values())],
        )


def _predicted(workspace: Workspace, langs: str, places: Mapping[str, Article]) -> Iterator[Pair]:
    """Say of each kept pair which lines its sides belong to."""
    covered = {lang: _coverages(workspace, lang, places) for lang in langs.split("-")}
    rows = decided_pairs(workspace, langs).filter("kept")
    for row in rows.select("src_article", "tgt_article", "src_ids", "tgt_ids").iter_rows():
        src, tgt = places.get(row[0]), places.get(row[1])
        if src is None or tgt is None:
            continue  # another site of the same workspace
        sides = [
            lines_of(article.lines, (covered[article.lang].get(i, {}) for i in ids))
            for article, ids in ((src, row[2]), (tgt, row[3]))
        ]
        yield Pair(src.doc, sides[0], tgt.doc, sides[1])


def _coverages(
    workspace: Workspace, lang: str, places: Mapping[str, Article]
) -> dict[str, Coverage]:
    """Find every sentence of a language in the lines of its document."""
    found: dict[str, Coverage] = {}
    sentences = stages.scan(segment.STAGE, workspace.sentences / lang, tables.SENTENCES)
    for (article,), rows in sentences.partition_by("article_id", as_dict=True).items():
        if place := places.get(str(article)):
            coverages = cover(place.lines, rows.sort("n")["text"])
            found.update(zip(rows.sort("n")["sentence_id"], coverages, strict=True))
    return found
