"""Scores for a corpus made elsewhere: what its pairs are worth, and which to keep.

The corpus is read twice in blocks: first for the pool that margins are taken over,
then for the scores. A hash of each pair is all that grows with it.
"""

from __future__ import annotations

import heapq
import re
import tempfile
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from align import chain, decide, filters
from align import margin as margins
from align.encoders import check_languages, load_encoder
from align.lexical import mix
from align.mining import embed_texts
from align.neighbours import nearest_targets, pair_scores
from align.stored import foresee, stored
from corpus.bitext import read_texts
from corpus.errors import EmptyError, InputError, choices
from corpus.formats import CONTROL, WRITERS
from corpus.languages import identify, settle, with_look_alikes
from corpus.tables import SENTENCE_PAIRS, pair_id, text_key, write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from align.encoders import Encoder
    from align.files import Options
    from align.neighbours import Embedded
    from corpus.console import Console

POOL = 20_000  # distinct texts a side that margins are taken over, as in `align sentences`
BLOCK = 4_096  # pairs scored at once
SAMPLED = 10_000  # pairs that the report's samples are taken from
LONGEST = 20_000  # characters of a side
UNNAMED = "src-tgt"  # where the languages are not told
WRITTEN = ("src", "tgt", "sim", "lexical", "margin", "kept", "reason")

Pair = tuple[str, str]


def run(console: Console, paths: Sequence[Path], options: Options, cuts: decide.Cuts) -> None:
    """Score a bitext, write every pair with its scores and decision, and report on them.

    Args:
        console: shows progress and the report.
        paths: a file of pairs as `corpus.bitext` reads them, or two files of lines.
        options: the encoder, the languages, and where to write.
        cuts: what a kept pair must reach.

    Raises:
        InputError: a file cannot be read, or the output's ending is unknown.
        EmptyError: there is no pair.
        LanguageError: the encoder does not know a language.
    """
    form = options.out.suffix.removeprefix(".") if options.out else "tsv"
    if form not in WRITERS:
        raise InputError(f"cannot write pairs as {choices(form, WRITERS)}")
    encoder = stored(console, load_encoder(options.encoder, options.terms))
    foresee(
        encoder, (text for block in blocks(paths, options.pair) for pair in block for text in pair)
    )
    if options.pair:
        check_languages(encoder, options.pair.split("-"), any_language=options.any_language)
    weight = encoder.lexical_weight if options.lexical is None else options.lexical
    around = pools(paths, encoder, weight, options.pair)
    scorer = Scorer(encoder, weight, options.pair, cuts, around)
    with tempfile.TemporaryDirectory() as folder:
        with console.progress("scoring") as progress:
            for n, block in enumerate(blocks(paths, options.pair)):
                scorer.score(block).write_parquet(Path(folder) / f"{n:08}.parquet")
                progress(n * BLOCK + len(block), scorer.pools.n_pairs)
        rows = pl.scan_parquet(Path(folder) / "*.parquet")
        _report(console, scorer.langs, rows, scorer.cuts)
        if options.out is not None:
            write_whole(options.out, lambda path: WRITERS[form](rows.select(WRITTEN), path))


def blocks(paths: Sequence[Path], langs: str = "") -> Iterator[list[Pair]]:
    """Read pairs, some at once; white space is made one space, what is unreadable empty.

    Raises:
        InputError: a file cannot be read, or one of two has more lines than the other.
    """
    pairs = map(_plain, read_texts(paths, langs or UNNAMED))
    while block := list(islice(pairs, BLOCK)):
        yield block


def _plain(texts: Pair | str) -> Pair:
    if isinstance(texts, str):
        return "", ""
    src, tgt = (" ".join(re.sub(CONTROL, " ", text).split()) for text in texts)
    return src, tgt


@dataclass(frozen=True, slots=True)
class Pools:
    """What margins are taken over, on either side, and how many pairs there are."""

    src: Embedded
    tgt: Embedded
    n_pairs: int


def pools(paths: Sequence[Path], encoder: Encoder, weight: float, langs: str = "") -> Pools:
    """Take each side's texts of the smallest text_keys, as `align sentences` does.

    Raises:
        EmptyError: a side has no text.
    """
    n_pairs, best = 0, ({}, {})  # type: tuple[int, tuple[dict[bytes, str], dict[bytes, str]]]
    for block in blocks(paths, langs):
        n_pairs += len(block)
        for side, kept in enumerate(best):
            kept |= {text_key(pair[side]): pair[side] for pair in block if readable(pair[side])}
            for key in kept.keys() - set(heapq.nsmallest(POOL, kept)):
                del kept[key]
    if not all(best):
        raise EmptyError(f"{paths[0]} has no pair of two texts; it must be UTF-8")
    src, tgt = (embed_texts([kept[k] for k in sorted(kept)], encoder, weight) for kept in best)
    return Pools(src, tgt, n_pairs)


def readable(text: str) -> bool:
    """Tell whether a side can be scored."""
    return bool(text) and len(text) <= LONGEST and "\ufffd" not in text


class Scorer:
    """Scores and decides the pairs of one bitext, block by block."""

    def __init__(
        self, encoder: Encoder, weight: float, pair: str, cuts: decide.Cuts, pools: Pools
    ) -> None:
        """Take the encoder, the lexical weight, the languages if known, the cuts and the pools."""
        self.encoder, self.weight, self.pools = encoder, weight, pools
        self.langs, self.known = pair or UNNAMED, bool(pair)
        self.cuts = cuts.resolve(estimated=False)
        self._seen: set[int] = set()

    def score(self, block: Sequence[Pair]) -> pl.DataFrame:
        """Give a block's pairs in order, with scores, ``kept`` and ``reason``."""
        texts = [[p[side] if readable(p[side]) else "" for p in block] for side in (0, 1)]
        src, tgt = (embed_texts(side, self.encoder, self.weight) for side in texts)
        same = np.repeat(np.arange(len(block))[:, None], 2, axis=1)
        sim, lexical = pair_scores(src, tgt, same)
        around = (
            nearest_targets(side, pool, margins.K, self.weight).mean
            for side, pool in ((src, self.pools.tgt), (tgt, self.pools.src))
        )
        margin = margins.ratio(mix(sim, lexical, self.weight), *around)
        scores = {"sim": sim, "lexical": lexical, "margin": margin}
        rounded = {name: v.round(margins.DECIMALS) for name, v in scores.items()}
        return self._decided(block, pl.DataFrame(rounded))

    def _decided(self, block: Sequence[Pair], scores: pl.DataFrame) -> pl.DataFrame:
        """Filter and decide a block; a pair that was met before is a duplicate."""
        langs = [self._languages(block, side) for side in (0, 1)]
        rows = scores.with_columns(
            pl.Series("src_text", [src for src, _ in block], pl.String),
            pl.Series("tgt_text", [tgt for _, tgt in block], pl.String),
            pl.Series("src_lang", langs[0], pl.String),
            pl.Series("tgt_lang", langs[1], pl.String),
            pl.Series("again", [self._met(pair) for pair in block]),
            pl.Series("bad", [not (readable(src) and readable(tgt)) for src, tgt in block]),
            langs=pl.lit(self.langs),
        )
        reasons = [
            filters.drop(pl.col("bad"), "unreadable"),
            filters.drop(pl.col("again"), "duplicate"),
            *filters.reasons(),
        ]
        in_order = pl.int_range(pl.len()).cast(pl.String).str.zfill(8)
        known = rows.with_columns(pl.coalesce(*reasons).alias("reason"), pair_id=in_order)
        others = {c: t for c, t in SENTENCE_PAIRS.columns.items() if c not in known.columns}
        empty = [pl.lit(None, kind).alias(column) for column, kind in others.items()]
        decided = decide.decide(known.with_columns(empty), self.cuts)
        return decided.select("src_text", "tgt_text", *WRITTEN[2:], "q").with_columns(
            src="src_text", tgt="tgt_text"
        )

    def _languages(self, block: Sequence[Pair], side: int) -> list[str]:
        """Identify the languages of a side's texts, where it is said what they should be."""
        expected = self.langs.split("-")[side]
        if not self.known:
            return [expected] * len(block)
        guesses = identify([p[side] for p in block], with_look_alikes(self.langs.split("-")))
        return [settle(guess, expected) for guess in guesses]

    def _met(self, pair: Pair) -> bool:
        """Tell whether a pair was met before, and keep it in mind."""
        key = int(pair_id(self.langs, [text_key(pair[0])], [text_key(pair[1])]), 16)
        again = key in self._seen
        self._seen.add(key)
        return again


def _report(console: Console, langs: str, rows: pl.LazyFrame, cuts: decide.Cuts) -> None:
    """Show what became of the pairs, other cut-offs, and samples."""
    light = rows.select("sim", "margin", "q", "kept", "reason").collect()
    fates = (
        light.group_by(pl.col("reason").fill_null("kept"))
        .len()
        .sort("len", "reason", descending=[True, False])
    )
    console.table("What became of the pairs", ("pairs", "number"), fates.rows())
    every = max(len(light) // SAMPLED, 1)
    sample = rows.with_row_index("pair_id").filter("kept").gather_every(every).collect()
    record = chain.show(console, langs, light, cuts, sample)
    console.emit({**record, "fates": dict(fates.iter_rows())})
