"""Negatives offline: one small edit of a sentence that makes it say something else.

What a language's words allow stands in its pack, ``packs/LANG.toml``. Where a sentence
has two numbers, names or words of one kind they change places, so that no word is new.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
import unicodedata
from functools import cached_property, lru_cache
from importlib.resources import files
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from corpus.errors import InputError
from corpus.packs import load_pack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# Letters, digits and the marks that belong to them in Indic scripts (a danda does not).
LETTER = r"\w\u0300-\u036f\u0900-\u0963\u0966-\u0dff"
NUMBER = re.compile(
    rf"(?<![{LETTER}.,:/-])\d+(?:[.,\u00a0 ]\d{{3}}(?!\d))*(?:[.,:]\d+)?(?![{LETTER}/])"
)
WORD = re.compile(rf"[{LETTER}]+(?:[-’'][{LETTER}]+)*")
INSIDE = re.compile(rf"[{LETTER},] \Z")  # what comes before a word in mid-sentence
LAST_DAY = 31  # numbers up to it may be days or hours: they stay below it
YEARS = range(1900, 2100)


class Edit(NamedTuple):
    """What was changed (number, date, name, role, opposite, negation), and the text after it."""

    kind: str
    text: str


class Negate(BaseModel):
    """Patterns that affirm what is negated, and others that negate."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    remove: list[tuple[str, str]] = []
    add: list[tuple[str, str]] = []


class EditPack(BaseModel):
    """The words of one language that can be edited; ``packs/default.toml`` explains it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    nouns_are_capital: bool = False
    swap: dict[str, list[list[str]]] = {}
    negate: Negate = Negate()

    @cached_property
    def words(self) -> frozenset[str]:
        """Every word that an edit may swap, in lower case."""
        lists = (words for kind in self.swap.values() for words in kind)
        return frozenset(word.casefold() for words in lists for word in words)


@lru_cache(maxsize=64)
def load_edits(lang: str) -> EditPack:
    """Load a language's pack of edits, or the default one.

    Raises:
        InputError: the pack is broken.
    """
    folder = files("benchmarks.build") / "packs"
    own = folder / f"{lang.partition('-')[0]}.toml"
    text = (own if own.is_file() else folder / "default.toml").read_text(encoding="utf-8")
    try:
        return EditPack.model_validate(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise InputError(f"edits of '{lang}' are broken: {error}") from error


def edits(text: str, lang: str, names: frozenset[str] = frozenset()) -> list[Edit]:
    """Give what one edit can make of a sentence: at most one of each kind.

    Args:
        text: a sentence.
        lang: its language.
        names: words that are known to be names, where a capital does not show them.
    """
    pack, text = load_edits(lang), unicodedata.normalize("NFC", text)
    makers: dict[str, list[Iterator[str]]] = {"number": [_numbers(text)]}
    makers["name"] = [_names(text, lang, pack, names)]
    for kind, lists in pack.swap.items():
        makers.setdefault(kind, []).extend(_swaps(text, words) for words in lists)
    makers["negation"] = [_negations(text, pack.negate)]
    found = []
    for kind, ways in makers.items():
        made = next((new for way in ways for new in way if new != text), None)
        if made is not None:
            found.append(Edit(kind, made))
    return found


def names_in(texts: Iterable[str], lang: str) -> frozenset[str]:
    """Collect the words that a language writes with a capital in mid-sentence: names."""
    if load_edits(lang).nouns_are_capital:
        return frozenset()
    found = (match[0] for text in texts for match in _capitals(text, lang))
    return frozenset(found)


def _capitals(text: str, lang: str) -> list[re.Match[str]]:
    """Find the words with a capital that can be names.

    What begins a sentence is none, unless another capital follows: Marie Lentz.
    """
    pack, starters = load_edits(lang), load_pack(lang).starters
    return [
        match
        for match in WORD.finditer(text)
        if match[0][0].isupper()
        and len(match[0]) > 2
        and (INSIDE.search(text, 0, match.start()) or text[match.end() + 1 :][:1].isupper())
        and match[0] not in starters
        and match[0].casefold() not in pack.words
    ]


def _names(text: str, lang: str, pack: EditPack, names: frozenset[str]) -> Iterator[str]:
    """Let two names change places: runs of capitals, with one space between."""
    words = _capitals(text, lang)
    if pack.nouns_are_capital:
        words = [match for match in words if match[0] in names]
    runs: list[tuple[int, int]] = []
    for match in words:
        if runs and text[runs[-1][1] : match.start()] == " ":
            runs[-1] = (runs[-1][0], match.end())
        else:
            runs.append(match.span())
    yield from _exchanged(text, runs, lambda a, b: a != b)


def _numbers(text: str) -> Iterator[str]:
    """Let two numbers of one shape change places; else change one."""
    spans = [match.span() for match in NUMBER.finditer(text)]
    yield from _exchanged(text, spans, lambda a, b: a != b and _shape(a) == _shape(b))
    for start, end in spans:
        yield text[:start] + _other_number(text[start:end]) + text[end:]


def _swaps(text: str, words: list[str]) -> Iterator[str]:
    """Let two words of a list change places; else put another in the place of one."""
    pattern = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    first = "|".join(re.escape(w[:1].upper() + w[1:]) for w in sorted(words, key=len, reverse=True))
    found = list(re.finditer(rf"(?<![{LETTER}’'-])(?:{pattern}|{first})(?![{LETTER}’'-])", text))
    spans = [match.span() for match in found]
    if len(words) > 2:
        yield from _exchanged(text, spans, lambda a, b: a.casefold() != b.casefold())
    for start, end in spans:
        old = text[start:end]
        others = [word for word in words if word.casefold() != old.casefold()]
        new = others[_draw(text, len(others))]
        if old[0].isupper():
            new = new[0].upper() + new[1:]
        yield text[:start] + new + text[end:]


def _negations(text: str, rules: Negate) -> Iterator[str]:
    for pattern, put in (*rules.remove, *rules.add):
        yield re.sub(pattern, put, text, count=1)


def _exchanged(
    text: str, spans: list[tuple[int, int]], fits: Callable[[str, str], bool]
) -> Iterator[str]:
    """Let two stretches of a text that fit each other change places."""
    for (a, b), (c, d) in combinations(spans, 2):
        first, second = text[a:b], text[c:d]
        if fits(first, second):
            if first[0].isupper() and second[0].islower():  # the first begins the sentence
                first, second = first[0].lower() + first[1:], second[0].upper() + second[1:]
            yield text[:a] + second + text[b:c] + first + text[d:]


def _shape(number: str) -> str:
    """Write every digit as 0: what a number looks like."""
    return re.sub(r"\d", "0", number)


def _other_number(number: str) -> str:
    """Change one digit so that a day stays a day, a year a year near it, and all look alike."""
    whole = re.match(r"\d+", number)
    digits = whole[0] if whole else number
    value, zero = int(digits), chr(ord(digits[0]) - int(digits[0]))
    if value <= LAST_DAY:
        low = 10 if len(digits) > 1 else 2
        choices = [n for n in range(low, min(10 ** len(digits), 29)) if n != value]
        new = str(choices[_draw(number, len(choices))])
    else:
        at = 3 if value in YEARS else 0
        others = [d for d in "123456789" if d != str(int(digits[at]))]
        plain = str(value).zfill(len(digits))
        new = plain[:at] + others[_draw(number, len(others))] + plain[at + 1 :]
    return "".join(chr(ord(zero) + int(digit)) for digit in new) + number[len(digits) :]


def _draw(text: str, n: int) -> int:
    """Choose one of n by a text alone."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") % n
