"""The lexical score against a slow reference, and its file."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from anyascii import anyascii
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from align.lexical import FILE, LENGTHS, SOUND_LENGTHS, Lexical, count_ngrams, mix
from corpus.errors import InputError


def latin(char: str) -> str:
    """Write a folded character in Latin letters; a capital is of another script."""
    if unicodedata.category(char)[0] in "ZPS" or unicodedata.category(char) == "Cc":
        return " "
    letters = "".join(c for c in anyascii(char) if c.isalnum())
    return letters.lower() if char < "\u0370" else letters.upper()


def sounds(word: str) -> str:
    """Keep a word's consonants, by their kind."""
    word = re.sub("^[aeiouyh]+", "A", word.lower())
    word = re.sub("[aeiouyh]", "", word).lower()
    kinds = word.translate(str.maketrans("wvfcqxz", "bbpkkkj"))
    return re.sub(r"([a-z])\1+", r"\1", kinds)


def slow_ngrams(text: str) -> Counter[str]:
    """Count the n-grams of padded words, one at a time."""
    folded = unicodedata.normalize("NFKD", text).casefold()
    counts: Counter[str] = Counter()
    for word in "".join(map(latin, folded)).split():
        as_written = re.sub("[A-Z]", "", word)
        for mark, form, lengths in (("", as_written, LENGTHS), ("~", sounds(word), SOUND_LENGTHS)):
            padded = f" {form} " if form else ""
            for n in lengths:
                counts.update(mark + padded[i : i + n] for i in range(len(padded) - n + 1))
    return counts


def slow_cosine(a: str, b: str) -> float:
    x, y = ({g: math.sqrt(n) for g, n in slow_ngrams(t).items()} for t in (a, b))
    norm = math.sqrt(sum(v * v for v in x.values()) * sum(v * v for v in y.values()))
    return sum(v * y.get(g, 0) for g, v in x.items()) / norm if norm else 0.0


SENTENCES = [
    "D'Ministesch Paulette Lenert huet e Sonndeg geschwat.",
    "Minister Paulette  Lenert spoke on Sunday!",
    "Le ministre Paulette LENERT a parlé dimanche.",
    "মন্ত্রী রবিবার কথা বলেছেন।",
    "a\tb\nc",
    "",
    "… !",
]


def test_cosines_equal_a_slow_reference() -> None:
    rows = Lexical(np.ones(2**24, np.float32)).vectors(SENTENCES)
    expected = [[slow_cosine(a, b) for b in SENTENCES] for a in SENTENCES]
    np.testing.assert_allclose((rows @ rows.T).toarray(), expected, atol=1e-5)
    assert expected[0][1] > 0.3 > expected[0][3]


def test_names_are_found_across_scripts() -> None:
    texts = ["বারাক ওবামা ২০০০ সালে", "Barack Obama in 2000", "Angela Merkel in 2001"]
    bangla, obama, merkel = Lexical().vectors(texts).toarray()
    assert bangla @ obama > 0.5
    assert bangla @ merkel < 0.2


@given(st.lists(st.text(max_size=30), max_size=5))
def test_any_text_has_the_ngrams_of_the_reference(texts: list[str]) -> None:
    counts = count_ngrams(texts, 2**24)
    assert counts.shape == (len(texts), 2**24)
    for n, text in enumerate(texts):
        expected = slow_ngrams(text.encode("utf-8", "replace").decode())
        assert counts[[n]].sum() == sum(expected.values())
        assert len(counts[[n]].indices) == len(expected)


def test_a_text_does_not_depend_on_its_neighbours() -> None:
    lexical = Lexical.fit(SENTENCES, 2**10)
    together = lexical.vectors(SENTENCES).toarray()
    apart = [lexical.vectors([text]).toarray()[0] for text in SENTENCES]
    np.testing.assert_array_equal(together, apart)


def test_rare_ngrams_weigh_more() -> None:
    texts = ["the cat", "the dog", "the fox", "the owl"]
    lexical = Lexical.fit(texts, 2**16)
    the, cat = (count_ngrams([word], 2**16).indices for word in ("the", "cat"))
    assert lexical.idf[the] == pytest.approx(0.0)  # log(5/5): in every text
    assert lexical.idf[cat] == pytest.approx(math.log(5 / 2), abs=1e-3)
    rows = lexical.vectors(["the cat", "the dog", "cat"])
    assert rows[[0]].dot(rows[[1]].T).sum() == pytest.approx(0)
    assert rows[[0]].dot(rows[[2]].T).sum() == pytest.approx(1)


def test_weights_come_back_from_their_file(tmp_path: Path) -> None:
    lexical = Lexical.fit(SENTENCES, 2**10)
    lexical.save(tmp_path)
    np.testing.assert_array_equal(Lexical.load(tmp_path).idf, lexical.idf)
    assert (tmp_path / FILE).stat().st_size < 2 * 2**10 + 200
    assert (Lexical.load(tmp_path / "none").idf == 1).all()


@pytest.mark.parametrize(
    "idf", [np.ones(1000, np.float16), np.ones((2, 256)), np.full(256, np.inf, np.float32)]
)
def test_hostile_weights_are_refused(tmp_path: Path, idf: np.ndarray) -> None:
    save_file({"idf": idf}, tmp_path / FILE)
    with pytest.raises(InputError, match="weights of shape"):
        Lexical.load(tmp_path)
    (tmp_path / FILE).write_bytes(b"\x80\x04\x95")
    with pytest.raises(InputError, match="no table of n-gram weights"):
        Lexical.load(tmp_path)


def test_the_mix_is_a_weighted_mean() -> None:
    assert mix(0.5, 0.1, 0.25) == pytest.approx(0.75 * 0.5 + 0.25 * 0.1)
    sims, scores = np.array([[0.2, 1.0]]), np.array([[0.6, 1.0]])
    np.testing.assert_allclose(mix(sims, scores, 0.5), [[0.4, 1.0]])
    np.testing.assert_array_equal(mix(sims, scores, 0.0), sims)
