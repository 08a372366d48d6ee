"""Aligned documents: what a newsroom is rendered from.

A file of documents is a table of tab-separated values without quoting. Its columns
are ``doc``, ``n`` and one per language; a row is one line (translation unit) of a
document, ``n`` = 0 is the headline, and an empty cell means that the language has
no such line.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import as_file, files
from typing import TYPE_CHECKING

from corpus.errors import InputError, LanguageError
from corpus.languages import check_language

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

MAX_BYTES = 256_000_000
MAX_LINE = 20_000  # characters of one cell


@dataclass(frozen=True, slots=True)
class Document:
    """One story in several languages.

    Attributes:
        name: what the file calls it.
        lines: language → n → text, in order; a language without lines is missing.
        invented: written for this project; its pages say so.
    """

    name: str
    lines: Mapping[str, Mapping[int, str]]
    invented: bool = False


def load_documents(path: Path | None = None) -> list[Document]:
    """Load documents from a file, or the bundled stories.

    Raises:
        InputError: no such file, a missing column, or a broken row (names the line).
    """
    if path is not None:
        return _read(path, invented=False)
    stories = sorted(
        (f for f in files(__package__).iterdir() if f.name.startswith("stories-")),
        key=lambda f: f.name,
    )
    documents: list[Document] = []
    for story in stories:
        with as_file(story) as file:
            documents += _read(file, invented=True)
    return documents


def _read(path: Path, *, invented: bool) -> list[Document]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path} is larger than {MAX_BYTES} bytes; split it")
        rows = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the documents {path}: {error}") from error
    columns = rows[0].rstrip("\r").split("\t")
    languages = _languages(path, columns)
    found: dict[str, dict[str, dict[int, str]]] = {}
    for number, row in enumerate(rows[1:], 2):
        if row.strip():
            cells = dict(zip(columns, row.rstrip("\r").split("\t"), strict=False))
            _add(found, cells, languages, f"{path}, line {number}")
    return [
        Document(
            name, {lang: dict(sorted(lines.items())) for lang, lines in by_lang.items()}, invented
        )
        for name, by_lang in found.items()
    ]


def _languages(path: Path, columns: Iterable[str]) -> list[str]:
    names = list(columns)
    languages = [name for name in names if name not in ("doc", "n")]
    if not {"doc", "n"} <= set(names) or not languages or len(set(names)) < len(names):
        raise InputError(
            f"{path}: columns are {', '.join(names)[:200]}; needed are doc, n and one per language"
        )
    for lang in languages:
        try:
            check_language(lang)
        except LanguageError as error:
            raise InputError(f"{path}: column {error}") from error
    return languages


def _add(
    found: dict[str, dict[str, dict[int, str]]],
    cells: Mapping[str, str],
    languages: Iterable[str],
    where: str,
) -> None:
    name, n = cells.get("doc", ""), cells.get("n", "")
    if not name or not n.isdecimal():
        raise InputError(f"{where}: doc is '{name[:80]}' and n is '{n[:80]}'; n counts from 0")
    document = found.setdefault(name, {})
    for lang in languages:
        text = cells.get(lang, "").strip()
        if len(text) > MAX_LINE:
            raise InputError(f"{where}: {len(text)} characters in {lang}; at most {MAX_LINE}")
        if not text:
            continue
        lines = document.setdefault(lang, {})
        if int(n) in lines:
            raise InputError(f"{where}: {name} has n = {n} twice")
        lines[int(n)] = text
