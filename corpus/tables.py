"""The tables that stages hand to each other: columns, types, keys.

A table is written sorted by its key in row groups of a fixed size, so that equal
rows give equal bytes. Ids never change meaning.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from corpus.errors import InputError
from corpus.files import write_text as write_text
from corpus.files import write_whole as write_whole
from corpus.ids import article_id as article_id
from corpus.ids import article_version as article_version
from corpus.ids import pair_id as pair_id
from corpus.ids import text_key as text_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from polars._typing import PolarsDataType

ROW_GROUP = 16_384
UTC = pl.Datetime("us", "UTC")
LANG_PAIR = pl.String  # "lb-en": source and target language


@dataclass(frozen=True, slots=True)
class Table:
    """A table's name, its columns in order, and the columns that identify a row."""

    name: str
    columns: Mapping[str, PolarsDataType]
    key: tuple[str, ...]

    def empty(self) -> pl.DataFrame:
        """Give the table without rows."""
        return pl.DataFrame(schema=self.columns)

    def frame(self, rows: Iterable[Mapping[str, object]]) -> pl.DataFrame:
        """Build the table from records; a missing field becomes null."""
        return pl.DataFrame(list(rows), schema=self.columns, orient="row")

    def conform(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Order the columns and sort by key.

        Raises:
            InputError: a column is missing or has another type.
        """
        try:
            exact = frame.select(pl.col(c).cast(t) for c, t in self.columns.items())
        except pl.exceptions.PolarsError as error:
            raise InputError(f"not a table of {self.name}: {error}") from error
        return exact.sort(self.key, maintain_order=True)


ARTICLES = Table(
    "articles",
    {
        "article_id": pl.String,  # 16 hex of sha256 of the canonical URL
        "version": pl.String,  # 12 hex of sha256 of title, lead, text
        "url": pl.String,
        "site": pl.String,
        "lang": pl.String,
        "lang_prob": pl.Float64,
        "title": pl.String,
        "lead": pl.String,
        "text": pl.String,  # paragraphs split by a blank line
        "published": UTC,
        "published_from": pl.String,  # the source that gave the date
        "published_agree": pl.Int16,  # how many sources gave the same day
        "fetched": UTC,
        "licence": pl.String,
        "rights": pl.String,  # what robots, headers and meta said, as read
        "basis": pl.String,
        "warc": pl.String,
        "offset": pl.Int64,
        "extractor": pl.String,  # name and version
    },
    ("article_id", "version"),
)

CATALOGUE = Table(
    "catalogue",
    {
        "article_id": pl.String,
        "version": pl.String,
        "site": pl.String,
        "lang": pl.String,
        "published": UTC,
        "licence": pl.String,
        "state": pl.String,  # kept, older_version, duplicate, near_duplicate
        "of": pl.String,  # the article or version that it gave way to
        "part": pl.String,  # where its text is
    },
    ("article_id", "version"),
)

# What near duplicates are found by: keys that similar articles share.
SKETCHES = Table(
    "sketches",
    {"article_id": pl.String, "version": pl.String, "bands": pl.List(pl.UInt64)},
    ("article_id", "version"),
)

SENTENCES = Table(
    "sentences",
    {
        "sentence_id": pl.String,  # article_id.version.n
        "article_id": pl.String,
        "n": pl.Int32,
        "part": pl.String,  # title, lead, body
        "lang": pl.String,
        "text": pl.String,
        "text_key": pl.Binary,  # 16 bytes of sha256 of the NFC text
    },
    ("article_id", "n"),
)

ARTICLE_PAIRS = Table(
    "article_pairs",
    {
        "src_id": pl.String,
        "tgt_id": pl.String,
        "langs": LANG_PAIR,
        "sim": pl.Float64,
        "lexical": pl.Float64,
        "margin": pl.Float64,
        "days": pl.Int32,  # target's date minus source's, in days
        "q": pl.Float64,
        "encoder": pl.String,
    },
    ("src_id", "tgt_id"),
)

# Pairs with articles of other days, which are false; what confidence is estimated from.
ARTICLE_DECOYS = Table("article_decoys", ARTICLE_PAIRS.columns, ARTICLE_PAIRS.key)

ARTICLE_STATES = Table(
    "article_states",
    {
        "article_id": pl.String,
        "version": pl.String,
        "side": pl.String,  # src or tgt
        "day": pl.Int32,  # of publication, counted from 1970-01-01
        "state": pl.String,  # paired, below_floor, none_in_window, undated
    },
    ("side", "article_id"),
)

SENTENCE_CANDIDATES = Table(
    "sentence_candidates",
    {
        "src_id": pl.String,  # of a sentence, or those of a bead with spaces between
        "tgt_id": pl.String,
        "src_article": pl.String,
        "tgt_article": pl.String,
        "sim": pl.Float64,
        "lexical": pl.Float64,
        "margin": pl.Float64,
        "method": pl.String,  # margin, beads, or runner_up: what a bead was preferred to
        "encoder": pl.String,
    },
    ("src_id", "tgt_id"),
)

# Candidates that are false by construction; what confidence is estimated from.
DECOYS = Table("decoys", SENTENCE_CANDIDATES.columns, SENTENCE_CANDIDATES.key)

SENTENCE_PAIRS = Table(
    "sentence_pairs",
    {
        "pair_id": pl.String,  # 16 hex of sha256 of languages and text_keys
        "src_ids": pl.List(pl.String),
        "tgt_ids": pl.List(pl.String),
        "src_text": pl.String,
        "tgt_text": pl.String,
        "langs": LANG_PAIR,
        "sim": pl.Float64,
        "lexical": pl.Float64,
        "margin": pl.Float64,
        "q": pl.Float64,
        "src_article": pl.String,
        "tgt_article": pl.String,
        "origin": pl.String,
        "licence": pl.String,
        "encoder": pl.String,
        "method": pl.String,
        "kept": pl.Boolean,
        "reason": pl.String,  # why not kept; null where kept
    },
    ("pair_id", "src_article", "tgt_article"),
)

REJECTS = Table(
    "rejects",
    {
        "id": pl.String,  # the page's URL, or FILE@OFFSET where there is none
        "stage": pl.String,
        "reason": pl.String,
        "value": pl.String,  # the value that decided
    },
    ("id", "stage", "reason"),
)

TABLES = {table.name: table for table in list(globals().values()) if isinstance(table, Table)}


def write(path: Path, table: Table, frame: pl.DataFrame) -> None:
    """Write a table as Parquet: whole or not at all, equal rows as equal bytes.

    Raises:
        StorageError: the disk is full or refuses; an older file stays as it was.
    """
    write_frame(path, table.conform(frame))


def write_frame(path: Path, frame: pl.DataFrame) -> None:
    """Write rows as they are, else as `write` does."""

    def save(temporary: Path) -> None:
        frame.write_parquet(
            temporary, compression="zstd", compression_level=3, row_group_size=ROW_GROUP
        )

    write_whole(path, save)


def read(path: Path, table: Table) -> pl.DataFrame:
    """Read a table written by `write`.

    Raises:
        InputError: the file is no such table.
    """
    try:
        frame = pl.read_parquet(path, columns=list(table.columns))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path} is not a table of {table.name}: {error}") from error
    return frame
