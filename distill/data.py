"""Pairs to train on: read them, keep what is allowed, drop what evaluation needs.

A frame of pairs has the columns src, tgt, src_lang, tgt_lang and source (a tag that a
licence is known by).
"""

from __future__ import annotations

import hashlib
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from corpus.errors import EmptyError, InputError
from corpus.rows import read_pieces

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from distill.recipe import Data

COLUMNS = ("src", "tgt", "src_lang", "tgt_lang", "source")


def read_pairs(path: Path) -> pl.DataFrame:
    """Read pairs from a file or from all files of a folder.

    ``[NAME-]SRC-TGT.tsv`` holds source, target and, where there is one, a source tag,
    without a header. A TSV whose header names languages holds one text a language:
    every two make a pair. Parquet holds kept rows of the table sentence_pairs.

    Raises:
        InputError: a file is none of these.
        EmptyError: there is no pair.
    """
    files = (
        sorted(f for f in path.iterdir() if f.suffix in (".tsv", ".parquet"))
        if path.is_dir()
        else [path]
    )
    pairs = pl.concat([no_pairs(), *map(_read_file, files)])
    if not pairs.height:
        raise EmptyError(f"no pairs in {path}; give TSV or Parquet files of sentence pairs")
    return pairs


def no_pairs() -> pl.DataFrame:
    """Give a frame of pairs without rows."""
    return pl.DataFrame(schema=dict.fromkeys(COLUMNS, pl.String))


def _read_file(path: Path) -> pl.DataFrame:
    try:
        if path.suffix == ".parquet":
            return from_sentence_pairs(pl.read_parquet(path))
        rows = list(_rows(path))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"cannot read pairs from {path}: {error}") from error
    header = rows[0] if rows else []
    if {"source", "doc"} & set(header):
        width = len(header)
        filled = [(row + [""] * width)[:width] for row in rows[1:]]
        return _from_multiway(
            pl.DataFrame(filled, schema=dict.fromkeys(header, pl.String), orient="row")
        )
    langs = path.stem.split(".")[-1].split("-")[-2:]
    if len(langs) != 2:
        raise InputError(f"{path} does not name its languages: call it SRC-TGT.tsv, as en-lb.tsv")
    if max(map(len, rows), default=2) < 2:
        raise InputError(f"{path} has one column; a line is source, tab, target")
    filled = [([*row, "", "", ""])[:3] for row in rows]
    pairs = pl.DataFrame(filled, schema=["src", "tgt", "source"], orient="row")
    return pairs.cast(pl.String).select(
        "src",
        "tgt",
        pl.lit(langs[0]).alias("src_lang"),
        pl.lit(langs[1]).alias("tgt_lang"),
        "source",
    )


def _rows(path: Path) -> Iterator[list[str]]:
    """Read the cells of each line; one beyond all measure is a row without text."""
    for line in read_pieces(path):
        text = "" if isinstance(line, str) else line.decode("utf-8", errors="replace")
        yield text.rstrip("\r").split("\t")


def _from_multiway(rows: pl.DataFrame) -> pl.DataFrame:
    langs = [name for name in rows.columns if 2 <= len(name) <= 3 and name not in ("key", "doc")]
    tag = pl.col("source") if "source" in rows.columns else pl.lit("").alias("source")
    return pl.concat(
        rows.select(
            pl.col(a).alias("src"),
            pl.col(b).alias("tgt"),
            pl.lit(a).alias("src_lang"),
            pl.lit(b).alias("tgt_lang"),
            tag,
        ).filter(pl.col("src") != "", pl.col("tgt") != "")
        for a, b in combinations(langs, 2)
    )


def from_sentence_pairs(table: pl.DataFrame) -> pl.DataFrame:
    """Take the kept rows of the table sentence_pairs as pairs; the licence is their source."""
    both = pl.col("langs").str.splitn("-", 2).struct
    return table.filter("kept").select(
        pl.col("src_text").alias("src"),
        pl.col("tgt_text").alias("tgt"),
        both.field("field_0").alias("src_lang"),
        both.field("field_1").alias("tgt_lang"),
        pl.col("licence").fill_null("").alias("source"),
    )


def select(
    pairs: pl.DataFrame, rules: Data, languages: Sequence[str] | None
) -> tuple[pl.DataFrame, dict[str, int]]:
    """Keep the pairs that the rules allow, each once.

    Returns:
        The pairs with the column ``licence``, and how many each rule dropped.
    """
    pairs = _oriented(pairs)
    known = set(languages or [*pairs["src_lang"].unique(), *pairs["tgt_lang"].unique()])
    licences = {tag: licence_of(tag, rules.licences) for tag in pairs["source"].unique()}
    pairs = pairs.with_columns(
        pl.col("source").replace_strict(licences, return_dtype=pl.String).alias("licence")
    )
    length = pl.max_horizontal(pl.col("src", "tgt").str.len_chars())
    shortest = pl.min_horizontal(pl.col("src", "tgt").str.strip_chars().str.len_chars())
    tests = {
        "other language": pl.all_horizontal(pl.col("src_lang", "tgt_lang").is_in(list(known))),
        "licence": pl.col("licence").is_in(rules.allow) if rules.allow else pl.lit(True),
        "empty or too long": (shortest > 0) & (length <= rules.max_chars),
        "same text": pl.col("src") != pl.col("tgt"),
    }
    dropped = {}
    for reason, test in tests.items():
        before = pairs.height
        pairs = pairs.filter(test)
        dropped[reason] = before - pairs.height
    unique = pairs.unique(["src", "tgt", "src_lang", "tgt_lang"], maintain_order=True)
    return unique, dropped | {"repeated": pairs.height - unique.height}


def draw(pairs: pl.DataFrame, n: int) -> pl.DataFrame:
    """Draw at most n pairs by chance that is the same each time; they keep their order."""
    return pairs[np.sort(np.random.default_rng(0).permutation(pairs.height)[:n])]


def split_dev(pairs: pl.DataFrame, n: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Hold out n drawn pairs; no pair that is left has one of their texts."""
    dev = draw(pairs, n)
    texts = [*dev["src"], *dev["tgt"]]
    return pairs.filter(~pl.col("src").is_in(texts), ~pl.col("tgt").is_in(texts)), dev


def _oriented(pairs: pl.DataFrame) -> pl.DataFrame:
    """Turn pairs so that the languages of both sides are in alphabetical order."""
    turned = pl.col("src_lang") > pl.col("tgt_lang")
    return pairs.with_columns(
        pl.when(turned).then(there).otherwise(here).alias(here)
        for here, there in (
            ("src", "tgt"),
            ("tgt", "src"),
            ("src_lang", "tgt_lang"),
            ("tgt_lang", "src_lang"),
        )
    )


def in_order(pair: str) -> str:
    """Name a language pair in alphabetical order: ``lb-en`` is ``en-lb``."""
    return "-".join(sorted(pair.split("-")))


def languages_of(pairs: pl.DataFrame) -> pl.Series:
    """Name each pair's languages, in alphabetical order."""
    both = pl.concat_list("src_lang", "tgt_lang").list.sort().list.join("-")
    return pairs.select(both.alias("langs"))["langs"]


def licence_of(tag: str, licences: dict[str, str]) -> str:
    """Give the licence of a source tag by the longest rule that starts it; else the tag."""
    rules = [rule for rule in licences if tag.startswith(rule)]
    return licences[max(rules, key=len)] if rules else tag


class Texts(NamedTuple):
    """The unique texts of pairs, and each pair's rows among them."""

    texts: list[str]
    langs: NDArray[np.object_]
    src: NDArray[np.int64]
    tgt: NDArray[np.int64]


def unique_texts(pairs: pl.DataFrame) -> Texts:
    """Number the texts of pairs; equal texts of two languages count apart."""
    sides = pl.concat(
        pairs.select(pl.col(side).alias("text"), pl.col(f"{side}_lang").alias("lang"))
        for side in ("src", "tgt")
    )
    unique = sides.unique(maintain_order=True).with_row_index("row")
    rows = sides.join(unique, on=["text", "lang"], how="left", maintain_order="left")
    row = rows["row"].cast(pl.Int64).to_numpy()
    src, tgt = row[: pairs.height], row[pairs.height :]
    return Texts(unique["text"].to_list(), unique["lang"].to_numpy(), src, tgt)


def hold_out(table: pl.DataFrame, share: float) -> NDArray[np.bool_]:
    """Choose kept rows of sentence_pairs to hold out, whole article pairs at a time.

    The choice is a hash of the article ids: it does not move when articles are added. Pairs
    without articles are chosen one by one.
    """
    ids = zip(table["src_article"].fill_null(table["pair_id"]), table["tgt_article"], strict=True)
    draws = [hashlib.sha256(f"{src} {tgt}".encode()).digest()[0] for src, tgt in ids]
    return np.array(draws, int) < share * 256
