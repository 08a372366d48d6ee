"""Articles that come as a file: JSONL, CSV, TSV or Parquet.

A file is read in blocks of rows, each a part of the stage `import`: memory stays
bounded, a killed import goes on, and the same file with the same options does
nothing. With other options its articles take the place of the earlier ones, once they
are all there. A row that is no article is a reject with its reason.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from corpus import stages
from corpus.errors import InputError, LanguageError, choices
from corpus.extract import gather
from corpus.languages import LOOK_ALIKES, check_language, identify
from corpus.markup import canonical_url, clean
from corpus.rows import SUFFIXES, read_rows
from corpus.stages import Made, Part, Stage, StageRun
from corpus.tables import ARTICLES, REJECTS, article_id, article_version
from corpus.warc import parse_date

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from corpus.workspace import Workspace

STAGE = Stage("import", 1, (ARTICLES, REJECTS))
BLOCK = 5_000  # rows of a part
FIELDS = ("url", "id", "lang", "title", "lead", "text", "date")
MAX_NAMES = 20  # columns of a file that a message lists
# What to do where most rows are rejected for one reason.
ADVICE = {
    "bad_encoding": "the file is not UTF-8; convert it: iconv -f LATIN1 -t UTF-8",
    "bad_date": "write dates as 2026-03-31",
    "unknown_language": "name one for all rows: --lang lb",
    "no_url_or_id": "each article needs one: --columns url=link or id=number",
    "no_text": "name the column of the text: --columns text=body",
}


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
    with source.path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    n_blocks = -(-_count_rows(source) // BLOCK)
    blocks = _Blocks(source)
    said = [source.columns, source.site, source.licence, source.lang, list(source.langs)]
    parts = [Part(f"{n:05}", [digest, said, n], n) for n in range(n_blocks)]
    name = re.sub(r"[^\w-]+", "-", source.path.stem)[:60] + f"-{digest[:12]}"
    options = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:6]
    folder = workspace.imported / f"{name}-{options}"
    run = stages.run(STAGE, folder, parts, blocks.make, progress=progress, dry=dry)
    if not dry:
        _refuse_mostly_rejected(source, folder, run.counts)
        earlier = (path for path in workspace.imported.glob(f"{name}*") if path != folder)
        run.n_removed += sum(map(_remove, earlier))
    return run


class _Blocks:
    """Makes the parts of a file in order; blocks that are there already are passed."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.rows = enumerate(read_rows(source.path))
        self.fetched = datetime.fromtimestamp(source.path.stat().st_mtime, UTC)

    def make(self, block: int) -> Made:
        """Make one block's articles and rejects."""
        articles: list[dict[str, Any]] = []
        rejects: list[dict[str, str]] = []
        for n, row in self.rows:
            if n < block * BLOCK:
                continue
            result = row if isinstance(row, str) else _article(row, self.source)
            if isinstance(result, str):
                reason, _, value = result.partition(" ")
                name = f"{self.source.path.name}@{n + 1}"
                rejects.append({"id": name, "reason": reason, "value": value})
            else:
                articles.append({**result, "fetched": self.fetched, "offset": n})
            if n + 1 == (block + 1) * BLOCK:
                break
        return gather(STAGE, "rows", articles, rejects)


def _check(source: Source) -> None:
    if source.lang:
        check_language(source.lang)
    for name in source.columns:
        if name not in FIELDS:
            raise InputError(f"unknown field {choices(name, FIELDS)}; --columns text=body")
    if source.path.suffix not in SUFFIXES:
        raise InputError(f"cannot import {source.path}; allowed: {', '.join(SUFFIXES)}")
    if not source.path.is_file():
        raise InputError(f"there is no file {source.path}")


def _count_rows(source: Source) -> int:
    """Count a file's rows, and see that the columns are there."""
    missing = dict.fromkeys([source.columns.get("text", "text"), *source.columns.values()])
    n_rows, names = 0, dict[str, None]()
    for row in read_rows(source.path):
        n_rows += 1
        if not isinstance(row, str):
            missing = {name: None for name in missing if name not in row}
            names |= dict.fromkeys(row) if len(names) < MAX_NAMES else {}
    if not n_rows:
        raise InputError(f"{source.path}: no rows; an article a row is needed")
    if missing and names:
        raise InputError(
            f"{source.path}: no column '{next(iter(missing))}'; the file has "
            f"{', '.join(list(names)[:MAX_NAMES])}; say which is which: --columns text=body"
        )
    return n_rows


def _refuse_mostly_rejected(source: Source, folder: Path, counts: Mapping[str, int]) -> None:
    for name, n in counts.items():
        reason = name.removeprefix("rejects.")
        if reason != name and n * 2 > counts["rows"]:
            rejects = stages.scan(STAGE, folder, REJECTS).filter(pl.col("reason") == reason)
            value = rejects["value"][0] or ""
            _remove(folder)
            raise InputError(
                f"{source.path}: {n} of {counts['rows']} rows are rejected for '{reason}'"
                + (f" ({value})" if value else "")
                + (f"; {ADVICE[reason]}" if reason in ADVICE else "")
            )


def _remove(folder: Path) -> int:
    """Remove all parts of an import, manifests first; count them."""
    files = sorted(folder.iterdir(), key=lambda path: path.suffix != ".json")
    for path in files:
        path.unlink()
    folder.rmdir()
    return sum(path.suffix == ".json" for path in files)


def _article(row: Mapping[str, object], source: Source) -> dict[str, Any] | str:
    """Make an article of a row, or say why not: the reason, a space, the value."""
    texts = {name: _text(row.get(source.columns.get(name, name))) for name in FIELDS[:-1]}
    text = paragraphs(texts["text"])
    title, lead = clean(texts["title"]), clean(texts["lead"])
    if "\ufffd" in title + lead + text:
        return "bad_encoding"
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
        "warc": source.path.name,
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
