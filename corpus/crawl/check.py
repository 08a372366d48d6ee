"""What a profile understands of a site: its sources, its URLs, a few of its pages."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from scrapy.http import HtmlResponse
from trafilatura import load_html

from corpus.crawl import Job, run
from corpus.crawl.frontier import Frontier
from corpus.engine import Pool
from corpus.errors import InputError
from corpus.extract import extract_page
from corpus.warc import Page, read_records
from corpus.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from corpus.engine import Lost
    from corpus.extract import Reject
    from corpus.sites import Edition, Profile

N_PAGES = 3  # an edition
BOUNDS = {"sample": N_PAGES, "seconds": 45.0}  # of a live check


@dataclass(slots=True)
class EditionCheck:
    """What was understood of one edition.

    Attributes:
        n_listed: URLs seen, in sources and on pages; ``n_articles`` by the patterns.
        others: the URLs that are no articles by the patterns.
        titles: article URL → title, of the pages that were looked at.
        failed: (URL, reason), sources among them.
        fields: what extraction takes of the same pages, or why it takes none.
        selectors: field → on how many of these pages its selector found something.
    """

    lang: str
    host: str
    n_listed: int = 0
    n_articles: int = 0
    others: list[str] = field(default_factory=list)
    titles: dict[str, str] = field(default_factory=dict)
    failed: list[tuple[str, str]] = field(default_factory=list)
    fields: list[dict[str, str]] = field(default_factory=list)
    selectors: dict[str, int] = field(default_factory=dict)

    @property
    def is_understood(self) -> bool:
        """Whether articles were found, and titles where pages were looked at."""
        return self.n_articles > 0 and all(self.titles.values())

    @property
    def drift(self) -> str:
        """What no page gives any more, where pages were looked at; empty if all is well."""
        if self.fields and not any("text" in row for row in self.fields):
            return "no page that was looked at gives an article"
        dead = [name for name, n in self.selectors.items() if self.fields and not n]
        return f"select finds nothing on any page: {', '.join(dead)}" if dead else ""


def check_profile(
    profile: Profile,
    *,
    live: bool = False,
    pages_dir: Path | None = None,
    contact: str = "",
    host_map: Mapping[str, str] | None = None,
) -> list[EditionCheck]:
    """Tell what a profile understands of its site, by edition.

    Args:
        profile: the profile; that it is valid is known already.
        live: read the site's sources and up to three articles an edition, in
            under a minute.
        pages_dir: look at the pages of a crawl instead.
        contact: for the User-Agent of a live check.
        host_map: as for `crawl`.

    Raises:
        InputError: ``pages_dir`` is no crawl's folder.
    """
    checks = {(e.host, e.path): EditionCheck(e.lang, e.host) for e in profile.editions}
    if pages_dir is not None:
        _look(pages_dir, profile, checks)
    elif live:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            job = Job(root=root, contact=contact, profile=profile, host_map=host_map or {})
            failed = run(job.model_copy(update=BOUNDS)).failed_sources
            _look(Workspace(root).site_pages(profile.name), profile, checks)
        for check in checks.values():
            check.failed += [(u, why) for u, why in failed if urlsplit(u).netloc == check.host]
    return list(checks.values())


def _look(folder: Path, profile: Profile, checks: Mapping[tuple[str, str], EditionCheck]) -> None:
    try:
        with closing(Frontier(folder / "frontier.sqlite", read_only=True)) as frontier:
            known = frontier.urls()
    except sqlite3.Error as error:
        raise InputError(
            f"{folder} is no crawl's folder (frontier.sqlite: {error}); name one such as pages/rtl"
        ) from error
    for url, reason, value in known:
        if edition := profile.edition_of(url):
            check = checks[edition.host, edition.path]
            check.n_listed += 1
            check.n_articles += edition.is_article(url)
            check.others += [] if edition.is_article(url) else [url]
            check.failed += [(url, f"{reason} {value or ''}".strip())] if reason else []
    _look_at_pages(folder, profile, checks)


def _look_at_pages(
    folder: Path, profile: Profile, checks: Mapping[tuple[str, str], EditionCheck]
) -> None:
    looked: list[Page] = []
    for path in sorted(folder.glob("*.warc.gz")):
        for record in read_records(path):
            if isinstance(record, Page) and (edition := profile.edition_of(record.url)):
                check = checks[edition.host, edition.path]
                if len(check.titles) < N_PAGES and edition.is_article(record.url):
                    check.titles[record.url] = _title(record)
                    looked.append(record)
    taken = Pool(1).each(partial(extract_page, profile=profile), looked)
    for page, found in zip(looked, taken, strict=True):
        if edition := profile.edition_of(page.url):
            _note(page, found, edition, checks[edition.host, edition.path])


def _note(
    page: Page, found: dict[str, Any] | Reject | Lost, edition: Edition, check: EditionCheck
) -> None:
    """Note what extraction took of a page, field by field."""
    row = {"url": page.url}
    if isinstance(found, dict):
        sources = f"{found['published_from']}, {found['published_agree']} agree"
        row |= {"title": found["title"], "published": f"{found['published']} ({sources})"}
        row |= {"lang": found["lang"], "lead": found["lead"]}
        row |= {"text": f"{len(found['text'])} characters: {found['text'][:60]}…"}
    else:
        row["reject"] = f"{found.reason} {found.value}".strip()
    check.fields.append(row)
    tree = load_html(page.body)
    for name in ("body", "title", "date"):
        if path := edition.select.path(name):
            hit = tree is not None and bool(tree.xpath(path))
            check.selectors[name] = check.selectors.get(name, 0) + hit


def _title(page: Page) -> str:
    response = HtmlResponse(page.url, body=page.body, headers=dict(page.headers))
    return str(response.xpath("normalize-space(//title)").get())
