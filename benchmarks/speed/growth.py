"""Time per article pair as a collection grows: ``python -m benchmarks.speed.growth``.

Articles are generated: each sentence joins two lines of the bundled stories, so that the
two languages translate each other and nothing is downloaded. As on a site, more articles
are more days, not more a day. What is timed is all of `align` from text to decided pairs:
vectors, candidates, article pairs, sentence pairs. The processor's seconds are compared,
which other work on the machine changes least.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from datetime import date, timedelta
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

from align import articles, sentences
from align.decide import Cuts
from align.encoders import load_encoder
from corpus import dedup, segment
from corpus.importing import Source, import_articles
from corpus.sample.documents import load_documents
from corpus.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZES = (1_000, 3_000, 10_000, 30_000)  # articles of both languages
LANGS = ("lb", "en")
A_DAY = 8  # of each language
N_SENTENCES = 5
FIRST = date(2020, 1, 1)
LIMIT = 1.2  # most times the least time of an article pair


def generate(n_pairs: int) -> Iterator[dict[str, str]]:
    """Make the articles of both languages."""
    stories = [[document.lines.get(lang, {}) for lang in LANGS] for document in load_documents()]
    lines = [(src[n], tgt[n]) for src, tgt in stories for n in src.keys() & tgt.keys() - {0}]
    draw = random.Random(0)  # noqa: S311
    for n in range(n_pairs):
        chosen = [draw.sample(lines, 2) for _ in range(N_SENTENCES)]
        published = FIRST + timedelta(days=n // A_DAY)
        for side, lang in enumerate(LANGS):
            text = "\n\n".join(f"{a[side].rstrip('.')}, {b[side]}" for a, b in chosen)
            url = f"https://example.org/{lang}/{n}"
            yield {"url": url, "lang": lang, "title": "", "text": text, "date": str(published)}


def build(root: Path, n_articles: int) -> Workspace:
    """Make a workspace with the sentences of generated articles."""
    workspace, file = Workspace.create(root, "benchmark@localhost"), root / "articles.jsonl"
    file.write_text("\n".join(map(json.dumps, generate(n_articles // 2))), "utf-8")
    import_articles(workspace, Source(file))
    dedup.update(workspace)
    segment.update(workspace)
    return workspace


def align(workspace: Workspace) -> dict[str, float]:
    """Align anew; give the processor's seconds of both stages, all seconds, and the pairs."""
    encoder, langs = load_encoder("embedded"), "-".join(LANGS)
    for folder in (workspace.pairs, workspace.vectors):
        shutil.rmtree(folder, ignore_errors=True)
    begun, start = time.perf_counter(), time.process_time()
    pairs = articles.update(workspace, langs, encoder, articles.Settings())[-1].counts["pairs"]
    between = time.process_time()
    kept = sentences.update(workspace, langs, encoder, Cuts())[-1].counts["kept"]
    end = time.process_time()
    return {
        "article_pairs": pairs,
        "kept": kept,
        "articles_cpu_s": between - start,
        "sentences_cpu_s": end - between,
        "s": time.perf_counter() - begun,
        "cpu_ms_a_pair": 1000 * (end - start) / pairs,
    }


def main() -> None:
    """Print times by size as JSON, and the greatest of the least time of an article pair."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=SIZES)
    parser.add_argument("--rounds", type=int, default=2, help="the least time of each counts")
    args = parser.parse_args()
    runs: dict[int, list[dict[str, float]]] = {size: [] for size in args.sizes}
    with tempfile.TemporaryDirectory() as folder:
        made = {size: build(Path(folder) / str(size), size) for size in args.sizes}
        align(made[min(made)])  # whatever only a first run does
        for _ in range(args.rounds):
            for size, workspace in made.items():
                runs[size].append(align(workspace))
                sys.stderr.write(
                    f"{size} articles: {runs[size][-1]['cpu_ms_a_pair']:.2f} ms a pair\n"
                )
    least = {size: min(taken, key=itemgetter("cpu_ms_a_pair")) for size, taken in runs.items()}
    each = [taken["cpu_ms_a_pair"] for taken in least.values()]
    rows = {size: {k: round(v, 2) for k, v in taken.items()} for size, taken in least.items()}
    result = {"articles": rows, "of_least": round(max(each) / min(each), 3), "limit": LIMIT}
    sys.stdout.write(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
