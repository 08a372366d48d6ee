from __future__ import annotations

import polars as pl
import pytest

from align import filters, summary
from align.decide import Cuts, decide
from corpus.tables import SENTENCE_PAIRS

FINE = {
    "src_text": "De Gemengerot huet den neie Steg gestëmmt.",
    "tgt_text": "The council voted for the new footbridge.",
    "langs": "lb-en",
    "src_lang": "lb",
    "tgt_lang": "en",
}
CASES = [
    (filters.keep_length_ratio, {}, None),
    (filters.keep_length_ratio, {"tgt_text": "A. " * 90}, "length_ratio"),
    (filters.keep_length_ratio, {"src_text": "Jo.", "tgt_text": "Yes, indeed."}, None),
    (filters.keep_translated, {}, None),
    (filters.keep_translated, {"tgt_text": FINE["src_text"]}, "copy"),
    (filters.keep_translated, {"tgt_text": "de gemengerot, huet den neie Steg gestëmmt"}, "copy"),
    (filters.keep_translated, {"src_text": "RTL 3 : 2", "tgt_text": "RTL 3-2"}, None),
    (filters.keep_languages, {}, None),
    (filters.keep_languages, {"tgt_lang": "lb"}, "language"),
    (filters.keep_languages, {"src_lang": "de"}, "language"),
    (filters.keep_years, {"src_text": "Am Joer 1984", "tgt_text": "In the year 1994"}, "years"),
    (filters.keep_years, {"src_text": "Am Joer 1984", "tgt_text": "In that year"}, None),
    (filters.keep_years, {"src_text": "১৯৭১ সালে", "tgt_text": "In 1971"}, None),
    (filters.keep_years, {"src_text": "1990 an 2020", "tgt_text": "In 1991, then 2020"}, None),
    (filters.keep_years, {"src_text": "1500 Leit", "tgt_text": "12500 people"}, None),
    (filters.keep_text, {}, None),
    (filters.keep_text, {"src_text": "Méi op www.example.lu"}, "residue"),
    (filters.keep_text, {"tgt_text": "write to desk@example.org"}, "residue"),
]


@pytest.mark.parametrize(("predicate", "change", "reason"), CASES)
def test_each_filter_names_its_reason(predicate, change, reason) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    frame = pl.DataFrame([{**FINE, **change}])
    assert frame.select(predicate().alias("reason"))["reason"].to_list() == [reason]


@pytest.mark.parametrize(("n", "why"), [(199, "199 pairs are too few"), (200, "no decoy article")])
def test_a_rate_that_cannot_be_estimated_says_why(n: int, why: str) -> None:
    schema = {"q": pl.Float64, "reason": pl.String}
    pairs = pl.DataFrame({"q": [None] * n, "reason": ["fdr"] * n}, schema=schema)
    assert why in str(summary.unknown_rate(pairs, Cuts(fdr=0.05)))
    assert summary.unknown_rate(pairs, Cuts(margin=1.0)) is None
    assert summary.unknown_rate(pairs.with_columns(q=0.1), Cuts(fdr=0.05)) is None


def test_of_pairs_that_repeat_one_stays() -> None:
    both = [
        ("Haut sinn et 12 Grad", "Today it is 12 degrees", None),
        ("Haut sinn et 12 Grad", "Today it is 12 degrees", "duplicate"),  # the same pair_id
        ("haut sinn et 12 Grad!", "Today, it is 12 degrees.", "near_duplicate"),
        ("Haut sinn et 14 Grad", "Today it is 14 degrees", "template"),
        ("Haut sinn et 15 Grad", "Today it is 15 degrees", "template"),
        ("Haut sinn et 9 Grad", "Today it is 9 degrees", "template"),
        ("Haut sinn et 9 Grad", "Only the source is the same", None),
        ("3 Leit sinn do", "3 people are there", None),  # three of a template stay
        ("4 Leit sinn do", "4 people are there", None),
        ("5 Leit sinn do", "5 people are there", None),
        ("Dropped before", "by its margin", "margin"),
        ("Dropped before", "by its margin", None),
    ]
    ids = ["p00", "p00", *(f"p{n:02}" for n in range(2, len(both)))]
    rows = [
        {**dict.fromkeys(SENTENCE_PAIRS.columns), "pair_id": name, "src_text": src,
         "tgt_text": tgt, "reason": "margin" if reason == "margin" else None}
        for name, (src, tgt, reason) in zip(ids, both, strict=True)
    ]  # fmt: skip
    decided = decide(SENTENCE_PAIRS.frame(rows), Cuts(threshold=-1.0))
    assert decided["reason"].to_list() == [reason for *_, reason in both]
    assert decided["kept"].to_list() == [reason is None for *_, reason in both]
