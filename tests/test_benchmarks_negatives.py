"""Negatives by one edit, in five languages; the sentences are invented."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.build import checks
from benchmarks.build.checks import Rules
from benchmarks.build.negatives import edits, load_edits, names_in
from corpus.errors import InputError

CASES = [
    ("lb", "number", "Vun 12 Kandidate krute 45 eng Plaz.", "Vun 45 Kandidate krute 12 eng Plaz."),
    ("lb", "number", "Fënnef Leit waren do an dräi net.", "Dräi Leit waren do an fënnef net."),
    ("lb", "negation", "Hien huet de Match gewonnen.", "Hien huet de Match net gewonnen."),
    ("lb", "negation", "Si seet, datt hie komm ass.", "Si seet, datt hie net komm ass."),
    ("lb", "negation", "D'Bréck ass net fäerdeg.", "D'Bréck ass fäerdeg."),
    ("lb", "opposite", "Et goufe méi Wunnenge gebaut.", "Et goufe manner Wunnenge gebaut."),
    ("fr", "negation", "Le pont est ouvert ce soir.", "Le pont n'est pas ouvert ce soir."),
    ("fr", "negation", "Ils ne peuvent pas venir.", "Ils peuvent venir."),
    ("fr", "negation", "Il y a du monde.", "Il n'y a pas du monde."),
    ("fr", "name", "Marie Lentz a battu Paula Kremer.", "Paula Kremer a battu Marie Lentz."),
    ("en", "negation", "They can open the bridge.", "They cannot open the bridge."),
    ("en", "negation", "The road wasn't closed.", "The road was closed."),
    ("en", "name", "Yesterday Lentz met Paula Kremer.", "Yesterday Paula Kremer met Lentz."),
    ("de", "negation", "Sie hat das Budget gebilligt.", "Sie hat das Budget nicht gebilligt."),
    ("bn", "number", "সভায় ১২ জন এবং ৪৫ জন ছিলেন", "সভায় ৪৫ জন এবং ১২ জন ছিলেন"),
    ("bn", "negation", "সেতুটি চালু হয়েছে।", "সেতুটি চালু হয়নি।"),
    ("bn", "negation", "পরিষদ প্রকল্পটি অনুমোদন করেছে।", "পরিষদ প্রকল্পটি অনুমোদন করেনি।"),
    ("bn", "opposite", "সেতুটি চালু হয়েছে।", "সেতুটি বন্ধ হয়েছে।"),
]  # fmt: skip


@pytest.mark.parametrize(("lang", "kind", "text", "edited"), CASES)
def test_one_edit_of_a_kind(lang: str, kind: str, text: str, edited: str) -> None:
    found = dict(edits(text, lang))
    assert found.get(kind, text) == edited


def test_names_in_german_need_to_be_known_from_elsewhere() -> None:
    """There every noun has a capital."""
    text = "Gestern hat Lentz die Trainerin Kremer besiegt."
    names = names_in(["Nobody beat Kremer or Lentz."], "en")
    assert names == {"Kremer", "Lentz"}
    assert "name" not in dict(edits(text, "de"))
    assert dict(edits(text, "de", names))["name"] == (
        "Gestern hat Kremer die Trainerin Lentz besiegt."
    )


def test_a_changed_number_keeps_its_form_and_its_kind() -> None:
    for text, low, high in (("Et waren 17 Leit.", 10, 28), ("Am Joer 1987 war et.", 1981, 1989)):
        number = next(word for word in dict(edits(text, "lb"))["number"].split() if word.isdigit())
        assert low <= int(number) <= high
        assert number not in text
    assert dict(edits("It cost €410,000 in all.", "en"))["number"].endswith("10,000 in all.")


@given(st.text(max_size=80), st.sampled_from(["lb", "fr", "en", "de", "bn", "is"]))
def test_any_text_gives_other_texts_or_none(text: str, lang: str) -> None:
    found = edits(text, lang)
    assert len({edit.kind for edit in found}) == len(found)
    assert all(edit.text != text for edit in found)
    assert edits(text, lang) == found


@pytest.mark.parametrize("lang", ["lb", "fr", "en", "de", "bn"])
def test_packs_hold_no_word_twice_in_a_list(lang: str) -> None:
    pack = load_edits(lang)
    assert {"date", "number", "name", "role", "opposite"} == set(pack.swap)
    for lists in pack.swap.values():
        for words in lists:
            assert len(words) == len(set(words)) > 1
    assert pack.negate.add
    assert pack.negate.remove


def test_a_broken_pack_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.build.negatives.tomllib.loads", lambda text: {"swop": {}})
    load_edits.cache_clear()
    with pytest.raises(InputError, match="edits of 'lb' are broken"):
        load_edits("lb")
    load_edits.cache_clear()


def test_checks_name_what_is_wrong() -> None:
    rules = Rules("en", overlap=0.5)
    anchor = "The council approved the new bridge on Monday evening."
    good = "A footbridge was given the go-ahead by councillors."
    assert rules.text(anchor) is None
    assert rules.text("Too short.") == "length 2 words"
    assert rules.text("D'Leit hunn haut net vill gesot, well et esou kal war.") == "language nl"
    assert rules.paraphrase(anchor, good) is None
    assert rules.paraphrase(anchor, anchor.upper() + "!") == "copy the same words in the same order"
    close = "The council approved the old bridge on Monday evening."
    assert rules.paraphrase(anchor, close) == "overlap 0.88 of the words"
    assert Rules("en", unshared=7).paraphrase(anchor, good) is None  # both share "the"
    few = "overlap 7 words of its own"
    assert Rules("en", unshared=8).paraphrase(anchor, good) == few
    assert rules.paraphrase(anchor, good * 3) == "length 2.8 times as long"
    assert checks.negative(anchor, good, close) is None
    assert checks.negative(anchor, good, anchor) == "negative_copy nothing was changed"
    far = "Nobody likes the sea."
    assert checks.negative(anchor, good, far) == "negative_far 1 words in common, the paraphrase 1"
