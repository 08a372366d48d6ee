"""One run over one site, as Scrapy's scheduler: what is asked for, and when is committed.

First the hosts' rules and sources are read; then the run is bounded and says what
there is to fetch; then pages are fetched, the editions in turn.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from scrapy import Request, Spider
from twisted.internet.task import LoopingCall

from corpus.crawl import CrawlResult
from corpus.crawl.frontier import MAX_IDLE
from corpus.crawl.hosts import Hosts
from corpus.crawl.pages import Pages
from corpus.crawl.sources import MAX_SOURCE_BYTES, Listed, wanted
from corpus.crawl.spider import loss
from corpus.crawl.urls import ASKED_DEPTH, WINDOW_DEPTH, Bounds
from corpus.errors import InputError, OfflineError
from corpus.warc import MAX_BODY

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from scrapy.crawler import Crawler
    from scrapy.http import Response
    from twisted.python.failure import Failure

    from corpus.crawl import Job
    from corpus.crawl.frontier import Frontier
    from corpus.crawl.spider import SiteSpider
    from corpus.crawl.urls import Url
    from corpus.crawl.warc import WarcStore

TAKE = 32  # URLs of one host that are in flight at most
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
        forgotten: Collection[str] = (),
    ) -> None:
        """Prepare a run; ``report`` takes phase, pages done, pages in all, seconds to go."""
        self.job, self.frontier, self.store, self._report = job, frontier, store, report
        self.result = CrawlResult(site=job.profile.name)
        self.hosts = Hosts(job, frontier, self.result, self._download)
        self.pages = Pages(job.profile, frontier, store, self.result, self.hosts.rights, forgotten)
        self.error: BaseException | None = None
        self.is_planned = False
        self._n_asked = 0  # pages
        self._taken: dict[str, deque[Url]] = {host: deque() for host in self.hosts.manners}
        self._waker: asyncio.TimerHandle | None = None
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
        self.frontier.start_run()
        self._ticker = LoopingCall(self._tick)
        self._ticker.start(COMMIT_SECONDS / 2, now=False).addErrback(self.on_error)

    def close(self, reason: str) -> None:
        """End the run; unless it failed, with all that was fetched committed."""
        if self._ticker.running:
            self._ticker.stop()
        self._wake_in(None)
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
        if self.result.stopped or self.frontier.is_done():
            return False
        return any(map(self._may_ask, self.frontier.left()))

    def next_request(self) -> Request | None:
        """Give the next page of a host that may be asked, the editions in turn."""
        if not self.is_planned:
            return None
        try:
            hosts, now = self.hosts.manners, self.job.now
            waits = []
            for host in sorted(hosts, key=lambda host: hosts[host].n_pages):
                if self._may_ask(host) and not hosts[host].n_calls:
                    wait = hosts[host].wait(now)
                    if wait <= 0 and (url := self._next_url(host)):
                        return self._request(url)
                    waits.append(wait)
            self._wake_in(min((wait for wait in waits if wait > 0), default=None))
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
        if self.job.urls:
            asked = (Listed(url, None, False) for url in self.job.urls)
            self.frontier.add(wanted(self.job.profile, asked, "", ASKED_DEPTH))
        else:
            await self.hosts.read_sources()
        tomorrow = f"{datetime.now(UTC) + timedelta(days=2):%Y-%m-%d}"  # time zones differ
        start = self.job.window_start([self.frontier.newest(tomorrow)])
        end = self.job.until.isoformat() if self.job.until else None
        deepest = WINDOW_DEPTH if start and self.frontier.knows_articles() else None
        if self.job.urls:
            start, deepest = "", ASKED_DEPTH
        self.frontier.reopen(self.hosts.may_fetch)
        self.frontier.plan(Bounds(start, end, deepest, list(self.hosts.rules)))
        self._commit()
        self.is_planned = True
        self._tick()

    async def _download(self, url: str) -> Response:
        request = Request(url, meta={"download_maxsize": MAX_SOURCE_BYTES})
        try:
            return await self.crawler.engine.download_async(request)
        except Exception as error:  # Twisted raises what it likes
            raise InputError(f"{loss(error)}: {error}") from error

    def _may_ask(self, host: str) -> bool:
        at_limit = self.job.limit is not None and self._n_asked >= self.job.limit
        return not at_limit and not self.hosts.manners[host].spent(self.job.now)

    def _wake_in(self, seconds: float | None) -> None:
        """Let Scrapy ask for a request then, in place of any time before; None for never."""
        if self._waker is not None:
            self._waker.cancel()
        self._waker = None
        if seconds is not None and seconds < math.inf:
            loop = asyncio.get_running_loop()
            self._waker = loop.call_later(seconds / self.job.speed, self._wake)

    def _wake(self) -> None:
        self._waker = None
        if self.crawler.engine.spider is not None:
            self.crawler.engine.crawl(Request("data:,"))  # which is refused, and Scrapy looks

    def _next_url(self, host: str) -> Url | None:
        """Take the next URL of a host; what it forbids, by now, fails."""
        taken = self._taken[host]
        while not self.result.stopped:
            if not taken:
                taken.extend(self.frontier.take(host, TAKE))
                self._commit()
            if not taken:
                break
            url = taken.popleft()
            if not self.hosts.may_fetch(url.url):
                self.pages.fail(url, "robots", "disallowed by robots.txt")
            elif self.pages.is_forgotten(url.url):
                self.pages.fail(url, "forgotten", "")
            elif url.idle > MAX_IDLE:
                self.pages.fail(url, "endless", f"{MAX_IDLE} pages in a row led to nothing new")
            else:
                return url
        return None

    def _request(self, url: Url) -> Request:
        host = self.hosts.manners[url.host]
        host.ask(self.job.now)
        host.n_pages += 1
        self._n_asked += 1
        known = {"If-None-Match": url.etag, "If-Modified-Since": url.modified}
        return Request(
            url.url,
            self._on_page,
            errback=self._on_loss,
            headers={name: value for name, value in known.items() if value},
            meta={"row": url},
            dont_filter=True,
        )

    def _on_page(self, response: Response) -> None:
        url: Url = response.meta["row"]
        self.hosts.answered(url.host, response)
        self.hosts.manners[url.host].n_bytes += len(response.body)
        self.pages.answer(url, response)
        if self.result.n_pages >= self._n_committed + COMMIT_PAGES:
            self._commit()

    def _on_loss(self, failure: Failure) -> None:
        url: Url = cast("Any", failure).request.meta["row"]
        reason = loss(failure.value)
        host = self.hosts.manners[url.host]
        self.hosts.answered(url.host)
        host.n_bytes += MAX_BODY if reason == "too large" else 0
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
        self.hosts.read_rules_again(self.job.now)
        left, hosts = self.frontier.left(), self.hosts.manners
        n_done = self.result.n_pages + self.result.n_failed
        n_known = n_left = sum(left.values())
        if self.job.limit is not None:
            n_left = max(0, min(n_left, self.job.limit - n_done))
        seconds = max((n * hosts[host].delay for host, n in left.items()), default=0.0)
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
        spent = {host: manners.spent(self.job.now) for host, manners in self.hosts.manners.items()}
        result.spent = [(host, bound) for host, bound in spent.items() if bound]
        if self.job.limit is not None and self._n_asked >= self.job.limit:
            self.stop("limit")
        self.stop("budget" if result.spent and result.n_waiting else "finished")

    def _commit(self) -> None:
        self.store.sync()
        self.frontier.commit()
        self.store.rotate()
        self._committed, self._n_committed = time.monotonic(), self.result.n_pages
