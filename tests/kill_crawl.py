"""``kill -9`` of a crawl and its extraction: ``python -m tests.kill_crawl --runs 50 --kills 50``.

A generated site is crawled and extracted once without a kill, then ``--runs`` times
with one kill each, and once with ``--kills`` kills. All processes of a run are
killed together: four of five runs after a number of requests that is drawn, every
fifth while it extracts; of the many kills each comes a few requests on. Each finished
workspace has to equal the quiet one, each URL to be fetched at most once more than
there were kills while it was in flight, and what was in flight to be at the end of
the queue of the next run.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from corpus.crawl.frontier import Frontier
from corpus.sample.server import Page
from corpus.workspace import Workspace
from tests.equal import assert_equal
from tests.test_corpus_crawl import HOST, html, new_workspace, serve, sitemap, tiny

if TYPE_CHECKING:
    from corpus.sample.server import NewsroomServer

DRIVER = """
import json, sys
from pathlib import Path
from corpus.cli import main
from corpus.crawl import crawl
from corpus.sites import load_profile
from corpus.workspace import Workspace
root, profile, host_map, crawled = sys.argv[1:]
crawl(Workspace.open(root), load_profile(profile), host_map=json.loads(host_map), all_=True)
Path(crawled).touch()
main(["extract", "-w", root], standalone_mode=False)
"""
NOUNS = ("council", "bridge", "school", "river", "market", "theatre", "museum", "library")


def site(n_pages: int) -> NewsroomServer:
    """Articles, half of them in a sitemap, sections that link to the others, and losses."""
    draw = random.Random(5)
    n = n_pages - 11
    sections = {
        f"/section/{k}": [f"/a/{k + 10 * j}" for j in range(n // 10 + 1)] for k in range(10)
    }
    pages = {"/": html(*sections)} | {path: html(*links) for path, links in sections.items()}
    for k in range(n):
        links = "".join(f'<a href="/a/{draw.randrange(n + 20)}">x</a>' for _ in range(5))
        words = " ".join(
            f"The {draw.choice(NOUNS)} of district {draw.randrange(n)} was near the old "
            f"{draw.choice(NOUNS)} when the {draw.choice(NOUNS)} opened again."
            for _ in range(draw.randrange(1, 5))
        )
        title = f"Story {k} of the {draw.choice(NOUNS)}"
        head = f"<title>{title}</title><h1>{title}</h1><p>{words}</p>"
        pages[f"/a/{k}"] = Page(f"<html><body>{head}{links}</body></html>".encode())
    pages["/a/78"] = Page(b"", status=302, headers=(("Location", "/a/1"),))
    listed = {f"a{k}": f"2026-03-{1 + k % 28:02d}" for k in range(0, n, 2)}
    return serve(pages | {"/sitemap.xml": sitemap(**listed)})


@dataclass
class Run:
    """A workspace that is crawled and killed.

    Attributes:
        n_in_flight: path → kills while it was in flight.
        n_kills: kills; ``n_in_crawl`` of them before the crawl was over.
    """

    workspace: Workspace
    server: NewsroomServer
    n_in_flight: Counter[str] = field(default_factory=Counter)
    n_kills: int = 0
    n_in_crawl: int = 0

    @property
    def crawled(self) -> Path:
        """A file that is there when the crawl is over."""
        return self.workspace.root.with_suffix(".crawled")

    def start(self) -> subprocess.Popen[bytes]:
        """Crawl and extract, or go on with it."""
        root = self.workspace.root
        self.crawled.unlink(missing_ok=True)
        profile = root.with_suffix(".json")
        profile.write_text(tiny().model_dump_json())
        command = [sys.executable, "-c", DRIVER, str(root), str(profile)]
        command += [json.dumps(self.server.host_map), str(self.crawled)]
        house = os.pathsep.join(filter(None, sys.path))
        with root.with_suffix(".log").open("ab") as log:
            env = os.environ | {"PYTHONPATH": house}
            return subprocess.Popen(command, env=env, stdout=log, stderr=log)

    def finish(self) -> float:
        """Run to the end; give the seconds that extraction took."""
        driver = self.start()
        while not self.crawled.exists() and driver.poll() is None:
            time.sleep(0.01)
        began = time.monotonic()
        assert driver.wait() == 0, self.workspace.root.with_suffix(".log").read_text()[-2000:]
        return time.monotonic() - began

    def kill_after(self, n_requests: int | None, seconds: float) -> None:
        """Start, and kill everything so long after so many requests, or after the crawl.

        Nothing is killed if it was over before.
        """
        seen, driver = len(self.server.log), self.start()
        while driver.poll() is None and not (
            self.crawled.exists()
            if n_requests is None
            else len(self.server.log) >= seen + n_requests
        ):
            time.sleep(0.002)
        time.sleep(seconds)
        if driver.poll() is not None:
            return
        pids = [*_descendants(driver.pid), driver.pid]
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        driver.wait()
        while any(Path(f"/proc/{pid}/fd/0").exists() for pid in pids):
            time.sleep(0.005)
        self.n_kills += 1
        rows = self._rows("state = 'in flight'")
        self.n_in_flight.update(rows.keys())
        self.n_in_crawl += bool(rows)
        if rows:
            self._starts_behind(rows)

    def _starts_behind(self, in_flight: dict[str, int]) -> None:
        """See, in a copy, that the next run takes what was in flight after all else."""
        with tempfile.TemporaryDirectory() as folder:
            source = sqlite3.connect(self.workspace.frontier("tiny"))
            copy = sqlite3.connect(Path(folder) / "copy.sqlite")
            with closing(source), closing(copy):
                source.backup(copy)
            with closing(Frontier(Path(folder) / "copy.sqlite")) as frontier:
                frontier.start_run()
                order = [
                    url.url.removeprefix(f"http://{HOST}") for url in frontier.take(HOST, 9_999)
                ]
        n_new = sum(path not in in_flight for path in order)
        first = order[:n_new]
        assert not in_flight.keys() & set(first), "what was in flight is not behind"

    def _rows(self, where: str) -> dict[str, int]:
        """Give path → turn of some URLs."""
        path = self.workspace.frontier("tiny")
        if not path.exists():
            return {}
        with closing(sqlite3.connect(path)) as database:
            try:
                found = database.execute(f"SELECT url, turn FROM urls WHERE {where}").fetchall()
            except sqlite3.OperationalError:  # killed before there was a table
                return {}
        return {url.removeprefix(f"http://{HOST}"): turn for url, turn in found}

    def check(self, quiet: Run, log_from: int) -> int:
        """See that all is as in the quiet run; give how many fetches there were too many."""
        assert_equal(quiet.workspace.root, self.workspace.root)
        assert self._rows("state = 'done'").keys() == quiet._rows("state = 'done'").keys()
        assert self._rows("state = 'failed'").keys() == quiet._rows("state = 'failed'").keys()
        asked = Counter(seen.path for seen in self.server.log[log_from:])
        for path, n in asked.items():
            if path not in ("/robots.txt", "/.well-known/tdmrep.json", "/sitemap.xml"):
                assert n <= 1 + self.n_in_flight[path], f"{path} was fetched {n} times"
        known = self._rows("1")
        return sum(n - 1 for path, n in asked.items() if path in known)


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *_descendants(int(child))]
    return found


def prove(folder: Path, n_pages: int, n_runs: int, n_kills: int, seed: int = 11) -> dict[str, int]:
    """Do all runs in a folder; give what was counted."""
    draw = random.Random(seed)
    told: Counter[str] = Counter()
    with site(n_pages) as server:
        quiet = Run(new_workspace(folder / "quiet"), server)
        seconds = quiet.finish()
        n_asked = len(server.log)
        told["pages"] = len(quiet._rows("1"))
        for n, kills in enumerate([n_kills] + [1] * n_runs):
            log_from = len(server.log)
            run = Run(new_workspace(folder / f"killed{n}"), server)
            while run.n_kills < kills:
                if kills == 1 and n % 5 == 4:
                    run.kill_after(None, draw.uniform(0.0, seconds))
                else:
                    n_requests = draw.randrange(1, n_asked // kills)
                    run.kill_after(n_requests, draw.uniform(0.0, 0.03))
                if not run.n_kills:  # it was over before: a new one
                    log_from = len(server.log)
                    run = Run(new_workspace(Path(tempfile.mkdtemp(dir=folder), "w")), server)
            run.finish()
            told["fetched_again"] += run.check(quiet, log_from)
            told["kills"] += run.n_kills
            told["kills_in_crawl"] += run.n_in_crawl
            told["most_in_flight"] = max(told["most_in_flight"], *run.n_in_flight.values(), 0)
            told["runs_equal"] += 1
            sys.stderr.write(f"run {n + 1}: {dict(told)}\n")
    return dict(told)


def main() -> None:
    """Print what was counted as a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=2_000)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--kills", type=int, default=50)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        told = prove(Path(folder), args.pages, args.runs, args.kills)
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
