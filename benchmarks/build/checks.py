"""What a paraphrase and a negative must be before a person sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.build.negatives import WORD
from corpus.languages import identify, settle, with_look_alikes

if TYPE_CHECKING:
    from collections.abc import Iterable

WORDS = (4, 40)  # of a text
MAX_RATIO = 2.0  # of the characters of two texts


@dataclass(frozen=True, slots=True)
class Rules:
    """What candidates of one language are held to.

    Attributes:
        lang: what every text must be in.
        overlap: share of either text's words that the other may have, at most: LuxAlign
            takes 0.5 for pairs of one language.
        unshared: words of either text that the other lacks, at least: LuxAlign takes 9.
    """

    lang: str
    overlap: float = 0.5
    unshared: int = 0

    def text(self, text: str) -> str | None:
        """Say what is wrong with a text: a reason, a space, the value; None where all is well."""
        if not WORDS[0] <= n_words(text) <= WORDS[1]:
            return f"length {n_words(text)} words"
        guess = identify([text], with_look_alikes([self.lang]))[0]
        lang = settle(guess, self.lang)
        return f"language {lang}" if lang != self.lang else None

    def paraphrase(self, anchor: str, text: str) -> str | None:
        """Say what is wrong with a paraphrase of an anchor."""
        if same(anchor, text):
            return "copy the same words in the same order"
        short, long = sorted((len(anchor), len(text)))
        if long > MAX_RATIO * short:
            return f"length {long / short:.1f} times as long"
        fewest, shared = min(len(words(anchor)), len(words(text))), common(anchor, text)
        if shared > self.overlap * fewest:
            return f"overlap {shared / fewest:.2f} of the words"
        few = fewest - shared < self.unshared
        return f"overlap {fewest - shared} words of its own" if few else None


def negative(anchor: str, paraphrase: str, text: str) -> str | None:
    """Say what is wrong with a negative of an anchor: it must share more words than the paraphrase.

    A hard negative looks like the anchor and is none; an easy one would tell nothing.
    """
    if text == anchor or same(text, paraphrase):
        return "negative_copy nothing was changed"
    near, far = common(anchor, text), common(anchor, paraphrase)
    return f"negative_far {near} words in common, the paraphrase {far}" if near <= far else None


def n_words(text: str) -> int:
    """Count a text's words."""
    return len(WORD.findall(text))


def words(text: str) -> frozenset[str]:
    """Give a text's words, in lower case."""
    return frozenset(WORD.findall(text.casefold()))


def common(a: str, b: str) -> int:
    """Count the words that two texts have in common."""
    return len(words(a) & words(b))


def same(a: str, b: str) -> bool:
    """Tell whether two texts are the same but for case, spaces and punctuation."""
    return WORD.findall(a.casefold()) == WORD.findall(b.casefold())


def folded(texts: Iterable[str]) -> list[str]:
    """Write texts so that equal ones but for case, spaces and punctuation are equal."""
    return [" ".join(WORD.findall(text.casefold())) for text in texts]
