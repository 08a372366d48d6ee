"""What sitemaps and feeds list, and which of a site's URLs are worth asking for.

All of it is hostile until parsed: sizes are bounded, entities are not expanded,
and nothing is fetched by the parser.
"""

from __future__ import annotations

import re
import zlib
from functools import lru_cache
from gzip import GzipFile
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urljoin, urlsplit

from lxml import etree

from corpus.crawl.urls import WINDOW_DEPTH, Url
from corpus.dates import url_day
from corpus.errors import InputError
from corpus.markup import canonical_url
from corpus.warc import parse_date

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from corpus.sites import Profile

MAX_SOURCE_BYTES = 128_000_000  # as sent, and unpacked
MAX_URL = 2_000  # characters
ENTRIES = ("url", "item", "entry", "sitemap")
DATES = ("publication_date", "lastmod", "pubDate", "published", "date", "updated")
CHANGES = ("lastmod", "updated")
NO_PAGE = re.compile(r"\.(?!html?$|php$|aspx?$|jsp$)[a-z][a-z0-9]{1,4}$", re.IGNORECASE)


class Listed(NamedTuple):
    """One entry of a sitemap or feed; its dates are ISO 8601 in UTC."""

    url: str
    date: str | None
    is_sitemap: bool
    changed: str | None = None


class _Body:
    """A source's bytes, unpacked as they are read, within the bound."""

    def __init__(self, body: bytes) -> None:
        self._file = GzipFile(fileobj=BytesIO(body)) if body[:2] == b"\x1f\x8b" else BytesIO(body)
        self._n = 0

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self._n += len(data)
        if self._n > MAX_SOURCE_BYTES:
            raise InputError(f"more than {MAX_SOURCE_BYTES} bytes unpacked")
        return data


def read_source(body: bytes) -> Iterator[Listed]:
    """Read a sitemap, a sitemap index, RSS or Atom, compressed or not, entry by entry.

    Raises:
        InputError: it is none of these, or larger than 128 MB.
    """
    n_entries = 0
    try:
        # Entities stay as they are, and libxml2 bounds depth and size of text.
        for _, element in etree.iterparse(
            _Body(body),
            tag=[f"{{*}}{name}" for name in ENTRIES],
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
        ):
            n_entries += 1
            yield from _entry(element)
            element.clear()
            while element.getprevious() is not None:  # what is read would stay in the tree
                del element.getparent()[0]
    except (etree.XMLSyntaxError, OSError, EOFError, zlib.error) as error:
        # A feed that breaks off half-way is still worth its first half.
        if not n_entries:
            raise InputError(f"no XML of a sitemap or feed: {error}") from error


def _local(element: etree._Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _entry(element: etree._Element) -> Iterator[Listed]:
    url = ""
    dates: dict[str, str] = {}
    for child in element.iter():
        name, text = _local(child), (child.text or "").strip()
        if name == "loc" and not url:
            url = text
        elif name == "link" and child.get("rel", "alternate") == "alternate" and not url:
            url = text or child.get("href", "")
        elif name in DATES and (moment := parse_date(text)):
            dates.setdefault(name, stamp(moment))
    if url:
        date, changed = (
            next((dates[name] for name in names if name in dates), None)
            for names in (DATES, CHANGES)
        )
        yield Listed(url, date, _local(element) == "sitemap", changed)


def stamp(moment: datetime) -> str:
    """Write a moment in UTC as the frontier and WARC do."""
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def clean_url(url: str, base: str, scheme: str) -> str | None:
    """Make a URL absolute and canonical; None where it is no page's address.

    Args:
        url: as found.
        base: the page or source that it was found in.
        scheme: the site's; http and https name the same page.
    """
    try:
        return _clean(urljoin(base, url.strip()), scheme)
    except ValueError:  # brackets of a broken IPv6 address, characters no URL may hold
        return None


@lru_cache(5_000)  # every page of a site has the same menus
def _clean(url: str, scheme: str) -> str | None:
    clean = canonical_url(url)
    parts = urlsplit(clean)
    is_page = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
    return parts._replace(scheme=scheme).geturl() if is_page and len(clean) <= MAX_URL else None


def wanted(
    profile: Profile,
    found: Iterable[Listed],
    base: str,
    depth: int,
    *,
    idle: int = 0,
    shown: int | None = None,
) -> Iterator[Url]:
    """Choose from what a source or a page names the pages of the site's editions.

    Args:
        profile: the site.
        found: URLs as found.
        base: where they were found.
        depth: links between them and the nearest source.
        idle: how many pages on the way to them were in vain, up to here.
        shown: the depth of the page that links to them.
    """
    for entry in found:
        url = clean_url(entry.url, base, profile.scheme)
        edition = profile.edition_of(url) if url else None
        if url is None or edition is None or edition.ignores(url):
            continue
        article = edition.is_article(url)
        if not article and NO_PAGE.search(urlsplit(url).path):
            continue
        day = url_day(url) if article else None
        dated = entry.date or (day.isoformat() if day else None)
        # What is listed and no article is taken only where no articles are known.
        far = WINDOW_DEPTH + 1 if entry.date and not article else depth
        yield Url(url, edition.host, article, far, entry.date, dated, idle, shown, entry.changed)
