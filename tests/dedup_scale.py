"""Time and memory of the catalogue on many articles: ``python -m tests.dedup_scale 200000``.

Of 20 articles one is an earlier one with a word changed, one an earlier one as it was,
one fills a template with other numbers, one the same template with other names, and 16
are their own.
"""

from __future__ import annotations

import random
import resource
import string
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial

from corpus import dedup, extract, stages
from corpus.engine import Pool
from corpus.stages import Made, Part
from corpus.tables import ARTICLES, REJECTS, article_version
from corpus.workspace import Workspace

N_WORDS, VOCABULARY = 250, 30_000
PART = 5_000  # articles
DRAW = random.Random(7)
WORDS = ["".join(DRAW.choices(string.ascii_lowercase, k=3 + n % 9)) for n in range(VOCABULARY)]
FRAME = DRAW.choices(WORDS, k=N_WORDS)
CHANGED, COPY, FIGURES, NAMES = 19, 18, 7, 8  # of 20


def article(n: int) -> list[str]:
    """Give the words of the article with a number."""
    kind, draw = n % 20, random.Random(n)
    if kind == CHANGED:
        return [*article(n - 5)[:-1], "changed"]
    if kind == COPY:
        return article(n - 5)
    if kind == FIGURES:
        return [str(draw.randrange(10**6)) if i % 50 == 0 else w for i, w in enumerate(FRAME)]
    if kind == NAMES:
        return [draw.choice(WORDS) if i % 14 == 0 else word for i, word in enumerate(FRAME)]
    return [WORDS[int(VOCABULARY * draw.random() ** 3)] for _ in range(N_WORDS)]


def fill(workspace: Workspace, n_articles: int) -> None:
    """Store articles as a crawl would have."""

    def make(start: int) -> Made:
        numbers = range(start, min(start + PART, n_articles))
        texts = [(n, " ".join(article(n))) for n in numbers]
        rows = [
            {"article_id": f"{n:016x}", "version": article_version("", "", text), "lang": "en"}
            | {"title": "", "lead": "", "text": text}
            for n, text in texts
        ]
        return Made({"articles": ARTICLES.frame(rows), "rejects": REJECTS.empty()})

    parts = [Part(f"site/{start:07}", start, start) for start in range(0, n_articles, PART)]
    stages.run(extract.STAGE, workspace.extracted, parts, make)


def timed(do: Callable[[], object]) -> float:
    """Give the seconds that something takes."""
    start = time.perf_counter()
    do()
    return time.perf_counter() - start


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        made = Workspace.create(folder, "you@example.org")
        fill(made, int(sys.argv[1]))
        whole = timed(partial(dedup.update, made, engine=Pool()))
        (made.catalogue / "catalogue.json").unlink()  # the sketches are there
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        again = timed(partial(dedup.update, made, engine=Pool()))
        counts = stages.counts(made.catalogue)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10
    sys.stdout.write(
        f"{counts}\nfirst {whole:.1f} s, catalogue alone {again:.1f} s; "
        f"peak {peak} MB, of a worker {workers} MB\n"
    )
