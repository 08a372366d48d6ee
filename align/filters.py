"""Predicates on sentence pairs: keep, or a reason not to.

Each takes the frame of pairs and gives, for every row, null to keep it or the
reason. A reason is named after what the user can turn.
"""

from __future__ import annotations

import polars as pl

MAX_LENGTH_RATIO = 2.5  # characters, after allowing for what short texts vary by
LENGTH_SLACK = 15  # characters
MAX_SHARED = 0.8  # share of the shorter side's words that the other side has too
MIN_WORDS = 4  # shorter pairs may share all words: names, numbers
MAX_FILLED = 3  # pairs of one template that all stay; of more the first
ADDRESS = r"(?i)https?://|www\.\S|\S@\S+\.\w|\S\.(?:html?|php|jpe?g|png)\b"
YEAR = r"\b(?:1[5-9]|20)\d\d\b"
BANGLA = dict(zip("০১২৩৪৫৬৭৮৯", "0123456789", strict=True))


def keep_length_ratio() -> pl.Expr:
    """Keep pairs of which neither side is far longer than the other."""
    src, tgt = pl.col("src_text").str.len_chars(), pl.col("tgt_text").str.len_chars()
    longer, shorter = pl.max_horizontal(src, tgt), pl.min_horizontal(src, tgt)
    return drop(longer > MAX_LENGTH_RATIO * shorter + LENGTH_SLACK, "length_ratio")


def keep_translated() -> pl.Expr:
    """Keep pairs that are not the same words: an untranslated copy, a byline, a name."""
    src, tgt = (_words(pl.col(side)) for side in ("src_text", "tgt_text"))
    shared = src.list.set_intersection(tgt).list.len()
    shorter = pl.min_horizontal(src.list.len(), tgt.list.len())
    copied = (shorter >= MIN_WORDS) & (shared >= MAX_SHARED * shorter)
    return drop(copied | (pl.col("src_text") == pl.col("tgt_text")), "copy")


def keep_languages() -> pl.Expr:
    """Keep pairs whose sentences are each in their side's language."""
    src, tgt = (
        pl.col("langs").str.split("-").list.get(0),
        pl.col("langs").str.split("-").list.get(1),
    )
    return drop((pl.col("src_lang") != src) | (pl.col("tgt_lang") != tgt), "language")


def keep_years() -> pl.Expr:
    """Keep pairs unless both sides name years, and none in common.

    Other numbers are not compared: hours, thousands and units are written too differently.
    """
    src, tgt = (_years(pl.col(side)) for side in ("src_text", "tgt_text"))
    apart = src.list.set_intersection(tgt).list.len() == 0
    return drop((src.list.len() > 0) & (tgt.list.len() > 0) & apart, "years")


def keep_text() -> pl.Expr:
    """Keep pairs of sentences: no address of a page, file or mailbox is left on either side."""
    found = [pl.col(side).str.contains(ADDRESS) for side in ("src_text", "tgt_text")]
    return drop(found[0] | found[1], "residue")


def is_again() -> pl.Expr:
    """Tell which kept pairs have the same texts as one before them."""
    return ~_first(pl.col("pair_id"))


def is_near() -> pl.Expr:
    """Tell which kept pairs differ from one before them in case and punctuation alone."""
    return ~_first(pl.struct(_form(side) for side in ("src_text", "tgt_text")))


def is_template() -> pl.Expr:
    """Tell which kept pairs fill a template that more than ``MAX_FILLED`` fill: other numbers."""
    forms = [_form(side).str.replace_all(r"\b\p{N}+\b", "0") for side in ("src_text", "tgt_text")]
    kept = pl.col("reason").is_null()
    often = kept.sum().over(*forms) > MAX_FILLED
    return often & forms[0].str.contains(r"\b0\b") & ~_first(pl.struct(forms))


# Asked one after another, on pairs in the order of their table.
REPEATS = {"duplicate": is_again, "near_duplicate": is_near, "template": is_template}


def _first(value: pl.Expr) -> pl.Expr:
    return value.is_first_distinct().over(pl.col("reason").is_null())


def _form(side: str) -> pl.Expr:
    words = pl.col(side).str.to_lowercase().str.replace_all(r"[^\p{L}\p{M}\p{N}]+", " ")
    return words.str.strip_chars().alias(side)


def reasons() -> list[pl.Expr]:
    """Give all filters of a pair, in the order in which they are asked."""
    return [
        keep_length_ratio(),
        keep_translated(),
        keep_languages(),
        keep_text(),
        keep_years(),
    ]


def drop(condition: pl.Expr, reason: str) -> pl.Expr:
    """Give the reason where the condition holds; unknown values keep the row."""
    return pl.when(condition).then(pl.lit(reason)).otherwise(None)


def _years(text: pl.Expr) -> pl.Expr:
    return text.str.replace_many(BANGLA).str.extract_all(YEAR)


def _words(text: pl.Expr) -> pl.Expr:
    return text.str.to_lowercase().str.extract_all(r"[\p{L}\p{M}\p{N}]+").list.unique()
