from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from corpus import dedup, extract, ledger, report, segment, stages, tables
from corpus.crawl.frontier import Frontier
from corpus.crawl.urls import Url
from corpus.pairs import MATCH_ARTICLES, MATCH_SENTENCES, SCORE_SENTENCES
from corpus.stages import Made, Part, Stage
from corpus.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

DAY = datetime(2026, 3, 2, tzinfo=UTC)


def put(stage: Stage, folder: Path, part: str, *rows: list[dict[str, Any]], **counts: int) -> None:
    frames = {t.name: t.frame(r) for t, r in zip(stage.outputs, rows, strict=True)}
    made = Made(frames, {k.replace("__", "."): n for k, n in counts.items()})
    stages._make_part(stage, folder, lambda work: made, Part(part, [], None))


def article(n: int, lang: str, **values: Any) -> dict[str, Any]:
    ids = {"article_id": f"{lang}{n}", "version": "v1", "site": "demo", "lang": lang}
    return {**ids, "url": f"https://demo.example/{lang}/{n}", "published": DAY, **values}


def sentence(article: str, n: int, lang: str) -> dict[str, Any]:
    ids = {"sentence_id": f"{article}.v1.{n}", "article_id": article, "n": n, "lang": lang}
    return {**ids, "part": "body", "text": f"{article} {n}", "text_key": b"k"}


def pair(src: str, tgt: str, margin: float, reason: str | None = None) -> dict[str, Any]:
    return {
        "pair_id": f"{src}-{tgt}", "src_ids": [src], "tgt_ids": [tgt], "langs": "lb-en",
        "src_text": f"<script>{src}</script>", "tgt_text": tgt, "sim": 0.5, "lexical": 0.1,
        "margin": margin, "q": 0.1 / margin,
        "src_article": "lb1", "tgt_article": "en1", "kept": reason is None,
        "reason": reason,
    }  # fmt: skip


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """3 pages of 5 are articles; one was fetched again; one pair of sentences is kept."""
    ws = Workspace.create(tmp_path / "demo", "you@example.org")
    rows = [article(1, "lb"), article(1, "en"), article(2, "lb"), article(2, "lb")]
    rejects = [
        {"id": "https://demo.example/<b>", "stage": "extract", "reason": "too_short", "value": "9"},
        {"id": "https://demo.example/c", "stage": "extract", "reason": "no_text", "value": ""},
    ]
    put(extract.STAGE, ws.extracted, "demo/1", rows, rejects,
        pages=6, articles=4, rejects__too_short=1, rejects__no_text=1)  # fmt: skip
    kept = [{**r, "state": "kept"} for r in rows[:3]]
    put(dedup.STAGE, ws.catalogue, "catalogue", kept)
    for lang, name in (("lb", "lb1"), ("en", "en1")):
        sentences = [sentence(name, n, lang) for n in range(4)]
        put(segment.STAGE, ws.sentences, f"{lang}/2026-03", sentences)
    states = [
        {"article_id": "lb1", "side": "src", "state": "paired"},
        {"article_id": "lb2", "side": "src", "state": "none_in_window"},
        {"article_id": "en1", "side": "tgt", "state": "paired"},
    ]
    pairs = [{"src_id": "lb1", "tgt_id": "en1", "langs": "lb-en"}]
    put(MATCH_ARTICLES, ws.pair_stage("lb-en", "article_pairs"), "all", pairs, states)
    decided = [pair("lb1.v1.0", "en1.v1.0", 1.3), pair("lb1.v1.1", "en1.v1.1", 0.9, "margin")]
    ids = [("lb1.v1.0", "en1.v1.0"), ("lb1.v1.1", "en1.v1.1"), ("lb1.v1.2", "en1.v1.1")]
    candidates = [{"src_id": src, "tgt_id": tgt} for src, tgt in ids]
    put(SCORE_SENTENCES, ws.pair_stage("lb-en", "sentence_candidates"), "2026-03", candidates, [])
    put(MATCH_SENTENCES, ws.pair_stage("lb-en", "sentence_pairs"), "all", decided)
    return ws


def found(ws: Workspace) -> dict[str, dict[tuple[str, ...], tuple[int, dict[str, int]]]]:
    return {
        step.title: {row.where: (row.n, dict(row.outcomes)) for row in step.items}
        for step in ledger.steps(ws)
    }


def test_every_item_has_one_outcome(workspace: Workspace) -> None:
    assert found(workspace) == {
        "Pages": {("demo",): (6, {"articles": 4, "too_short": 1, "no_text": 1})},
        "Articles": {
            ("demo", "en"): (1, {"kept": 1}),
            ("demo", "lb"): (3, {"kept": 2, "again": 1}),
        },
        "Articles of a language pair": {
            ("lb-en", "lb"): (2, {"paired": 1, "none_in_window": 1}),
            ("lb-en", "en"): (1, {"paired": 1}),
        },
        "Sentences of paired articles": {
            ("lb-en", "lb"): (4, {"kept": 1, "margin": 1, "not_mutual_best": 1, "no_candidate": 1}),
            ("lb-en", "en"): (4, {"kept": 1, "margin": 1, "no_candidate": 2}),
        },
        "Sentence pairs": {("lb-en",): (2, {"kept": 1, "margin": 1})},
    }  # fmt: skip
    assert all(row.balanced for step in ledger.steps(workspace) for row in step.items)


def test_tables_for_the_terminal(workspace: Workspace) -> None:
    tables = {title: (columns, rows) for title, columns, rows in report.summary(workspace)}
    assert tables["Pages"] == (
        ["site", "pages", "went on", "did not, by reason", "in = out"],
        [["demo", 6, 4, "1 no text, 1 too short", "yes"]],
    )
    months = (["month", "en", "lb", "lb-en"], [["2026-03", 1, 2, 1]])
    assert tables["By month of publication"] == months
    assert list(tables)[-1] == "In short"


def test_crawl_state_is_read_beside_a_running_crawl(workspace: Workspace) -> None:
    Frontier(workspace.frontier("demo")).close()
    workspace.site_pages("other").mkdir()
    states = [("done", None), ("failed", "robots"), ("in flight", None), ("waiting", None)]
    with closing(sqlite3.connect(workspace.frontier("demo"))) as db:
        for n, (state, reason) in enumerate([*states, states[-1]]):
            db.execute(
                "INSERT INTO urls (url, host, article, depth, idle, state, reason) "
                "VALUES (?, ?, 1, 0, 0, ?, ?)",
                (str(n), "demo.example", state, reason),
            )
        db.commit()  # as a crawl does now and then; its connection stays open
        crawl = ledger.steps(workspace)[0]
    assert [(row.where, row.n) for row in crawl.items] == [(("demo", "demo.example"), 5)]
    assert crawl.items[0].outcomes == {"done": 1, "failed: robots": 1, "in flight": 1, "waiting": 2}


def test_a_sentence_with_a_kept_and_a_dropped_pair_counts_as_kept(workspace: Workspace) -> None:
    decided = [pair("lb1.v1.0", "en1.v1.0", 0.9, "margin"), pair("lb1.v1.0", "en1.v1.1", 1.2)]
    put(MATCH_SENTENCES, workspace.pair_stage("lb-en", "sentence_pairs"), "all", decided)
    sentences = found(workspace)["Sentences of paired articles"]
    assert sentences["lb-en", "lb"][1]["kept"] == 1
    assert sentences["lb-en", "en"][1] == {"kept": 1, "margin": 1, "no_candidate": 2}


def test_counts_that_do_not_add_up_are_said(workspace: Workspace) -> None:
    put(dedup.STAGE, workspace.catalogue, "catalogue", [{**article(1, "lb"), "state": "kept"}])
    articles = next(s for s in ledger.steps(workspace) if s.title == "Articles")
    assert articles.rows == [
        ["demo", "en", 1, 0, "", "no"],
        ["demo", "lb", 3, 1, "1 again", "no"],
    ]
    assert "counts differ by 1" in report.build(workspace).read_text()


def test_verdicts_say_what_came_out_and_what_was_lost(workspace: Workspace) -> None:
    [line] = report.verdicts(ledger.steps(workspace))
    assert line.startswith("lb-en: 1 of 2 matched pairs kept; the largest loss is margin")


def test_nothing_always_has_an_answer(workspace: Workspace, tmp_path: Path) -> None:
    empty = Workspace.create(tmp_path / "empty", "you@example.org")
    assert report.verdicts(ledger.steps(empty)) == [
        "Nothing has been crawled or imported yet: corpus crawl SITE"
    ]
    assert "Nothing has been crawled" in report.build(empty).read_text()
    put(extract.STAGE, empty.extracted, "demo/1", [], [], pages=3, rejects__not_article=3)
    assert report.verdicts(ledger.steps(empty)) == [
        "demo: none of 3 pages went on; the largest loss is not article (3): "
        "compare the profile's article patterns: corpus sites check SITE --live",
        "No step after 'Pages' has run: align sentences",
    ]
    decided = [pair("lb1.v1.0", "en1.v1.0", 1.3, "threshold")]
    put(MATCH_SENTENCES, workspace.pair_stage("lb-en", "sentence_pairs"), "all", decided)
    assert any(
        "lb-en: none of 1 matched pairs went on; the largest loss is threshold (1): lower" in line
        for line in report.verdicts(ledger.steps(workspace))
    )


def test_the_page_is_one_file_that_escapes_what_it_shows(workspace: Workspace) -> None:
    path = report.build(workspace)
    page = path.read_text()
    assert path == workspace.report
    assert "&lt;script&gt;lb1.v1.0" in page
    assert 'aria-label="estimated precision, by pairs kept"' in page
    assert "<script" not in page
    assert "demo.example/&lt;b&gt;" in page
    assert page.count("<svg") == 4
    assert not re.search(r"""(?:src|href)=["'](?!#|data:)""", page)
    assert "url(http" not in page
    assert "@import" not in page


def test_the_same_workspace_gives_the_same_bytes(workspace: Workspace) -> None:
    first = report.build(workspace).read_bytes()
    assert report.build(workspace).read_bytes() == first


def test_deciles_are_best_first_and_hold_every_pair() -> None:
    pairs = [pair(f"s{n}", "t", n / 100, None if n > 50 else "margin") for n in range(1, 96)]
    deciles = report._deciles(tables.SENTENCE_PAIRS.frame(pairs))
    assert [d["n"] for d in deciles] == [9, 10, 9, 10, 9, 10, 9, 10, 9, 10]
    assert (deciles[0]["high"], deciles[0]["low"], deciles[0]["kept"]) == (0.95, 0.87, 9)
    assert (deciles[-1]["high"], deciles[-1]["low"], deciles[-1]["kept"]) == (0.10, 0.01, 0)
    assert all(d["low"] <= row["margin"] <= d["high"] for d in deciles for row in d["rows"])


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits_a_screen_and_asks_nothing_of_the_network(
    browser: Any, workspace: Workspace, width: int
) -> None:
    page_file = report.build(workspace).resolve()
    seen: list[str] = []
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.on("console", lambda message: seen.append(message.text))
    page.on("request", lambda request: seen.append(request.url))
    page.goto(page_file.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.locator("svg").count() == 4
    page.close()
    assert seen == [page_file.as_uri()]


def test_pages_that_were_stored_and_not_read_are_told(workspace: Workspace) -> None:
    for site, n_pages in (("demo", 9), ("other", 2)):
        frontier = Frontier(workspace.frontier(site))
        frontier.add(Url(f"{site}{n}", "a.example", True, 0, None, None) for n in range(n_pages))
        for url in frontier.take("a.example", 9):
            frontier.done(url, ("00001.warc.gz", 0, 1), "")
        frontier.commit()
        frontier.close()
    pages = found(workspace)["Pages"]
    assert pages["demo",][0] == 9
    assert pages["demo",][1]["not_extracted"] == 3
    assert pages["other",] == (2, {"articles": 0, "not_extracted": 2})
    assert any("corpus crawl SITE fetches" in row[0] for row in report.summary(workspace)[-1][2])
    assert {path.name for path in workspace.site_pages("demo").iterdir()} == {"frontier.sqlite"}


def test_an_article_that_came_again_under_another_name_is_told(workspace: Workspace) -> None:
    again = [article(1, "lb", site="copy"), article(9, "lb", site="copy")]
    put(extract.STAGE, workspace.imported, "copy/00000", again, [], rows=2, articles=2)
    articles = found(workspace)["Articles"]
    assert articles["copy", "lb"] == (2, {"again": 1})  # lb9 is in no catalogue: not balanced
    assert articles["demo", "lb"] == (3, {"kept": 2, "again": 1})
