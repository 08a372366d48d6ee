"""From an article to its sentences, by language packs.

What ends a sentence in a language, and what looks like an end and is none, stands in
the language's pack.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from corpus import dedup, stages
from corpus.languages import identification_key, identify, settle, with_look_alikes
from corpus.packs import Pack, load_pack, pack_digest
from corpus.stages import Made, Part, Stage, StageRun
from corpus.tables import SENTENCES, text_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from corpus.engine import Engine
    from corpus.workspace import Workspace

STAGE = Stage("segment", 2, (SENTENCES,))
SURE = 0.5  # lead of a sentence's own language over that of its article
MAX_CHARS = 1_000  # of a sentence; what is longer is cut at a space
OPENING = "\"'“”„‟«»‹›‘‚([–—-"
# What ends a sentence: marks, then quotes and brackets that close. A quote closes where
# it stands at the mark, or between two spaces; » closes only where nothing follows it.
END = re.compile(
    r"(?P<mark>[.!?…।॥৷]+)"
    r"(?P<close>(?:\s?[»›](?=[\s\"')\]]|$)|[«‹](?=\s|$)|[\"'”’“)\]]|\s[\"'”’“„‘]+(?=\s|$))*)"
    r"(?P<gap>\s*)"
    rf"(?=[{re.escape(OPENING)}\s]{{0,9}}(?P<next>\S{{0,40}}))"
)
DOTTED = re.compile(r"\w{1,2}(\.-?\w{1,2})+")
APOSTROPHE = re.compile(r"^(\w+)[’‘´`']")
SYMBOLS = "#@€$£"  # begin sentences too
DANDAS = "।॥৷"  # ৷ is a numerator, and common as a danda
MAX_WORD = 40  # characters of a word before a dot
ROMAN = re.compile(r"[IVX]{1,6}")


def segment(text: str, lang: str) -> list[str]:
    """Split a text into sentences; paragraphs (split by a blank line) never join.

    Args:
        text: of an article.
        lang: its language.

    Returns:
        The sentences with white space collapsed; one over ``MAX_CHARS`` characters is
        cut at the last semicolon, comma or space before. No other character is lost.
    """
    pack = load_pack(lang)
    paragraphs = (" ".join(p.split()) for p in re.split(r"\n\s*\n", text))
    return [
        piece
        for paragraph in paragraphs
        for sentence in _sentences(paragraph, pack)
        for piece in _bounded(sentence)
    ]


def update(
    workspace: Workspace,
    *,
    engine: Engine | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    dry: bool = False,
) -> StageRun:
    """Bring the sentences of all kept articles up to date, by language and month."""
    parts = list(_parts(workspace))
    return stages.run(
        STAGE, workspace.sentences, parts, _make, engine=engine, progress=progress, dry=dry
    )


@dataclass(frozen=True, slots=True)
class _Work:
    workspace: Workspace
    rows: pl.DataFrame  # of the catalogue
    languages: tuple[str, ...]  # that a sentence may be in


def _parts(workspace: Workspace) -> Iterator[Part[_Work]]:
    rows = dedup.load(workspace).with_columns(
        month=pl.col("published").dt.strftime("%Y-%m").fill_null("undated")
    )
    languages = _languages(rows)
    for (lang, month), part in sorted(rows.partition_by("lang", "month", as_dict=True).items()):
        inputs = {
            "articles": stages.row_digest(part, ("article_id", "version")),
            **_identity(str(lang), languages),
        }
        yield Part(f"{lang}/{month}", inputs, _Work(workspace, part.drop("month"), languages))


def identity(workspace: Workspace, lang: str) -> dict[str, object]:
    """Give what, beside the articles, decides the sentences of a language.

    Later stages know sentences by ids that stay when a pack changes: their keys need this.
    """
    return _identity(lang, _languages(dedup.load(workspace)))


def _identity(lang: str, languages: tuple[str, ...]) -> dict[str, object]:
    return {
        "segmenter": STAGE.version,
        "pack": pack_digest(lang),
        "languages": languages,
        "identifier": identification_key(languages),
    }


def _languages(rows: pl.DataFrame) -> tuple[str, ...]:
    return with_look_alikes(rows["lang"].unique().sort().to_list())


def _make(work: _Work) -> Made:
    articles = dedup.kept_articles(work.workspace, work.rows)
    sentences = [row for article in articles.iter_rows(named=True) for row in sentences_of(article)]
    guesses = identify([str(row["text"]) for row in sentences], work.languages)
    for row, guess in zip(sentences, guesses, strict=True):
        row["lang"] = settle(guess, str(row["lang"]), SURE)
    counts = {"articles": articles.height, "sentences": len(sentences)}
    return Made({"sentences": SENTENCES.frame(sentences)}, counts)


def sentences_of(article: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Give an article's sentences in order, as rows of the table; lang is the article's."""
    lang = article["lang"]
    parts = [("title", article["title"])] if article["title"] else []
    for part in ("lead", "text"):
        parts += [("body" if part == "text" else part, s) for s in segment(article[part], lang)]
    first = 0 if article["title"] else 1  # n = 0 is the title's own
    for n, (part, text) in enumerate(parts, first):
        yield {
            "sentence_id": f"{article['article_id']}.{article['version']}.{n}",
            "article_id": article["article_id"],
            "n": n,
            "part": part,
            "lang": lang,
            "text": text,
            "text_key": text_key(text),
        }


def _sentences(text: str, pack: Pack) -> Iterator[str]:
    start = 0
    for match in END.finditer(text):
        if _is_end(text, match, pack) and not text[start : match.start()].isdigit():
            yield text[start : match.end("close")]
            start = match.end("gap")
    if start < len(text):
        yield text[start:]


def _is_end(text: str, match: re.Match[str], pack: Pack) -> bool:
    mark, follows = match["mark"], match["next"]
    first = follows[:1]
    if not match["gap"]:  # a danda needs no space after it
        return mark[-1] in DANDAS and first.isalpha()
    if first.islower():  # an elided word ('t) may begin a sentence
        return text[match.end() : match.end() + 1 + len(follows)].split(" ")[0] in pack.starters
    if not (first.isalnum() or first in SYMBOLS):
        return False
    if mark == "." and not match["close"]:
        before = text[max(0, match.start() - MAX_WORD) : match.start()].split(" ")[-1]
        return _dot_ends(before.lstrip(OPENING), follows, pack)
    return True


def _dot_ends(before: str, follows: str, pack: Pack) -> bool:
    """Tell whether a single dot after a word ends a sentence."""
    name = APOSTROPHE.sub("", before).casefold()
    if name in pack.abbreviations:
        return False
    letters = "".join(c for c in before if not unicodedata.category(c).startswith("M"))
    if name in pack.numbered and follows[:1].isdigit():
        return False
    is_open = (
        (letters.isalpha() and len(letters) <= pack.max_initial)
        or name in pack.may_end | pack.numbered
        or DOTTED.fullmatch(letters) is not None
        or (pack.ordinals and (before.isdigit() and len(before) <= 2))
        or (pack.ordinals and ROMAN.fullmatch(before) is not None)
    )
    return not is_open or _first_word(follows) in pack.starters


def _first_word(text: str) -> str:
    """Give the first word, or where it is elided (D'Stad, L’État) that much of it."""
    if match := APOSTROPHE.match(text):
        return f"{match[1]}'"
    return text.rstrip(",;:.!?")


def _bounded(sentence: str) -> Iterator[str]:
    while len(sentence) > MAX_CHARS:
        at = max(sentence.rfind(mark, MAX_CHARS // 2, MAX_CHARS) for mark in ("; ", ", "))
        at = at if at > 0 else sentence.rfind(" ", 1, MAX_CHARS)
        at = at + 1 if at > 0 else MAX_CHARS
        yield sentence[:at].rstrip()
        sentence = sentence[at:].lstrip()
    if sentence:
        yield sentence
