"""How often a host is asked: by the rule alone, and by the log of a real server."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.crawl import CrawlResult, Job, run
from corpus.crawl.command import _with_budget
from corpus.crawl.frontier import Frontier
from corpus.crawl.hosts import REREAD
from corpus.crawl.manners import MAX_REST, MAX_THROTTLE, REST, Manners, retry_after
from corpus.errors import InputError
from corpus.sites import Budget
from tests.strange_server import Handler, StrangeServer
from tests.test_corpus_crawl import new_workspace, tiny

if TYPE_CHECKING:
    from pathlib import Path

    from corpus.workspace import Workspace

SPEED = 40.0  # simulated seconds in one of the test's
SLACK = 3.0  # simulated seconds that a busy machine may move an arrival
answers = st.tuples(
    st.sampled_from([200, 404, 429, 500, 503]),
    st.floats(0, 100),
    st.none() | st.floats(0, MAX_REST),
)


@given(
    least=st.floats(0, 10),
    crawl_delay=st.floats(0, 30),
    given_answers=st.lists(answers, max_size=9),
)
def test_a_host_is_never_asked_before_the_longest_of_all_delays(
    least: float, crawl_delay: float, given_answers: list[tuple[int, float, float | None]]
) -> None:
    host = Manners(least, 1, Budget(), crawl_delay)
    now = 100.0
    for status, latency, rest in given_answers:
        host.ask(now)
        assert host.wait(now) == math.inf  # one at a time
        host.answered(now + latency, status, latency, rest)
        free = max(now + max(least, crawl_delay), now + host.throttle)
        if status in (429, 503) and rest is not None:
            free = max(free, now + latency + rest)
        elif status == 429:
            free = max(free, now + latency + REST)
        assert host.throttle >= min(latency, MAX_THROTTLE)
        assert host.wait(now + latency) >= free - now - latency - 1e-6
        now = now + latency + host.wait(now + latency)


def test_latency_slows_at_once_and_lets_go_by_halves() -> None:
    host = Manners(1.0, 1, Budget())
    answered = [(200, 8.0), (200, 2.0), (500, 0.1), (200, 1.0), (200, 99.0)]
    for (status, latency), throttle in zip(answered, (8.0, 5.0, 5.0, 3.0, 60.0), strict=True):
        host.ask(0.0)
        host.answered(latency, status, latency)
        assert host.throttle == throttle
    assert host.delay == 60.0
    fast = Manners(1.0, 1, Budget())
    fast.ask(0.0)
    fast.answered(0.1, 200, 0.1)
    assert fast.delay == 1.0  # the profile's


@pytest.mark.parametrize(
    ("said", "date", "seconds"),
    [
        ("120", "", 120.0),
        (" 0 ", "", 0.0),
        ("Mon, 02 Mar 2026 10:02:00 GMT", "Mon, 02 Mar 2026 10:00:00 GMT", 120.0),
        ("Mon, 02 Mar 2026 09:00:00 GMT", "Mon, 02 Mar 2026 10:00:00 GMT", 0.0),
        ("Mon, 02 Mar 2026 10:02:00 GMT", "", 0.0),  # long ago
        ("9" * 400, "", math.inf),
        ("soon", "", None),
        ("-5", "", None),
        ("", "Mon, 02 Mar 2026 10:00:00 GMT", None),
    ],
)
def test_retry_after_is_read_in_both_forms(said: str, date: str, seconds: float | None) -> None:
    assert retry_after(said, date) == seconds


def test_a_rest_is_bounded_and_budgets_end_a_host() -> None:
    host = Manners(0.0, 8, Budget(pages=2, bytes=100, seconds=50))
    host.ask(10.0)
    assert host.spent(59.9) == ""
    assert host.spent(60.0) == "budget of 50.0 seconds"
    host.n_bytes = 100
    assert host.spent(59.9) == "budget of 100 bytes"
    host.n_pages = 2
    assert host.spent(59.9) == "budget of 2 pages"
    host.answered(11.0, 503)  # which names no time: no rest
    assert host.wait(11.0) == 0.0
    host.ask(11.0)
    host.answered(12.0, 503, rest=MAX_REST + 1)
    assert host.wait(12.0) == math.inf
    assert host.spent(12.0) == "it asked for a rest of more than 3600 s"


def test_an_option_changes_a_part_of_the_profiles_budget() -> None:
    profile = tiny(budget={"pages": 5, "bytes": 9})
    assert _with_budget(profile, ["pages=7", "seconds=60"]).budget == Budget(
        pages=7, bytes=9, seconds=60
    )
    for wrong in ("pages", "pages=0", "pages=x", "hours=1"):
        with pytest.raises(InputError, match="write pages=N, bytes=N or seconds=N"):
            _with_budget(profile, [wrong])


# By a server's log, on a clock that runs faster.


def crawl(workspace: Workspace, server: StrangeServer, **values: object) -> CrawlResult:
    """Crawl a site that is not mapped: politely."""
    edition = {"lang": "en", "host": server.address, "articles": [r"^/a/\d+$"]}
    known: dict[str, object] = {"speed": SPEED, "all_": True}
    budget = values.pop("budget", {})
    profile = tiny(editions=[edition], delay=values.pop("delay", 0.0), budget=budget)
    job = Job(root=workspace.root, contact="me@example.org", profile=profile)
    return run(job.model_copy(update=known | values))


def simple(n: int, rules: str = "", body: str = "") -> dict[str, str]:
    """Make a front page, its ``n`` articles and the rules."""
    links = "".join(f'<a href="/a/{k}">x</a>' for k in range(n))
    return {"/": links, "/robots.txt": rules} | {f"/a/{k}": f"<p>{body}</p>" for k in range(n)}


def static(pages: dict[str, str], latency: float = 0.0) -> StrangeServer:
    def answer(handler: Handler) -> None:
        time.sleep(latency)
        known = handler.path in pages
        handler.send(pages.get(handler.path, ""), 200 if known else 404)

    return StrangeServer(answer)


def gaps(server: StrangeServer) -> list[float]:
    """Simulated seconds between the beginnings of requests, whatever they ask for."""
    return [(b.began - a.began) * SPEED for a, b in pairwise(server.log)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("delay", "rules", "latency", "expected"),
    [
        (20.0, "User-agent: *\nCrawl-delay: 4", 0.0, 20.0),
        (4.0, "User-agent: bitextile\nCrawl-delay: 20\n\nUser-agent: *\nCrawl-delay: 1", 0.0, 20.0),
        (4.0, "", 0.5, 20.0),  # AutoThrottle: a latency of 20 simulated seconds
    ],
)
def test_the_log_shows_the_longest_delay_and_one_request_at_a_time(
    delay: float, rules: str, latency: float, expected: float, tmp_path: Path
) -> None:
    with static(simple(3, rules), latency) as server:
        result = crawl(new_workspace(tmp_path), server, delay=delay)
    assert result.n_pages == 4
    assert len(server.log) == 7
    assert gaps(server)[0] > 4.0 - SLACK  # robots.txt is answered, its delay holds from then on
    assert min(gaps(server)[1:]) > expected - SLACK
    assert all(a.ended <= b.began for a, b in pairwise(server.log))


@pytest.mark.parametrize(
    ("status", "form"), [(429, "seconds"), (503, "date"), (429, "none"), (503, "none")]
)
def test_the_log_shows_that_the_whole_host_rests(status: int, form: str, tmp_path: Path) -> None:
    pages, refused = simple(12), []

    def answer(handler: Handler) -> None:
        if handler.path != "/a/3" or refused:
            handler.send(pages.get(handler.path, ""), 200 if handler.path in pages else 404)
            return
        refused.append(time.monotonic())
        later = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
        said = {"seconds": {"Retry_After": "60"}, "date": {"Retry_After": later}, "none": {}}
        handler.send(b"", status, **said[form])

    with StrangeServer(answer) as server:
        result = crawl(new_workspace(tmp_path), server)
    assert (result.n_pages, result.n_failed, result.stopped) == (13, 0, "finished")
    after = [asked.began for asked in server.log if asked.began > refused[0]]
    rest = (min(after) - refused[0]) * SPEED
    if form != "none" or status == 429:
        assert 60 - 1 - SLACK < rest < 60 + 40  # dates have whole seconds
    else:
        assert rest < 40
    assert [a.path for a in server.pages()].count("/a/3") == 2


@pytest.mark.slow
def test_a_rest_of_a_day_ends_the_hosts_part_and_the_next_run_goes_on(tmp_path: Path) -> None:
    pages, calm = simple(6), []

    def answer(handler: Handler) -> None:
        if handler.path == "/a/3" and not calm:
            handler.send(b"", 429, Retry_After="86400")
            return
        handler.send(pages.get(handler.path, ""), 200 if handler.path in pages else 404)

    workspace = new_workspace(tmp_path)
    with StrangeServer(answer) as server:
        result = crawl(workspace, server)
        assert result.stopped == "budget"
        assert result.spent == [(server.address, "it asked for a rest of more than 3600 s")]
        assert server.log[-1].path == "/a/3"
        calm.append(True)
        assert crawl(workspace, server).n_pages + result.n_pages == 7


@pytest.mark.slow
@pytest.mark.parametrize(
    ("budget", "n_pages", "said"),
    [
        ({"pages": 4}, 4, "budget of 4 pages"),
        ({"bytes": 9_000}, 4, "budget of 9000 bytes"),  # the front page and three of 3,007
        ({"seconds": 60}, None, "budget of 60.0 seconds"),
    ],
)
def test_the_log_shows_that_budgets_are_kept(
    budget: dict[str, int], n_pages: int | None, said: str, tmp_path: Path
) -> None:
    workspace = new_workspace(tmp_path)
    with static(simple(12, "User-agent: *\nCrawl-delay: 10", "x" * 3_000)) as server:
        result = crawl(workspace, server, budget=budget)
        assert (result.stopped, result.spent) == ("budget", [(server.address, said)])
        if n_pages:
            assert result.n_pages == len(server.pages()) == n_pages
        else:
            assert 3 <= result.n_pages <= 6
            assert (server.log[-1].began - server.log[0].began) * SPEED < 60 + SLACK
        assert result.n_waiting == 13 - result.n_pages
        assert crawl(workspace, server).n_pages == 13 - result.n_pages


@pytest.mark.slow
def test_a_host_that_turns_to_disallow_is_left_at_once(tmp_path: Path) -> None:
    pages, forbidden = simple(300), []

    def answer(handler: Handler) -> None:
        time.sleep(0.02)
        if handler.path == "/robots.txt" and len(server.pages()) > 50:
            forbidden.append(len(server.log))
            handler.send("User-agent: *\nDisallow: /")
            return
        handler.send(pages.get(handler.path, ""), 200 if handler.path in pages else 404)

    workspace = new_workspace(tmp_path)
    with StrangeServer(answer) as server:
        result = crawl(workspace, server, speed=REREAD)  # the rules are read each second
    assert server.log[forbidden[0] :] == []
    assert 50 < result.n_pages < 300
    assert result.reasons == {"robots": 301 - result.n_pages}
    frontier = Frontier(workspace.frontier("tiny"))
    assert frontier.states() == {"done": result.n_pages, "failed": 301 - result.n_pages}
    frontier.close()
