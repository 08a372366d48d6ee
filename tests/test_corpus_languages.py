from __future__ import annotations

from pathlib import Path

import pytest

from corpus.errors import LanguageError
from corpus.languages import (
    Guess,
    check_language,
    has_script,
    identify,
    language_name,
    settle,
    with_look_alikes,
)
from tests.language_quality import SITES, headlines, identification

SENTENCES = {
    "lb": "D'Gemeng huet gëschter decidéiert, datt d'Bréck nei gebaut gëtt.",
    "de": "Die Gemeinde hat gestern beschlossen, dass die Brücke neu gebaut wird.",
    "fr": "La commune a décidé hier que le pont serait reconstruit.",
    "en": "The council decided yesterday that the bridge will be built again.",
    "bn": "গতকাল পৌরসভা সিদ্ধান্ত নিয়েছে যে সেতুটি আবার তৈরি করা হবে।",
}


def test_codes_are_checked_and_named() -> None:
    assert [check_language(code) for code in ("lb", "BN", "pt-br")] == ["lb", "bn", "pt-BR"]
    assert language_name("lb") == "Luxembourgish"
    for wrong in ("", "xx", "luxembourgish", "12", "a" * 500):
        with pytest.raises(LanguageError):
            check_language(wrong)


def test_sentences_are_identified_among_the_choices() -> None:
    choices = with_look_alikes(["lb", "fr", "en", "bn"])
    assert choices == ("lb", "fr", "en", "bn", "de", "nl", "oc", "ca", "as")
    guesses = identify(SENTENCES.values(), choices)
    assert [g.lang for g in guesses] == list(SENTENCES)
    assert all(0 < g.margin <= g.prob <= 1 for g in guesses)


def test_another_language_is_never_guessed() -> None:
    [guess] = identify([SENTENCES["de"]], ["fr", "en"])
    assert guess.lang in ("fr", "en")
    # One that the model does not know ("und") is no choice.
    assert identify([SENTENCES["fr"]], ["fr", "en", "tlh"])[0].lang == "fr"


def test_the_script_decides_where_it_can() -> None:
    assert identify([SENTENCES["bn"]], ["lb", "bn"]) == [Guess("bn", 1.0, 1.0)]
    assert identify(["12 + 30 = 42"], ["bn"])[0].prob == 0.0
    assert identify(["", "!?"], ["lb", "fr"]) == [Guess("lb", 0.0, 0.0)] * 2
    assert has_script("আ", "bn")
    assert not has_script("Luxembourg 1839", "bn")
    assert has_script("anything", "ja")  # a script that is not checked


def test_a_narrow_guess_yields_to_the_surroundings() -> None:
    assert settle(Guess("de", 0.5, 0.1), "lb") == "lb"
    assert settle(Guess("de", 0.9, 0.8), "lb") == "de"


def test_common_words_decide_where_letters_leave_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    choices = with_look_alikes(["lb", "fr", "en"])
    texts = ["Tom Brown a dit", "Tom Keller sot dat", "De gemeente heeft het plan in de stad"]
    found = identify(texts, choices)
    assert [guess.lang for guess in found] == ["fr", "lb", "nl"]
    monkeypatch.setattr("corpus.languages.WORD_WEIGHT", 0.0)
    letters = identify(texts, choices)
    assert letters[0].lang == "en"
    assert letters[1].margin < found[1].margin
    # Dutch has no list: what its letters gave it stays as it was.
    assert letters[2].prob == found[2].prob


@pytest.mark.parametrize("text", ["the " * 1_000, "de la der den an a", "x" * 5_000, "’ : ;"])
def test_a_guess_is_a_probability(text: str) -> None:
    [guess] = identify([text], with_look_alikes(["lb", "fr", "en", "bn"]))
    assert 0 <= guess.margin <= guess.prob <= 1


@pytest.mark.realdata
def test_real_sentences(shared: Path) -> None:
    for half in ("test", "all"):
        found = identification(half, shared)
        print(half, found)  # noqa: T201
        assert min(found.values()) >= 0.998


@pytest.mark.realdata
@pytest.mark.parametrize("site", SITES, ids="-".join)
def test_real_headlines(shared: Path, site: tuple[str, ...]) -> None:
    for half in ("test", "all"):
        found = headlines(half, site, shared)
        print(half, found)  # noqa: T201
        assert min(found.values()) >= 0.98
