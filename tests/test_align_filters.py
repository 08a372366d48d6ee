from __future__ import annotations

import polars as pl
import pytest

from align import filters, summary
from align.decide import Cuts

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
