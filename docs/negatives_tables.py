"""Show how hard offline negatives are: ``python docs/negatives_tables.py DATA MINILM``.

DATA has pairs in train/SRC-TGT.tsv and tatoeba/SRC-TGT.tsv, and Bangla with several English
translations in ipc/*.tsv; MINILM is a path or Hub id. Two sentences with one translation in
common are paraphrases; each is the anchor of a triple if one edit of it makes a negative that
has more words in common with it. The samples are invented sentences, of the newsroom where it
has the language.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory

from tables import put, table

from benchmarks.build.checks import Rules, folded, n_words
from benchmarks.build.negatives import edits, names_in
from benchmarks.build.paraphrase import Draft
from corpus.sample.documents import load_documents

PAGE = Path(__file__).with_name("benchmarks.md")
LANGS = ("lb", "fr", "en", "de", "bn")
N_SAMPLES, SHORT = 3, range(5, 12)  # of a language; words of a sample
GERMAN = (  # the newsroom has no German
    "Die Brücke wird im März für fünf Monate geschlossen.",
    "Am Montag kamen 34 Kinder mehr als sonst ins Freibad.",
    "Der Minister hat den Plan für den Bahnhof gebilligt.",
    "Zwei Lehrer und ein Arzt zogen in das alte Postamt.",
)
LEAST_PIVOT, MOST_SAME, MOST_PAIRS = 3, 4, 500  # words; sentences of one pivot; of a language
MODELS, CLOSE = ("embedded", "MiniLM"), 0.5
TASK = """name = "{name}"
kind = "triples"
summary = "offline negatives"
licence = "see the data"
citation = "see the data"
languages = {langs}
size = "{n} triples"
items = {n}
chance = 0.5
[files]
test = "{name}.jsonl"
[columns]
anchor = "anchor"
paraphrase = "paraphrase"
not_paraphrase = "not_paraphrase"
lang = "lang"
"""
Said = Mapping[str, Mapping[tuple[str, str], dict[str, str]]]
Triple = dict[str, str]


def main() -> None:
    """Build the triples, score both encoders on them, rewrite the page's two tables."""
    data, minilm = Path(sys.argv[1]), sys.argv[2]
    said = by_pivot(data)
    names = frozenset().union(
        *(names_in((t for same in said[lang].values() for t in same.values()), lang)
          for lang in ("en", "fr"))
    )  # fmt: skip
    found = [triple for lang in LANGS for triple in triples(said, lang, names)]
    far = [t for t in found if not Rules(t["lang"], CLOSE).paraphrase(t["anchor"], t["paraphrase"])]
    whole, distant = score(found, minilm), score(far, minilm)
    rows = []
    for lang in LANGS:
        cosines = whole["embedded", lang]
        mean = f"{cosines['paraphrases']:.2f}, {cosines['negatives']:.2f}"
        parts = [[count(part, lang), *(cell(values[m, lang]) for m in MODELS)]
                 for part, values in ((found, whole), (far, distant))]  # fmt: skip
        rows.append([lang, *parts[0], mean, *parts[1]])
    header = ["", "triples (pairs)", *MODELS, "cosine of paraphrase, negative"]
    text = PAGE.read_text(encoding="utf-8")
    text = put(text, "negatives", table([[*header, "unlike", *MODELS], *rows]))
    text = put(text, "edits", table([["", "edit", "sentence", "negative"], *samples()]))
    PAGE.write_text(text, encoding="utf-8")


def pairs(data: Path) -> Iterator[tuple[str, str, str, str]]:
    """Give two languages and the texts of each pair of sentences."""
    for path in sorted([*data.glob("train/??-??.tsv"), *data.glob("tatoeba/??-??.tsv")]):
        src, _, tgt = path.stem.partition("-")
        for line in path.read_text(encoding="utf-8").splitlines():
            yield src, tgt, *line.split("\t")[:2]  # type: ignore[misc]
    for path in sorted(data.glob("ipc/*.tsv")):
        for line in path.read_text(encoding="utf-8").splitlines():
            own, *others = line.split("\t")
            yield from (("bn", "en", own, other) for other in others)


def by_pivot(data: Path) -> Said:
    """Gather what is said of each translation: language → translation → folded text → text."""
    said: defaultdict[str, defaultdict[tuple[str, str], dict[str, str]]]
    said = defaultdict(lambda: defaultdict(dict))
    for src, tgt, one, two in pairs(data):
        a, b = folded([one, two])
        if n_words(b) >= LEAST_PIVOT:
            said[src][tgt, b].setdefault(a, one)
        if n_words(a) >= LEAST_PIVOT:
            said[tgt][src, a].setdefault(b, two)
    return said


def triples(said: Said, lang: str, names: frozenset[str]) -> Iterator[Triple]:
    """Make the triples of a language: both sentences of a pair are anchors where they can be."""
    draft, used, n_pairs = Draft(Rules(lang, overlap=1), names), Counter[str](), 0
    for _, same in sorted(said[lang].items(), key=lambda item: drawn(item[0][1])):
        for a, b in combinations(list(same.values())[:MOST_SAME], 2):
            ways = [(a, b, draft.edits(a, b)), (b, a, draft.edits(b, a))]
            free = draft.taken.isdisjoint(folded([a, b]))
            if n_pairs == MOST_PAIRS or not free or not any(made for *_, made in ways):
                continue
            if draft.take(a, b):
                n_pairs += 1
                for anchor, other, made in ways:
                    if made:
                        edit = min(made, key=lambda e: (used[e.kind], e.kind))
                        used[edit.kind] += 1
                        yield {
                            "anchor": anchor,
                            "paraphrase": other,
                            "not_paraphrase": edit.text,
                            "lang": lang,
                        }


def score(found: list[Triple], minilm: str) -> dict[tuple[str, str], dict[str, float]]:
    """Score both encoders on triples: values by encoder and language."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "negatives.toml")
        langs = json.dumps(sorted({t["lang"] for t in found}))
        path.write_text(TASK.format(name=path.stem, langs=langs, n=len(found)))
        lines = [json.dumps(t, ensure_ascii=False) for t in found]
        path.with_suffix(".jsonl").write_text("\n".join(lines), encoding="utf-8")
        code = "from benchmarks.cli import main; main()"
        args = ["run", "embedded", f"MiniLM={minilm}", "--task", str(path), "--json", "-w", folder]
        done = subprocess.run([sys.executable, "-c", code, *args], check=True, capture_output=True)
    records = json.loads(done.stdout)
    return {(r["model"], s["name"]): s["values"] for r in records for s in r["scores"]}


def count(found: list[Triple], lang: str) -> str:
    """Count the triples of a language, and the pairs that they are of."""
    mine = [frozenset((t["anchor"], t["paraphrase"])) for t in found if t["lang"] == lang]
    return f"{len(mine)} ({len(set(mine))})"


def cell(values: Mapping[str, float]) -> str:
    """Write an accuracy and its interval."""
    return f"{values['accuracy']:.2f} <sub>{values['low']:.2f}–{values['high']:.2f}</sub>"


def samples() -> list[list[str]]:
    """Edit invented sentences: some kinds of edits of each language, drawn by hash."""
    documents = load_documents()
    rows = []
    for lang in LANGS:
        texts = {t for d in documents for t in d.lines.get(lang, {}).values()}
        made: dict[str, list[str]] = {}
        for text in sorted(texts or GERMAN, key=drawn):
            for edit in edits(text, lang) if n_words(text) in SHORT else ():
                if text not in [row[2] for row in made.values()]:
                    made.setdefault(edit.kind, [lang, edit.kind, text, edit.text])
        rows += [made[kind] for kind in sorted(made, key=lambda k: drawn(lang + k))[:N_SAMPLES]]
    return rows


def drawn(text: str) -> bytes:
    """Order texts by what has nothing to do with them."""
    return hashlib.sha256(text.encode()).digest()


if __name__ == "__main__":
    main()
