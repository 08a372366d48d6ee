"""From a page to an article, or to a reject with its reason.

`extract_page` is a pure function of the page, the site's profile and its boilerplate:
fields come from the profile's selectors, else the text from trafilatura and the date
from a vote. `update` is the map stage `extract`: a part is a closed WARC file, whose
pages run in processes of their own, within limits. `take` brings WARC files in.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import trafilatura
from trafilatura.settings import Document

from corpus import boilerplate, dates, forgotten, kinds, markup, prose, rights, stages
from corpus.engine import Here
from corpus.files import file_digest
from corpus.languages import has_script, identification_key, identify, settle, with_look_alikes
from corpus.pages import site_profile
from corpus.stages import Made, Part, Stage, StageRun
from corpus.tables import ARTICLES, REJECTS, article_id, article_version
from corpus.warc import MAX_BODY, Damage, Page, read_records

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from corpus.engine import Engine
    from corpus.sites import Profile
    from corpus.workspace import Workspace

STAGE = Stage("extract", 4, (ARTICLES, REJECTS))
MAX_TAIL = 0.2  # of a text, that a strict look may cut off
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


def extract_page(
    page: Page, profile: Profile, boilerplate: Collection[str] = (), basis: str | None = None
) -> dict[str, Any] | Reject:
    """Extract an article from a page.

    Args:
        page: as it was fetched.
        profile: of the site.
        boilerplate: keys of the blocks that many of the site's pages have.
        basis: on which an article is kept whose mining is reserved; without one it is
            a reject.

    Returns:
        The columns of an article but ``warc``, or a reject.
    """
    return _refuse(page, profile) or _extract(page, profile, boilerplate, basis)


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
    engine = engine or Here()
    parts = list(_parts(workspace, engine, dry=dry))
    make = partial(_make, engine)
    return stages.run(STAGE, workspace.extracted, parts, make, progress=progress, dry=dry)


@dataclass(frozen=True, slots=True)
class _Work:
    path: Path
    profile: Profile
    boilerplate: frozenset[str]
    basis: str | None
    forgotten: frozenset[str]  # ids


def _parts(workspace: Workspace, engine: Engine, *, dry: bool) -> Iterator[Part[_Work]]:
    versions = {name: version(name) for name in LIBRARIES}
    bases = rights.bases(workspace)
    # What is forgotten is no input of a part: its pages are gone, and this refuses later ones.
    gone = forgotten.load(workspace)
    for folder in sorted(workspace.pages.glob("*/")):
        site = folder.name
        files = {path: file_digest(path) for path in sorted(folder.glob("*.warc.gz"))}
        if not files:
            continue
        profile = site_profile(workspace, site)
        blocks = boilerplate.learnt(workspace.boilerplate(site), files, profile, engine, dry=dry)
        read = profile.model_dump(mode="json", include={"name", "licence", "editions"})
        identifier = identification_key(with_look_alikes(profile.languages))
        shared: dict[str, Any] = {"profile": read, "versions": versions, "identifier": identifier}
        shared |= {"boilerplate": blocks, "basis": (basis := bases.get(site, bases.get("")))}
        for path, digest in files.items():
            name = f"{site}/{path.name.removesuffix('.warc.gz')}"
            work = _Work(path, profile, frozenset(blocks), basis, gone)
            yield Part(name, {"warc": digest, **shared}, work)


def _make(engine: Engine, work: _Work) -> Made:
    articles: list[dict[str, Any]] = []
    rejects: list[dict[str, str]] = []
    names: list[str] = []  # of the records, as they are read

    def records() -> Iterator[Page | Damage]:
        for record in read_records(work.path):
            url = markup.clean(record.url) if isinstance(record, Page) else ""
            names.append(url or f"{work.path.name}@{record.offset}")
            yield record

    results = engine.each(partial(_one, work.profile, work.boilerplate, work.basis), records())
    for name, result in zip(names, results, strict=True):
        if isinstance(result, dict) and result["article_id"] in work.forgotten:
            rejects.append({"id": name, "reason": "forgotten", "value": ""})
        elif isinstance(result, dict):
            articles.append({**result, "warc": work.path.name})
        else:
            value = markup.clean(result.value)[:200]
            rejects.append({"id": name, "reason": result.reason, "value": value})
    return gather(STAGE, "pages", articles, rejects)


def _one(
    profile: Profile, boilerplate: frozenset[str], basis: str | None, record: Page | Damage
) -> dict[str, Any] | Reject:
    if isinstance(record, Damage):
        return Reject("damaged_warc", record.reason)
    return extract_page(record, profile, boilerplate, basis)


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


def _extract(
    page: Page, profile: Profile, boilerplate: Collection[str], basis: str | None
) -> dict[str, Any] | Reject:
    tree = trafilatura.load_html(page.body)
    if tree is None:
        return Reject("not_html", "no tree")
    said = rights.read(page.headers, page.rights, tree)
    if (reserved := rights.reservation(said)) and not basis:
        return Reject("reserved", reserved)
    found = markup.linked_data(tree)
    data = markup.main_article(tree, found)
    hinted = _hinted(page, profile, tree)
    title, titles = markup.titles(tree, data)
    title = markup.clean(hinted.get("title", "")) or title
    names = {*titles, title.casefold()}
    text = "\n\n".join(_blocks(page, profile, tree, names, boilerplate))
    if kind := kinds.kind_of(page.url, tree, found, title, text):
        return Reject(*kind)
    if len(text) < MIN_CHARS:
        return Reject("too_short" if text else "no_text", f"{len(text)} characters")
    lang, prob = _language(page, profile, f"{title}\n{text}")
    if lang not in profile.languages or not has_script(text, lang):
        return Reject("wrong_language", lang)
    lead = markup.lead(tree, data, title, text)
    date, source, agree = dates.published(page, tree, data, lang, hinted.get("date", ""))
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
        "rights": rights.quoted(said),
        "basis": rights.basis_of_row(basis, reserved),
        "offset": page.offset,
        "extractor": EXTRACTOR,
    }


def _hinted(page: Page, profile: Profile, tree: Any) -> dict[str, str]:  # noqa: ANN401 - lxml
    """Read the fields for which the profile has a selector that finds some text."""
    return {
        field: text
        for field in ("title", "date")
        if (path := _path(page, profile, field))
        and (nodes := tree.xpath(path))
        and (text := nodes[0] if isinstance(nodes[0], str) else nodes[0].text_content().strip())
    }


def _path(page: Page, profile: Profile, field: str) -> str | None:
    edition = profile.edition_of(page.url)
    return edition.select.path(field) if edition else None


def _blocks(
    page: Page,
    profile: Profile,
    tree: Any,  # noqa: ANN401 - lxml is untyped
    names: Collection[str],
    boilerplate: Collection[str],
) -> list[str]:
    """Find the text: where the profile's selector says, else by trafilatura.

    What it takes in at the end when it looks for much, and not when it is strict, is
    no text: a prompt to pay, the author's life.
    """
    copied = prose.without_noise(tree, names, boilerplate)
    path = _path(page, profile, "body")
    if path and (chosen := prose.chosen(copied, path)) is not None:
        return prose.paragraphs(chosen, names)
    found = _found(copied, names)
    strict = set(_found(copied, names, strict=True))
    n = next((n for n in range(len(found), 0, -1) if found[n - 1] in strict), 0)
    tail = sum(map(len, found[n:]))
    return found[:n] if tail < MAX_TAIL * sum(map(len, found)) else found


def _found(tree: Any, names: Collection[str], *, strict: bool = False) -> list[str]:  # noqa: ANN401
    document = trafilatura.bare_extraction(
        tree,
        favor_precision=strict,
        favor_recall=not strict,
        fast=strict,
        include_comments=False,
        include_tables=False,
        include_links=True,
    )
    return prose.paragraphs(document.body, names) if isinstance(document, Document) else []


def _language(page: Page, profile: Profile, text: str) -> tuple[str, float]:
    edition = profile.edition_of(page.url)
    expected = edition.lang if edition else profile.languages[0]
    [guess] = identify([text[:IDENTIFY_CHARS]], with_look_alikes(profile.languages))
    return settle(guess, expected), guess.prob
