"""Pairs of two plain files, one sentence a line: mining without dates or articles."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from align import chain, decide, filters, mining
from align.encoders import check_languages, load_encoder
from align.neighbours import Embedded
from corpus.errors import EmptyError, InputError, choices
from corpus.formats import CONTROL, WRITERS
from corpus.tables import SENTENCE_PAIRS, pair_id, text_key, write_whole
from corpus.vectors import BATCH, encode_once, open_store
from corpus.workspace import FILE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from align.encoders import Encoder
    from corpus.console import Console

LONGEST = 20_000  # characters of a line


@dataclass(frozen=True, slots=True)
class Options:
    """What `run` takes.

    Attributes:
        pair: languages of the two files, such as ``lb-en``; not checked where empty.
        encoder: spec of the encoder.
        lexical: weight of the lexical score; the encoder's own where None.
        any_language: go on with languages that the encoder does not know.
        recall: see `align.mining.search`.
        out: TSV, JSONL or Parquet by its ending; TSV to stdout where None.
    """

    pair: str = ""
    encoder: str = "embedded"
    lexical: float | None = None
    any_language: bool = False
    recall: float = mining.RECALL
    out: Path | None = None


def run(console: Console, src: Path, tgt: Path, options: Options, cuts: decide.Cuts) -> None:
    """Mine two files, write the pairs kept, and show what other cut-offs would keep.

    Raises:
        InputError: a file cannot be read, or the output's ending is unknown.
        EmptyError: a file has no sentence.
        LanguageError: the encoder does not know a language.
    """
    form = options.out.suffix.removeprefix(".") if options.out else "tsv"
    if form not in WRITERS:
        raise InputError(f"cannot write pairs as {choices(form, WRITERS)}")
    encoder = load_encoder(options.encoder)
    if options.pair:
        check_languages(encoder, options.pair.split("-"), any_language=options.any_language)
    weight = encoder.lexical_weight if options.lexical is None else options.lexical
    lines = [read(console, path) for path in (src, tgt)]
    a, b = (_embed(console, encoder, side["text"].to_list(), weight) for side in lines)
    mined = mining.mine_vectors(a, b, weight, recall=options.recall, say=console.say)
    langs = options.pair or "src-tgt"
    pairs = _decided(lines, mined, langs, encoder.name, cuts)
    kept = _written(pairs)
    if options.out is not None:
        write_whole(options.out, lambda path: WRITERS[form](kept.lazy(), path))
    elif not console.as_json:
        console.show(kept.write_csv(separator="\t", quote_style="never").rstrip("\n"))
        return
    console.emit(chain.show(console, langs, pairs, cuts))


def read(console: Console, path: Path) -> pl.DataFrame:
    """Read the sentences of a file, each text once.

    Returns:
        text and line (from 1), without lines that are blank, too long or no UTF-8.

    Raises:
        InputError: the file cannot be read.
        EmptyError: it has no sentence.
    """
    try:
        texts = path.read_bytes().decode("utf-8-sig", "replace").split("\n")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    every = pl.DataFrame(
        {"text": [" ".join(re.sub(CONTROL, " ", t).split()) for t in texts]}
    ).with_row_index("line", 1)
    lines = every.filter(pl.col("text") != "")
    good = lines.filter(
        ~pl.col("text").str.contains("\ufffd"), pl.col("text").str.len_chars() <= LONGEST
    )
    distinct = good.unique("text", keep="first", maintain_order=True)
    if distinct.is_empty():
        raise EmptyError(f"{path} has no sentence; it must be UTF-8 text, one sentence a line")
    left_out = f", {len(lines) - len(good)} left out (no UTF-8 or over {LONGEST} characters)"
    console.say(
        f"{path}: {len(distinct)} sentences, {len(good) - len(distinct)} more of the same text"
        + left_out * (len(lines) > len(good))
    )
    return distinct


def _embed(console: Console, encoder: Encoder, texts: Sequence[str], weight: float) -> Embedded:
    """Give the vectors of texts, from the workspace's store where there is a workspace."""
    lexical = encoder.lexical.vectors(texts) if weight else None
    with console.progress(f"encoding with {encoder.name}") as progress:
        if (console.root / FILE).exists():
            keys = [text_key(text) for text in texts]
            store = open_store(console.workspace, encoder)
            return Embedded(encode_once(store, encoder, texts, keys, progress)[0], lexical)
        vectors = np.empty((len(texts), encoder.dim), np.float32)
        for start in range(0, len(texts), BATCH):
            vectors[start : start + BATCH] = encoder.encode(texts[start : start + BATCH])
            progress(min(start + BATCH, len(texts)), len(texts))
    return Embedded(vectors, lexical)


def _decided(
    lines: Sequence[pl.DataFrame], mined: mining.Mined, langs: str, name: str, cuts: decide.Cuts
) -> pl.DataFrame:
    """Filter mined pairs and decide which are kept, as `align sentences` does.

    Nothing is false by construction in two plain files, so no q-value can be estimated.
    """
    src, tgt = (rows[mined.pairs[:, n].tolist()] for n, rows in enumerate(lines))
    keys = [
        pair_id(langs, [text_key(a)], [text_key(b)])
        for a, b in zip(src["text"], tgt["text"], strict=True)
    ]
    known = {
        "pair_id": pl.Series(keys, dtype=pl.String),
        "src_text": src["text"],
        "tgt_text": tgt["text"],
        "src_ids": src["line"].cast(pl.String),
        "tgt_ids": tgt["line"].cast(pl.String),
        **{score: getattr(mined, score) for score in ("sim", "lexical", "margin")},
    }
    same = {"langs": langs, "encoder": name, "method": "margin"}
    empty = {c: pl.lit(same.get(c), t) for c, t in SENTENCE_PAIRS.columns.items() if c not in known}
    pairs = pl.DataFrame(known).with_columns(
        pl.concat_list("src_ids"), pl.concat_list("tgt_ids"), **empty
    )
    reasons = pl.coalesce(filters.keep_length_ratio(), filters.keep_translated())
    return decide.decide(pairs.with_columns(reasons.alias("reason")), cuts)


def _written(pairs: pl.DataFrame) -> pl.DataFrame:
    """Take the pairs kept, best first: texts, scores, lines from 1."""
    line = pl.col("src_ids", "tgt_ids").list.first().cast(pl.Int64).name
    return (
        pairs.filter("kept")
        .sort("margin", "pair_id", descending=[True, False])
        .select(
            pl.col("src_text").alias("src"),
            pl.col("tgt_text").alias("tgt"),
            "sim",
            "lexical",
            "margin",
            line.replace("_ids", "_line"),
        )
    )
