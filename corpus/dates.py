"""When an article was published: a vote of all sources that know a day."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from htmldate import find_date

from corpus.markup import clean, first_text, linked_data, main_article, meta
from corpus.warc import parse_date

if TYPE_CHECKING:
    from collections.abc import Iterator

    from corpus.markup import Tree
    from corpus.warc import Page

META_DATES = (
    *("article:published_time", "og:published_time", "datepublished", "date", "dc.date"),
    *("dc.date.issued", "dcterms.date", "dcterms.created", "dcterms.issued", "pubdate"),
    *("parsely-pub-date", "sailthru.date", "publish-date", "publication_date"),
    *("article.published", "cxenseparse:recs:publishtime"),
)
URL_DATE = re.compile(r"(?<!\d)((?:19|20)\d\d)[/_-]?([01]\d)[/_-]?([0-3]\d)(?!\d)")
DATED = re.compile(r"(?<!up)date(?!d?r)|publi[sc]|datum|(?<![a-z])time(?![a-z])", re.IGNORECASE)
N_SHOWN = 5  # elements after the headline that may hold the date
MAX_SHOWN = 200  # characters
ZONE = re.compile(r"\s+(?=[+-]\d\d:?\d\d$)|\[[\w/]+\]$")  # a blank before it, its name after
ISO_DAY = re.compile(r"\d{4}-\d\d-\d\d(?=\D)")
DIGITS = re.compile(r"\d")
FIRST_DAY = date(1995, 1, 1)
FAR = datetime(2100, 1, 1, tzinfo=UTC)


def published(
    page: Page, tree: Tree, data: dict[str, Any], lang: str, hint: str = ""
) -> tuple[datetime | None, str | None, int]:
    """Date an article by the day that most sources give; the first of them gives the time.

    JSON-LD, meta tags, the sitemap or feed, and the URL vote; where no day has two
    votes or no rival, so does what is shown near the headline, and where the page's
    head states none, the text (by htmldate, which is slow and reads the head too).
    Where all is even, the sources' order decides. What a profile's own selector chose,
    the hint, needs no majority.

    Returns:
        The date in UTC, the source's name, and how many sources gave that day, in
        the zone of the first.
    """
    fetched = page.fetched or FAR
    every = [("profile", read_hint(hint, lang)), *_stated(tree, data)]
    every += [("listed", page.listed), ("url", url_day(page.url))]
    found = [(name, day) for name, day in every if day and _is_possible(day, fetched)]
    best = _elect(found)
    if len({name for name, _ in found}) != 1 and (best is None or best[2] < 2):
        more = [("shown", _shown(tree, lang))]
        if not {"json-ld", "meta"} & {name for name, _ in found}:
            guess = find_date(tree, original_date=True, max_date=fetched.strftime("%Y-%m-%d"))
            more += [("text", _read_date(guess or ""))]
        found += [(name, day) for name, day in more if day and _is_possible(day, fetched)]
        best = _elect(found)
    if best is None:
        return None, None, 0
    source, first, n_votes = best
    return _moment(first).astimezone(UTC), source, n_votes


def _elect(
    found: list[tuple[str, datetime | date]],
) -> tuple[str, datetime | date, int] | None:
    """Choose the first of those with most votes: source, date, number of sources."""
    votes = [
        (source, day, len({name for name, other in found if _day(other, day) == _day(day, day)}))
        for source, day in found
    ]
    return max(votes, key=lambda vote: (vote[0] == "profile", vote[2]), default=None)


def read_hint(text: str, lang: str) -> datetime | date | None:
    """Read a date as it is shown on a page, as people of a language write it."""
    if (day := _read_date(text)) or not DIGITS.search(text):
        return day
    import dateparser  # type: ignore[import-untyped]  # slow, and few profiles need it

    settings: Any = {"REQUIRE_PARTS": ["day", "month", "year"], "PARSERS": ["absolute-time"]}
    settings |= {} if lang == "en" else {"DATE_ORDER": "DMY"}
    try:
        found = dateparser.parse(text.strip(), languages=[lang], settings=settings)
    except ValueError:  # a language that it does not know
        return None
    return found.replace(tzinfo=found.tzinfo or UTC) if found else None


def _shown(tree: Tree, lang: str) -> datetime | date | None:
    """Read the first date that stands near the first headline, in an element for it.

    What its mark-up calls the date of publication comes before what follows the headline.
    """
    after = (node for h1 in islice(tree.iter("h1"), 1) for node in h1.xpath("following::*"))
    dated = (n for n in after if n.tag == "time" or DATED.search(n.get("class", "")))
    for node in (*tree.xpath('//*[@itemprop="datePublished"]'), *islice(dated, N_SHOWN)):
        texts = (node.get("datetime"), node.get("content"), clean(node.text_content()))
        for text in filter(None, texts):
            if day := read_hint(text[:MAX_SHOWN], lang):
                return day
    return None


def stated_day(tree: Tree) -> date | None:
    """Give the first day that a page's head states, as it stands there."""
    found = next(
        (day for _, day in _stated(tree, main_article(tree, linked_data(tree))) if day), None
    )
    return found.date() if isinstance(found, datetime) else found


def url_day(url: str) -> date | None:
    """Find a date in a URL's path, such as /2026/03/02/."""
    match = URL_DATE.search(urlsplit(url).path)
    try:
        return date.fromisoformat("-".join(match.groups())) if match else None
    except ValueError:
        return None


def _stated(tree: Tree, data: dict[str, Any]) -> Iterator[tuple[str, datetime | date | None]]:
    yield "json-ld", _read_date(first_text(data.get("datePublished")))
    for text in meta(tree, META_DATES):
        yield "meta", _read_date(text)


def _read_date(text: str) -> datetime | date | None:
    """Read a date as it is written: with its own zone, or as a day."""
    text = ZONE.sub("", text.strip())
    for read in (date.fromisoformat, datetime.fromisoformat, parse_date, _leading_day):
        with suppress(ValueError):
            found: datetime | date | None = read(text)
            if isinstance(found, datetime) and not found.tzinfo:
                return found.replace(tzinfo=UTC)
            if found:
                return found
    return None


def _leading_day(text: str) -> date | None:
    match = ISO_DAY.match(text)
    return date.fromisoformat(match[0]) if match else None


def _moment(day: datetime | date) -> datetime:
    return day if isinstance(day, datetime) else datetime.combine(day, time(), UTC)


def _day(day: datetime | date, like: datetime | date) -> date:
    """Give the day, in the zone of another date."""
    if isinstance(day, datetime):
        zone = like.tzinfo if isinstance(like, datetime) else None
        return day.astimezone(zone).date() if zone else day.date()
    return day


def _is_possible(day: datetime | date, fetched: datetime) -> bool:
    """Refuse dates before the web's news and after the fetch (zones apart)."""
    try:
        moment = _moment(day).astimezone(UTC)
    except OverflowError:
        return False
    return moment.date() >= FIRST_DAY and moment <= fetched + timedelta(days=1)
