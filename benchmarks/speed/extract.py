"""Extraction on two processes against one: ``python -m benchmarks.speed.extract``.

The pages are the sample newsroom's, as many times as asked for, each with padding of
its own. Runs alternate; the ratio is of the shortest ones.
"""

from __future__ import annotations

import sys
import time
from functools import partial
from typing import TYPE_CHECKING

from corpus.engine import Pool
from corpus.extract import extract_page
from corpus.sample.documents import load_documents
from corpus.sample.render import render
from corpus.sites import load_profile
from corpus.warc import Page

if TYPE_CHECKING:
    from collections.abc import Sequence

ROUNDS = 3
HTML = {"content-type": "text/html; charset=utf-8"}


def main(n_pages: int = 600) -> None:
    """Print pages a second on one and two processes, and the ratio."""
    profile = load_profile("sample")
    room = render(load_documents(), profile)
    stories = sorted(room.gold.values(), key=lambda a: a.url)
    bodies = [(s.url, room.pages[s.url.split("/")[2], s.path].body) for s in stories]
    pages = [Page(*bodies[n % len(bodies)], headers=HTML) for n in range(n_pages)]
    best = {1: float("inf"), 2: float("inf")}
    for _ in range(ROUNDS):
        for n_workers in best:
            best[n_workers] = min(best[n_workers], _seconds(pages, n_workers))
    rates = ", ".join(f"{n}: {n_pages / seconds:.0f} pages/s" for n, seconds in best.items())
    sys.stdout.write(f"{rates}; two processes {best[1] / best[2]:.2f} x one\n")


def _seconds(pages: Sequence[Page], n_workers: int) -> float:
    extract = partial(extract_page, profile=load_profile("sample"))
    started = time.perf_counter()
    Pool(n_workers).each(extract, pages)
    return time.perf_counter() - started


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
