"""A second crawl: what has changed is fetched again, what has not costs nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import date
from typing import TYPE_CHECKING

import pytest

from corpus import dedup, extract
from corpus.crawl import crawl
from corpus.crawl.frontier import Frontier
from corpus.rights import TDMREP
from corpus.sample.server import Page
from corpus.tables import article_id
from tests.strange_server import Handler, StrangeServer
from tests.test_corpus_crawl import (
    HOST,
    failures,
    html,
    new_workspace,
    paths,
    records,
    serve,
    sitemap,
    tiny,
)

if TYPE_CHECKING:
    from pathlib import Path

    from corpus.workspace import Workspace

TEXTS = (
    "The council agreed on the new bridge after a long debate about its cost and the noise.",
    "A school in the north opens a library next month, and parents bring the first books.",
    "Farmers say that the dry spring has ruined most of the wheat along the river this year.",
    "The museum shows paintings that were lost for a century in a cellar near the station.",
)


def age(workspace: Workspace, checked: str) -> None:
    """Let all pages have been fetched at another time."""
    with closing(sqlite3.connect(workspace.frontier("tiny"))) as database, database:
        database.execute("UPDATE urls SET checked = ? WHERE checked IS NOT NULL", [checked])


def article(text: str) -> str:
    return (
        f"<html><head><title>Bridge</title></head><body><h1>Bridge</h1><p>{text}</p></body></html>"
    )


@pytest.mark.slow
def test_a_changed_article_is_a_new_version_and_an_unchanged_one_costs_nothing(
    tmp_path: Path,
) -> None:
    texts = {f"/a/{n}": f"{text} It is story {n}." for n, text in enumerate(TEXTS, 1)}
    lastmod = dict.fromkeys(texts, "2026-03-02T10:00:00Z")

    def answer(handler: Handler) -> None:
        if handler.path == "/map.xml":
            urls = "".join(
                f"<url><loc>{path}</loc><lastmod>{day}</lastmod></url>"
                for path, day in lastmod.items()
            )
            handler.send(f"<urlset>{urls}</urlset>")
        elif handler.path == "/robots.txt":
            handler.send("Sitemap: /map.xml")
        elif handler.path in texts:
            # One host sends ETags, another way is by dates.
            etag, day = f'"{hash(texts[handler.path])}"', "Mon, 02 Mar 2026 10:00:00 GMT"
            by_date = handler.path == "/a/4"
            same = etag in handler.headers.get("If-None-Match", "")
            same |= by_date and handler.headers.get("If-Modified-Since") == day
            known = {"Last_Modified": day} if by_date else {"ETag": etag}
            body = "" if same else article(texts[handler.path])
            handler.send(body, 304 if same else 200, **known)
        else:
            handler.send(status=404)

    workspace, profile = new_workspace(tmp_path), tiny(links=False)
    with StrangeServer(answer) as server:
        host_map = {HOST: server.address}
        assert crawl(workspace, profile, host_map=host_map).n_pages == 4
        age(workspace, "2026-03-02T12:00:00Z")
        n_asked = len(server.log)
        second = crawl(workspace, profile, host_map=host_map)
        assert (second.n_pages, len(server.log) - n_asked) == (0, 3)  # the sources alone
        texts["/a/1"] = f"{TEXTS[0]} This story was corrected."
        lastmod |= {"/a/1": "2026-03-03", "/a/2": "2026-03-02T13:00:00Z", "/a/4": "2026-03-02"}
        files = set(workspace.site_pages("tiny").glob("*.warc.gz"))
        third = crawl(workspace, profile, host_map=host_map)
        sources = {"/robots.txt", TDMREP, "/map.xml"}
        asked = {seen.path for seen in server.log[n_asked + 3 :]} - sources
        assert asked == {"/a/1", "/a/2", "/a/4"}
        assert (third.n_pages, third.n_unchanged, third.n_failed) == (1, 2, 0)
        [new] = set(workspace.site_pages("tiny").glob("*.warc.gz")) - files
        assert new.stat().st_size < 2_000
        assert crawl(workspace, profile, host_map=host_map).n_unchanged == 0
    extract.update(workspace)
    dedup.update(workspace)
    kept = dedup.kept_articles(workspace)
    assert kept.height == 4
    changed = kept.filter(article_id=article_id(f"http://{HOST}/a/1"))
    assert "corrected" in changed["text"].item()


def test_a_page_that_is_gone_later_stays_as_it_was(tmp_path: Path) -> None:
    workspace, profile = new_workspace(tmp_path), tiny(links=False)
    pages = {"/sitemap.xml": sitemap(a1="2026-03-02"), "/a/1": html()}
    with serve(pages) as server:
        crawl(workspace, profile, host_map=server.host_map)
        age(workspace, "2026-03-02T12:00:00Z")
        server.pages = {(HOST, "/sitemap.xml"): sitemap(a1="2026-03-05")}
        result = crawl(workspace, profile, host_map=server.host_map)
    assert (result.n_failed, result.reasons) == (1, {"HTTP 404": 1})
    assert failures(workspace) == {}
    assert records(workspace, "tiny").keys() == {f"http://{HOST}/a/1"}


@pytest.mark.slow
def test_a_site_that_lists_nothing_is_looked_at_again_after_an_hour(tmp_path: Path) -> None:
    workspace = new_workspace(tmp_path)
    with serve({"/": html("/a/1"), "/a/1": html(), "/a/2": html()}) as server:
        crawl(workspace, tiny(), host_map=server.host_map)
        server.pages = server.pages | {(HOST, "/"): html("/a/1", "/a/2")}
        assert crawl(workspace, tiny(), host_map=server.host_map).n_pages == 0
        age(workspace, "2026-03-02T12:00:00Z")
        crawl(workspace, tiny(), host_map=server.host_map)
    assert paths(server) == ["/", "/a/1", "/", "/a/2"]


@pytest.mark.parametrize(
    ("bounds", "taken"),
    [
        ({"since": date(2026, 2, 20)}, {3, 4, 5}),
        ({"until": date(2026, 2, 20)}, {2, 3}),  # and ten days before it
        ({"until": date(2026, 2, 20), "all_": True}, {1, 2, 3}),
        ({"since": date(2026, 2, 20), "until": date(2026, 3, 1)}, {3, 4}),
    ],
)
def test_since_and_until_bound_the_days_and_leave_the_rest_for_later(
    bounds: dict[str, object], taken: set[int], tmp_path: Path
) -> None:
    days = ("2026-01-01", "2026-02-10", "2026-02-20T23:30:00Z", "2026-03-01", "2026-03-02")
    listed = {f"a{n}": day for n, day in enumerate(days, 1)}
    pages = {"/sitemap.xml": sitemap(**listed)} | {f"/a/{n}": html() for n in range(1, 6)}
    workspace = new_workspace(tmp_path)
    with serve(pages) as server:
        result = crawl(workspace, tiny(links=False), host_map=server.host_map, days=10, **bounds)  # type: ignore[arg-type]
    assert set(paths(server)) == {f"/a/{n}" for n in taken}
    assert result.n_later == 5 - len(taken)


def test_copies_and_amp_pages_are_left_for_the_address_that_they_name(tmp_path: Path) -> None:
    def named(path: str, *links: str) -> Page:
        return html(*links, head=f'<link rel="canonical" href="http://{HOST}{path}?utm_source=x">')

    pages = {
        "/": html("/a/1?amp=1", "/a/1?fbclid=7#top", "/a/2?print=1", "/a/3", "/a/4", "/a/6?amp=1"),
        "/a/1?amp=1": named("/a/1"),
        "/a/1": named("/a/1"),
        "/a/2?print=1": named("/a/2", "/a/5"),
        "/a/2": html("/a/5"),
        "/a/3": named("/a/4"),  # each names the other: one of them is kept
        "/a/4": named("/a/3"),
        "/a/5": named("/"),  # no article's address
        "/a/6?amp=1": named("/a/6"),  # which is not there: the copy is kept
    }
    workspace = new_workspace(tmp_path)
    with serve(pages) as server:
        result = crawl(workspace, tiny(), host_map=server.host_map)
    kept = {url.removeprefix(f"http://{HOST}") for url in records(workspace, "tiny")}
    assert kept - {"/a/3", "/a/4"} == {"/", "/a/1", "/a/2", "/a/5", "/a/6?amp=1"}
    assert len(kept) == 6
    lost = failures(workspace)
    assert lost["/a/1?amp=1"] == ("canonical", f"http://{HOST}/a/1")
    assert lost["/a/6"] == ("HTTP 404", "")
    assert result.stopped == "finished"
    frontier = Frontier(workspace.frontier("tiny"))
    assert frontier.states() == {"done": 6, "failed": 4}
    frontier.close()
