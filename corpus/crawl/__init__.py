"""The crawl: from a site profile to WARC files.

Scrapy runs in a process of its own, because its reactor can run only once a process
and because a crawl that is killed must not take its caller along. The two speak in
lines of JSON. The child ends at once when its caller does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence  # noqa: TC003 - for pydantic
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, ConfigDict

import corpus
from corpus import errors
from corpus.sites import Budget, Profile  # noqa: TC001 - pydantic reads them

if TYPE_CHECKING:
    from corpus.workspace import Workspace


class Job(BaseModel):
    """What one run of a crawl shall do; given to the child as JSON."""

    model_config = ConfigDict(frozen=True)

    root: Path
    contact: str
    profile: Profile
    host_map: Mapping[str, str] = {}
    all_: bool = False
    days: int = 30
    since: date | None = None
    until: date | None = None
    limit: int | None = None
    seconds: float | None = None  # after which the run stops
    sample: int | None = None  # pages a host, of few sources: for `check`
    urls: tuple[str, ...] = ()  # these pages alone, and no sources
    timeout: float = 30.0  # seconds for one whole answer
    speed: float = 1.0  # seconds that pass for the crawl in one of the world: for simulations

    @property
    def now(self) -> float:
        """Seconds of the crawl's own clock."""
        return time.monotonic() * self.speed

    @property
    def agent(self) -> str:
        """The User-Agent, which says whom to write to."""
        return f"Bitextile/{corpus.__version__} (+{self.contact})"

    @property
    def is_local(self) -> bool:
        """Whether every host is reached on this machine."""
        return all(edition.host in self.host_map for edition in self.profile.editions)

    @property
    def delay(self) -> float:
        """Seconds between two requests to one host, at least."""
        return 0.0 if self.is_local else self.profile.delay

    @property
    def room(self) -> int:
        """Requests to one host at a time, at most."""
        return 8 if self.is_local else 1

    @property
    def budget(self) -> Budget:
        """What each host gives in this run."""
        budget = self.profile.budget
        return budget if self.sample is None else budget.model_copy(update={"pages": self.sample})

    def window_start(self, dates: Iterable[str | None]) -> str:
        """Give the first day of the window that ends with the newest date; "" for no window."""
        newest = max(filter(None, dates), default="")[:10]
        if self.since:
            return self.since.isoformat()
        if self.all_ or not newest:
            return ""
        end = min(date.fromisoformat(newest), self.until or date.max)
        return (end - timedelta(days=self.days)).isoformat()


class CrawlProgress(NamedTuple):
    """Where a crawl stands."""

    phase: str  # sources, then pages
    n_done: int
    n_total: int
    seconds: float  # that the delays alone will take


class CrawlResult(BaseModel):
    """What a crawl did.

    Attributes:
        n_sources: robots.txt, sitemaps and feeds that were asked for.
        n_pages: fetched and stored in this run; ``n_articles`` of them by the patterns.
        n_unchanged: pages of which the host said that the stored one is the newest.
        n_failed: pages given up in this run; ``reasons`` counts them.
        n_waiting: URLs known that this run did not come to.
        n_later: URLs known that this run's bounds left out.
        failed_sources: (URL, reason) of robots.txt, sitemaps and feeds.
        spent: (host, bound) of hosts that gave no more in this run.
        stopped: finished, limit, budget, time or interrupted.
    """

    site: str
    n_sources: int = 0
    n_pages: int = 0
    n_articles: int = 0
    n_unchanged: int = 0
    n_failed: int = 0
    n_waiting: int = 0
    n_later: int = 0
    reasons: dict[str, int] = {}
    failed_sources: list[tuple[str, str]] = []
    spent: list[tuple[str, str]] = []
    stopped: str = ""


def crawl(
    workspace: Workspace,
    profile: Profile,
    *,
    host_map: Mapping[str, str] | None = None,
    all_: bool = False,
    days: int = 30,
    since: date | None = None,
    until: date | None = None,
    limit: int | None = None,
    urls: Sequence[str] = (),
    progress: Callable[[CrawlProgress], None] = lambda _: None,
) -> CrawlResult:
    """Fetch what is new on a site into the workspace's WARC files.

    Args:
        workspace: where pages go.
        profile: the site.
        host_map: host → HOST:PORT on loopback where it is reached instead.
        all_: take everything, not only the newest days.
        days: the window, counted back from the newest date that the sources name;
            where they name none, everything is taken.
        since: the first day, in place of that window's.
        until: the last day; the window is counted back from it.
        limit: ask for at most so many pages.
        urls: ask for these pages alone, where the site's sources list them or not.
        progress: called a few times a second.

    Raises:
        ProfileError: 50 pages and no article by the patterns.
        OfflineError: no host could be reached.
        StorageError: the disk is full; nothing that was fetched is lost.
        WorkspaceError: another crawl of the site is running.
        KeyboardInterrupt: after the crawl has ended in good order.
    """
    job = Job(
        root=workspace.root,
        contact=workspace.contact,
        profile=profile,
        host_map=host_map or {},
        all_=all_,
        days=days,
        since=since,
        until=until,
        limit=limit,
        urls=tuple(urls),
    )
    return run(job, progress)


def run(job: Job, progress: Callable[[CrawlProgress], None] = lambda _: None) -> CrawlResult:
    """Run a job in a process of its own; raises what `crawl` raises."""
    paths = [str(Path(corpus.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    child = subprocess.Popen(
        [sys.executable, "-m", "corpus.crawl.process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
        start_new_session=True,  # so that an interrupt reaches it through us, once
    )
    with child:
        try:
            _tell(child.stdin, job.model_dump_json())
            return _follow(child, progress)
        except KeyboardInterrupt:
            _tell(child.stdin, "stop")
            _follow(child, progress)
            raise
        finally:
            child.kill()  # at an error, or a second interrupt


def _follow(child: subprocess.Popen[str], progress: Callable[[CrawlProgress], None]) -> CrawlResult:
    for line in child.stdout or ():
        match json.loads(line):
            case ["progress", where]:
                progress(CrawlProgress(*where))
            case ["error", name, text]:
                raise getattr(errors, name)(text)
            case ["result", values]:
                child.wait()
                return CrawlResult.model_validate(values)
    raise errors.BitextileError(
        f"the crawl died (exit code {child.wait()}); "
        "run the command again: it goes on where it stopped"
    )


def _tell(pipe: IO[str] | None, line: str) -> None:
    if pipe is not None:
        with suppress(BrokenPipeError):  # the child's end says why
            pipe.write(f"{line}\n")
            pipe.flush()
