"""Pairs to train on: read them, keep what is allowed, drop what evaluation needs.

A frame of pairs has the columns src, tgt, src_lang, tgt_lang and source (a tag that a
licence is known by).
"""

from __future__ import annotations

import csv
import hashlib
import logging
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from align.lexical import count_ngrams
from corpus.errors import EmptyError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from distill.recipe import Data

COLUMNS = ("src", "tgt", "src_lang", "tgt_lang", "source")
NGRAM_BUCKETS = 2**20
MOST_TEXTS_AN_NGRAM = 300  # commoner n-grams tell nothing of copies and cost the most
SENTENCE_NGRAMS = 80  # about 30 characters
CHUNK = 4096

log = logging.getLogger(__name__)


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
        rows = pl.read_csv(
            path, separator="\t", quote_char=None, has_header=False, infer_schema=False
        )
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"cannot read pairs from {path}: {error}") from error
    header = [str(cell) for cell in rows.row(0)] if rows.height else []
    if "source" in header:
        return _from_multiway(rows.slice(1).rename(dict(zip(rows.columns, header, strict=True))))
    langs = path.stem.split("-")[-2:]
    if len(langs) != 2 or rows.width < 2:
        raise InputError(f"{path} is no SRC-TGT.tsv of two columns and a source tag")
    tag = rows.columns[2] if rows.width > 2 else None
    return rows.select(
        pl.col(rows.columns[0]).alias("src"),
        pl.col(rows.columns[1]).alias("tgt"),
        pl.lit(langs[0]).alias("src_lang"),
        pl.lit(langs[1]).alias("tgt_lang"),
        (pl.col(tag) if tag else pl.lit("")).alias("source"),
    )


def _from_multiway(rows: pl.DataFrame) -> pl.DataFrame:
    langs = [name for name in rows.columns if 2 <= len(name) <= 3 and name != "key"]
    return pl.concat(
        rows.select(
            pl.col(a).alias("src"),
            pl.col(b).alias("tgt"),
            pl.lit(a).alias("src_lang"),
            pl.lit(b).alias("tgt_lang"),
            "source",
        ).drop_nulls()
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


def licence_of(tag: str, licences: dict[str, str]) -> str:
    """Give the licence of a source tag by the longest rule that starts it; else the tag."""
    rules = [rule for rule in licences if tag.startswith(rule)]
    return licences[max(rules, key=len)] if rules else tag


def read_texts(paths: Iterable[Path]) -> list[str]:
    """Read every text of evaluation files: all cells, of all files below a folder."""
    texts: dict[str, None] = {}
    for path in paths:
        files = sorted(f for f in path.rglob("*") if f.is_file()) if path.is_dir() else [path]
        if not files:
            raise InputError(f"no evaluation texts in {path}; name a file or a folder")
        for file in files:
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
            as_csv = csv.reader(lines) if file.suffix == ".csv" else (s.split("\t") for s in lines)
            for row in as_csv:
                texts.update(dict.fromkeys(row))
    return list(texts)


def drop_near_duplicates(
    pairs: pl.DataFrame, reserved: Sequence[str]
) -> tuple[pl.DataFrame, dict[str, int]]:
    """Drop pairs of which either side nearly equals a reserved text.

    Returns:
        The pairs left, and how many fell by source tag.
    """
    texts = pl.concat([pairs["src"], pairs["tgt"]]).unique(maintain_order=True).to_list()
    near = near_duplicates(texts, reserved)
    found = [text for text, is_near in zip(texts, near, strict=True) if is_near]
    falls = pairs["src"].is_in(found) | pairs["tgt"].is_in(found)
    tags = pairs.filter(falls)["source"].value_counts(sort=True)
    return pairs.filter(~falls), dict(tags.iter_rows())


def near_duplicates(texts: Sequence[str], reserved: Sequence[str]) -> NDArray[np.bool_]:
    """Tell which texts nearly equal a reserved one, in one pass over character n-grams.

    Two texts of several words are near duplicates where they share at least 0.6 of their
    n-grams (Jaccard), or where one holds four fifths of the other's and that one is at
    least a short sentence. Single words are no sentences and never count. Candidates are
    texts that share n-grams which few reserved texts have.
    """
    theirs = _binary([text for text in reserved if _n_words(text) > 1])
    common = np.bincount(theirs.indices, minlength=NGRAM_BUCKETS) > MOST_TEXTS_AN_NGRAM
    by_rare_ngram = _without(theirs, common).T.tocsr()
    n_rare = by_rare_ngram.sum(0)
    found = np.zeros(len(texts), bool)
    several = np.flatnonzero([_n_words(text) > 1 for text in texts])
    for start in range(0, len(several), CHUNK):
        ours = _binary([texts[i] for i in several[start : start + CHUNK]])
        rare = _without(ours, common)
        shared = (rare @ by_rare_ngram).tocoo()
        row, column = shared.coords
        worth = shared.data >= 0.5 * np.minimum(rare.sum(1)[row], n_rare[column])
        row, column = row[worth], column[worth]
        near = _nearly_equal(ours[row], theirs[column])
        found[several[start + row[near]]] = True
    return found


def _nearly_equal(ours: csr_array, theirs: csr_array) -> NDArray[np.bool_]:
    """Compare binary n-gram rows one to one."""
    shared = np.asarray(ours.multiply(theirs).sum(1)).ravel()
    a, b = np.diff(ours.indptr), np.diff(theirs.indptr)
    least = np.minimum(a, b)
    contained = (least >= SENTENCE_NGRAMS) & (shared >= 0.8 * least)
    equal: NDArray[np.bool_] = (shared >= 0.6 * (a + b - shared)) | contained
    return equal


def _n_words(text: str) -> int:
    return len(text.split())


def _binary(texts: Sequence[str]) -> csr_array:
    parts = [count_ngrams(texts[i : i + CHUNK], NGRAM_BUCKETS) for i in range(0, len(texts), CHUNK)]
    indices = np.concatenate([part.indices for part in parts] or [np.zeros(0, np.int32)])
    sizes = np.concatenate([np.diff(part.indptr) for part in parts] or [np.zeros(0, np.int64)])
    indptr = np.concatenate([[0], np.cumsum(sizes)])
    shape = (len(texts), NGRAM_BUCKETS)
    return csr_array((np.ones(len(indices), np.float32), indices, indptr), shape=shape)


def _without(rows: csr_array, columns: NDArray[np.bool_]) -> csr_array:
    """Clear some columns of a binary matrix."""
    kept = rows.copy()
    kept.data[columns[kept.indices]] = 0
    kept.eliminate_zeros()
    return kept


def hold_out(table: pl.DataFrame, share: float) -> NDArray[np.bool_]:
    """Choose kept rows of sentence_pairs to hold out, whole article pairs at a time.

    The choice is a hash of the article ids: it does not move when articles are added.
    """
    ids = zip(table["src_article"], table["tgt_article"], strict=True)
    draws = [hashlib.sha256(f"{src} {tgt}".encode()).digest()[0] for src, tgt in ids]
    return np.array(draws, int) < share * 256
