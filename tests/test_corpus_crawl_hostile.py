"""A hostile site: whatever it does, the crawl ends, and each loss has its reason."""

from __future__ import annotations

import gzip
import time
from typing import TYPE_CHECKING

import pytest

from corpus.crawl import CrawlResult, Job, run
from corpus.crawl.frontier import MAX_IDLE, Frontier
from tests.sitemap_scale import measure
from tests.strange_server import Handler, StrangeServer
from tests.test_corpus_crawl import HOST, failures, new_workspace, records, tiny

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from corpus.workspace import Workspace

TIMEOUT = 2.0  # seconds


def crawl(workspace: Workspace, server: StrangeServer) -> CrawlResult:
    job = Job(root=workspace.root, contact="me@example.org", profile=tiny(), all_=True)
    more = {"host_map": {HOST: server.address}, "timeout": TIMEOUT}
    return run(job.model_copy(update=more))


def strange(answers: dict[str, Callable[[Handler], None]]) -> StrangeServer:
    """Serve a front page that links to all of these, and robots.txt."""

    def answer(handler: Handler) -> None:
        if handler.path == "/":
            handler.send("".join(f'<a href="{path}">x</a>' for path in answers))
        elif handler.path in answers:
            answers[handler.path](handler)
        else:
            handler.send(status=404)

    return StrangeServer(answer)


def start(handler: Handler, **headers: str) -> None:
    handler.send_response(200)
    for name, value in ({"Content-Type": "text/html"} | headers).items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()


@pytest.mark.slow
def test_answers_without_end_are_bounded_in_bytes_and_time(tmp_path: Path) -> None:
    n_sent = [0]

    def huge(handler: Handler) -> None:
        start(handler, Transfer_Encoding="chunked")
        for _ in range(500):
            handler.wfile.write(b"f4240\r\n" + b"x" * 1_000_000 + b"\r\n")
            n_sent[0] += 1

    def announced(handler: Handler) -> None:
        start(handler, Content_Length="500000000")
        handler.wfile.write(b"x" * 1_000_000)

    def drip(handler: Handler) -> None:
        start(handler, Transfer_Encoding="chunked")
        for _ in range(100):
            handler.wfile.write(b"1\r\nx\r\n")
            handler.wfile.flush()
            time.sleep(0.1)

    def noise(handler: Handler) -> None:
        handler.wfile.write(b"\0\xff" * 5_000 + b"\r\n\r\n")
        handler.close_connection = True

    bomb = gzip.compress(bytes(200_000_000), 1)
    answers: dict[str, Callable[[Handler], None]] = {
        "/a/1": huge,
        "/a/2": announced,
        "/a/3": lambda handler: handler.send(bomb, Content_Encoding="gzip"),
        "/a/4": drip,
        "/a/5": noise,
        "/a/6": lambda handler: handler.send("<p>good</p>"),
    }
    workspace = new_workspace(tmp_path)
    with strange(answers) as server:
        began = time.monotonic()
        result = crawl(workspace, server)
        assert time.monotonic() - began < 60
    lost = {path: reason for path, (reason, _) in failures(workspace).items()}
    assert lost == {
        "/a/1": "too large", "/a/2": "too large", "/a/3": "too large",
        "/a/4": "timeout", "/a/5": "no answer",
    }  # fmt: skip
    assert n_sent[0] < 50  # of 500 MB
    assert result.n_pages == 2


def test_calendars_and_redirects_without_end_are_left(tmp_path: Path) -> None:
    menu = '<a href="/a/1">latest</a>'
    archive = 40  # pages that each show an article of its own: these are followed to the end

    def answer(handler: Handler) -> None:
        kind, _, name = handler.path[1:].partition("/")
        n = int(name) if name.isdecimal() else 0
        if handler.path == "/":
            handler.send(f'{menu}<a href="/day/0">x</a><a href="/r/0">x</a><a href="/old/0">x</a>')
        elif kind == "day":
            handler.send(f'{menu}<a href="/day/{n + 1}">x</a><a href="/day/{n - 1}">x</a>')
        elif kind == "r":
            handler.send(status=302, Location=f"/r/{n + 1}")
        elif kind == "old" and n < archive:
            handler.send(f'{menu}<a href="/a/{100 + n}">x</a><a href="/old/{n + 1}">x</a>')
        elif kind == "a":
            handler.send("<p>good</p>")
        else:
            handler.send(status=404)

    workspace = new_workspace(tmp_path)
    with StrangeServer(answer) as server:
        result = crawl(workspace, server)
    asked = [seen.path for seen in server.pages()]
    assert result.stopped == "finished"
    assert max(int(path[5:]) for path in asked if path.startswith("/day/")) == MAX_IDLE
    assert sum(path.startswith("/r/") for path in asked) == MAX_IDLE + 1
    assert sum(path.startswith("/a/") for path in asked) == 1 + archive
    lost = failures(workspace)
    assert lost[f"/day/{MAX_IDLE + 1}"][0] == lost[f"/r/{MAX_IDLE + 1}"][0] == "endless"
    assert result.reasons["endless"] == 2
    assert result.reasons["redirect"] == MAX_IDLE + 1


@pytest.mark.parametrize(
    "place",
    ["file:///etc/passwd", "http://127.0.0.1:{port}/a/9", "http://localhost:{port}/a/9",
     "http://[::1]:{port}/a/9", "http://169.254.169.254/latest", "http://10.0.0.1/a/9",
     "//evil.example/a/9", "http://a.example@127.0.0.1:{port}/a/9", "http:///a/9",
     "http://a.example\\@127.0.0.1:{port}/a/9", "http://0x7f000001:{port}/a/9"],
)  # fmt: skip
def test_no_way_leads_out_of_the_site(place: str, tmp_path: Path) -> None:
    port = ""

    def answer(handler: Handler) -> None:
        inner = place.format(port=port)
        if handler.path == "/robots.txt":
            handler.send(f"Sitemap: {inner}\nSitemap: /map.xml")
        elif handler.path == "/map.xml":
            urls = f"<url><loc>{inner}</loc></url><sitemap><loc>{inner}</loc></sitemap>"
            handler.send(f"<urlset>{urls}</urlset>")
        elif handler.path == "/":
            canonical = f'<link rel="canonical" href="{inner}"><base href="{inner}">'
            handler.send(
                f'<head>{canonical}</head><a href="{inner}">x</a><a href="http://{HOST}/a/1">'
            )
        else:
            handler.send(status=302, Location=inner)

    workspace = new_workspace(tmp_path / "workspace")
    with StrangeServer(answer) as server:
        port = str(server.server_port)
        crawl(workspace, server)
    assert {seen.headers["Host"] for seen in server.log} == {HOST}
    assert {path.name for path in tmp_path.iterdir()} == {"workspace"}


def test_pages_that_break_parsers_are_kept_as_they_came(tmp_path: Path) -> None:
    bodies = {
        "/a/1": b"<div>" * 100_000 + b'<a href="/a/20">deep</a>',
        "/a/2": '<meta charset="utf-8"><a href="/a/21">é</a>'.encode("utf-16"),
        "/a/3": b'\0\0<a href="/a/\0/x">n</a><a href="/a/22&#xD800;">s</a><a href="/a/%00">z</a>',
        "/a/4": b"",
        "/a/5": b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">]><a href="/a/23">&a;</a>',
        "/a/6": b'<a href="/a/../../../../etc/passwd">x</a><a href="/a/%2e%2e/%2e%2e/etc">x</a>',
    }
    answers: dict[str, Callable[[Handler], None]] = {
        path: (lambda handler, body=body: handler.send(body, Content_Type="text/html; charset=x"))  # type: ignore[misc]
        for path, body in bodies.items()
    }
    workspace = new_workspace(tmp_path / "workspace")
    with strange(answers) as server:
        result = crawl(workspace, server)
    kept = {
        url.removeprefix(f"http://{HOST}"): body
        for url, (body, _) in records(workspace, "tiny").items()
    }
    assert {path: body for path, body in kept.items() if path != "/"} == bodies
    assert result.n_articles == 6
    assert {path.name for path in tmp_path.iterdir()} == {"workspace"}
    frontier = Frontier(workspace.frontier("tiny"))
    assert all("\0" not in url for url, _, _ in frontier.urls())
    frontier.close()


@pytest.mark.slow
def test_a_long_list_costs_little_memory() -> None:
    # Its tree alone would be 100 MB.
    few, many = (measure(n, "plain") for n in (1_000, 60_000))
    assert (few.n_urls, many.n_urls) == (1_000, 60_000)
    assert many.megabytes < few.megabytes + 50
