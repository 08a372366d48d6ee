"""Whole corpora against documents whose lines are known to translate each other.

Scored by lines, so that it does not matter how a corpus splits its sentences: a
sentence belongs to the lines of which it covers at least half of the characters; a
predicted pair is right if both sides belong to the same lines, and to at least one;
recall counts the lines, of those that exist in both languages, that a right pair has.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from corpus.sample.documents import Document

Line = tuple[str, int]  # a document and the number of a line in it
Coverage = dict[int, int]  # characters of each line that a sentence covers
PART = " #"  # what follows it in a name is a part of the document before it


@dataclass(frozen=True, slots=True)
class Gold:
    """Aligned documents by name, in order of appearance."""

    documents: Mapping[str, Document]

    @classmethod
    def of(cls, documents: Iterable[Document]) -> Gold:
        """Name documents as a newsroom's file names them."""
        return cls({document.name: document for document in documents})

    @property
    def digest(self) -> str:
        """Digest all lines."""
        rows = [[name, document.lines] for name, document in self.documents.items()]
        return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()

    def lines(self, langs: tuple[str, str]) -> set[Line]:
        """Give the lines that exist in both languages."""
        src, tgt = langs
        return {
            (name, n)
            for name, document in self.documents.items()
            for n in document.lines.get(src, {}).keys() & document.lines.get(tgt, {}).keys()
        }

    def split(self, name: str) -> set[str]:
        """Give the documents of a split: even ones are dev, odd ones test, with their parts."""
        whole = {doc: doc.partition(PART)[0] for doc in self.documents}
        parity = {doc: n % 2 for n, doc in enumerate(dict.fromkeys(whole.values()))}
        return {d for d, w in whole.items() if name == "all" or parity[w] == (name == "test")}


@dataclass(frozen=True, slots=True)
class Pair:
    """A predicted pair: each side's document and lines."""

    src_doc: str
    src_lines: frozenset[int]
    tgt_doc: str
    tgt_lines: frozenset[int]

    @property
    def right(self) -> bool:
        """Tell whether both sides are the same lines, and at least one."""
        same = self.src_doc == self.tgt_doc and self.src_lines == self.tgt_lines
        return same and bool(self.src_lines)


@dataclass(frozen=True, slots=True)
class Quality:
    """How good predictions are; precision is None where nothing was predicted."""

    n_predicted: int
    n_right: int
    n_gold: int
    n_found: int

    @property
    def precision(self) -> float | None:
        """The share of predictions that are right."""
        return self.n_right / self.n_predicted if self.n_predicted else None

    @property
    def recall(self) -> float | None:
        """The share of the gold that right predictions have."""
        return self.n_found / self.n_gold if self.n_gold else None

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        p, r = self.precision or 0.0, self.recall or 0.0
        return 2 * p * r / (p + r) if p + r else 0.0

    def values(self) -> dict[str, float | None]:
        """Give the three scores by name."""
        return {"precision": self.precision, "recall": self.recall, "f1": self.f1}


def squeeze(text: str) -> str:
    """Make every run of white space one space, and the text NFC."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def cover(lines: Mapping[int, str], sentences: Iterable[str]) -> list[Coverage]:
    """Find sentences in a document, in order, and say what they cover of its lines.

    Args:
        lines: the document's lines in one language by number.
        sentences: its sentences in reading order; one that is not found covers nothing.
    """
    spans, text = _spans(lines)
    covered: list[Coverage] = []
    cursor = 0
    for sentence in map(squeeze, sentences):
        at = text.find(sentence, cursor)
        at = at if at >= 0 else text.find(sentence)
        if at < 0 or not sentence:
            covered.append({})
            continue
        cursor = at + len(sentence)
        overlap = {n: min(cursor, end) - max(at, start) for n, (start, end) in spans.items()}
        covered.append({n: characters for n, characters in overlap.items() if characters > 0})
    return covered


def _spans(lines: Mapping[int, str]) -> tuple[dict[int, tuple[int, int]], str]:
    """Join squeezed lines by spaces; say where each begins and ends."""
    spans, texts, start = {}, [], 0
    for n, line in sorted(lines.items()):
        texts.append(squeeze(line))
        spans[n] = (start, start + len(texts[-1]))
        start += len(texts[-1]) + 1
    return spans, " ".join(texts)


def lines_of(lines: Mapping[int, str], coverages: Iterable[Coverage]) -> frozenset[int]:
    """Give the lines of which the sentences of one side cover at least half together."""
    total: Counter[int] = Counter()
    for coverage in coverages:
        total.update(coverage)
    return frozenset(n for n, c in total.items() if 2 * c >= len(squeeze(lines[n])))


def sentence_quality(
    gold: Gold, langs: tuple[str, str], pairs: Iterable[Pair], split: str
) -> Quality:
    """Score sentence pairs by lines; a pair belongs to its source's document."""
    docs = gold.split(split)
    mine = [pair for pair in pairs if pair.src_doc in docs]
    lines = {line for line in gold.lines(langs) if line[0] in docs}
    right = [pair for pair in mine if pair.right]
    found = {(pair.src_doc, n) for pair in right for n in pair.src_lines}
    return Quality(len(mine), len(right), len(lines), len(found & lines))


def article_quality(
    gold: Gold, langs: tuple[str, str], pairs: Iterable[tuple[str, str]], split: str
) -> Quality:
    """Score article pairs, given by their documents, against those with common lines."""
    docs = gold.split(split)
    mine = [pair for pair in pairs if pair[0] in docs]
    expected = {doc for doc, _ in gold.lines(langs) if doc in docs}
    right = [src for src, tgt in mine if src == tgt and src in expected]
    return Quality(len(mine), len(right), len(expected), len(set(right)))
