"""Releases: a folder that `datasets` reads, and one commit of it to the Hub.

`make_release` gathers what is kept, checks what must never go up, gives every article
its split, and writes a few Parquet files a configuration (one a split and year, so that
a change touches one), the card, the manifest and checksums.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from corpus import reserved, tables
from corpus.errors import EmptyError, InputError
from corpus.files import file_digest, list_files
from corpus.release import card, manifest, splits, stops
from corpus.release.hub import FILE, check_name
from corpus.release.manifest import Manifest, Options
from corpus.release.rows import (
    ARTICLE_PAIRS,
    ARTICLES,
    Rows,
    gather,
    pairs_table,
    sentences_table,
    with_keys,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from corpus.tables import Table
    from corpus.workspace import Workspace

__all__ = ["Options", "Release", "make_release"]

SUMS = "SHA256SUMS"


class Release(NamedTuple):
    """A release's folder, and what a person should look at.

    Attributes:
        personal: kind → texts that look like personal data, and a few samples.
        n_left_out: pairs that a deferred release cannot hold: they have no article.
    """

    folder: Path
    personal: dict[str, tuple[int, list[str]]]
    n_left_out: int


def make_release(workspace: Workspace, name: str, options: Options | None = None) -> Release:
    """Write the kept pairs as a folder that ``datasets.load_dataset`` reads.

    Args:
        workspace: its kept sentence pairs are released, a configuration a language pair.
        name: the release, as ORG/NAME.
        options: what of it, and how; all as text by default.

    Raises:
        EmptyError: no pair is kept.
        InputError: a name that the Hub refuses, or something that must never go up.
    """
    check_name(name)  # it also becomes a folder, whose old content goes
    options = options or Options()
    rows = gather(workspace, options.sites)
    if not rows.pairs:
        raise EmptyError("no pair is kept: run align sentences; corpus report says what was lost")
    _check(workspace, rows, options)
    personal = {} if options.deferred else stops.personal(rows.texts())
    if options.mask:
        rows = rows.mapped_texts(stops.mask)
    configs = {name: config for name, config in _configs(rows, options) if len(config[1])}
    n_kept = sum(map(len, rows.pairs.values()))
    n_released = sum(len(configs[langs][1]) for langs in rows.pairs if langs in configs)
    if not n_released:
        raise EmptyError("no pair has an article that a deferred release could name")
    facts = Manifest.of(workspace, name, options, rows.articles)
    folder = workspace.release(name)
    draft = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        _write(draft, configs, facts, rows, personal)
        _swap(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return Release(folder, personal, n_kept - n_released)


def _check(workspace: Workspace, rows: Rows, options: Options) -> None:
    """Refuse what must never go up."""
    stops.check_reserved(rows.pairs, reserved.load(workspace))
    if rows.invented and not options.force:
        raise InputError(
            "the bundled sample is invented and is not released; crawl a real site, "
            "or add --force to try the mechanics"
        )
    if not options.deferred:
        stops.check_rights(rows.articles, rows.pairs.values())


def _configs(rows: Rows, options: Options) -> Iterator[tuple[str, tuple[Table, pl.DataFrame]]]:
    """Give each configuration's table and rows, with their split and year."""
    deferred = options.deferred
    split = splits.assign(
        rows.articles.select("article_id", "published"), rows.links(), options.split
    )
    for langs, kept in rows.pairs.items():
        found = with_keys(kept, rows.sentences) if deferred else kept
        yield langs, (pairs_table(deferred=deferred), _placed(found, split, "src_article"))
    if len(rows.articles):
        dated = rows.articles.select("article_id", "published")
        linked = rows.article_pairs.join(
            dated.rename({"article_id": "src_article"}), "src_article", "left"
        )
        said = rows.sentences.join(dated, "article_id", "left")
        yield "article-pairs", (ARTICLE_PAIRS, _placed(linked, split, "src_article"))
        yield "articles", (ARTICLES, _placed(rows.articles, split, "article_id"))
        yield "sentences", (sentences_table(deferred=deferred), _placed(said, split, "article_id"))


def _placed(rows: pl.DataFrame, split: pl.DataFrame, article: str) -> pl.DataFrame:
    """Add the split of each row's article, and its year; rows without an article train."""
    year = pl.col("published").dt.year().cast(pl.String).fill_null("undated")
    found = rows.join(split.rename({"article_id": article}), article, "left")
    return found.with_columns(pl.col("split").fill_null("train"), year=year)


def _write(
    folder: Path,
    configs: dict[str, tuple[Table, pl.DataFrame]],
    facts: Manifest,
    rows: Rows,
    personal: dict[str, tuple[int, list[str]]],
) -> None:
    for config, (table, found) in configs.items():
        stops.check_secrets(config, found)
        for (split, year), part in found.partition_by("split", "year", as_dict=True).items():
            tables.write(folder / "data" / config / f"{split}-{year}.parquet", table, part)
    frames = {config: found for config, (_, found) in configs.items()}
    text = card.render(folder, facts, rows, frames, personal)
    for name, said in (("README.md", text), (FILE, facts.model_dump_json())):
        stops.check_secrets(name, pl.DataFrame({"text": said.splitlines()}))
    tables.write_text(folder / "README.md", text)
    manifest.save(folder, facts)
    sums = [
        f"{file_digest(path)}  {path.relative_to(folder).as_posix()}\n"
        for path in list_files(folder)
    ]
    tables.write_text(folder / SUMS, "".join(sums))


def _swap(draft: Path, folder: Path) -> None:
    """Put a finished folder in the place of the old one."""
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)
