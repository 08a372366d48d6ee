"""The newsroom renderer: an honest news site from any aligned documents.

Eight documents a day; each edition publishes its version of a document on that
day, the day before or the day after; two to five lines make a paragraph; every
page carries the furniture of its edition's template and teasers of other articles.
The same documents, profile and seed give the same bytes.
"""

from __future__ import annotations

import gzip
import json
import random
import re
import unicodedata
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import combinations, groupby
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from jinja2 import Environment, PackageLoader

from corpus.errors import InputError
from corpus.sample.server import Page
from corpus.sites import Edition, Profile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from corpus.sample.documents import Document

DOCUMENTS_A_DAY = 8
PARAGRAPH_LINES = (2, 5)
N_TEASERS = 6
N_FRONT = 24
N_FEED = 20
SECTIONS = ("national", "world", "culture", "sport")
# The forms of article paths that this renderer can give; the first that fits an
# edition's patterns is taken.
PATHS = (
    "{section}/a/{number}.html",
    "{day:%Y/%m/%d}/{slug}-{number}/",
    "{section}/{slug}-{number}.html",
    "{section}/{slug}-{number}",
)
END = re.compile(r"""[.!?…।॥:;]["'“”’»)\]\s]*$""")
# Languages with much text, the most first: the target side of a pair.
HIGH_RESOURCE = ("en", "fr", "de", "es", "ru", "zh", "pt", "it", "nl")


@dataclass(frozen=True, slots=True)
class Article:
    """One language's version of a document, as published.

    Attributes:
        doc: the document's name.
        lines: n → text, the headline first: the gold for scoring by lines.
    """

    doc: str
    lang: str
    url: str
    section: str
    published: datetime
    lines: Mapping[int, str]
    paragraphs: Sequence[str]
    invented: bool

    @property
    def title(self) -> str:
        """The headline."""
        return next(iter(self.lines.values()))

    @property
    def teaser(self) -> str:
        """The first line after the headline."""
        return next(iter(list(self.lines.values())[1:]), "")

    @property
    def path(self) -> str:
        """The URL's path."""
        return urlsplit(self.url).path


@dataclass(slots=True)
class Newsroom:
    """A rendered site.

    Attributes:
        pages: (host, path) → page: all that a server needs.
        gold: (document, language) → article: what a pipeline shall find.
    """

    profile: Profile
    pages: dict[tuple[str, str], Page] = field(default_factory=dict)
    gold: dict[tuple[str, str], Article] = field(default_factory=dict)


def newsroom_profile(languages: Sequence[str]) -> Profile:
    """Make a profile for a newsroom of any languages: a host each, every pair of two.

    Args:
        languages: codes; a pair has the language with less text first, and
            otherwise the order given.
    """
    rank = {lang: n for n, lang in enumerate(HIGH_RESOURCE)}
    ordered = sorted(languages, key=lambda lang: -rank.get(lang, len(rank)))
    return Profile(
        name="newsroom",
        title="Newsroom",
        licence="unknown",
        scheme="http",
        delay=0.0,
        pairs=[f"{src}-{tgt}" for src, tgt in combinations(ordered, 2)],
        editions=[
            Edition(lang=lang, host=f"{lang.lower()}.newsroom.example", articles=[r"/a/\d+\.html$"])
            for lang in languages
        ],
    )


def render(
    documents: Sequence[Document],
    profile: Profile,
    *,
    seed: int = 0,
    first_day: date = date(2026, 3, 2),
) -> Newsroom:
    """Render documents as the site that a profile describes.

    Args:
        documents: in order of publication; languages without an edition are left out.
        profile: whose hosts, patterns and feeds the site shall have.
        seed: decides dates, paragraphs and teasers.
        first_day: the day of the first eight documents.

    Raises:
        InputError: an edition's patterns fit no form of path that is known here.
    """
    newsroom = Newsroom(profile)
    for edition in profile.editions:
        articles = [
            _article(document, edition, profile, n, seed, first_day)
            for n, document in enumerate(documents)
            if edition.lang in document.lines
        ]
        newsroom.gold.update({(a.doc, a.lang): a for a in articles})
        articles.sort(key=lambda a: (a.published, a.url), reverse=True)
        newsroom.pages.update(_edition_pages(articles, edition, profile, seed))
    return newsroom


def _article(
    document: Document,
    edition: Edition,
    profile: Profile,
    n: int,
    seed: int,
    first_day: date,
) -> Article:
    draw = random.Random(f"{seed}:{document.name}:{edition.lang}")  # noqa: S311 - no secret
    day = first_day + timedelta(days=n // DOCUMENTS_A_DAY + draw.randint(-1, 1))
    lines = document.lines[edition.lang]
    # All editions file a document under one section, as a desk does.
    section = random.Random(f"{seed}:{document.name}").choice(SECTIONS)  # noqa: S311
    title = next(iter(lines.values()))
    number = 2_000_000 + n * len(profile.editions) + profile.editions.index(edition)
    return Article(
        doc=document.name,
        lang=edition.lang,
        url=_url(edition, profile, day, section, title, number),
        section=section,
        published=datetime.combine(day, time(draw.randint(5, 20), draw.randint(0, 59)), UTC),
        lines=lines,
        paragraphs=_paragraphs(list(lines.values())[1:], draw),
        invented=document.invented,
    )


def _url(
    edition: Edition, profile: Profile, day: date, section: str, title: str, number: int
) -> str:
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    slug = "-".join(re.findall(r"[a-z0-9]+", plain)[:7]) or "news"
    base = f"{profile.scheme}://{edition.host}{edition.path}"
    for form in PATHS:
        path = form.format(section=section, day=day, slug=slug, number=number)
        if edition.is_article(url := urljoin(base, path)):
            return url
    raise InputError(
        f"site {profile.name}: no known form of path fits {edition.articles} of {edition.host}; "
        f"known are {', '.join(PATHS)}"
    )


def _paragraphs(lines: Iterable[str], draw: random.Random) -> list[str]:
    """Join lines; one without a final mark (a subheading) ends its paragraph."""
    paragraphs: list[list[str]] = []
    size = 0
    for line in lines:
        if size == 0:
            paragraphs.append([])
            size = draw.randint(*PARAGRAPH_LINES)
        paragraphs[-1].append(line)
        size = size - 1 if END.search(line) else 0
    return [" ".join(paragraph) for paragraph in paragraphs]


def _edition_pages(
    articles: Sequence[Article], edition: Edition, profile: Profile, seed: int
) -> dict[tuple[str, str], Page]:
    environment = Environment(
        loader=PackageLoader("corpus.sample"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.select_template([f"{edition.lang}.html", "en.html"])

    def teasers(article: Article) -> list[Article]:
        others = [a for a in articles if a is not article]
        draw = random.Random(f"{seed}:{article.url}")  # noqa: S311
        return draw.sample(others, min(N_TEASERS, len(others)))

    look = {
        "edition": edition,
        "sections": SECTIONS,
        "invented": any(a.invented for a in articles),
        "latest": articles[:N_TEASERS],
    }
    pages = {
        a.path: template.render(look, article=a, data=_json_ld(a), teasers=teasers(a))
        for a in articles
    }
    pages[edition.path] = template.render(look, listed=articles[:N_FRONT], section=None)
    for section in SECTIONS:
        listed = [a for a in articles if a.section == section]
        pages[f"{edition.path}{section}/"] = template.render(look, listed=listed, section=section)
    found = {path: Page(html.encode()) for path, html in pages.items()}
    found |= _sources(articles, edition, f"{profile.scheme}://{edition.host}", environment)
    return {(edition.host, path): page for path, page in found.items()}


def _json_ld(article: Article) -> str:
    data = {
        "@context": "https://schema.org",
        "@type": "NewsArticle",
        "headline": article.title,
        "description": article.teaser,
        "inLanguage": article.lang,
        "datePublished": article.published.isoformat(),
        "dateModified": (article.published + timedelta(minutes=20)).isoformat(),
        "mainEntityOfPage": article.url,
    }
    return json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")


def _sources(
    articles: Sequence[Article], edition: Edition, base: str, environment: Environment
) -> dict[str, Page]:
    """Make robots.txt, a sitemap index with a compressed sitemap a month, and the feeds."""

    def xml(name: str, **values: object) -> bytes:
        return environment.get_template(name).render(base=base, **values).encode()

    sitemap = urlsplit(next(iter(edition.sitemaps), "/sitemap.xml")).path
    parts = {
        f"/sitemaps/{edition.lang}-{month}.xml.gz": list(listed)
        for month, listed in groupby(articles, lambda a: f"{a.published:%Y-%m}")
    }
    robots = f"User-agent: *\nDisallow: /search\nSitemap: {base}{sitemap}\n"
    pages = {
        "/favicon.ico": Page(xml("icon.xml"), "image/svg+xml"),
        "/robots.txt": Page(robots.encode(), "text/plain"),
        sitemap: Page(xml("sitemaps.xml", parts=parts), "application/xml"),
    }
    for path, listed in parts.items():
        packed = gzip.compress(xml("sitemap.xml", listed=listed), mtime=0)
        pages[path] = Page(packed, "application/gzip")
    for feed in edition.feeds or ["/rss.xml"]:
        body = xml("feed.xml", listed=articles[:N_FEED])
        pages[urlsplit(feed).path] = Page(body, "application/rss+xml")
    return pages
