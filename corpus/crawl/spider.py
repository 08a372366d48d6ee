"""The one Scrapy spider: a profile drives it, and the crawl is its scheduler.

A run has two phases. First it asks every host for robots.txt, sitemaps and feeds,
which are read again in each run; then it says what there is to fetch and fetches
pages, the editions in turn. Redirects, retries and robots are the frontier's affair
and not Scrapy's, so that each URL has one row that tells what became of it.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections import Counter, deque
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urljoin, urlsplit

from protego import Protego
from scrapy import Request, Spider, signals
from scrapy.core.downloader.handlers.http11 import HTTP11DownloadHandler
from scrapy.exceptions import DownloadCancelledError, DownloadTimeoutError, IgnoreRequest
from scrapy.http import HtmlResponse, Response
from scrapy.utils.defer import deferred_from_coro
from scrapy.utils.response import get_base_url
from twisted.internet.task import LoopingCall

from corpus.crawl.frontier import Bounds, Url
from corpus.crawl.sources import MAX_SOURCE_BYTES, clean_url, published, read_source, url_date
from corpus.crawl.warc import response_record
from corpus.errors import InputError, OfflineError, ProfileError, StorageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from scrapy.crawler import Crawler
    from twisted.python.failure import Failure

    from corpus.crawl import Job
    from corpus.crawl.frontier import Frontier
    from corpus.crawl.warc import WarcStore

MAX_PAGE_BYTES = 5_000_000
TIMEOUT = 30.0  # seconds
TAKE = 16  # URLs of one host that are in flight at most
COMMIT_PAGES, COMMIT_SECONDS = 50, 1.0
TRIAL_PAGES = 50  # pages without an article after which a profile is wrong
WINDOW_DEPTH = 2  # links away from what sources list, where a window bounds a run
BEYOND = 100  # added to the depth of what a page older than the window links to
MAX_SOURCES = 1_000  # a run: an index of indexes without end stops here
SAMPLE_SOURCES = 10  # a host
MAX_LINKS = 5_000  # a page
MAX_ROBOTS = 500_000  # characters
PASSING = {408, 425, 429, 500, 502, 503, 504}
NO_PAGE = re.compile(r"\.(?!html?$|php$|aspx?$|jsp$)[a-z][a-z0-9]{1,4}$", re.IGNORECASE)


def settings(job: Job) -> dict[str, Any]:
    """Give the Scrapy settings of a run: polite, and without what we do ourselves."""
    handler = f"{__name__}.MappedHandler"
    return {
        "HOST_MAP": dict(job.host_map),
        "SCHEDULER": Crawl,
        "DOWNLOAD_HANDLERS": {"http": handler, "https": handler, "file": None, "ftp": None},
        "USER_AGENT": job.agent,
        "DOWNLOAD_DELAY": job.delay,
        "DOWNLOAD_DELAY_JITTER": 0.0,
        "AUTOTHROTTLE_ENABLED": not job.is_local,
        "AUTOTHROTTLE_START_DELAY": job.delay,
        "CONCURRENT_REQUESTS": 32,
        "CONCURRENT_REQUESTS_PER_DOMAIN": 8 if job.is_local else 1,
        "DOWNLOAD_TIMEOUT": TIMEOUT,
        "DOWNLOAD_MAXSIZE": MAX_PAGE_BYTES,
        "DOWNLOAD_WARNSIZE": 0,
        "ROBOTSTXT_OBEY": False,  # Crawl does, before it hands out a request
        "REDIRECT_ENABLED": False,
        "RETRY_ENABLED": False,
        "COOKIES_ENABLED": False,
        "TELNETCONSOLE_ENABLED": False,
        "LOG_ENABLED": False,
        "LOG_INSTALL_ROOT_HANDLER": False,
    }


class MappedHandler(HTTP11DownloadHandler):
    """Downloads over HTTP; a host that is mapped is reached on loopback instead."""

    async def download_request(self, request: Request) -> Response:
        """Download; the response bears the URL that was asked for."""
        parts = urlsplit(request.url)
        address = self._crawler.settings["HOST_MAP"].get(parts.netloc)
        if address is None:
            return await super().download_request(request)
        mapped = request.replace(url=parts._replace(scheme="http", netloc=address).geturl())
        mapped.headers["Host"] = parts.netloc
        mapped.meta.pop("proxy", None)
        response = await super().download_request(mapped)
        return response.replace(url=request.url)


class SiteSpider(Spider):
    """Gives Scrapy the crawl; the frontier gives the requests."""

    name = "site"
    crawl: Crawl

    @classmethod
    def from_crawler(cls, crawler: Crawler, crawl: Crawl) -> SiteSpider:
        """Make the spider; an error in the crawl's own code ends the run."""
        spider: SiteSpider = super().from_crawler(crawler, crawl=crawl)
        crawler.signals.connect(crawl.on_error, signals.spider_error)
        return spider

    async def start(self) -> AsyncIterator[Request]:
        """Start with nothing."""
        nothing: list[Request] = []
        for request in nothing:
            yield request


class Crawl:
    """One run over one site: what it asks for, and what it does with each answer."""

    crawler: Crawler

    def __init__(
        self,
        job: Job,
        frontier: Frontier,
        store: WarcStore,
        report: Callable[[str, int, int, float], None],
    ) -> None:
        """Prepare a run; ``report`` takes phase, pages done, pages in all, seconds to go."""
        self.job, self.profile = job, job.profile
        self.frontier, self.store, self._report = frontier, store, report
        self.hosts = list(dict.fromkeys(edition.host for edition in job.profile.editions))
        self.rules: dict[str, Any] = {}  # host → its robots.txt; a host without rests
        self.delays = dict.fromkeys(self.hosts, job.delay)
        self.sources: deque[tuple[str, str]] = deque()  # (kind, url)
        self.seen: set[str] = set()
        self.taken: dict[str, deque[Url]] = {host: deque() for host in self.hosts}
        self.asked: dict[int, Url] = {}
        self.active: Counter[str] = Counter()
        self.n: Counter[str] = Counter()  # pages, articles, requests by host, failures by reason
        self.failed_sources: list[tuple[str, str]] = []
        self.is_planned = False
        self.stopped = ""
        self.error: BaseException | None = None
        self._committed, self._n_uncommitted = time.monotonic(), 0

    # The scheduler that Scrapy sees.

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Crawl:
        """Find the crawl that the spider was made with."""
        crawl = cast("SiteSpider", crawler.spider).crawl
        crawl.crawler = crawler
        return crawl

    def open(self, spider: Spider) -> None:
        """Begin: robots.txt of each host first."""
        self._room = self.crawler.settings.getint("CONCURRENT_REQUESTS_PER_DOMAIN")
        self.frontier.start_run()
        for host in self.hosts:
            self._add_source("robots", f"{self.profile.scheme}://{host}/robots.txt")
        self._ticker = LoopingCall(self._tick)
        self._ticker.start(COMMIT_SECONDS / 2, now=False)

    def close(self, reason: str) -> None:
        """End the run; unless it failed, with all that was fetched committed."""
        self._ticker.stop()
        if self.error is None:
            self.frontier.put_back(
                [*self.asked.values(), *(u for q in self.taken.values() for u in q)]
            )
            self._commit()
            self.store.rotate(force=True)
            self._tick()

    def enqueue_request(self, request: Request) -> bool:
        """Refuse: all requests come from the frontier."""
        return False

    def has_pending_requests(self) -> bool:
        """Tell whether there is more to come."""
        if self.stopped or not self.is_planned:
            return not self.stopped
        left = self.frontier.waiting().keys() | {host for host in self.taken if self.taken[host]}
        return any(self._is_wanted(host) for host in left)

    def next_request(self) -> Request | None:
        """Give the next request whose host has room: sources first, then pages."""
        if self.stopped:
            return None
        for _ in range(len(self.sources)):
            kind, url = self.sources.popleft()
            if self._has_room(urlsplit(url).netloc):
                return self._request(url, self._on_source, MAX_SOURCE_BYTES, kind=kind)
            self.sources.append((kind, url))
        if not self.is_planned and (self.sources or self.active.total()):
            return None
        if not self.is_planned:
            self._plan()
        return self._next_page()

    # What to ask for.

    def _next_page(self) -> Request | None:
        if self.job.limit is not None and self.n["asked"] >= self.job.limit:
            self.stop("limit")
            return None
        for host in self.hosts:
            if (
                self._has_room(host)
                and self._is_wanted(host)
                and (url := self._next_url(host)) is not None
            ):
                self.hosts = [*(h for h in self.hosts if h != host), host]  # editions take turns
                self.asked[url.id] = url
                self.n.update(["asked", f"asked {host}"])
                return self._request(url.url, self._on_page, MAX_PAGE_BYTES, row=url)
        return None

    def _next_url(self, host: str) -> Url | None:
        taken = self.taken[host]
        while not taken and (urls := self.frontier.take(host, TAKE)):
            for url in urls:
                if self._may_fetch(url.url):
                    taken.append(url)
                else:
                    self._failed(url, "robots", "disallowed by robots.txt")
            self._commit()
        return taken.popleft() if taken else None

    def _is_wanted(self, host: str) -> bool:
        return self.job.sample is None or self.n[f"asked {host}"] < self.job.sample

    def _may_fetch(self, url: str) -> bool:
        rules = self.rules.get(urlsplit(url).netloc)
        return rules is not None and bool(rules.can_fetch(url, self.job.agent))

    def _has_room(self, host: str) -> bool:
        return self.active[host] < self._room

    def _request(
        self, url: str, callback: Callable[..., None], maxsize: int, **meta: object
    ) -> Request:
        self.active[urlsplit(url).netloc] += 1
        meta |= {
            "handle_httpstatus_all": True,
            "download_maxsize": maxsize,
            # AutoThrottle would go below a Crawl-delay.
            "autothrottle_dont_adjust_delay": self.delays[urlsplit(url).netloc] > self.job.delay,
        }
        return Request(url, callback, errback=self._on_loss, meta=meta, dont_filter=True)

    # Sources.

    def _add_source(self, kind: str, url: str) -> None:
        most = MAX_SOURCES if self.job.sample is None else SAMPLE_SOURCES * len(self.hosts)
        if url in self.seen or len(self.seen) >= most:
            return
        if kind == "robots" or self._may_fetch(url):
            self.seen.add(url)
            self.sources.append((kind, url))

    def _on_source(self, response: Response) -> None:
        self.active[urlsplit(response.url).netloc] -= 1
        kind = response.meta["kind"]
        try:
            if 300 <= response.status < 400:
                self._follow(kind, response)
            elif kind == "robots":
                self._on_robots(response)
            else:
                self._read_source(response)
        except InputError as error:
            if kind != "guess":
                self.failed_sources.append((response.url, str(error)))
        self.n["sources"] += 1
        self._tick()

    def _follow(self, kind: str, response: Response) -> None:
        target = urljoin(response.url, _header(response, "Location"))
        host = urlsplit(target).netloc
        if host not in self.delays or (kind == "robots" and host != urlsplit(response.url).netloc):
            raise InputError(f"redirects to {target}")
        self._add_source(kind, target)

    def _on_robots(self, response: Response) -> None:
        """Read a host's rules (RFC 9309: none where there is no file, a rest where it fails)."""
        host = urlsplit(response.url).netloc
        if response.status >= 500:
            raise InputError(f"HTTP {response.status}: host not crawled")
        text = response.body[:MAX_ROBOTS].decode("utf-8", "replace")
        self.rules[host] = Protego.parse(text if response.status == 200 else "")
        self._slow_down(host, float(self.rules[host].crawl_delay(self.job.agent) or 0))
        sitemaps = list(self.rules[host].sitemaps)
        for edition in self.profile.editions:
            if edition.host == host:
                sitemaps += edition.sitemaps
                for feed in edition.feeds:
                    self._add_source("feed", urljoin(response.url, feed))
                if self.profile.links:
                    self._found([edition.path], response.url, 0)
        for sitemap in sitemaps:
            self._add_source("sitemap", urljoin(response.url, sitemap))
        if not sitemaps:
            self._add_source("guess", urljoin(response.url, "/sitemap.xml"))

    def _slow_down(self, host: str, delay: float) -> None:
        """Keep a host's Crawl-delay where it is longer than the profile's."""
        if delay > self.delays[host]:
            self.delays[host] = delay
            downloader, name = self.crawler.engine.downloader, host.partition(":")[0]
            downloader.per_slot_settings[name] = {"delay": delay, "concurrency": 1}
            if name in downloader.slots:
                downloader.slots[name].delay = delay
                downloader.slots[name].concurrency = 1

    def _read_source(self, response: Response) -> None:
        if response.status != 200:
            raise InputError(f"HTTP {response.status}")
        sitemaps = []
        for entry in read_source(response.body):
            if entry.is_sitemap:
                sitemaps.append(entry)
            else:
                self._found([entry.url], response.url, 0, entry.date)
        # A part of an index that is older than the window has nothing for us.
        newest = max((s.date for s in sitemaps if s.date), default="")
        start = "" if self.job.all_ or not newest else _days_before(newest, self.job.days)
        for sitemap in sitemaps:
            if sitemap.date is None or sitemap.date >= start:
                self._add_source("sitemap", urljoin(response.url, sitemap.url))

    def _plan(self) -> None:
        """Bound the run by what the sources told, and say what there is to fetch."""
        self.is_planned = True
        if not self.rules:
            url, reason = self.failed_sources[0]
            self.on_error(OfflineError(f"cannot reach {url} ({reason}); is the network up?"))
            return
        tomorrow = datetime.now(UTC) + timedelta(days=2)  # clocks and time zones differ
        newest = self.frontier.newest(f"{tomorrow:%Y-%m-%d}")
        bounds = Bounds()
        if newest and not self.job.all_:
            depth = WINDOW_DEPTH if self.frontier.knows_articles() else bounds.deepest
            bounds = Bounds(_days_before(newest, self.job.days), depth)
        self.frontier.plan(bounds, self.rules)
        self.frontier.reopen("robots", self._may_fetch)
        self._commit()
        self._tick()

    def _found(
        self, links: Iterable[str], base: str, depth: int, listed: str | None = None
    ) -> None:
        """Add what a source or a page names, if it is a page of an edition."""
        found = []
        for link in links:
            url = clean_url(link, base, self.profile.scheme)
            edition = self.profile.edition_of(url) if url else None
            if url is None or edition is None or edition.ignores(url):
                continue
            article = edition.is_article(url)
            if not article and NO_PAGE.search(urlsplit(url).path):
                continue
            dated = listed or (url_date(url) if article else None)
            # What is listed and no article is taken only where no articles are known.
            far = WINDOW_DEPTH + 1 if listed and not article else depth
            found.append(Url(url, edition.host, article, far, listed, dated))
        self.frontier.add(found)

    # Pages.

    def _on_page(self, response: Response) -> None:
        url: Url = response.meta["row"]
        self.active[url.host] -= 1
        status = response.status
        if status in PASSING:
            self._failed(url, f"HTTP {status}", "", passing=True)
        elif 300 <= status < 400 and "Location" in response.headers:
            target = urljoin(response.url, _header(response, "Location"))
            self._failed(url, "redirect", target)
            self._found([target], response.url, url.depth, url.listed)
        elif status != 200:
            self._failed(url, f"HTTP {status}", "")
        elif not isinstance(response, HtmlResponse):
            self._failed(url, "not HTML", _header(response, "Content-Type"))
        else:
            self._keep(url, response)

    def _keep(self, url: Url, response: HtmlResponse) -> None:
        headers = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, values in response.headers.items()
            for value in values
        ]
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        record = response_record(url.url, 200, headers, response.body, now, url.listed)
        self.frontier.done(url, *self.store.append(record))
        del self.asked[url.id]
        if self.profile.links:
            date_of = url.dated or published(response.body) or self.frontier.bounds.start
            beyond = 0 if date_of >= self.frontier.bounds.start else BEYOND
            links = response.xpath('//a[not(contains(@rel, "nofollow"))]/@href').getall()
            self._found(links[:MAX_LINKS], get_base_url(response), url.depth + 1 + beyond)
        self.n["pages"] += 1
        self.n["articles"] += url.article
        if self.n["pages"] >= TRIAL_PAGES and not self.frontier.knows_articles():
            self.on_error(self._wrong_profile(url.url))
        self._n_uncommitted += 1
        if self._n_uncommitted >= COMMIT_PAGES:
            self._commit()

    def _wrong_profile(self, example: str) -> ProfileError:
        patterns = "; ".join(
            f"{', '.join(map(repr, e.articles))} of {e.host}" for e in self.profile.editions
        )
        return ProfileError(
            f"site {self.profile.name}: {TRIAL_PAGES} pages and no article by the patterns "
            f"{patterns}; such as {example} was seen; correct editions.articles"
        )

    def _on_loss(self, failure: Failure) -> None:
        """Take note of a request that got no answer."""
        request, error = cast("Any", failure).request, failure.value
        self.active[urlsplit(request.url).netloc] -= 1
        too_large = isinstance(error, (DownloadCancelledError, IgnoreRequest))
        is_late = isinstance(error, DownloadTimeoutError)
        reason = "too large" if too_large else "timeout" if is_late else "no answer"
        if "row" in request.meta:
            self._failed(request.meta["row"], reason, str(error), passing=not too_large)
        else:
            self.failed_sources.append((request.url, f"{reason}: {error}"))

    def _failed(self, url: Url, reason: str, value: str, *, passing: bool = False) -> None:
        self.asked.pop(url.id, None)
        if self.frontier.failed(url, reason, value, passing=passing):
            self.n["failed"] += 1
            self.n[f"failed: {reason}"] += 1

    # The run.

    def stop(self, why: str) -> None:
        """End the run in good order: what is in flight is waited for."""
        if not self.stopped:
            self.stopped = why
            deferred_from_coro(self.crawler.stop_async())

    def on_error(self, failure: Failure | Exception) -> None:
        """End the run at an error that no later answer can mend."""
        self.error = self.error or getattr(failure, "value", failure)
        self.stop("error")

    def _tick(self) -> None:
        if time.monotonic() - self._committed > COMMIT_SECONDS:
            self._commit()
        if not self.is_planned:
            self._report("sources", self.n["sources"], len(self.seen), 0.0)
            return
        waiting = Counter(self.frontier.waiting())
        waiting.update(url.host for url in self.asked.values())
        waiting.update({host: len(urls) for host, urls in self.taken.items()})
        n_done = self.n["pages"] + self.n["failed"]
        seconds = max((n * self.delays[host] for host, n in waiting.items()), default=0.0)
        self._report("pages", n_done, n_done + waiting.total(), seconds)

    def _commit(self) -> None:
        try:
            self.store.sync()
            self.frontier.commit()
        except sqlite3.OperationalError as error:
            raise StorageError(
                f"cannot write the frontier of {self.profile.name}: {error}"
            ) from error
        self.store.rotate()
        self._committed, self._n_uncommitted = time.monotonic(), 0


def _header(response: Response, name: str) -> str:
    return (response.headers.get(name) or b"").decode("latin-1")


def _days_before(moment: str, days: int) -> str:
    return (date.fromisoformat(moment[:10]) - timedelta(days=days)).isoformat()
