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
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import corpus
from corpus import errors
from corpus.sites import Profile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from corpus.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Job:
    """What one run of a crawl shall do; given to the child as JSON."""

    root: str
    contact: str
    profile: Profile
    host_map: Mapping[str, str] = field(default_factory=dict)
    all_: bool = False
    days: int = 30
    limit: int | None = None
    seconds: float | None = None  # after which the run stops
    sample: int | None = None  # pages a host, of few sources: for `check`

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

    def to_json(self) -> str:
        """Write the job as one line."""
        return json.dumps(asdict(self) | {"profile": self.profile.model_dump(mode="json")})

    @classmethod
    def from_json(cls, text: str) -> Job:
        """Read a line of `to_json`."""
        values = json.loads(text)
        return cls(**values | {"profile": Profile.model_validate(values["profile"])})


class CrawlProgress(NamedTuple):
    """Where a crawl stands."""

    phase: str  # sources, then pages
    n_done: int
    n_total: int
    seconds: float  # that the delays alone will take


@dataclass(frozen=True, slots=True)
class CrawlResult:
    """What a crawl did.

    Attributes:
        n_pages: fetched and stored in this run; ``n_articles`` of them by the patterns.
        n_failed: pages given up in this run; ``reasons`` counts them.
        n_later: URLs known that this run's bounds left out.
        failed_sources: (URL, reason) of robots.txt, sitemaps and feeds.
        stopped: finished, limit, time or interrupted.
    """

    site: str
    n_sources: int
    n_pages: int
    n_articles: int
    n_failed: int
    n_later: int
    reasons: Mapping[str, int]
    failed_sources: list[tuple[str, str]]
    stopped: str


def crawl(
    workspace: Workspace,
    profile: Profile,
    *,
    host_map: Mapping[str, str] | None = None,
    all_: bool = False,
    days: int = 30,
    limit: int | None = None,
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
        limit: ask for at most so many pages.
        progress: called a few times a second.

    Raises:
        ProfileError: 50 pages and no article by the patterns.
        OfflineError: no host could be reached.
        StorageError: the disk is full; nothing that was fetched is lost.
        WorkspaceError: another crawl of the site is running.
        KeyboardInterrupt: after the crawl has ended in good order.
    """
    root, hosts = str(workspace.root), dict(host_map or {})
    return run(Job(root, workspace.contact, profile, hosts, all_, days, limit), progress)


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
            return _follow(child, job, progress)
        finally:
            child.kill()


def _follow(
    child: subprocess.Popen[str], job: Job, progress: Callable[[CrawlProgress], None]
) -> CrawlResult:
    if child.stdin is None or child.stdout is None:
        raise RuntimeError("the child has no pipes")
    _tell(child.stdin, job.to_json())
    interrupted = False
    result = None
    while result is None:
        try:
            line = child.stdout.readline()
            if not line:
                raise errors.BitextileError(
                    f"the crawl of {job.profile.name} died (exit code {child.wait()}); "
                    "run the command again: it goes on where it stopped"
                )
            result = _read(json.loads(line), progress)
        except KeyboardInterrupt:
            if interrupted:
                raise
            interrupted = True
            _tell(child.stdin, "stop")
    child.wait()
    if interrupted:
        raise KeyboardInterrupt
    return result


def _read(
    message: Mapping[str, Any], progress: Callable[[CrawlProgress], None]
) -> CrawlResult | None:
    if "progress" in message:
        progress(CrawlProgress(*message["progress"]))
        return None
    if "error" in message:
        name, text = message["error"]
        raise getattr(errors, name, RuntimeError)(text)
    result = message["result"]
    return CrawlResult(**result | {"failed_sources": [tuple(f) for f in result["failed_sources"]]})


def _tell(pipe: IO[str], line: str) -> None:
    with suppress(BrokenPipeError):  # the child's end says why
        pipe.write(f"{line}\n")
        pipe.flush()
