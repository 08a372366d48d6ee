"""Harder newsrooms: what happens to documents before they are rendered."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks.tasks.newsroom import PART

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from corpus.sample.documents import Document

SEED = 0


def _only(document: Document, part: str, lines: Mapping[str, Mapping[int, str]]) -> Document:
    """Name a part of a document; languages without lines are left out."""
    return replace(
        document,
        name=f"{document.name}{PART}{part}",
        lines={lang: rows for lang, rows in lines.items() if rows},
    )


def _slice(rows: Mapping[int, str], start: int, stop: int) -> dict[int, str]:
    return {n: text for n, text in rows.items() if start <= n < stop}


def halves(documents: Sequence[Document], _tgt: str) -> list[Document]:
    """Cut every document into two that follow each other, so of about the same day."""
    parts = []
    for document in documents:
        end = 1 + max(n for rows in document.lines.values() for n in rows)
        for part, (start, stop) in enumerate(((0, end // 2), (end // 2, end)), 1):
            lines = {lang: _slice(rows, start, stop) for lang, rows in document.lines.items()}
            parts.append(_only(document, str(part), lines))
    return [part for part in parts if part.lines]


def third(documents: Sequence[Document], tgt: str) -> list[Document]:
    """Cut the target to its first third, of one line at least."""
    return [
        replace(
            document,
            lines={
                lang: dict(list(rows.items())[: -(-len(rows) // 3)]) if lang == tgt else rows
                for lang, rows in document.lines.items()
            },
        )
        for document in documents
    ]


def comparable(documents: Sequence[Document], tgt: str) -> list[Document]:
    """Delete half of the target lines, and publish half of the target articles much later.

    What is published later follows all others in the same order: a week later at least
    in a collection of a hundred documents.
    """
    draw = random.Random(SEED)  # noqa: S311 - no secret
    moved = set(draw.sample(range(len(documents)), len(documents) // 2))
    here, later = [], []
    for n, document in enumerate(documents):
        rows = document.lines.get(tgt, {})
        left = sorted(draw.sample(sorted(rows), -(-len(rows) // 2)))
        lines = {**document.lines, tgt: {n: rows[n] for n in left}}
        if n in moved:
            later.append(_only(document, "later", {tgt: lines.pop(tgt)}))
        here.append(replace(document, lines={k: v for k, v in lines.items() if v}))
    return here + [document for document in later if document.lines]


SETTINGS: dict[str, Callable[[Sequence[Document], str], list[Document]]] = {
    "halves": halves,
    "third": third,
    "comparable": comparable,
}
