"""What a site says of itself: robots.txt, sitemaps, feeds; and its URLs.

All of it is hostile until parsed: sizes are bounded, entities are not expanded,
and nothing is fetched by the parser.
"""

from __future__ import annotations

import re
import zlib
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urljoin, urlsplit

from lxml import etree
from w3lib.url import canonicalize_url

from corpus.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_SOURCE_BYTES = 64_000_000
MAX_URL = 2_000  # characters
ENTRIES = {"url": False, "item": False, "entry": False, "sitemap": True}
DATES = ("publication_date", "lastmod", "pubDate", "published", "date", "updated")
URL_DATE = re.compile(r"/((?:19|20)\d\d)[/-]?(\d\d)[/-]?(\d\d)(?=[/-])")
PUBLISHED = re.compile(
    rb'(?:article:published_time"\s+content="|"datePublished"\s*:\s*")([0-9T:.+Z -]{10,35})"'
)


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
        unpacker = zlib.decompressobj(wbits=31)
        plain = unpacker.decompress(body, MAX_SOURCE_BYTES)
    except zlib.error as error:
        raise InputError(f"damaged gzip: {error}") from error
    if unpacker.unconsumed_tail:
        raise InputError(f"more than {MAX_SOURCE_BYTES} bytes unpacked")
    return plain


def _local(element: etree._Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _entry(element: etree._Element, *, is_sitemap: bool) -> Iterator[Listed]:
    url, dates = "", {}
    for child in element.iter():
        name, text = _local(child), (child.text or "").strip()
        if name == "loc" and not url:
            url = text
        elif name == "link" and child.get("rel", "alternate") == "alternate" and not url:
            url = text or child.get("href", "")
        elif name in DATES and name not in dates:
            dates[name] = utc(text)
    if url:
        date = next((dates[name] for name in DATES if dates.get(name)), None)
        yield Listed(url, date, is_sitemap)


def utc(text: str) -> str | None:
    """Read a date of ISO 8601 or RFC 822; give it in UTC to the second, or None."""
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = read(text.strip())
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        except (ValueError, TypeError, OverflowError, IndexError):
            continue
    return None


def url_date(url: str) -> str | None:
    """Find a date in a URL's path, such as /2026/03/02/."""
    match = URL_DATE.search(urlsplit(url).path)
    return utc("-".join(match.groups())) if match else None


def published(body: bytes) -> str | None:
    """Find the date that a page's head gives itself, without parsing it."""
    match = PUBLISHED.search(body[:300_000])
    return utc(match[1].decode()) if match else None


def clean_url(url: str, base: str, scheme: str) -> str | None:
    """Make a URL absolute and canonical; None where it is no page's address.

    Args:
        url: as found.
        base: the page or source that it was found in.
        scheme: the site's; http and https name the same page.
    """
    if len(url) > MAX_URL:
        return None
    try:
        parts = urlsplit(urljoin(base, url.strip()))
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            return None
        return str(canonicalize_url(parts._replace(scheme=scheme).geturl()))
    except ValueError:  # brackets of a broken IPv6 address, characters no URL may hold
        return None
