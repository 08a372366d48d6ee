"""Extraction on two processes against one: ``python -m benchmarks.speed.extract``.

The pages are the sample newsroom's, as many times as asked for. Runs alternate; the
ratio is of the shortest ones. Beside it stand the processor's seconds: of the pages, and
of the process that hands them out. On a busy machine, too, they show what a second process
costs: nothing, where they are the same.
"""

from __future__ import annotations

import sys
import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from corpus.engine import Lost, Pool
from corpus.extract import extract_page
from corpus.sample.documents import load_documents
from corpus.sample.render import render
from corpus.sites import load_profile
from corpus.warc import Page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from corpus.sites import Profile

ROUNDS = 3
HTML = {"content-type": "text/html; charset=utf-8"}


def main(n_pages: int = 600) -> None:
    """Print pages a second on one and two processes, and the ratio."""
    profile = load_profile("sample")
    room = render(load_documents(), profile)
    stories = sorted(room.gold.values(), key=lambda a: a.url)
    bodies = [(s.url, room.pages[s.url.split("/")[2], s.path].body) for s in stories]
    pages = [Page(*bodies[n % len(bodies)], headers=HTML) for n in range(n_pages)]
    runs: dict[int, list[Seconds]] = {1: [], 2: []}
    for _ in range(ROUNDS):
        for n_workers, found in runs.items():
            found.append(_seconds(pages, n_workers))
    for n_workers, found in runs.items():
        clock, work, handing = map(min, zip(*found, strict=True))
        sys.stdout.write(
            f"{n_workers} process(es): {n_pages / clock:.0f} pages/s, {clock:.2f} s; processor: "
            f"{work:.2f} s for the pages, {handing:.2f} s to hand them out\n"
        )
    one, two = (min(found)[0] for found in runs.values())
    sys.stdout.write(f"two processes {one / two:.2f} x one\n")


class Seconds(NamedTuple):
    """Of the clock, of the processor for the pages, and for handing them out."""

    clock: float
    work: float
    handing: float


def timed(page: Page, profile: Profile) -> float:
    """Extract a page; give the seconds of the processor that it took."""
    started = time.process_time()
    extract_page(page, profile)
    return time.process_time() - started


def _seconds(pages: Sequence[Page], n_workers: int) -> Seconds:
    extract = partial(timed, profile=load_profile("sample"))
    started, used = time.perf_counter(), time.process_time()
    work = [s for s in Pool(n_workers).each(extract, pages) if not isinstance(s, Lost)]
    return Seconds(time.perf_counter() - started, sum(work), time.process_time() - used)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
