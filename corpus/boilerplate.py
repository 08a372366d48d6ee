"""Blocks that stand on many pages of a site: notices, prompts, forms, labels.

They are learnt once, from 200 of the site's pages, and kept as hashes, which hold no
text. The pages are those with the smallest hashes of their URLs, so that the order
in which a crawl came by them does not matter; while a site has fewer, they are
learnt again with every new file.
"""

from __future__ import annotations

import hashlib
import heapq
import json
from collections import Counter, defaultdict
from functools import partial
from typing import TYPE_CHECKING

import trafilatura

from corpus import tables
from corpus.engine import Lost
from corpus.prose import units
from corpus.warc import Page, read_records

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from corpus.engine import Engine
    from corpus.sites import Profile

N_PAGES = 200
MAX_LEARN = 1_000_000  # bytes of a page: 200 are held at once
MIN_PAGES = 4  # of an edition must have a block
MIN_SHARE = 0.1  # of its pages, too


def learnt(
    stored: Path, files: Mapping[Path, str], profile: Profile, engine: Engine, *, dry: bool
) -> list[str]:
    """Give the keys of a site's boilerplate, and learn them where they are not known.

    Args:
        stored: where they are kept.
        files: the site's WARC files, and a digest of each.
        profile: of the site.
        engine: where pages are read.
        dry: do not store what was learnt.
    """
    key = hashlib.sha256(json.dumps(sorted(files.values())).encode()).hexdigest()
    try:
        known = json.loads(stored.read_text(encoding="utf-8"))
        if known["n_pages"] >= N_PAGES or known["files"] == key:
            return [str(block) for block in known["blocks"]]
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not learnt yet, or damaged
    pages = _pages(files, profile)
    blocks = sorted(learn(pages, profile, engine))
    if not dry:
        fact = {"n_pages": len(pages), "files": key, "blocks": blocks}
        tables.write_text(stored, json.dumps(fact, indent=1))
    return blocks


def learn(pages: Iterable[Page], profile: Profile, engine: Engine) -> set[str]:
    """Find the blocks that at least four pages and a tenth of an edition's pages have."""
    editions: dict[str, list[set[str]]] = defaultdict(list)
    for found in engine.each(partial(_keys, profile), pages):
        if not isinstance(found, Lost):
            editions[found[0]].append(found[1])
    return {
        key
        for each in editions.values()
        for key, n in Counter(key for keys in each for key in keys).items()
        if n >= max(MIN_PAGES, MIN_SHARE * len(each))
    }


def _keys(profile: Profile, page: Page) -> tuple[str, set[str]]:
    edition = profile.edition_of(page.url)
    tree = trafilatura.load_html(page.body)
    keys = set() if tree is None else {key for _, key in units(tree)}
    return (f"{edition.host}{edition.path}" if edition else ""), keys


def _pages(files: Iterable[Path], profile: Profile) -> list[Page]:
    """Choose the articles, by the patterns, whose URLs have the smallest hashes."""

    def digest(page: Page) -> bytes:
        return hashlib.sha256(page.url.encode("utf-8", "replace")).digest()

    return heapq.nsmallest(N_PAGES, _articles(files, profile), key=digest)


def _articles(files: Iterable[Path], profile: Profile) -> Iterator[Page]:
    for path in files:
        for page in read_records(path):
            if isinstance(page, Page) and page.status == 200 and len(page.body) <= MAX_LEARN:
                edition = profile.edition_of(page.url)
                if edition and edition.is_article(page.url):
                    yield page
