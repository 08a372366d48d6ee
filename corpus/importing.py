"""Articles that come as a file: JSONL, CSV, TSV or Parquet; see `corpus.blocks`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from corpus import forgotten
from corpus.blocks import Import, plain_name, take
from corpus.errors import InputError, LanguageError, choices
from corpus.extract import gather
from corpus.languages import LOOK_ALIKES, check_language, identify
from corpus.markup import canonical_url, clean
from corpus.rows import SUFFIXES, kind_of, read_rows
from corpus.stages import Stage, StageRun
from corpus.tables import ARTICLES, REJECTS, article_id, article_version
from corpus.warc import parse_date

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from corpus.workspace import Workspace

STAGE = Stage("import", 1, (ARTICLES, REJECTS))
BLOCK = 5_000  # rows of a part
TORN = re.compile(r"[\udc80-\udcff\ufffd]")  # bytes that are no UTF-8, now or when it was made
FIELDS = ("url", "id", "lang", "title", "lead", "text", "date")


@dataclass(frozen=True, slots=True)
class Source:
    """A file and what holds for all of its articles.

    Attributes:
        columns: field → column, where they differ.
        lang: of rows that name none; without it they are identified among ``langs``.
    """

    path: Path
    columns: Mapping[str, str] = field(default_factory=dict)
    site: str = "import"
    licence: str = "unknown"
    lang: str | None = None
    langs: Sequence[str] = tuple(LOOK_ALIKES)


def import_articles(
    workspace: Workspace,
    source: Source,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
    dry: bool = False,
) -> StageRun:
    """Import the articles of a file.

    Raises:
        InputError: the file cannot be read or has no rows, a column is not there, or
            most of the rows are rejected for one reason; what was imported earlier stays.
        LanguageError: an unknown default language.
    """
    _check(source)
    said = [source.columns, source.site, source.licence, source.lang, list(source.langs)]
    gone = forgotten.load(workspace)
    fetched = datetime.fromtimestamp(source.path.stat().st_mtime, UTC)

    def make(n: int, row: Mapping[str, object]) -> dict[str, Any] | str:
        found = _article(row, source)
        if isinstance(found, dict) and found["article_id"] in gone:
            return "forgotten"
        return found if isinstance(found, str) else {**found, "fetched": fetched, "offset": n}

    needed = [source.columns.get("text", "text"), *source.columns.values()]
    job = Import(
        STAGE,
        workspace.imported,
        [source.path],
        said,
        BLOCK,
        partial(read_rows, source.path),
        (needed, "text=body"),
        make,
        partial(gather, STAGE, "rows"),
    )
    return take(job, progress=progress, dry=dry)


def _check(source: Source) -> None:
    if source.lang:
        check_language(source.lang)
    for name in source.columns:
        if name not in FIELDS:
            raise InputError(f"unknown field {choices(name, FIELDS)}; --columns text=body")
    if kind_of(source.path) not in SUFFIXES:
        raise InputError(f"cannot import {source.path}; allowed: {', '.join(SUFFIXES)} (or gzip)")
    if not source.path.is_file():
        raise InputError(f"there is no file {source.path}")


def _article(row: Mapping[str, object], source: Source) -> dict[str, Any] | str:
    """Make an article of a row, or say why not: the reason, a space, the value."""
    texts = {name: _text(row.get(source.columns.get(name, name))) for name in FIELDS[:-1]}
    if any(map(TORN.search, texts.values())):
        return "bad_encoding"
    text = paragraphs(texts["text"])
    title, lead = clean(texts["title"]), clean(texts["lead"])
    if not text:
        return "no_text"
    url = _address(texts["url"], texts["id"], source.site)
    if not url:
        return "no_url_or_id"
    try:
        lang, prob = _language(texts["lang"], f"{title}\n{text}", source)
        published = _date(row, source.columns.get("date"))
    except (LanguageError, ValueError) as error:
        reason = "unknown_language" if isinstance(error, LanguageError) else "bad_date"
        return f"{reason} {clean(str(error))[:100]}"
    return {
        "article_id": article_id(url),
        "version": article_version(title, lead, text),
        "url": url,
        "site": source.site,
        "lang": lang,
        "lang_prob": prob,
        "title": title,
        "lead": lead,
        "text": text,
        "published": published,
        "published_from": "file" if published else None,
        "published_agree": 1 if published else 0,
        "licence": source.licence,
        "warc": plain_name(source.path),
        "extractor": "import",
    }


def paragraphs(text: str) -> str:
    """Clean a text; where it has no blank line, each line is a paragraph."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    gap = r"\n\s*\n" if re.search(r"\S\s*\n\s*\n\s*\S", lines) else r"\n"
    return "\n\n".join(p for p in map(clean, re.split(gap, lines)) if p)


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _address(url: str, name: str, site: str) -> str:
    """Give the canonical URL, or a name that is as stable."""
    try:
        return canonical_url(clean(url)) if clean(url) else f"{site}:{clean(name)}" * bool(name)
    except ValueError:
        return ""


def _language(said: str, text: str, source: Source) -> tuple[str, float | None]:
    if said.strip() or source.lang:
        return check_language(said.strip() or source.lang or ""), None
    [guess] = identify([text], source.langs)
    return guess.lang, round(guess.prob, 5)


def _date(row: Mapping[str, object], column: str | None) -> datetime | None:
    value = next((row[c] for c in (column, "date", "published") if c and row.get(c)), None)
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    if value is None or not (text := str(value).strip()):
        return None
    if (found := parse_date(text)) is None:
        raise ValueError(text)
    return found
