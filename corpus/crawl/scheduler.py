"""One run over one site, as Scrapy's scheduler: what is asked for, and when is committed.

First the hosts' rules and sources are read; then the run is bounded and says what
there is to fetch; then pages are fetched, the editions in turn.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from scrapy import Request, Spider
from twisted.internet.task import LoopingCall

from corpus.crawl import CrawlResult
from corpus.crawl.frontier import WINDOW_DEPTH, Bounds
from corpus.crawl.hosts import Hosts
from corpus.crawl.pages import Pages
from corpus.crawl.sources import MAX_SOURCE_BYTES
from corpus.crawl.spider import loss
from corpus.errors import InputError, OfflineError

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrapy.crawler import Crawler
    from scrapy.http import Response
    from twisted.python.failure import Failure

    from corpus.crawl import Job
    from corpus.crawl.frontier import Frontier, Url
    from corpus.crawl.spider import SiteSpider
    from corpus.crawl.warc import WarcStore

TAKE = 16  # URLs of one host that are in flight at most
COMMIT_PAGES, COMMIT_SECONDS = 50, 1.0


class Crawl:
    """One run over one site."""

    crawler: Crawler

    def __init__(
        self,
        job: Job,
        frontier: Frontier,
        store: WarcStore,
        report: Callable[[str, int, int, float], None],
    ) -> None:
        """Prepare a run; ``report`` takes phase, pages done, pages in all, seconds to go."""
        self.job, self.frontier, self.store, self._report = job, frontier, store, report
        self.result = CrawlResult(site=job.profile.name)
        self.hosts = Hosts(job, frontier, self._get)
        self.pages = Pages(job.profile, frontier, store, self.result)
        self.error: BaseException | None = None
        self.is_planned = False
        self._asked: Counter[str] = Counter()  # pages by host
        self._active: Counter[str] = Counter()  # of them, those without an answer
        self._taken: dict[str, deque[Url]] = {host: deque() for host in self.hosts.delays}
        self._began = self._committed = time.monotonic()
        self._n_committed = 0

    # What Scrapy calls.

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Crawl:
        """Find the crawl that the spider was made with."""
        crawl = cast("SiteSpider", crawler.spider).crawl
        crawl.crawler = crawler
        return crawl

    def open(self, spider: Spider) -> None:
        """Begin."""
        self._room = self.crawler.settings.getint("CONCURRENT_REQUESTS_PER_DOMAIN")
        self.frontier.start_run()
        self._ticker = LoopingCall(self._tick)
        self._ticker.start(COMMIT_SECONDS / 2, now=False).addErrback(self.on_error)

    def close(self, reason: str) -> None:
        """End the run; unless it failed, with all that was fetched committed."""
        if self._ticker.running:
            self._ticker.stop()
        try:
            if self.error is None:
                self._finish()
        except Exception as error:  # Scrapy would go on
            self.on_error(error)

    def enqueue_request(self, request: Request) -> bool:
        """Refuse: all requests come from the frontier."""
        return False

    def has_pending_requests(self) -> bool:
        """Tell whether there is more to come."""
        return not self.result.stopped and any(map(self._may_ask, self.frontier.left()))

    def next_request(self) -> Request | None:
        """Give the next page of a host that has room, the editions in turn."""
        if not self.is_planned:
            return None
        try:
            for host in sorted(self._taken, key=lambda host: self._asked[host]):
                has_room = self._may_ask(host) and self._active[host] < self._room
                if has_room and (url := self._next_url(host)):
                    return self._request(url)
        except Exception as error:  # Scrapy would ask again for ever
            self.on_error(error)
        return None

    def on_error(self, failure: Failure | Exception) -> None:
        """End the run at an error that no later answer can mend."""
        self.error = self.error or getattr(failure, "value", failure)
        self.stop("error")

    def stop(self, why: str) -> None:
        """End the run in good order: what is in flight is waited for. Any thread may ask."""
        self.result.stopped = self.result.stopped or why

    # What to ask for.

    async def read_sources(self) -> None:
        """Read what the hosts allow and list; then bound the run."""
        await self.hosts.read_rules()
        if not self.hosts.rules and not self.result.stopped:
            url, reason = self.hosts.failed[0]
            raise OfflineError(f"cannot reach {url} ({reason}); is the network up?")
        for host, delay in self.hosts.delays.items():
            if delay > self.job.delay:
                self._slow_down(host, delay)
        await self.hosts.read_sources()
        tomorrow = f"{datetime.now(UTC) + timedelta(days=2):%Y-%m-%d}"  # time zones differ
        start = self.job.window_start([self.frontier.newest(tomorrow)])
        deepest = WINDOW_DEPTH if start and self.frontier.knows_articles() else None
        self.frontier.reopen(self.hosts.may_fetch)
        self.frontier.plan(Bounds(start, deepest, list(self.hosts.rules)))
        self._commit()
        self.is_planned = True
        self._tick()

    async def _get(self, url: str) -> Response:
        if self.result.stopped:
            raise InputError("not asked for: the run was stopped")
        meta = self._meta(urlsplit(url).netloc, download_maxsize=MAX_SOURCE_BYTES)
        request = Request(url, meta=meta)
        try:
            return await self.crawler.engine.download_async(request)
        except Exception as error:  # Twisted raises what it likes
            raise InputError(f"{loss(error)}: {error}") from error

    def _slow_down(self, host: str, delay: float) -> None:
        """Let Scrapy keep a Crawl-delay, now and when it makes the host's slot anew."""
        downloader, name = self.crawler.engine.downloader, host.partition(":")[0]
        downloader.per_slot_settings[name] = {"delay": delay, "concurrency": 1}
        if slot := downloader.slots.get(name):
            slot.delay, slot.concurrency = delay, 1

    def _may_ask(self, host: str) -> bool:
        limit, sample = self.job.limit, self.job.sample
        return (limit is None or self._asked.total() < limit) and (
            sample is None or self._asked[host] < sample
        )

    def _next_url(self, host: str) -> Url | None:
        taken = self._taken[host]
        while not self.result.stopped and not taken and (urls := self.frontier.take(host, TAKE)):
            for url in urls:
                if self.hosts.may_fetch(url.url):
                    taken.append(url)
                else:
                    self.pages.fail(url, "robots", "disallowed by robots.txt")
            self._commit()
        return None if self.result.stopped or not taken else taken.popleft()

    def _request(self, url: Url) -> Request:
        self._asked[url.host] += 1
        self._active[url.host] += 1
        meta = self._meta(url.host, row=url)
        return Request(url.url, self._on_page, errback=self._on_loss, meta=meta, dont_filter=True)

    def _meta(self, host: str, **meta: object) -> dict[str, object]:
        # AutoThrottle would go below a Crawl-delay.
        is_slowed = self.hosts.delays[host] > self.job.delay
        return meta | {"autothrottle_dont_adjust_delay": is_slowed}

    def _on_page(self, response: Response) -> None:
        url: Url = response.meta["row"]
        self._active[url.host] -= 1
        self.pages.answer(url, response)
        if self.result.n_pages >= self._n_committed + COMMIT_PAGES:
            self._commit()

    def _on_loss(self, failure: Failure) -> None:
        url: Url = cast("Any", failure).request.meta["row"]
        self._active[url.host] -= 1
        reason = loss(failure.value)
        self.pages.fail(url, reason, str(failure.value), passing=reason != "too large")

    # The clock.

    def _tick(self) -> None:
        """Commit and report, twice a second."""
        now = time.monotonic()
        if now - self._committed > COMMIT_SECONDS:
            self._commit()
        if self.job.seconds is not None and now - self._began > self.job.seconds:
            self.stop("time")
        if not self.is_planned:
            self._report("sources", self.hosts.n_read, len(self.hosts.seen), 0.0)
            return
        left = self.frontier.left()
        n_done = self.result.n_pages + self.result.n_failed
        n_known = n_left = sum(left.values())
        if self.job.limit is not None:
            n_left = max(0, min(n_left, self.job.limit - n_done))
        seconds = max((n * self.hosts.delays[host] for host, n in left.items()), default=0.0)
        self._report("pages", n_done, n_done + n_left, seconds * n_left / max(n_known, 1))

    def _finish(self) -> None:
        self.frontier.put_back()
        self._commit()
        self.store.rotate(force=True)
        self._tick()
        result = self.result
        result.n_sources, result.failed_sources = self.hosts.n_read, self.hosts.failed
        states = self.frontier.states()
        result.n_waiting, result.n_later = states.get("waiting", 0), states.get("later", 0)
        at_limit = self.job.limit is not None and self._asked.total() >= self.job.limit
        self.stop("limit" if at_limit else "finished")

    def _commit(self) -> None:
        self.store.sync()
        self.frontier.commit()
        self.store.rotate()
        self._committed, self._n_committed = time.monotonic(), self.result.n_pages
