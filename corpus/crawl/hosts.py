"""The hosts of a site: what they allow, and what they list.

Every run asks each host for robots.txt, and then for the sitemaps and feeds that it
and the profile name, before the first page is asked for.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from protego import Protego

from corpus.crawl.sources import clean_url, read_source, wanted
from corpus.crawl.spider import header
from corpus.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from scrapy.http import Response

    from corpus.crawl import Job
    from corpus.crawl.frontier import Frontier

MAX_SOURCES = 1_000  # a run: an index of indexes without end stops here
SAMPLE_SOURCES = 10  # a host
MAX_ROBOTS = 500_000  # bytes
MAX_REDIRECTS = 5


class Hosts:
    """The rules and sources of a site's hosts.

    Attributes:
        rules: host → its robots.txt; a host without rests in this run.
        delays: host → seconds between two requests, at least.
        seen: the sources that were named; of them ``n_read`` are read.
        failed: (URL, reason) of robots.txt, sitemaps and feeds.
    """

    def __init__(
        self, job: Job, frontier: Frontier, get: Callable[[str], Awaitable[Response]]
    ) -> None:
        """Prepare to ask by ``get``, which raises InputError where no answer comes."""
        self.job, self.frontier, self._get_once = job, frontier, get
        self.delays = {edition.host: job.delay for edition in job.profile.editions}
        self.rules: dict[str, Any] = {}
        self.seen: set[str] = set()
        self.n_read = 0
        self.failed: list[tuple[str, str]] = []

    async def read_rules(self) -> None:
        """Ask every host for its rules."""
        await asyncio.gather(*(self._read_robots(host) for host in self.delays))

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
            if response.status >= 500:
                raise InputError(f"HTTP {response.status}: host not crawled")
        except (InputError, ValueError) as error:
            self.failed.append((url, str(error)))
            return
        text = response.body[:MAX_ROBOTS].decode("utf-8", "replace")
        self.rules[host] = Protego.parse(text if response.status == 200 else "")
        asked_for = float(self.rules[host].crawl_delay(self.job.agent) or 0)
        self.delays[host] = max(self.delays[host], asked_for)

    async def _read_sources(self, host: str) -> None:
        profile = self.job.profile
        home = f"{profile.scheme}://{host}/"
        sitemaps, feeds = list(self.rules[host].sitemaps), []
        for edition in profile.editions:
            if edition.host == host:
                sitemaps += edition.sitemaps
                feeds += edition.feeds
                if profile.links:
                    self.frontier.add(wanted(profile, [edition.path], home, 0))
        guess = f"{home}sitemap.xml"
        todo = self._new([*(sitemaps or [guess]), *feeds], home)
        for url in todo:  # which grows
            try:
                todo += self._new(await self._read(url), url)
            except (InputError, ValueError) as error:  # broken addresses among them
                if sitemaps or url != guess:
                    self.failed.append((url, str(error)))

    async def _read(self, url: str) -> list[str]:
        """Read a source: add the pages that it lists, give the sitemaps that it names."""
        if not self.may_fetch(url):
            raise InputError("not asked for: robots.txt, or another site")
        response = await self._get(url)
        if response.status != 200:
            raise InputError(f"HTTP {response.status}")
        sitemaps = []
        for entry in read_source(response.body):
            if entry.is_sitemap:
                sitemaps.append(entry)
            else:
                self.frontier.add(wanted(self.job.profile, [entry.url], url, 0, entry.date))
        # A part of an index that is older than the window has nothing for us.
        start = self.job.window_start(entry.date for entry in sitemaps)
        return [entry.url for entry in sitemaps if entry.date is None or entry.date >= start]

    async def _get(self, url: str) -> Response:
        """Ask for a source; redirects are followed within the site."""
        for _ in range(MAX_REDIRECTS):
            response = await self._get_once(url)
            self.n_read += 1
            if not 300 <= response.status < 400:
                return response
            url = urljoin(url, header(response, "Location"))
            if urlsplit(url).netloc not in self.delays:
                raise InputError(f"redirects to {url}")
        raise InputError(f"redirects more than {MAX_REDIRECTS} times")

    def _new(self, urls: Iterable[str], base: str) -> list[str]:
        """Take note of sources; give those that are new, up to the run's bound."""
        sample = self.job.sample
        most = MAX_SOURCES if sample is None else SAMPLE_SOURCES * len(self.delays)
        found = (clean_url(url, base, self.job.profile.scheme) for url in urls)
        new = [url for url in dict.fromkeys(found) if url and url not in self.seen]
        new = new[: max(0, most - len(self.seen))]
        self.seen.update(new)
        return new
