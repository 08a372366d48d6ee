"""The one Scrapy spider: a profile drives it, the frontier is its scheduler.

A run has two phases. First it asks every host for robots.txt, sitemaps and feeds,
which are read again in each run; then it says what there is to fetch and fetches
pages, the editions in turn. Redirects, retries and robots are the frontier's affair,
so that each URL has one row that tells what became of it.
"""

from __future__ import annotations

import re
import time
from collections import Counter, deque
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from protego import Protego
from scrapy import Request, Spider, signals
from scrapy.core.downloader.handlers.http11 import HTTP11DownloadHandler
from scrapy.http import HtmlResponse, Response
from twisted.internet import task

from corpus.crawl.frontier import Bounds, Found, Row
from corpus.crawl.sources import (
    MAX_SOURCE_BYTES,
    clean_url,
    published,
    read_source,
    url_date,
)
from corpus.crawl.warc import response_record
from corpus.errors import BitextileError, InputError, OfflineError, ProfileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from scrapy.crawler import Crawler
    from twisted.python.failure import Failure

    from corpus.crawl import Job
    from corpus.crawl.frontier import Frontier
    from corpus.crawl.warc import WarcStore
    from corpus.sites import Edition

MAX_PAGE_BYTES = 5_000_000
TIMEOUT = 30.0  # seconds
TAKE = 16  # URLs of one host that are in flight at most
COMMIT_PAGES, COMMIT_SECONDS = 50, 1.0
TRIAL_PAGES = 50  # pages without an article after which a profile is wrong
WINDOW_DEPTH = 2  # links away from what sources list, where a window bounds a run
BEYOND = 100  # added to the depth of what a page older than the window links to
MAX_SOURCES = 1_000  # a run; an index of indexes without end stops here
MAX_LINKS = 5_000  # a page
MAX_ROBOTS = 500_000  # characters
PASSING = {408, 425, 429, 500, 502, 503, 504}
NO_PAGE = re.compile(r"\.(?!html?$|php$|aspx?$|jsp$)[a-z][a-z0-9]{1,4}$", re.IGNORECASE)


def settings(job: Job) -> dict[str, Any]:
    """Give the Scrapy settings of a run: polite, and with nothing that we do ourselves."""
    profile = job.profile
    local = all(edition.host in job.host_map for edition in profile.editions)
    handler = f"{__name__}.MappedHandler"
    return {
        "SCHEDULER": f"{__name__}.Scheduler",
        "DOWNLOAD_HANDLERS": {"http": handler, "https": handler, "file": None, "ftp": None},
        "USER_AGENT": job.agent,
        "DOWNLOAD_DELAY": 0 if local else profile.delay,
        "DOWNLOAD_DELAY_JITTER": 0.0,
        "AUTOTHROTTLE_ENABLED": not local,
        "AUTOTHROTTLE_START_DELAY": profile.delay,
        "CONCURRENT_REQUESTS": 32,
        "CONCURRENT_REQUESTS_PER_DOMAIN": 8 if local else 1,
        "DOWNLOAD_TIMEOUT": TIMEOUT,
        "DOWNLOAD_MAXSIZE": MAX_PAGE_BYTES,
        "DOWNLOAD_WARNSIZE": 0,
        "ROBOTSTXT_OBEY": False,  # see Crawl.allowed
        "REDIRECT_ENABLED": False,
        "RETRY_ENABLED": False,
        "COOKIES_ENABLED": False,
        "TELNETCONSOLE_ENABLED": False,
        "LOG_ENABLED": False,
    }


class MappedHandler(HTTP11DownloadHandler):  # type: ignore[misc]
    """Downloads over HTTP; a host that is mapped is reached on loopback instead."""

    async def download_request(self, request: Request) -> Response:
        """Download; the response bears the URL that was asked for."""
        parts = urlsplit(request.url)
        address = self._crawler.spider.crawl.job.host_map.get(parts.netloc)
        if address is None:
            return await super().download_request(request)
        url = parts._replace(scheme="http", netloc=address).geturl()
        mapped = request.replace(url=url, headers={**request.headers, b"Host": [parts.netloc]})
        mapped.meta.pop("proxy", None)
        response = await super().download_request(mapped)
        return response.replace(url=request.url)


class Scheduler:
    """Hands Scrapy what the crawl wants next."""

    def __init__(self, crawl: Crawl) -> None:
        self.crawl = crawl

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Scheduler:
        """Find the crawl that the spider was made with."""
        return cls(crawler.spider.crawl)

    def has_pending_requests(self) -> bool:
        """Tell whether there is more to come."""
        return self.crawl.more()

    def enqueue_request(self, request: Request) -> bool:
        """Refuse: all requests come from the frontier."""
        return False

    def next_request(self) -> Request | None:
        """Give the next request that its host has room for."""
        return self.crawl.next_request()

    def close(self, reason: str) -> None:
        """End the run with all that was fetched committed."""
        self.crawl.finish()


class SiteSpider(Spider):  # type: ignore[misc]
    """Passes responses to the crawl."""

    name = "site"

    def __init__(self, crawl: Crawl, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.crawl = crawl

    @classmethod
    def from_crawler(cls, crawler: Crawler, crawl: Crawl) -> SiteSpider:
        """Make the spider, and hear of errors in its own callbacks."""
        spider: SiteSpider = super().from_crawler(crawler, crawl=crawl)
        crawl.open(crawler)
        crawler.signals.connect(spider.error, signals.spider_error)
        return spider

    async def start(self):  # type: ignore[no-untyped-def]  # noqa: ANN201, D102
        return
        yield

    def error(self, failure: Failure, response: Response) -> None:
        """Stop at an error that is ours."""
        self.crawl.abort(failure.value)


class Crawl:
    """One run over one site: what it knows, and what it does with each answer."""

    def __init__(
        self,
        job: Job,
        frontier: Frontier,
        store: WarcStore,
        report: Callable[[str, int, int, float], None],
    ) -> None:
        self.job, self.profile = job, job.profile
        self.frontier, self.store, self.report = frontier, store, report
        self.hosts = list(dict.fromkeys(edition.host for edition in job.profile.editions))
        self.robots: dict[str, Any] = {}  # host → its rules; without an entry it rests
        self.delays = dict.fromkeys(self.hosts, 0.0 if job.host_map else job.profile.delay)
        self.sources: deque[tuple[str, str]] = deque()  # (kind, url)
        self.seen: set[str] = set()
        self.queues: dict[str, deque[Row]] = {host: deque() for host in self.hosts}
        self.active: Counter[str] = Counter()
        self.in_flight: dict[int, Row] = {}
        self.n = Counter[str]()  # what the result tells
        self.reasons = Counter[str]()
        self.failed_sources: list[tuple[str, str]] = []
        self.n_expected = 0
        self.planned = self.stopping = False
        self.stopped = "finished"
        self.error: BaseException | None = None
        self._n_uncommitted, self._committed = 0, time.monotonic()

    def open(self, crawler: Crawler) -> None:
        """Begin: robots.txt of each host first."""
        self._crawler = crawler
        self._cap = crawler.settings.getint("CONCURRENT_REQUESTS_PER_DOMAIN")
        for host in self.hosts:
            self._add_source("robots", f"{self.profile.scheme}://{host}/robots.txt")
        self._ticker = task.LoopingCall(self._tick)
        self._ticker.start(COMMIT_SECONDS / 2, now=False)

    # What comes next.

    def more(self) -> bool:
        """Tell whether anything is left to ask for."""
        if self.stopping:
            return False
        return bool(self.sources or self.active.total() or not self.planned or any(self.queues.values())
                    or self.frontier.waiting())

    def next_request(self) -> Request | None:
        """Give the next request whose host has room: sources first, then pages in turn."""
        if self.stopping:
            return None
        if self.sources or not self.planned:
            return self._next_source()
        return self._next_page()

    def _next_source(self) -> Request | None:
        for _ in range(len(self.sources)):
            kind, url = self.sources.popleft()
            if self._has_room(urlsplit(url).netloc):
                return self._request(url, self.source, {"kind": kind}, MAX_SOURCE_BYTES)
            self.sources.append((kind, url))
        if not self.sources and not self.active.total():
            self._plan()
            return self._next_page()
        return None

    def _next_page(self) -> Request | None:
        if self.job.limit is not None and self.n["asked"] >= self.job.limit:
            self.stop("limit")
            return None
        for host in list(self.hosts):
            if self._has_room(host) and (row := self._next_row(host)) is not None:
                self.hosts.remove(host)
                self.hosts.append(host)  # the editions take turns
                self.n["asked"] += 1
                self.in_flight[row.id] = row
                return self._request(row.url, self.page, {"row": row}, MAX_PAGE_BYTES)
        return None

    def _next_row(self, host: str) -> Row | None:
        queue = self.queues[host]
        while not queue and (rows := self.frontier.take(host, TAKE)):
            for row in rows:
                if self.robots[host].can_fetch(row.url, self.job.agent):
                    queue.append(row)
                else:
                    self._failed(row, "robots", "disallowed by robots.txt")
            self._commit()
        return queue.popleft() if queue else None

    def _has_room(self, host: str) -> bool:
        return self.active[host] < self._cap
