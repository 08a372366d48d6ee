"""A crawl that is killed many times ends as one that never was."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import time
import zlib
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from corpus.crawl import crawl
from corpus.crawl.frontier import Frontier
from corpus.sample.server import Page
from tests.kill_crawl import prove
from tests.test_corpus_crawl import HOST, drive, html, new_workspace, records, serve, sitemap, tiny

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from corpus.sample.server import NewsroomServer
    from corpus.workspace import Workspace

N_KILLS = 8
N_PAGES = 600


def a_site() -> NewsroomServer:
    """Articles that a sitemap lists, others that only pages link to, and losses."""
    draw = random.Random(5)
    pages = {"/": html(*(f"/section/{n}" for n in range(10)))}
    pages |= {f"/section/{n}": html(*(f"/a/{n}{k}" for k in range(20))) for n in range(10)}
    for n in range(N_PAGES):
        links = [f"/a/{draw.randrange(N_PAGES + 40)}" for _ in range(5)]
        pages[f"/a/{n}"] = html(*links, head="<!-- " + "x" * draw.randrange(9_000) + " -->")
    pages["/a/77"] = Page(b"", status=500)
    pages["/a/78"] = Page(b"", status=302, headers=(("Location", "/a/1"),))
    listed = {f"a{n}": f"2026-03-{1 + n % 28:02d}" for n in range(0, N_PAGES, 2)}
    return serve(pages | {"/sitemap.xml": sitemap(**listed)})


def outcome(workspace: Workspace) -> object:
    """Everything that a crawl leaves behind, but times and places."""
    kept = {
        url: (hashlib.sha256(body).hexdigest(), listed)
        for url, (body, listed) in records(workspace, "tiny").items()
    }
    frontier = Frontier(workspace.frontier("tiny"))
    states = {state: frontier.urls(state) for state in ("done", "failed", "later", "waiting")}
    frontier.close()
    assert {url for url, _, _ in states["done"]} == kept.keys()
    return kept, states


def n_articles(server: NewsroomServer) -> int:
    """Requests for articles so far."""
    return sum(seen.path.startswith("/a/") for seen in list(server.log))


def kill(driver: subprocess.Popen[bytes], *, child: bool) -> None:
    """Kill the caller or the crawl's own process, and wait until both are gone."""
    children = f"/proc/{driver.pid}/task/{driver.pid}/children"
    with open(children) as file:  # noqa: PTH123 - no file of ours
        pids = [int(pid) for pid in file.read().split()]
    for pid in pids if child else [driver.pid]:
        os.kill(pid, signal.SIGKILL)
    driver.wait(10)
    deadline = time.monotonic() + 10
    while any(os.path.exists(f"/proc/{pid}/fd/0") for pid in pids):  # noqa: PTH110
        assert time.monotonic() < deadline, "the crawl outlived its caller"
        time.sleep(0.01)


@pytest.mark.slow
def test_killed_at_random_a_crawl_ends_equal_to_one_that_never_was(tmp_path: Path) -> None:
    draw = random.Random(11)
    profile_file = tmp_path / "tiny.json"
    profile_file.write_text(tiny().model_dump_json())
    with a_site() as server:
        whole = new_workspace(tmp_path / "whole")
        crawl(whole, tiny(), host_map=server.host_map, days=60)
        n_whole = len(server.log)
        server.log.clear()

        workspace = new_workspace(tmp_path / "killed")
        server.latency = 0.02
        n_killed = 0
        while n_killed < N_KILLS:
            enough = n_articles(server) + draw.randrange(1, 50)
            driver = drive(workspace, profile_file, json.dumps(server.host_map))
            while n_articles(server) < enough and driver.poll() is None:
                time.sleep(0.005)
            assert driver.poll() is None, "the crawl was over before it could be killed"
            kill(driver, child=n_killed % 2 == 0)
            n_killed += 1
        server.latency = 0.0
        result = crawl(workspace, tiny(), host_map=server.host_map, days=60)
    assert result.stopped == "finished"
    assert result.n_pages < N_PAGES - 20  # the kills came when much was done
    assert outcome(workspace) == outcome(whole)
    asked = Counter(seen.path for seen in server.log)
    pages = {path: n for path, n in asked.items() if path.startswith("/a/") and path != "/a/77"}
    assert max(pages.values()) <= 1 + N_KILLS
    # Pages that are fetched twice are those in flight or not yet committed at a kill.
    assert sum(pages.values()) - len(pages) < N_KILLS * 66
    assert n_whole == len(asked) + 2  # /a/77 is tried three times


@pytest.mark.slow
def test_each_place_in_the_frontier_is_a_record_of_its_url(tmp_path: Path) -> None:
    workspace = new_workspace(tmp_path)
    with a_site() as server:
        crawl(workspace, tiny(), host_map=server.host_map, all_=True)
    import sqlite3

    database = sqlite3.connect(workspace.frontier("tiny"))
    rows = database.execute(
        "SELECT url, file, offset, length FROM urls WHERE state = 'done'"
    ).fetchall()
    database.close()
    frontier = Frontier(workspace.frontier("tiny"))
    sizes = frontier.file_sizes()
    frontier.close()
    assert len(rows) > N_PAGES
    for url, file, offset, length in rows:
        data = (workspace.site_pages("tiny") / file).read_bytes()
        assert len(data) == sizes[file]
        record = zlib.decompress(data[offset : offset + length], wbits=31)
        assert f"WARC-Target-URI: {url}\r\n".encode() in record
        assert HOST.encode() in record


@pytest.mark.slow
def test_a_crawl_and_its_extraction_stand_kills_of_all_their_processes(tmp_path: Path) -> None:
    told = prove(tmp_path, n_pages=300, n_runs=2, n_kills=4)
    assert told["runs_equal"] == 3
    assert told["kills"] == 6
    assert told["kills_in_crawl"] > 2
