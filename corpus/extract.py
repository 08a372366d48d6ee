"""From a page to an article, or to a reject with its reason.

`extract_page` is a pure function of the page and the site's profile: the text comes
from trafilatura, the date from the first of several sources, and how many of them
agree is kept. `update` is the map stage `extract`: a part is a closed WARC file.
"""

from __future__ import annotations

import hashlib
import logging
import signal
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import trafilatura
from trafilatura.settings import Document

from corpus import dates, markup, stages
from corpus.languages import has_script, identification_key, identify, settle, with_look_alikes
from corpus.sites import Profile, load_profile
from corpus.stages import Made, Part, Stage, StageRun
from corpus.tables import ARTICLES, REJECTS, article_id, article_version
from corpus.warc import MAX_BODY, Damage, Page, read_records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from corpus.engine import Engine
    from corpus.workspace import Workspace

STAGE = Stage("extract", 1, (ARTICLES, REJECTS))
SECONDS = 20.0  # a page may take
MIN_CHARS = 100  # of an article's text
IDENTIFY_CHARS = 4_000  # of an article decide its language
LIBRARIES = ("trafilatura", "htmldate", "lxml")
EXTRACTOR = f"trafilatura {version('trafilatura')}"
# What these libraries warn of is in the rejects.
for library in ("trafilatura", "htmldate"):
    logging.getLogger(library).setLevel(logging.CRITICAL)
HTML_TYPES = ("text/html", "application/xhtml+xml")


@dataclass(frozen=True, slots=True)
class Reject:
    """Why a page is no article, and the value that decided."""

    reason: str
    value: str = ""


class _LateError(BaseException):
    """A page took too long. No `Exception`: libraries catch those."""


def extract_page(page: Page, profile: Profile, seconds: float = SECONDS) -> dict[str, Any] | Reject:
    """Extract an article from a page.

    Args:
        page: as it was fetched.
        profile: of the site.
        seconds: how long it may take; holds in a process's main thread only, and a
            single call into lxml is not cut short.

    Returns:
        The columns of an article but ``warc``, or a reject.
    """
    if reject := _refuse(page, profile):
        return reject
    try:
        with _time_limit(seconds):
            return _extract(page, profile)
    except _LateError:
        return Reject("timeout", f"{seconds:g} s")
    except Exception as error:  # a stranger's page must not end the run, whatever it does
        return Reject("failed", type(error).__name__)


def update(
    workspace: Workspace,
    *,
    engine: Engine | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    dry: bool = False,
) -> StageRun:
    """Bring the articles of all closed WARC files up to date.

    Raises:
        ProfileError: a folder of pages has no readable profile.
    """
    parts = list(_parts(workspace))
    return stages.run(
        STAGE, workspace.extracted, parts, _make, engine=engine, progress=progress, dry=dry
    )


@dataclass(frozen=True, slots=True)
class _Work:
    path: Path
    profile: Profile


def _parts(workspace: Workspace) -> Iterator[Part[_Work]]:
    versions = {name: version(name) for name in LIBRARIES}
    for path in sorted(workspace.pages.glob("*/*.warc.gz")):
        site = path.parent.name
        profile = _profile(workspace, site)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        read = profile.model_dump(mode="json", include={"name", "licence", "editions"})
        identifier = identification_key(with_look_alikes(profile.languages))
        inputs = {"warc": digest, "profile": read, "versions": versions, "identifier": identifier}
        yield Part(f"{site}/{path.name.removesuffix('.warc.gz')}", inputs, _Work(path, profile))


def _profile(workspace: Workspace, site: str) -> Profile:
    """Read the profile that the crawl stored, or the built-in one."""
    stored = workspace.profile(site)
    return load_profile(str(stored) if stored.exists() else site)


def _make(work: _Work) -> Made:
    articles: list[dict[str, Any]] = []
    rejects: list[dict[str, str]] = []
    for record in read_records(work.path):
        if isinstance(record, Damage):
            result: dict[str, Any] | Reject = Reject("damaged_warc", record.reason)
        else:
            result = extract_page(record, work.profile)
        if isinstance(result, Reject):
            name = "" if isinstance(record, Damage) else markup.clean(record.url)
            name = name or f"{work.path.name}@{record.offset}"
            value = markup.clean(result.value)[:200]
            rejects.append({"id": name, "reason": result.reason, "value": value})
        else:
            articles.append({**result, "warc": work.path.name})
    return gather(STAGE, "pages", articles, rejects)


def gather(
    stage: Stage, unit: str, articles: list[dict[str, Any]], rejects: list[dict[str, str]]
) -> Made:
    """Make a part of articles and rejects, and count both: units = articles + rejects."""
    counts = Counter({unit: len(articles) + len(rejects), "articles": len(articles)})
    counts.update(f"rejects.{row['reason']}" for row in rejects)
    named = [{**row, "stage": stage.name} for row in rejects]
    return Made({"articles": ARTICLES.frame(articles), "rejects": REJECTS.frame(named)}, counts)


def _refuse(page: Page, profile: Profile) -> Reject | None:
    """Refuse what needs no look at the page itself."""
    kind = page.headers.get("content-type", "").partition(";")[0].strip().lower()
    edition = profile.edition_of(page.url)
    if page.status != 200:
        return Reject("http_status", str(page.status))
    if len(page.body) > MAX_BODY:
        return Reject("too_large", f"over {MAX_BODY} bytes")
    if kind not in HTML_TYPES and (kind or page.body.lstrip()[:1] != b"<"):
        return Reject("not_html", kind)
    if edition is None or not edition.is_article(page.url):
        return Reject("not_article", "no article pattern of the profile")
    return None


def _extract(page: Page, profile: Profile) -> dict[str, Any] | Reject:
    tree = trafilatura.load_html(page.body)
    if tree is None:
        return Reject("not_html", "no tree")
    data = markup.json_ld(tree)
    title = markup.title(tree, data)
    text = _text(tree, title)
    if len(text) < MIN_CHARS:
        return Reject("too_short" if text else "no_text", f"{len(text)} characters")
    lang, prob = _language(page, profile, f"{title}\n{text}")
    if lang not in profile.languages or not has_script(text, lang):
        return Reject("wrong_language", lang)
    lead = markup.lead(tree, data, title, text)
    date, source, agree = dates.published(page, tree, data)
    url = markup.article_url(page.url, tree, profile)
    return {
        "article_id": article_id(url),
        "version": article_version(title, lead, text),
        "url": url,
        "site": profile.name,
        "lang": lang,
        "lang_prob": round(prob, 5),
        "title": title,
        "lead": lead,
        "text": text,
        "published": date,
        "published_from": source,
        "published_agree": agree,
        "fetched": page.fetched,
        "licence": profile.licence,
        "rights": markup.rights(page, tree),
        "basis": None,
        "offset": page.offset,
        "extractor": EXTRACTOR,
    }


def _text(tree: Any, title: str) -> str:  # noqa: ANN401 - lxml is untyped
    """Extract the paragraphs."""
    document = trafilatura.bare_extraction(
        markup.without_cards(tree, title),
        include_comments=False,
        include_tables=False,
        include_links=True,
    )
    if not isinstance(document, Document):
        return ""
    return "\n\n".join(markup.blocks(document.body, title))


def _language(page: Page, profile: Profile, text: str) -> tuple[str, float]:
    edition = profile.edition_of(page.url)
    expected = edition.lang if edition else profile.languages[0]
    [guess] = identify([text[:IDENTIFY_CHARS]], with_look_alikes(profile.languages))
    return settle(guess, expected), guess.prob


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def late(signum: int, frame: object) -> None:
        raise _LateError

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
