"""What a release holds: a configuration a language pair, and the articles behind them.

With text, or *deferred*: addresses, article versions and text_keys in place of text,
from which `corpus rebuild` finds the same sentences again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from corpus import dedup, reserved, segment, stages, tables
from corpus.ledger import read_articles
from corpus.pairs import article_pairs, language_pairs, sentence_pairs
from corpus.release.splits import copies
from corpus.tables import SENTENCES, UTC, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from polars._typing import JoinStrategy, PolarsDataType

    from corpus.workspace import Workspace

FACTS = ("article_id", "version", "url", "site", "lang", "published", "licence", "rights", "basis")
ARTICLES = Table(
    "articles",
    {
        **{name: tables.ARTICLES.columns[name] for name in FACTS},
        "extractor": pl.String,
        "n_sentences": pl.UInt32,
    },
    ("article_id",),
)
ARTICLE_PAIRS = Table(
    "article-pairs",
    {
        "src_article": pl.String,
        "tgt_article": pl.String,
        "src_url": pl.String,
        "tgt_url": pl.String,
        **{
            name: tables.ARTICLE_PAIRS.columns[name]
            for name in ("langs", "sim", "lexical", "margin", "days", "q", "encoder")
        },
    },
    ("langs", "src_article", "tgt_article"),
)
SCORES: dict[str, PolarsDataType] = {
    "sim": pl.Float64,
    "lexical": pl.Float64,
    "margin": pl.Float64,
    "q": pl.Float64,
    "src_article": pl.String,
    "tgt_article": pl.String,
    "src_url": pl.String,
    "tgt_url": pl.String,
    "published": UTC,
    "origin": pl.String,
    "licence": pl.String,
    "encoder": pl.String,
    "method": pl.String,
}
PLACE: dict[str, PolarsDataType] = {
    "article_id": pl.String,
    "n": pl.Int32,
    "part": pl.String,
    "lang": pl.String,
}
SAMPLE = "sample"  # the bundled newsroom's site
TEXTS = ("src_text", "tgt_text")
KEYS = pl.List(pl.String)  # text_keys of one side's sentences, in hex


def pairs_table(*, deferred: bool) -> Table:
    """Give the columns of sentence pairs, with text or with its keys."""
    text: dict[str, PolarsDataType]
    text = {"src_keys": KEYS, "tgt_keys": KEYS} if deferred else {}
    text = text or {"src_text": pl.String, "tgt_text": pl.String}
    key = ("pair_id", "src_article", "tgt_article")
    return Table("pairs", {"pair_id": pl.String, **text, **SCORES}, key)


def sentences_table(*, deferred: bool) -> Table:
    """Give the columns of sentences, with text or with its key."""
    text = "text_key" if deferred else "text"
    return Table("sentences", {**PLACE, text: pl.String}, ("article_id", "n"))


class Rows(NamedTuple):
    """All that is released.

    Attributes:
        pairs: language pair → table of `pairs_table` without the keys, and src_ids, tgt_ids.
        article_pairs: the article pairs of all language pairs.
        articles: the articles of both.
        sentences: their sentences, with text and text_key (hex).
        decided: language pair → all matched pairs, kept or not.
    """

    pairs: dict[str, pl.DataFrame]
    article_pairs: pl.DataFrame
    articles: pl.DataFrame
    sentences: pl.DataFrame
    decided: dict[str, pl.DataFrame]

    @property
    def invented(self) -> bool:
        """Tell whether anything is of the bundled sample."""
        return any((rows["origin"] == SAMPLE).any() for rows in self.pairs.values())

    def links(self) -> pl.DataFrame:
        """Give the articles that belong on one side of a split: a and b."""
        both = self.article_pairs.select(a="src_article", b="tgt_article")
        return pl.concat([both, copies(self.sentences)])

    def texts(self) -> pl.Series:
        """Give all texts, each once."""
        columns = [rows[side] for rows in self.pairs.values() for side in TEXTS]
        every = [*columns, self.sentences["text"]]
        return pl.concat([column.rename("text") for column in every]).unique(maintain_order=True)

    def mapped_texts(self, change: Callable[[pl.Expr], pl.Expr]) -> Rows:
        """Change every text."""
        pairs = {
            langs: rows.with_columns(change(pl.col(side)) for side in TEXTS)
            for langs, rows in self.pairs.items()
        }
        return self._replace(
            pairs=pairs, sentences=self.sentences.with_columns(change(pl.col("text")))
        )


def gather(workspace: Workspace, sites: Sequence[str] = ()) -> Rows:
    """Gather what is kept in a workspace, of all sites or of some."""
    langs = language_pairs(workspace)
    facts = _facts(workspace, sites)
    urls = facts.select("article_id", "url", "published")
    paired = [tables.ARTICLE_PAIRS.empty(), *(article_pairs(workspace, pair) for pair in langs)]
    linked = _with_urls(
        pl.concat(paired).rename({"src_id": "src_article", "tgt_id": "tgt_article"}), urls, "inner"
    )
    decided = {pair: sentence_pairs(workspace, pair) for pair in langs}
    if sites:
        decided = {p: rows.filter(pl.col("origin").is_in(sites)) for p, rows in decided.items()}
    kept = {p: _with_urls(rows.filter("kept"), urls, "left") for p, rows in decided.items()}
    articles = facts.filter(
        pl.col("article_id").is_in(linked["src_article"].to_list())
        | pl.col("article_id").is_in(linked["tgt_article"].to_list())
    )
    sentences = _sentences(workspace, articles)
    sentences = reserved.drop(sentences, ["text"], reserved.load(workspace))
    n_sentences = sentences.group_by("article_id").agg(pl.len().alias("n_sentences"))
    return Rows(
        {pair: rows for pair, rows in kept.items() if len(rows)},
        ARTICLE_PAIRS.conform(linked),
        ARTICLES.conform(articles.join(n_sentences, "article_id", "left")),
        sentences,
        decided,
    )


def with_keys(pairs: pl.DataFrame, sentences: pl.DataFrame) -> pl.DataFrame:
    """Add the text_keys of both sides' sentences; a pair that has none of them is left out."""
    key_of = sentences.select("sentence_id", "text_key")
    rows = pairs.with_row_index("row")
    for side in ("src", "tgt"):
        keys = (
            rows.select("row", pl.col(f"{side}_ids").alias("sentence_id"))
            .explode("sentence_id")
            .join(key_of, "sentence_id", maintain_order="left")
            .group_by("row", maintain_order=True)
            .agg(pl.col("text_key").alias(f"{side}_keys"))
        )
        rows = rows.join(keys, "row")
    return rows


def _facts(workspace: Workspace, sites: Sequence[str]) -> pl.DataFrame:
    """Read what is known of each kept article, but its text."""
    every = read_articles(workspace, list(ARTICLES.columns)[:-1])
    ids = ["article_id", "version"]
    kept = every.join(dedup.load(workspace), ids, "semi").unique(
        "article_id", keep="first", maintain_order=True
    )
    return kept.filter(pl.col("site").is_in(sites)) if sites else kept


def _with_urls(pairs: pl.DataFrame, urls: pl.DataFrame, how: JoinStrategy) -> pl.DataFrame:
    """Add the addresses of both articles, and when the source was published."""
    src = urls.rename({"article_id": "src_article", "url": "src_url"})
    tgt = urls.select(tgt_article="article_id", tgt_url="url")
    return pairs.join(src, "src_article", how).join(tgt, "tgt_article", how)


def _sentences(workspace: Workspace, articles: pl.DataFrame) -> pl.DataFrame:
    """Read the sentences of articles; text_keys in hex."""
    found = [SENTENCES.empty()]
    for lang in articles["lang"].unique().sort():
        every = stages.scan(segment.STAGE, workspace.sentences / lang, SENTENCES)
        found.append(every.join(articles, "article_id", "semi"))
    return pl.concat(found).with_columns(pl.col("text_key").bin.encode("hex"))
