"""The text of a deferred release, found again from the articles themselves.

A sentence is known by its text_key: what the articles say today is extracted and
segmented, and each pair is there again if all of its sentences are.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from corpus import segment, tables
from corpus.errors import InputError
from corpus.ledger import read_articles
from corpus.release import rows as released
from corpus.tables import SENTENCE_PAIRS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from corpus.sites import Profile
    from corpus.workspace import Workspace

JOIN = " "  # between the sentences of one side


class Fate(NamedTuple):
    """What became of an article since the release: same, changed or gone."""

    url: str
    state: str
    reason: str = ""


@dataclass(slots=True)
class Rebuilt:
    """What was found again.

    Attributes:
        pairs: language pair → table sentence_pairs.
        fates: of each article.
        lost: language pair → pairs that were not found, by reason.
    """

    pairs: dict[str, pl.DataFrame]
    fates: list[Fate]
    lost: dict[str, Counter[str]] = field(default_factory=dict)


def read_config(folder: Path, config: str, table: tables.Table) -> pl.DataFrame:
    """Read all splits of one configuration of a release, which may be a stranger's.

    Raises:
        InputError: a file is no such table.
    """
    paths = sorted((folder / "data" / config).glob("*.parquet"))
    return table.conform(pl.concat([table.empty(), *(tables.read(p, table) for p in paths)]))


def language_pairs(folder: Path) -> list[str]:
    """List the language pairs of a release."""
    own = {released.ARTICLE_PAIRS.name, released.ARTICLES.name, "sentences"}
    found = sorted(p.name for p in (folder / "data").glob("*-*") if p.is_dir())
    return [name for name in found if name not in own]


def find_again(
    workspace: Workspace, folder: Path, reasons: Mapping[str, str] | None = None
) -> Rebuilt:
    """Find a deferred release's pairs in the articles that a workspace has.

    Args:
        workspace: its articles are extracted.
        folder: of the release.
        reasons: URL → why there is no article.
    """
    asked = read_config(folder, "articles", released.ARTICLES)
    articles = _articles(workspace, asked)
    fates = list(_fates(asked, articles, reasons or {}))
    texts = {
        (str(row["article_id"]), row["text_key"].hex()): (str(row["sentence_id"]), str(row["text"]))
        for article in articles.iter_rows(named=True)
        for row in segment.sentences_of(article)
    }
    state_of = {a: fate.state for a, fate in zip(asked["article_id"], fates, strict=True)}
    result = Rebuilt({}, fates)
    for langs in language_pairs(folder):
        table = released.pairs_table(deferred=True)
        lost: Counter[str] = Counter()
        found = [
            row | {"langs": langs, "kept": True}
            for row in read_config(folder, langs, table).iter_rows(named=True)
            if _fill(row, langs, texts) or lost.update([_why(row, state_of)])
        ]
        result.pairs[langs], result.lost[langs] = SENTENCE_PAIRS.frame(found), lost
    return result


def _articles(workspace: Workspace, asked: pl.DataFrame) -> pl.DataFrame:
    """Choose of each article the version that was released, else the newest."""
    columns = ["article_id", "version", "lang", "title", "lead", "text", "fetched"]
    ids = asked.select("article_id", released="version")
    every = read_articles(workspace, columns).join(ids, "article_id")
    ranked = every.sort(
        "article_id",
        pl.col("version") == pl.col("released"),
        "fetched",
        "version",
        nulls_last=False,
    )
    return ranked.unique("article_id", keep="last", maintain_order=True)


def _fates(
    asked: pl.DataFrame, articles: pl.DataFrame, reasons: Mapping[str, str]
) -> Iterable[Fate]:
    version_of = dict(articles.select("article_id", "version").iter_rows())
    for article, version, url in asked.select("article_id", "version", "url").iter_rows():
        if article not in version_of:
            yield Fate(url, "gone", reasons.get(url, "no such article"))
        else:
            yield Fate(url, "same" if version_of[article] == version else "changed")


def _fill(
    row: dict[str, Any], langs: str, texts: Mapping[tuple[str, str], tuple[str, str]]
) -> bool:
    """Give a pair its sentences; tell whether all of them were found."""
    for side in ("src", "tgt"):
        keys = row[f"{side}_keys"]
        found = [texts.get((row[f"{side}_article"], key)) for key in keys]
        if not found or None in found:
            return False
        row[f"{side}_ids"] = [place[0] for place in found if place]
        row[f"{side}_text"] = JOIN.join(place[1] for place in found if place)
    sides = [[bytes.fromhex(key) for key in row[f"{side}_keys"]] for side in ("src", "tgt")]
    return bool(row["pair_id"] == tables.pair_id(langs, *sides))


def _why(row: Mapping[str, Any], state_of: Mapping[str, str]) -> str:
    """Say why a pair was not found: what became of its articles."""
    states = {state_of.get(row[f"{side}_article"], "gone") for side in ("src", "tgt")}
    return next((s for s in ("gone", "changed") if s in states), "sentence not found")


def for_urls(profile: Profile) -> Profile:
    """Give the profile that fetches and extracts given pages of a released site.

    Of what a stranger wrote no pattern is run and no other page is asked for; its name
    is its own, so that it never takes the place of the user's profile of that site.

    Raises:
        InputError: a host is no public name.
    """
    for edition in profile.editions:
        if not re.fullmatch(r"([a-z0-9-]+\.)+[a-z][a-z0-9-]*", edition.host):
            raise InputError(
                f"the release names the host '{edition.host}', which is no public name"
            )
    plain = {"articles": [""], "ignore": [], "sitemaps": [], "feeds": []}
    editions = [edition.model_copy(update=plain) for edition in profile.editions]
    name = f"rebuild-{profile.name}"
    return profile.model_copy(update={"name": name, "links": False, "editions": editions})


def local_folder(source: str) -> Path:
    """Give the folder of a release: a path, or a snapshot of a dataset on the Hub.

    Raises:
        InputError: there is neither.
        OfflineError: the Hub cannot be reached.
    """
    if Path(source).is_dir():
        return Path(source)
    from corpus.release.hub import fetch

    if "/" not in source or source.startswith((".", "/")):
        raise InputError(f"no release folder '{source}', and no ORG/NAME of the Hub")
    return fetch(source)
