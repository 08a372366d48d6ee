from __future__ import annotations

import csv
from collections import Counter
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


def ntrex(shared: Path, half: int) -> dict[str, list[str]]:
    with (shared / "ntrex" / "ntrex.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    documents = list(dict.fromkeys(row["doc"] for row in rows))[half::2]
    return {lang: [r[lang] for r in rows if r["doc"] in documents] for lang in SENTENCES}


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("languages", "words", "floor"),
    [
        (["lb", "fr", "en"], 500, 0.995),
        (["bn", "fr", "en"], 500, 0.995),
        (["lb", "fr", "en"], 4, 0.92),
    ],
)
def test_real_sentences(shared: Path, languages: list[str], words: int, floor: float) -> None:
    texts = ntrex(shared, half=1)
    pairs = [(lang, " ".join(t.split()[:words])) for lang in languages for t in texts[lang]]
    guesses = identify([text for _, text in pairs], with_look_alikes(languages))
    right = Counter(
        lang for (lang, _), guess in zip(pairs, guesses, strict=True) if guess.lang == lang
    )
    assert all(right[lang] / len(texts[lang]) >= floor for lang in languages), right
