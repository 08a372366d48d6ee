"""What a profile understands of a site: its sources, its URLs, a few of its pages."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from warcio.archiveiterator import ArchiveIterator

from corpus.crawl import Job, run
from corpus.crawl.frontier import Frontier
from corpus.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from corpus.sites import Profile

SECONDS = 45.0  # that a live check may take
N_PAGES = 3  # an edition
MAX_HEAD = 200_000  # bytes in which a title is looked for
TITLE = re.compile(rb"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)


@dataclass(slots=True)
class EditionCheck:
    """What was understood of one edition.

    Attributes:
        n_listed: URLs seen, in sources and on pages; ``n_articles`` by the patterns.
        others: the URLs that are no articles by the patterns.
        titles: article URL → title, of the pages that were looked at.
        failed: (URL, reason), sources among them.
    """

    lang: str
    host: str
    n_listed: int = 0
    n_articles: int = 0
    others: list[str] = field(default_factory=list)
    titles: dict[str, str] = field(default_factory=dict)
    failed: list[tuple[str, str]] = field(default_factory=list)

    @property
    def is_understood(self) -> bool:
        """Whether articles were found, and titles where pages were looked at."""
        return self.n_articles > 0 and all(self.titles.values())


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
    """
    checks = {
        edition.host + edition.path: EditionCheck(edition.lang, edition.host)
        for edition in profile.editions
    }
    if pages_dir is not None:
        _look(pages_dir, profile, checks)
    elif live:
        with tempfile.TemporaryDirectory() as folder:
            hosts = dict(host_map or {})
            result = run(Job(folder, contact, profile, hosts, seconds=SECONDS, sample=N_PAGES))
            _look(Workspace(Path(folder)).site_pages(profile.name), profile, checks)
        for url, reason in result.failed_sources:
            for check in checks.values():
                if urlsplit(url).netloc == check.host:
                    check.failed.append((url, reason))
    return list(checks.values())


def _look(folder: Path, profile: Profile, checks: Mapping[str, EditionCheck]) -> None:
    known: dict[str, tuple[str, str]] = {}
    if (path := folder / "frontier.sqlite").exists():
        frontier = Frontier(path)
        known = {url: (reason or "", value or "") for url, reason, value in frontier.urls()}
        frontier.close()
    titles = dict(_titles(folder))
    for url in dict.fromkeys([*known, *titles]):
        edition = profile.edition_of(url)
        if edition is None:
            continue
        check = checks[edition.host + edition.path]
        check.n_listed += 1
        reason, value = known.get(url, ("", ""))
        if reason:
            check.failed.append((url, f"{reason} {value}".strip()))
        if not edition.is_article(url):
            check.others.append(url)
            continue
        check.n_articles += 1
        if url in titles and len(check.titles) < N_PAGES:
            check.titles[url] = titles[url]


def _titles(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.glob("*.warc.gz")):
        with path.open("rb") as file:
            for record in ArchiveIterator(file):
                if record.rec_type == "response":
                    match = TITLE.search(record.content_stream().read(MAX_HEAD))
                    title = unescape(match[1].decode("utf-8", "replace")).strip() if match else ""
                    yield record.rec_headers.get_header("WARC-Target-URI"), title
