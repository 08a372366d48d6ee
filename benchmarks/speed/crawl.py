"""The crawl beside a bare Scrapy spider: ``python -m benchmarks.speed.crawl``.

A generated site of pages of 7 kB is served on loopback by a process of its own. The
bare spider has the same settings, makes the same requests, follows the same links
and writes nothing. Both run in turns, each in a new process; pages a second count
from the first request to the last, as the server sees them, and each one's best run
counts. ``--memory`` runs the crawl alone and tells how its process grew.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

    from corpus.sites import Profile

N_BYTES = 7_000  # of a page
N_LINKS = 20  # on a page: ten of a menu, two that reach every page, eight at random
WARM = 1_000  # pages after which a process has all that it needs


class Site(asyncio.Protocol):
    """Answers requests for ``n`` pages; notes the times of the first and the last."""

    n = 0
    times: tuple[float, float] | None = None
    filler = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer; a GET of a crawler comes in one piece."""
        path = data.split(b" ", 2)[1].decode()
        body = self.page(path)
        status = b"200 OK" if body else b"404 Not Found"
        if body:
            now = time.monotonic()
            Site.times = (Site.times[0] if Site.times else now, now)
        head = (
            b"HTTP/1.1 %s\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\n\r\n"
        )
        self.transport.write(head % (status, len(body)) + body)

    @classmethod
    def page(cls, path: str) -> bytes:
        """Make a page; empty where there is none."""
        name = path.removeprefix("/a/") if path != "/" else "0"
        if not (name.isdecimal() and int(name) < cls.n):
            return b""
        k = int(name)
        draw = random.Random(k)  # noqa: S311 - no secret
        targets = [2 * k + 1, 2 * k + 2, *range(10), *(draw.randrange(cls.n) for _ in range(8))]
        links = "".join(f'<li><a href="/a/{t}">Page {t}</a></li>' for t in targets if t < cls.n)
        start = draw.randrange(len(cls.filler) - N_BYTES)
        head = f"<!doctype html><html><head><title>Page {k}</title></head><body><ul>{links}</ul><p>"
        return (head + cls.filler[start : start + N_BYTES - len(head)] + "</p></body>").encode()


def _serve(n: int, pipe: Connection) -> None:
    """Serve until the pipe closes; answer each message by the times since the last one."""
    draw = random.Random(1)  # noqa: S311
    words = ["".join(draw.choices("etaoinshrdlu", k=draw.randint(2, 9))) for _ in range(3_000)]
    Site.n, Site.filler = n, " ".join(draw.choices(words, k=20_000))

    async def run() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Site, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        while True:
            try:
                await loop.run_in_executor(None, pipe.recv)
            except EOFError:
                return
            pipe.send(Site.times)
            Site.times = None

    asyncio.run(run())


@contextmanager
def served(n: int) -> Iterator[tuple[str, Connection]]:
    """Serve a site of ``n`` pages; give its address and the pipe to its process."""
    context = get_context("spawn")
    ours, its = context.Pipe()
    process = context.Process(target=_serve, args=(n, its), daemon=True)
    process.start()
    its.close()
    try:
        yield f"127.0.0.1:{ours.recv()}", ours
    finally:
        ours.close()
        process.join(10)


def profile() -> Profile:
    """Make the profile of the generated site."""
    from corpus.sites import Profile

    edition = {"lang": "en", "host": "generated.example", "articles": [r"^/a/\d+$"]}
    fields = {"title": "Generated", "licence": "CC0-1.0", "scheme": "http", "delay": 0}
    return Profile.model_validate(
        fields | {"name": "generated", "pairs": [], "editions": [edition]}
    )


def bare(address: str) -> None:
    """Crawl the site by a spider that does nothing else, in this process."""
    from scrapy import Spider
    from scrapy.crawler import AsyncCrawlerProcess

    from corpus.crawl import Job
    from corpus.crawl.spider import settings

    class Bare(Spider):
        name = "bare"
        start_urls = [f"http://{profile().editions[0].host}/"]  # noqa: RUF012

        def parse(self, response):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
            for link in response.xpath("//a/@href").getall():
                yield response.follow(link)

    host_map = {profile().editions[0].host: address}
    job = Job(root=Path(), contact="me@example.org", profile=profile(), host_map=host_map)
    given = settings(job) | {"CONCURRENT_REQUESTS_PER_DOMAIN": job.room}
    process = AsyncCrawlerProcess(given)
    process.crawl(Bare)
    process.start()


def ours(address: str) -> None:
    """Crawl the site into a workspace that is thrown away."""
    from corpus.crawl import crawl
    from corpus.workspace import Workspace

    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.create(folder, "me@example.org")
        host_map = {profile().editions[0].host: address}
        result = crawl(workspace, profile(), host_map=host_map, all_=True)
        sys.stderr.write(f"{result.n_pages} pages\n")


def speed(n: int, n_turns: int) -> dict[str, float]:
    """Run both in turns; give the best pages a second of each, and their ratio."""
    best = {"bare": 0.0, "ours": 0.0}
    with served(n) as (address, pipe):
        for _ in range(n_turns):
            for name in best:
                command = [sys.executable, "-m", "benchmarks.speed.crawl", f"--{name}", address]
                subprocess.run(command, check=True)  # noqa: S603 - our own
                pipe.send(None)
                first, last = pipe.recv()
                best[name] = max(best[name], n / (last - first))
                sys.stderr.write(f"{name}: {n / (last - first):.0f} pages/s\n")
    return {**best, "ratio": best["ours"] / best["bare"]}


def memory(n: int) -> dict[str, float]:
    """Crawl once; give the resident MB of its process after 1,000 pages, and the most."""
    from corpus.crawl import CrawlProgress, crawl
    from corpus.workspace import Workspace

    seen: list[tuple[int, float]] = []

    def look(at: CrawlProgress) -> None:
        [child] = _children()
        seen.append((at.n_done, _resident(child)))

    began = time.monotonic()
    with served(n) as (address, _), tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.create(folder, "me@example.org")
        host_map = {profile().editions[0].host: address}
        crawl(workspace, profile(), host_map=host_map, all_=True, progress=look)
    warm = next(mb for n_done, mb in seen if n_done >= WARM)
    most = max(mb for _, mb in seen)
    seconds = time.monotonic() - began
    return {"pages": seen[-1][0], "warm_mb": warm, "most_mb": most, "grew_mb": most - warm,
            "seconds": seconds}  # fmt: skip


def _children() -> list[int]:
    """Find the processes of crawls below this one."""
    pids = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()
    return [
        int(p) for p in pids if b"corpus.crawl.process" in Path(f"/proc/{p}/cmdline").read_bytes()
    ]


def _resident(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1_000


def main() -> None:
    """Print the figures as a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=4_000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--bare", help=argparse.SUPPRESS)
    parser.add_argument("--ours", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.bare or args.ours:
        bare(args.bare) if args.bare else ours(args.ours)
        return
    figures = memory(args.pages) if args.memory else speed(args.pages, args.turns)
    rounded = {name: round(value, 3) for name, value in figures.items()}
    sys.stdout.write(json.dumps(rounded) + "\n")


if __name__ == "__main__":
    main()
