"""Pairs of two plain files, one sentence a line: mined without dates or articles, or in order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from align import beads, chain, decide, filters, mining
from align.encoders import check_languages, load_encoder
from align.neighbours import Embedded
from align.spans import Spans
from align.stored import foresee, stored
from corpus.errors import EmptyError, InputError, choices
from corpus.formats import CONTROL, WRITERS
from corpus.tables import SENTENCE_PAIRS, pair_id, text_key, write_whole
from corpus.vectors import BATCH

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from align.encoders import Encoder
    from align.services import Terms
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
        method: ``margin``, mutual best of all against all, or ``beads``, in order.
        out: TSV, JSONL or Parquet by its ending; TSV to stdout where None.
        terms: those of an encoder behind an API.
    """

    pair: str = ""
    encoder: str = "embedded"
    lexical: float | None = None
    any_language: bool = False
    recall: float = mining.RECALL
    out: Path | None = None
    method: str = "margin"
    terms: Terms | None = None


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
    encoder = stored(console, load_encoder(options.encoder, options.terms))
    if options.pair:
        check_languages(encoder, options.pair.split("-"), any_language=options.any_language)
    weight = encoder.lexical_weight if options.lexical is None else options.lexical
    langs = options.pair or "src-tgt"
    in_order = options.method == "beads"
    lines = [read(console, path, repeated=in_order) for path in (src, tgt)]
    foresee(encoder, [text for side in lines for text in side["text"]])
    if in_order:
        found = _aligned(lines, encoder, weight)
    else:
        a, b = (_embed(console, encoder, side["text"].to_list(), weight) for side in lines)
        mined = mining.mine_vectors(a, b, weight, recall=options.recall, say=console.say)
        found = _mined(lines, mined)
    pairs = _decided(found, options.method, langs, encoder.name, cuts)
    kept = _written(pairs)
    if options.out is not None:
        write_whole(options.out, lambda path: WRITERS[form](kept.lazy(), path))
    elif not console.as_json:
        console.show(kept.write_csv(separator="\t", quote_style="never").rstrip("\n"))
        return
    console.emit(chain.show(console, langs, pairs, cuts))


def read(console: Console, path: Path, *, repeated: bool = False) -> pl.DataFrame:
    """Read the sentences of a file, each text once unless they may be repeated.

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
    distinct = good if repeated else good.unique("text", keep="first", maintain_order=True)
    if distinct.is_empty():
        raise EmptyError(f"{path} has no sentence; it must be UTF-8 text, one sentence a line")
    left_out = f", {len(lines) - len(good)} left out (no UTF-8 or over {LONGEST} characters)"
    console.say(
        f"{path}: {len(distinct)} sentences, {len(good) - len(distinct)} more of the same text"
        + left_out * (len(lines) > len(good))
    )
    return distinct


def _embed(console: Console, encoder: Encoder, texts: Sequence[str], weight: float) -> Embedded:
    """Give the vectors of texts, and show how far that is."""
    lexical = encoder.lexical.vectors(texts) if weight else None
    blocks = []
    with console.progress(f"encoding with {encoder.name}") as progress:
        for start in range(0, len(texts), BATCH):
            blocks.append(encoder.encode(texts[start : start + BATCH]))
            progress(min(start + BATCH, len(texts)), len(texts))
    return Embedded(np.concatenate(blocks), lexical)


def _mined(lines: Sequence[pl.DataFrame], mined: mining.Mined) -> pl.DataFrame:
    """Give mined pairs with their texts and lines."""
    sides = (rows[mined.pairs[:, n].tolist()] for n, rows in enumerate(lines))
    columns = {
        f"{side}_{name}": values
        for side, rows in zip(("src", "tgt"), sides, strict=True)
        for name, values in (
            ("text", rows["text"]),
            ("ids", rows.select(pl.concat_list(pl.col("line").cast(pl.String)))["line"]),
        )
    }
    return pl.DataFrame(columns | {s: getattr(mined, s) for s in ("sim", "lexical", "margin")})


def _aligned(lines: Sequence[pl.DataFrame], encoder: Encoder, weight: float) -> pl.DataFrame:
    """Align the files in order; give the beads with their texts and lines."""
    lexical = encoder.lexical if weight else None
    src, tgt = (Spans.of(rows["text"].to_list(), encoder.encode, lexical) for rows in lines)
    steps, means = beads.align(src, tgt, weight)
    found = steps[beads.is_bead(steps)]
    columns: dict[str, list[object]] = {}
    for n, (side, rows) in enumerate(zip(("src", "tgt"), lines, strict=True)):
        members = [rows[begin:end] for begin, end in found[:, 2 * n : 2 * n + 2].tolist()]
        columns[f"{side}_text"] = [" ".join(bead["text"]) for bead in members]
        columns[f"{side}_ids"] = [bead["line"].cast(pl.String).to_list() for bead in members]
    schema = {name: SENTENCE_PAIRS.columns[name] for name in columns}
    scores = beads.score(src, tgt, found, weight, means)
    return pl.concat([pl.DataFrame(columns, schema=schema), scores], how="horizontal")


def _decided(
    found: pl.DataFrame, method: str, langs: str, name: str, cuts: decide.Cuts
) -> pl.DataFrame:
    """Filter pairs and decide which are kept, as `align sentences` does.

    Nothing is false by construction in two plain files, so no q-value can be estimated.
    """
    keys = [
        pair_id(langs, [text_key(a)], [text_key(b)])
        for a, b in found.select("src_text", "tgt_text").iter_rows()
    ]
    same = {"langs": langs, "encoder": name, "method": method}
    others = {c: t for c, t in SENTENCE_PAIRS.columns.items() if c not in found.columns}
    empty = {column: pl.lit(same.get(column), kind) for column, kind in others.items()}
    pairs = found.with_columns(**empty).with_columns(pl.Series("pair_id", keys, pl.String))
    reasons = pl.coalesce(filters.keep_length_ratio(), filters.keep_translated())
    return decide.decide(pairs.with_columns(reasons.alias("reason")), cuts)


def _written(pairs: pl.DataFrame) -> pl.DataFrame:
    """Take the pairs kept, best first: texts, scores, lines from 1."""
    ids = pl.col("src_ids", "tgt_ids")
    several = pairs.select((ids.list.len() > 1).any()).row(0)
    line = (ids.list.join(" ") if any(several) else ids.list.first().cast(pl.Int64)).name
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
