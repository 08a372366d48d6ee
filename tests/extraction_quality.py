"""Measure extraction on real news pages: ``python -m tests.extraction_quality``.

Choices are made on *dev* (every second publisher from the first) and shown on *test*
(the rest). No publisher has a hint, but for the last table: there, the selectors of
`HINTS` were written from one page of a publisher and are measured on the others. With
``--pages`` each page of *dev* is shown too.

A body is the lead and the text; its token F1 is the best among the versions of the gold
(one for each of the site's templates), whose day is right where it is the one in UTC or
in the gold's own zone. A page that is rejected has neither; one whose mining is reserved
is read on the basis of research, for this measures what extraction finds.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
import tomllib
import unicodedata
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch
from urllib.parse import urlsplit

import trafilatura

from corpus import extract
from corpus.sites import Profile
from corpus.warc import Page

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = Path(__file__).parents[2] / "shared" / "data"
HINTS = Path(__file__).with_name("extraction_hints.toml")
HALVES = ("dev", "test")


@dataclass(frozen=True)
class Sample:
    """A page, and the versions of its publisher's gold."""

    name: str
    page: Page
    gold: list[dict[str, Any]]

    @property
    def publisher(self) -> str:
        """The publisher's name."""
        return self.name.partition("_")[0]


@dataclass(frozen=True)
class Score:
    """What was found of a page: F1 of its body by us and by plain trafilatura, the day."""

    body: float
    plain: float
    day: bool


def samples(half: str, data: Path = DATA) -> Iterator[Sample]:
    """Read the pages of half of the publishers, or of ``all``."""
    golds = sorted(data.glob("html/*/*.json"))
    for path in golds if half == "all" else golds[HALVES.index(half) :: 2]:
        info = json.loads((path.parent / "meta.info").read_text())
        gold = list(json.loads(path.read_text()).values())
        for file in sorted(path.parent.glob(f"{path.stem}_[0-9]*.html.gz")):
            fetched = datetime.fromisoformat(info[file.name]["crawl_date"]).replace(tzinfo=UTC)
            body = gzip.decompress(file.read_bytes())
            name = file.name.removesuffix(".html.gz")
            yield Sample(name, Page(info[file.name]["url"], body, fetched=fetched), gold)


def score(sample: Sample, select: dict[str, str] | None = None) -> Score:
    """Extract a page by a profile that names its host, and the selectors if any."""
    url = sample.page.url
    edition = {"lang": "en", "host": urlsplit(url).netloc, "articles": ["."]}
    facts = {"name": "a", "title": "A", "licence": "none", "pairs": []}
    profile = Profile.model_validate({**facts, "editions": [edition | {"select": select or {}}]})
    # The publishers write in many languages, which are not measured here.
    known = patch.object(extract, "_language", lambda *args: ("en", 1.0))
    with known, patch.object(extract, "has_script", lambda *args: True):
        row = extract.extract_page(sample.page, profile, basis="research")
    document = trafilatura.bare_extraction(sample.page.body, include_comments=False)
    text = getattr(document, "text", None) or ""
    plain = max(f1(text, _body(version)) for version in sample.gold)
    if not isinstance(row, dict):
        return Score(0.0, plain, day=False)
    body = f"{row['lead']}\n{row['text']}"
    version = max(sample.gold, key=lambda version: f1(body, _body(version)))
    date = datetime.fromisoformat(version["publishing_date"])
    days = {date.date(), date.astimezone(UTC).date()}
    day = row["published"] is not None and row["published"].date() in days
    return Score(f1(body, _body(version)), plain, day=day)


def measure(half: str = "test", data: Path = DATA) -> dict[str, float]:
    """Measure by name: means over the pages."""
    return means([score(sample) for sample in samples(half, data)])


def means(scores: list[Score]) -> dict[str, float]:
    """Give the mean F1 of bodies, ours and plain ones, and the share of right days."""
    sums = {
        "extraction body F1": sum(s.body for s in scores),
        "extraction day": sum(s.day for s in scores),
        "extraction body F1 plain": sum(s.plain for s in scores),
    }
    return {name: round(value / len(scores), 4) for name, value in sums.items()}


def hinted(data: Path = DATA) -> Iterator[tuple[Sample, bool, Score]]:
    """Measure the publishers that have hints; tell which page these were written from."""
    hints = tomllib.loads(HINTS.read_text(encoding="utf-8"))
    for sample in samples("dev", data):
        if sample.publisher in hints:
            hint = hints[sample.publisher]
            yield sample, sample.name == hint["written_from"], score(sample, hint["select"])


def tokens(text: str) -> Counter[str]:
    """Count a text's words."""
    return Counter(re.findall(r"\w+", unicodedata.normalize("NFC", text.casefold())))


def f1(found: str, gold: str) -> float:
    """Compare the words of two texts."""
    a, b = tokens(found), tokens(gold)
    return 2 * (a & b).total() / max(1, a.total() + b.total())


def _body(version: dict[str, Any]) -> str:
    body = version["body"]
    parts = [t for s in body["sections"] for t in s["headline"] + s["paragraphs"]]
    return "\n".join(body["summary"] + parts)


def main(*args: str) -> None:
    """Print the tables."""
    write = sys.stdout.write
    scores = {half: [(s.name, score(s)) for s in samples(half)] for half in HALVES}
    for name, found in scores["dev"] if "--pages" in args else ():
        day = "" if found.day else "  another day"
        write(f"{name:40}{found.body:8.4f}{found.plain:8.4f}{day}\n")
    columns = {half: means([s for _, s in found]) for half, found in scores.items()}
    columns["all"] = means([s for found in scores.values() for _, s in found])
    write(f"{'':40}" + "".join(f"{half:>8}" for half in columns) + "\n")
    for name in columns["dev"]:
        write(f"{name:40}" + "".join(f"{c[name]:8.4f}" for c in columns.values()) + "\n")
    for sample, is_source, found in hinted():
        note = "written from it" if is_source else ""
        write(f"{'hints: ' + sample.name:40}{found.body:8.4f}  {note}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
