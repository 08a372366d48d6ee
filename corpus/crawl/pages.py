"""What becomes of each answer to a request for a page."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from scrapy.http import HtmlResponse
from scrapy.utils.response import get_base_url

from corpus.crawl.sources import Listed, clean_url, stamp, wanted
from corpus.crawl.spider import header
from corpus.crawl.warc import response_record
from corpus.dates import stated_day
from corpus.errors import ProfileError
from corpus.forgotten import id_of
from corpus.markup import article_url

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from scrapy.http import Response

    from corpus.crawl import CrawlResult
    from corpus.crawl.frontier import Frontier
    from corpus.crawl.urls import Url
    from corpus.crawl.warc import WarcStore
    from corpus.rights import HostRights
    from corpus.sites import Profile

TRIAL_PAGES = 50  # pages without an article after which a profile is wrong
BEYOND = 100  # added to the depth of what a page older than the window links to
MAX_LINKS = 5_000  # a page
PASSING = {408, 425, 429, 500, 502, 503, 504}


class Pages:
    """Stores pages, or the reasons why not, and adds what they link to."""

    def __init__(
        self,
        profile: Profile,
        frontier: Frontier,
        store: WarcStore,
        result: CrawlResult,
        rights: Mapping[str, HostRights],
        forgotten: Collection[str],
    ) -> None:
        """Take note of what comes in ``frontier`` and ``store``, and count it in ``result``.

        What has one of the ``forgotten`` ids, by its URL or its own word, is not kept.
        """
        self.profile, self.frontier, self.store = profile, frontier, store
        self.result, self.rights, self.forgotten = result, rights, forgotten

    def answer(self, url: Url, response: Response) -> None:
        """Keep a page, or the reason why it is none.

        Raises:
            ProfileError: 50 pages and no article by the patterns.
            StorageError: the disk is full.
        """
        status = response.status
        if status == 304 and (url.etag or url.modified):
            self.frontier.unchanged(url, _now())
            self.result.n_unchanged += 1
        elif 300 <= status < 400 and (place := header(response, "Location")):
            target = clean_url(place, response.url, self.profile.scheme)
            self.fail(url, "redirect", target or place)
            self._add(place, url, response, url.idle + 1)
        elif status != 200:
            self.fail(url, f"HTTP {status}", "", passing=status in PASSING)
        elif not isinstance(response, HtmlResponse):
            self.fail(url, "not HTML", header(response, "Content-Type"))
        elif self.is_forgotten(named := self._named(url, response)):
            self.fail(url, "forgotten", "")
        elif target := self._better(url, named):
            self.fail(url, "canonical", target)
            self._add(target, url, response, url.idle)
        else:
            self._keep(url, response)

    def fail(self, url: Url, reason: str, value: str, *, passing: bool = False) -> None:
        """Give a page up, or for a while where the reason may pass."""
        if self.frontier.failed(url, reason, value, passing=passing):
            self.result.n_failed += 1
            self.result.reasons[reason] = self.result.reasons.get(reason, 0) + 1

    def _keep(self, url: Url, response: HtmlResponse) -> None:
        headers = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, values in response.headers.items()
            for value in values
        ]
        now = _now()
        rights = self.rights[url.host].of(url.url)
        record = response_record(url.url, 200, headers, response.body, now, url.listed, rights)
        known_by = header(response, "ETag"), header(response, "Last-Modified")
        self.frontier.done(url, self.store.append(record), now, *known_by)
        if self.profile.links:
            self._follow(url, response)
        self.result.n_pages += 1
        self.result.n_articles += url.article
        if self.result.n_pages >= TRIAL_PAGES and not self.frontier.knows_articles():
            patterns = "; ".join(
                f"{', '.join(map(repr, e.articles))} of {e.host}" for e in self.profile.editions
            )
            raise ProfileError(
                f"site {self.profile.name}: {TRIAL_PAGES} pages and no article by the patterns "
                f"{patterns}; such as {url.url} was seen; correct editions.articles"
            )

    def is_forgotten(self, url: str) -> bool:
        """Tell whether an address is that of an article which must not come back."""
        return bool(self.forgotten) and id_of(url) in self.forgotten

    def _named(self, url: Url, response: HtmlResponse) -> str:
        """Give the address that a page names as its own: of an AMP page the article's."""
        try:
            return article_url(url.url, response.selector.root, self.profile)
        except Exception:  # a stranger's page must not end the run: a broken address, no tree
            return url.url

    def _better(self, url: Url, named: str) -> str | None:
        """Give a page's own address where it is another one that was not given up."""
        target = clean_url(named, url.url, self.profile.scheme)
        is_other = target is not None and target != url.url
        return target if is_other and not self.frontier.has_failed(str(target)) else None

    def _add(self, target: str, url: Url, response: Response, idle: int) -> None:
        """Add where a page says that it is, at the place of that page."""
        found = [Listed(target, url.listed, is_sitemap=False)]
        self.frontier.add(wanted(self.profile, found, response.url, url.depth, idle=idle))

    def _follow(self, url: Url, response: HtmlResponse) -> None:
        """Add what a page links to; what a page older than the window does is far away."""
        depth, start = url.depth + 1, self.frontier.bounds.start
        try:
            links = response.xpath('//a[not(contains(@rel, "nofollow"))]/@href').getall()
            day = stated_day(response.selector.root) if start and not url.dated else None
        except Exception:  # as above: Scrapy reads no page whose base is a broken address
            return
        depth += BEYOND if day and day.isoformat() < start else 0
        found = [Listed(link, None, is_sitemap=False) for link in links[:MAX_LINKS]]
        urls = list(wanted(self.profile, found, get_base_url(response), depth, shown=url.depth))
        # What the pages before it show as well is no reason to go on from here.
        articles = [found.url for found in urls if found.article]
        in_vain = not url.article and self.frontier.are_shown(articles, url.depth)
        self.frontier.add(found._replace(idle=url.idle + 1 if in_vain else 0) for found in urls)


def _now() -> str:
    return stamp(datetime.now(UTC))
