from __future__ import annotations

import polars as pl
import pytest

from align import filters

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
]


@pytest.mark.parametrize(("predicate", "change", "reason"), CASES)
def test_each_filter_names_its_reason(predicate, change, reason) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    frame = pl.DataFrame([{**FINE, **change}])
    assert frame.select(predicate().alias("reason"))["reason"].to_list() == [reason]
