"""What Scrapy is told: settings, the spider, and where mapped hosts are reached.

Redirects, retries and robots are the frontier's affair and not Scrapy's, so that
each URL has one row that tells what became of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from scrapy import Request, Spider, signals
from scrapy.core.downloader.handlers.http11 import HTTP11DownloadHandler
from scrapy.exceptions import DownloadCancelledError, DownloadTimeoutError, IgnoreRequest

from corpus.warc import MAX_BODY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from scrapy.crawler import Crawler
    from scrapy.http import Response

    from corpus.crawl import Job
    from corpus.crawl.scheduler import Crawl


def settings(job: Job) -> dict[str, Any]:
    """Give the Scrapy settings of a run: without what we do ourselves."""
    handler = f"{__name__}.MappedHandler"
    return {
        "HOST_MAP": dict(job.host_map),
        "DOWNLOAD_HANDLERS": {"http": handler, "https": handler, "file": None, "ftp": None},
        "USER_AGENT": job.agent,
        # The scheduler gives a request only when its host may be asked.
        "DOWNLOAD_DELAY": 0.0,
        "CONCURRENT_REQUESTS": 32,
        "CONCURRENT_ITEMS": 1,  # there are none; Scrapy makes so many workers for each page
        "CONCURRENT_REQUESTS_PER_DOMAIN": 32,
        "DOWNLOAD_TIMEOUT": job.timeout,
        "DOWNLOAD_MAXSIZE": MAX_BODY,
        "HTTPERROR_ALLOW_ALL": True,
        "ROBOTSTXT_OBEY": False,  # Hosts does
        "REDIRECT_ENABLED": False,
        "METAREFRESH_ENABLED": False,
        "RETRY_ENABLED": False,
        "COOKIES_ENABLED": False,
        "TELNETCONSOLE_ENABLED": False,
        "LOG_ENABLED": False,
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
        got = await super().download_request(mapped)
        # `replace` would decode the body, of 100 MB perhaps, to find its encoding.
        return type(got)(request.url, got.status, got.headers, got.body)


class SiteSpider(Spider):
    """The one spider: it reads a site's sources; its scheduler then gives the pages."""

    name = "site"
    crawl: Crawl

    @classmethod
    def from_crawler(cls, crawler: Crawler, crawl: Crawl) -> SiteSpider:
        """Make the spider; an error in the crawl's own code ends the run."""
        spider: SiteSpider = super().from_crawler(crawler, crawl=crawl)
        crawler.signals.connect(crawl.on_error, signals.spider_error)
        return spider

    async def start(self) -> AsyncIterator[Request]:
        """Read the sources; no page is asked for before that is done."""
        await self.crawl.read_sources()
        nothing: list[Request] = []
        for request in nothing:
            yield request


def header(response: Response, name: str) -> str:
    """Read a header; "" where there is none."""
    return (response.headers.get(name) or b"").decode("latin-1")


def loss(error: BaseException | None) -> str:
    """Say in two words why no answer came."""
    if isinstance(error, (DownloadCancelledError, IgnoreRequest)):
        return "too large"
    return "timeout" if isinstance(error, DownloadTimeoutError) else "no answer"
