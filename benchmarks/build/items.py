"""The items of a set: what is judged, who proposed it, and where its texts are from."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import polars as pl

from corpus import dedup, segment, stages, tables
from corpus.errors import EmptyError, InputError
from corpus.ledger import read_articles
from corpus.tables import REJECTS, SENTENCES, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from corpus.workspace import Workspace

TRIPLE, PAIR = "triple", "pair"
ROLES = {TRIPLE: ("anchor", "paraphrase", "not_paraphrase"), PAIR: ("source", "target")}
FACTS = ("url", "site", "licence", "basis")  # of the article that a text is from
ITEMS = Table(
    "items",
    {
        "item_id": pl.String,  # 16 hex of sha256 of kind, languages and texts
        "kind": pl.String,  # triple or pair
        "langs": pl.String,  # lb, or lb-en of a pair
        "texts": pl.List(pl.String),  # in the order of ROLES
        "proposer": pl.String,
        "edit": pl.String,  # what was changed in the negative; null of a pair
        "sim": pl.Float64,  # of the first two texts, as is lexical
        "lexical": pl.Float64,
        "margin": pl.Float64,  # of a pair, as is q
        "q": pl.Float64,
        "context": pl.List(pl.String),  # what stands around the first two texts
        **{name: pl.List(pl.String) for name in FACTS},  # of the first two texts
    },
    ("item_id",),
)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


def item_id(kind: str, langs: str, texts: Iterable[str]) -> str:
    """Hash what an item says to 16 hex digits."""
    parts = "\0".join((kind, langs, *texts))
    return hashlib.sha256(parts.encode()).hexdigest()[:16]


def check_name(name: str) -> str:
    """Refuse the name of a set that could not name a folder.

    Raises:
        InputError: says the form of a name.
    """
    if not NAME.fullmatch(name):
        raise InputError(f"'{name}' is no name for a set; take letters, digits, dots and hyphens")
    return name


def save(workspace: Workspace, name: str, items: pl.DataFrame, rejects: pl.DataFrame) -> None:
    """Write a set, and what did not get into it.

    Raises:
        InputError: it was judged already: its items would change under their judges.
        EmptyError: there is no item.
    """
    if _is_judged(workspace.judgements(check_name(name))):
        raise InputError(f"the set {name} was judged already; build another under a new name")
    if not len(items):
        counts = rejects["reason"].value_counts().sort("reason").iter_rows()
        why = ", ".join(f"{reason} {n}" for reason, n in counts) or "no candidate at all"
        raise EmptyError(
            f"no item for {name}: {why}; lower --near, raise --overlap, propose by a second "
            "--encoder or --chat, or align more text"
        )
    tables.write(workspace.items(name, "rejects"), REJECTS, rejects)
    tables.write(workspace.items(name), ITEMS, items)


def _is_judged(path: Path) -> bool:
    """Tell whether a set's file of judgements holds one: who only looks leaves it empty."""
    if not path.exists():
        return False
    with closing(sqlite3.connect(path)) as db:
        [(n,)] = db.execute("SELECT count(*) FROM judgements")
    return bool(n)


def load(workspace: Workspace, name: str) -> pl.DataFrame:
    """Read the items of a set.

    Raises:
        InputError: there is no such set; names those that are there.
    """
    path = workspace.items(check_name(name))
    if not path.exists():
        there = sorted(found.parent.name for found in path.parent.parent.glob("*/items.parquet"))
        raise InputError(
            f"no set '{name}' in {workspace.root}; there are: {', '.join(there) or 'none'}; "
            "make one with benchmarks build"
        )
    return tables.read(path, ITEMS)


def sentences(workspace: Workspace, lang: str) -> pl.DataFrame:
    """Read the sentences of all kept articles in a language."""
    return stages.scan(segment.STAGE, workspace.sentences / lang, SENTENCES).filter(lang=lang)


def with_origin(
    workspace: Workspace, items: pl.DataFrame, langs: Sequence[str], articles: Sequence[str]
) -> pl.DataFrame:
    """Add context and facts of the first two texts, by the columns that hold their articles.

    Args:
        workspace: has the articles.
        items: with texts, the licence of each of the two, and the columns named.
        langs: the language of each of the two texts.
        articles: the columns; null where a text has no article.
    """
    kept = dedup.load(workspace).select("article_id", "version")
    known = read_articles(workspace, ["article_id", "version", *FACTS]).join(
        kept, ["article_id", "version"], how="semi"
    )
    facts = {row[0]: dict(zip(FACTS, row[2:], strict=True)) for row in known.iter_rows()}
    around = {lang: _around(workspace, lang) for lang in dict.fromkeys(langs)}
    columns: dict[str, list[list[str | None]]] = {name: [] for name in ("context", *FACTS)}
    for row in items.iter_rows(named=True):
        ids = [row[column] for column in articles]
        licences = zip(ids, row["licence"], strict=True)
        own = [facts.get(article, {"licence": licence}) for article, licence in licences]
        for name in FACTS:
            columns[name].append([fact.get(name) for fact in own])
        keys = zip(langs, ids, row["texts"], strict=False)
        columns["context"].append([around[lang].get((a, text), "") for lang, a, text in keys])
    return items.with_columns(pl.Series(n, v, ITEMS.columns[n]) for n, v in columns.items())


def _around(workspace: Workspace, lang: str) -> dict[tuple[str, str], str]:
    """Give the sentence before and the one after each sentence, with an ellipsis for itself."""
    rows = sentences(workspace, lang).sort("article_id", "n")
    near = rows.select(
        "article_id",
        "text",
        pl.concat_str(
            pl.col("text").shift(1).over("article_id").fill_null(""),
            pl.lit(" […] "),
            pl.col("text").shift(-1).over("article_id").fill_null(""),
        )
        .str.strip_chars()
        .alias("around"),
    )
    return {
        (article, text): said
        for article, text, said in near.unique(maintain_order=True).iter_rows()
    }
