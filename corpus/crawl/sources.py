"""What sitemaps and feeds list, and which of a site's URLs are worth asking for.

All of it is hostile until parsed: sizes are bounded, entities are not expanded,
and nothing is fetched by the parser.
"""

from __future__ import annotations

import re
import zlib
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urljoin, urlsplit

from lxml import etree
from scrapy.utils.gz import gunzip

from corpus.crawl.frontier import WINDOW_DEPTH, Url
from corpus.dates import url_day
from corpus.errors import InputError
from corpus.markup import canonical_url
from corpus.warc import parse_date

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from corpus.sites import Profile

MAX_SOURCE_BYTES = 64_000_000
MAX_URL = 2_000  # characters
ENTRIES = {"url": False, "item": False, "entry": False, "sitemap": True}
DATES = ("publication_date", "lastmod", "pubDate", "published", "date", "updated")
NO_PAGE = re.compile(r"\.(?!html?$|php$|aspx?$|jsp$)[a-z][a-z0-9]{1,4}$", re.IGNORECASE)


class Listed(NamedTuple):
    """One entry of a sitemap or feed; its date is ISO 8601 in UTC."""

    url: str
    date: str | None
    is_sitemap: bool


def read_source(body: bytes) -> Iterator[Listed]:
    """Read a sitemap, a sitemap index, RSS or Atom, compressed or not.

    Raises:
        InputError: it is none of these, or larger than 64 MB.
    """
    if body.startswith(b"\x1f\x8b"):
        body = _unpack(body)
    n_entries = 0
    try:
        # Entities stay as they are, and libxml2 bounds depth and size of text.
        for _, element in etree.iterparse(
            BytesIO(body), resolve_entities=False, no_network=True, load_dtd=False
        ):
            name = _local(element)
            if name in ENTRIES:
                n_entries += 1
                yield from _entry(element, is_sitemap=ENTRIES[name])
                element.clear()
    except etree.XMLSyntaxError as error:
        # A feed that breaks off half-way is still worth its first half.
        if not n_entries:
            raise InputError(f"no XML of a sitemap or feed: {error}") from error


def _unpack(body: bytes) -> bytes:
    try:
        return gunzip(body, max_size=MAX_SOURCE_BYTES)
    except ValueError as error:
        raise InputError(f"more than {MAX_SOURCE_BYTES} bytes unpacked") from error
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"damaged gzip: {error}") from error


def _local(element: etree._Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _entry(element: etree._Element, *, is_sitemap: bool) -> Iterator[Listed]:
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
        yield Listed(url, next((dates[name] for name in DATES if name in dates), None), is_sitemap)


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
        clean = canonical_url(urljoin(base, url.strip()))
        parts = urlsplit(clean)
    except ValueError:  # brackets of a broken IPv6 address, characters no URL may hold
        return None
    is_page = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
    return parts._replace(scheme=scheme).geturl() if is_page and len(clean) <= MAX_URL else None


def wanted(
    profile: Profile, links: Iterable[str], base: str, depth: int, listed: str | None = None
) -> Iterator[Url]:
    """Choose from what a source or a page names the pages of the site's editions.

    Args:
        profile: the site.
        links: URLs as found.
        base: where they were found.
        depth: links between them and the nearest source.
        listed: the date that the source gives.
    """
    for link in links:
        url = clean_url(link, base, profile.scheme)
        edition = profile.edition_of(url) if url else None
        if url is None or edition is None or edition.ignores(url):
            continue
        article = edition.is_article(url)
        if not article and NO_PAGE.search(urlsplit(url).path):
            continue
        day = url_day(url) if article else None
        dated = listed or (day.isoformat() if day else None)
        # What is listed and no article is taken only where no articles are known.
        far = WINDOW_DEPTH + 1 if listed and not article else depth
        yield Url(url, edition.host, article, far, listed, dated)
