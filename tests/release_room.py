"""A small workspace with aligned pairs, for tests of releases."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from corpus import dedup, extract, segment, stages
from corpus.pairs import MATCH_ARTICLES, MATCH_SENTENCES
from corpus.stages import Made, Part, Stage
from corpus.tables import text_key
from corpus.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

NAME = "org/lux-news"
DAY = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)


def put(stage: Stage, folder: Path, part: str, *rows: list[dict[str, Any]]) -> None:
    """Write one part of a stage as the stage would."""
    frames = {t.name: t.frame(r) for t, r in zip(stage.outputs, rows, strict=True)}
    stages._make_part(stage, folder, lambda work: Made(frames), Part(part, [], None))


def put_pairs(ws: Workspace, langs: str, *margins: float, **columns: Any) -> None:
    """Write sentence pairs of the articles a1 and a2, kept where the margin is at least 1."""
    rows = [
        {
            "pair_id": f"p{n}", "src_ids": [f"a1.v.{n}"], "tgt_ids": [f"a2.v.{n}"],
            "src_text": f"Moien | <b>{n}</b>", "tgt_text": f"Hello {n}\nworld", "langs": langs,
            "sim": 0.5, "lexical": 0.1, "margin": margin, "src_article": "a1",
            "tgt_article": "a2", "origin": "demo", "licence": "CC-BY-4.0",
            "encoder": "embedded", "method": "margin", "kept": margin >= 1,
            "reason": None if margin >= 1 else "margin", **columns,
        }
        for n, margin in enumerate(margins)
    ]  # fmt: skip
    put(MATCH_SENTENCES, ws.pair_stage(langs, "sentence_pairs"), "all", rows)


def put_articles(ws: Workspace, **columns: Any) -> None:
    """Write the articles a1 (lb) and a2 (en) with an older version of a1, and their pair."""
    facts = {"version": "v", "site": "demo", "licence": "CC-BY-4.0", "published": DAY, **columns}
    articles = [
        {"article_id": f"a{n}", "lang": lang, **facts} for n, lang in ((1, "lb"), (2, "en"))
    ]
    full = [
        {**a, "url": f"https://demo.example/{a['article_id']}", "extractor": "trafilatura 2"}
        for a in articles
    ]
    old = {**full[0], "version": "older", "published": None}
    put(extract.STAGE, ws.extracted, "demo/1", [old, *full], [])
    put(dedup.STAGE, ws.catalogue, "catalogue", [{**a, "state": "kept"} for a in articles])
    pair = {"src_id": "a1", "tgt_id": "a2", "langs": "lb-en", "sim": 0.7, "encoder": "embedded"}
    put(MATCH_ARTICLES, ws.pair_stage("lb-en", "article_pairs"), "all", [pair], [])
    for article, lang, word in (("a1", "lb", "Moien | <b>{}</b>"), ("a2", "en", "Hello {}\nworld")):
        texts = [word.format(n) for n in range(3)]
        sentences = [
            {
                "sentence_id": f"{article}.v.{n}", "article_id": article, "n": n, "part": "body",
                "lang": lang, "text": text, "text_key": text_key(text),
            }
            for n, text in enumerate(texts)
        ]  # fmt: skip
        put(segment.STAGE, ws.sentences / lang, "2026-03", sentences)


def make_workspace(folder: Path) -> Workspace:
    """Make a workspace of two articles and two language pairs."""
    ws = Workspace.create(folder, "you@example.org")
    put_articles(ws)
    put_pairs(ws, "lb-en", 1.4, 1.2, 0.8)
    put_pairs(ws, "lb-fr", 1.1)
    return ws
