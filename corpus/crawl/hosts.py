"""The hosts of a site: what they allow, and what they list.

Every run asks each host for robots.txt, and then for the sitemaps and feeds that it
and the profile name, before the first page is asked for; for robots.txt again from
time to time.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from protego import Protego

from corpus.crawl.frontier import MAX_TRIES
from corpus.crawl.manners import RESTING, Manners, retry_after
from corpus.crawl.sources import Listed, clean_url, read_source, stamp, wanted
from corpus.crawl.spider import header
from corpus.errors import InputError
from corpus.rights import TDMREP, HostRights

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from scrapy.http import Response

    from corpus.crawl import CrawlResult, Job
    from corpus.crawl.frontier import Frontier

MAX_SOURCES = 1_000  # a run: an index of indexes without end stops here
MAX_PARTS = 50_000  # of an index
BATCH = 1_000  # entries that are taken in at once
FRESH = timedelta(hours=1)  # how old a host's first pages may be where it lists none
REREAD = 900.0  # seconds until a host is asked for its rules again
SAMPLE_SOURCES = 10  # a host
MAX_ROBOTS = 500_000  # bytes
MAX_REDIRECTS = 5
LOOK = 0.05  # seconds between two looks whether a source may be asked for


class Hosts:
    """The rules and sources of a site's hosts.

    Attributes:
        manners: host → when it may be asked.
        rules: host → its robots.txt; a host without rests in this run.
        seen: the sources that were named; of them ``n_read`` are read.
        failed: (URL, reason) of robots.txt, sitemaps and feeds.
    """

    def __init__(
        self,
        job: Job,
        frontier: Frontier,
        result: CrawlResult,
        download: Callable[[str], Awaitable[Response]],
    ) -> None:
        """Prepare to ask by ``download``, which raises InputError where no answer comes."""
        self.job, self.frontier, self.result, self._download = job, frontier, result, download
        self.manners = {
            edition.host: Manners(job.delay, job.room, job.budget)
            for edition in job.profile.editions
        }
        self.rules: dict[str, Any] = {}
        self.rights: dict[str, HostRights] = {}
        self._tdmrep: dict[str, bytes] = {}
        self.seen: set[str] = set()
        self.n_read = 0
        self.failed: list[tuple[str, str]] = []
        self._list_pages: set[str] = set()  # hosts with a source that does
        self._rereads: dict[str, tuple[float, asyncio.Future[None] | None]] = {}

    async def read_rules(self) -> None:
        """Ask every host for its rules."""
        await asyncio.gather(*(self._read_robots(host) for host in self.manners))

    def read_rules_again(self, now: float) -> None:
        """Ask for rules that were read a while ago; those that are known hold until then."""
        for host in self.rules:
            last, task = self._rereads.setdefault(host, (now, None))
            if now - last > REREAD and (task is None or task.done()):
                self._rereads[host] = now, asyncio.ensure_future(self._read_robots(host))

    async def read_sources(self) -> None:
        """Ask every host that gave its rules for what it lists."""
        await asyncio.gather(*(self._read_sources(host) for host in self.rules))

    def may_fetch(self, url: str) -> bool:
        """Tell whether a URL's host is one of the site's and allows it."""
        rules = self.rules.get(urlsplit(url).netloc)
        return rules is not None and bool(rules.can_fetch(url, self.job.agent))

    async def _read_robots(self, host: str) -> None:
        """Read a host's rules (RFC 9309: none where there is no file, a rest where it fails)."""
        url = f"{self.job.profile.scheme}://{host}/robots.txt"
        self.seen.add(url)
        try:
            response = await self._get(url)
            if response.status >= 500 or response.status == 429:
                raise InputError(f"HTTP {response.status}: host not crawled")
        except (InputError, ValueError) as error:
            if host not in self.rules:  # else what it said before still holds
                self.failed.append((url, str(error)))
            return
        text = response.body[:MAX_ROBOTS].decode("utf-8", "replace")
        self.rules[host] = Protego.parse(text if response.status == 200 else "")
        self.manners[host].crawl_delay = float(self.rules[host].crawl_delay(self.job.agent) or 0)
        if host not in self._tdmrep:
            self._tdmrep[host] = await self._read_tdmrep(host)
        robots = text if response.status == 200 else ""
        self.rights[host] = HostRights(robots, self._tdmrep[host])

    async def _read_tdmrep(self, host: str) -> bytes:
        """Read what a host reserves, once a run; nothing where it says or allows nothing."""
        url = f"{self.job.profile.scheme}://{host}{TDMREP}"
        if not self.may_fetch(url):
            return b""
        self.seen.add(url)
        try:
            response = await self._get(url)
        except (InputError, ValueError) as error:
            self.failed.append((url, str(error)))
            return b""
        return response.body if response.status == 200 else b""

    async def _read_sources(self, host: str) -> None:
        profile = self.job.profile
        home = f"{profile.scheme}://{host}/"
        sitemaps, feeds = list(self.rules[host].sitemaps), []
        for edition in profile.editions:
            if edition.host == host:
                sitemaps += edition.sitemaps
                feeds += edition.feeds
                if profile.links:
                    start = [Listed(edition.path, None, False)]
                    self.frontier.add(wanted(profile, start, home, 0))
        guess = f"{home}sitemap.xml"
        todo = self._new([*(sitemaps or [guess]), *feeds], home)
        for url in todo:  # which grows
            try:
                todo += self._new(await self._read(url, host), url)
            except (InputError, ValueError) as error:  # broken addresses among them
                if sitemaps or url != guess:
                    self.failed.append((url, str(error)))
        if profile.links and host not in self._list_pages:
            self.frontier.ask_again(host, stamp(datetime.now(UTC) - FRESH))

    async def _read(self, url: str, host: str) -> list[str]:
        """Read a source: add the pages that it lists, give the sitemaps that it names."""
        if not self.may_fetch(url):
            raise InputError("not asked for: robots.txt, or another site")
        response = await self._get(url)
        if response.status != 200:
            raise InputError(f"HTTP {response.status}")
        parts: list[Listed] = []
        entries = read_source(response.body)
        while batch := list(islice(entries, BATCH)):
            pages = [entry for entry in batch if not entry.is_sitemap]
            parts += [entry for entry in batch if entry.is_sitemap][: MAX_PARTS - len(parts)]
            if pages:
                self._list_pages.add(host)
                self.frontier.add(wanted(self.job.profile, pages, url, 0))
            await asyncio.sleep(0)  # a long list holds up no other host
        # A part of an index that is older than the window has nothing for us.
        start = self.job.window_start(entry.date for entry in parts)
        return [entry.url for entry in parts if entry.date is None or entry.date >= start]

    def answered(self, host: str, response: Response | None = None) -> None:
        """Take note of how a host answered a request, or that it did not."""
        if response is None:
            self.manners[host].answered(self.job.now)
            return
        latency = response.meta.get("download_latency", 0.0) * self.job.speed
        self.manners[host].answered(self.job.now, response.status, latency, _rest(response))

    async def _get(self, url: str) -> Response:
        """Ask for a source; redirects are followed within the site, a rest is kept."""
        n_tries = 0
        for _ in range(MAX_REDIRECTS):
            response = await self._ask(url)
            self.n_read += 1
            n_tries += 1
            if response.status in RESTING and _rest(response) is not None and n_tries < MAX_TRIES:
                continue
            if not 300 <= response.status < 400:
                return response
            url = urljoin(url, header(response, "Location"))
            if urlsplit(url).netloc not in self.manners:
                raise InputError(f"redirects to {url}")
        raise InputError(f"redirects more than {MAX_REDIRECTS} times")

    async def _ask(self, url: str) -> Response:
        """Ask once, when it is the turn of the URL's host."""
        name = urlsplit(url).netloc
        host = self.manners[name]
        host.n_calls += 1
        try:
            while (wait := host.wait(self.job.now)) > 0 or self.result.stopped:
                if why := self.result.stopped or host.spent(self.job.now):
                    raise InputError(f"not asked for: {why}")
                await asyncio.sleep(min(wait / self.job.speed, LOOK))
        finally:
            host.n_calls -= 1
        host.ask(self.job.now)
        response = None
        try:
            response = await self._download(url)
        finally:
            self.answered(name, response)
        return response

    def _new(self, urls: Iterable[str], base: str) -> list[str]:
        """Take note of sources; give those that are new, up to the run's bound."""
        sample = self.job.sample
        most = MAX_SOURCES if sample is None else SAMPLE_SOURCES * len(self.manners)
        found = (clean_url(url, base, self.job.profile.scheme) for url in urls)
        new = [url for url in dict.fromkeys(found) if url and url not in self.seen]
        new = new[: max(0, most - len(self.seen))]
        self.seen.update(new)
        return new


def _rest(response: Response) -> float | None:
    return retry_after(header(response, "Retry-After"), header(response, "Date"))
