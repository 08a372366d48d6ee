"""Measure identification and segmentation on real text: ``python -m tests.language_quality``.

With a language and a file (a sentence a line, a blank line between documents) it measures
segmentation on these alone: ``python -m tests.language_quality is sentences.txt``.

Choices are made on *dev* (every second document of NTREX from the first, the train and
dev splits of SIB-200) and shown on *test* (the rest).
"""

from __future__ import annotations

import csv
import re
import sys
from collections import Counter
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from corpus.languages import identify, settle, with_look_alikes
from corpus.segment import SURE, segment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

DATA = Path(__file__).parents[2] / "shared" / "data"
LANGUAGES = ("lb", "fr", "de", "en", "bn")
SITES = (("lb", "fr", "en"), ("lb", "fr", "de", "en"), ("bn", "fr", "en"), ("bn", "fr", "de", "en"))
HALVES = ("dev", "test", "all")
SPLITS = {"dev": {"train", "dev"}, "test": {"test"}, "all": {"train", "dev", "test"}}

FINAL = re.compile(r"[.!?…।॥][\s\"'”’“»«)\]›]*$")
# Gold: a plain end inside a line ends a sentence too. Plain is a word of four lower-case
# letters at least, a mark, and a capital (or a Bangla letter) that a quote may open.
INNER = re.compile(r"(?<=[a-zà-ÿß\u0980-\u09ff]{4}[.!?।])\s+(?=[\"«„“]?\s?[A-ZÀ-Þ\u0985-\u09ff])")
# A peer: the one line that a person in a hurry writes.
PLAIN = re.compile(r"([.!?।…][\"'”’“»)]*)\s+(?=[\"'“„«‘(]*[A-ZÀ-ÖØ-Þ0-9\u0980-\u09ff])")


@lru_cache(maxsize=8)
def documents(half: str, data: Path = DATA) -> list[dict[str, list[str]]]:
    """Read the documents of NTREX: the lines of each, by language."""
    found: dict[str, dict[str, list[str]]] = {}
    for row in _rows(data / "ntrex" / "ntrex.tsv"):
        document = found.setdefault(row["doc"], {lang: [] for lang in LANGUAGES})
        for lang in LANGUAGES:
            document[lang].append(" ".join(row[lang].split()))
    everything = list(found.values())
    return everything if half == "all" else everything[HALVES.index(half) :: 2]


def identification(half: str, data: Path = DATA) -> dict[str, float]:
    """F1 of each language on NTREX's sentences, those of 15 other languages among them."""
    others = [
        (row["lang"], row["text"])
        for row in _rows(data / "sib200" / "sib200.tsv")
        if row["split"] in SPLITS[half] and row["lang"] not in LANGUAGES
    ]
    choices = sorted({lang for lang, _ in others} | set(LANGUAGES))
    return _f1([*_lines(half, LANGUAGES, data), *others], choices)


def headlines(half: str, site: Sequence[str], data: Path = DATA) -> dict[str, float]:
    """F1 of a site's languages on the first four words of each sentence."""
    return _f1([(k, " ".join(t.split()[:4])) for k, t in _lines(half, site, data)], site)


def surrounded(half: str, words: int, data: Path = DATA) -> dict[str, float]:
    """Share of wrong decisions in an article of one's own language and in a foreign one.

    An article is taken for one in Luxembourgish, or in French where the text is that.
    """
    texts = [(k, " ".join(t.split()[:words])) for k, t in _lines(half, LANGUAGES, data)]
    guesses = identify([text for _, text in texts], with_look_alikes(LANGUAGES))
    pairs = [(lang, guess) for (lang, _), guess in zip(texts, guesses, strict=True)]
    own = sum(settle(guess, lang, SURE) != lang for lang, guess in pairs)
    foreign = sum(settle(g, "fr" if k == "lb" else "lb", SURE) != k for k, g in pairs)
    return {"own": own / len(pairs), "foreign": foreign / len(pairs)}


def segmentation(half: str, lang: str, data: Path = DATA) -> dict[str, float]:
    """F1 of sentence ends found again in running text, by ours and by two peers."""
    return split_again(lang, [document[lang] for document in documents(half, data)])


def split_again(lang: str, lines: Iterable[Iterable[str]]) -> dict[str, float]:
    """F1 of the ends of lines found again, each document's lines joined to running text."""
    import sentencex

    gold = [paragraph for document in lines for paragraph in paragraphs(document)]
    splitters: dict[str, Callable[[str], Iterable[str]]] = {
        "ours": partial(segment, lang=lang),
        "sentencex": partial(sentencex.segment, lang),
        "regex": lambda text: PLAIN.sub("\\1\n", text).split("\n"),
    }
    return {name: _ends_f1(splitter, gold) for name, splitter in splitters.items()}


def paragraphs(lines: Iterable[str]) -> Iterator[list[str]]:
    """Join lines to paragraphs, each a list of gold sentences.

    A paragraph breaks after a line without final punctuation.
    """
    open_lines: list[str] = []
    for line in filter(None, lines):
        open_lines += INNER.split(line)
        if not FINAL.search(line):
            yield open_lines
            open_lines = []
    yield open_lines


def measure(half: str = "test", data: Path = DATA) -> dict[str, float]:
    """Measure everything that a floor is held for, by name."""
    found = {f"language {k} F1": v for k, v in identification(half, data).items()}
    for site in SITES:
        name = "headlines of " + "-".join(site)
        found |= {f"{name} {k} F1": v for k, v in headlines(half, site, data).items()}
    ours = {f"sentences {k} F1": segmentation(half, k, data)["ours"] for k in LANGUAGES}
    return {name: round(value, 4) for name, value in (found | ours).items()}


def table(half: str) -> dict[str, float]:
    """Measure everything, the peers and what an article decides for its headlines too."""
    found = measure(half)
    for lang in LANGUAGES:
        peers = segmentation(half, lang)
        found |= {f"sentences {lang} F1 {k}": v for k, v in peers.items() if k != "ours"}
    for words in (4, 99):
        shares = surrounded(half, words)
        found |= {f"first {words} words, {k} article, wrong": v for k, v in shares.items()}
    return found


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def _lines(half: str, languages: Iterable[str], data: Path) -> list[tuple[str, str]]:
    found = documents(half, data)
    return [(lang, line) for lang in languages for doc in found for line in doc[lang]]


def _f1(texts: Sequence[tuple[str, str]], choices: Sequence[str]) -> dict[str, float]:
    guesses = [guess.lang for guess in identify([text for _, text in texts], choices)]
    true, found = Counter(lang for lang, _ in texts), Counter(guesses)
    right = Counter(g for (lang, _), g in zip(texts, guesses, strict=True) if lang == g)
    return {k: 2 * right[k] / (true[k] + found[k]) for k in LANGUAGES if k in choices}


def _ends_f1(split: Callable[[str], Iterable[str]], gold: Iterable[list[str]]) -> float:
    right = total = 0
    for lines in gold:
        got, want = _ends(split(" ".join(lines))), _ends(lines)
        right, total = right + len(got & want), total + len(got) + len(want)
    return 2 * right / total


def _ends(sentences: Iterable[str]) -> set[int]:
    """Count the letters before each inner end."""
    lengths = [len("".join(s.split())) for s in sentences]
    return {sum(lengths[:n]) for n in range(1, len(lengths))}


def main(lang: str = "", file: str = "") -> None:
    """Print a table of all halves, or of one file."""
    if file:
        blocks = re.split(r"\n\s*\n", Path(file).read_text(encoding="utf-8").strip())
        columns = {"F1": split_again(lang, [block.splitlines() for block in blocks])}
    else:
        columns = {half: table(half) for half in HALVES}
    sys.stdout.write(f"{'':40}" + "".join(f"{name:>8}" for name in columns) + "\n")
    for name in next(iter(columns.values())):
        row = "".join(f"{column[name]:8.4f}" for column in columns.values())
        sys.stdout.write(f"{name:40}{row}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
