"""Near duplicates: articles of one language that say almost the same in the same words.

An article gives way to another if both hold the same numbers, the Jaccard similarity of
their shingles (three words in a row, of title, lead and text) is at least 0.8, and it has
no more than ten shingles in a row that the other lacks. Numbers must agree because a page
of weather or results fills one template with others each day, and because a changed
figure is news, as a sentence more is; in a text under 50 shingles a word may be. Where the
other has more, nothing is lost. MinHash (Broder 1997) and banding propose, the texts
themselves decide.

The map stage `sketches` keeps 25 band keys an article; a part is a file of articles.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from functools import lru_cache
from importlib.metadata import version
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from corpus.stages import Made, Stage
from corpus.tables import SKETCHES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    Signature = np.ndarray[tuple[int, ...], np.dtype[np.uint32]]

STAGE = Stage("sketches", 1, (SKETCHES,))
LIBRARY = f"rensa {version('rensa')}"  # shapes the sketches
SHINGLE = 3  # words in a row
THRESHOLD = 0.8  # least Jaccard similarity of two articles' shingles
MIN_SHINGLES = 50  # a shorter text is near to none
MAX_NEW = 10  # shingles in a row that only the one that gives way has
BANDS, ROWS = 25, 5  # a pair at the threshold shares a band with probability 0.9999
SEED = 42
# What bounds the time on a site that fills one template: of those that share a band key
# the first are remembered, and of these the ones with most bands in common are compared.
MAX_BUCKET = 50
MAX_COMPARED = 10
TEXTS = ("title", "lead", "text")
WHOLE = pl.concat_str(TEXTS, separator="\n", ignore_nulls=True)
BATCH = 1_000  # articles sketched at a time


def sketch(path: Path) -> Made:
    """Sketch the articles of one file."""
    columns = ["article_id", "version", "lang", *TEXTS]
    articles = pl.read_parquet(path, columns=columns)
    frames = [_sketch(batch) for batch in articles.iter_slices(BATCH)]
    rows = pl.concat([SKETCHES.empty(), *frames]).unique(SKETCHES.key)
    return Made({"sketches": rows}, {"sketches": rows.height})


def give_way(
    sketches: pl.DataFrame, read: Callable[[pl.DataFrame], pl.DataFrame]
) -> dict[str, str]:
    """Say which articles give way to which near duplicate.

    In the order of their ids each article gives way to the smallest kept one that it
    nearly equals, or is kept itself: what is lost is always near something kept.

    Args:
        sketches: of articles that may be kept, one version each.
        read: gives the articles of some rows of ``sketches``, with their texts.

    Returns:
        The article that stays, by the id of the one that gives way.
    """
    bands = sketches.explode("bands").drop_nulls().filter(pl.len().over("bands") > 1)
    shared = bands.group_by("article_id").agg("bands").sort("article_id")
    articles = read(sketches.join(shared, "article_id", "semi"))
    texts = dict(articles.select("article_id", WHOLE).iter_rows())
    kept: dict[int, list[str]] = defaultdict(list)  # by band key
    gone: dict[str, str] = {}
    for article_id, keys in shared.iter_rows():
        if near := _near(texts[article_id], _likely(keys, kept), texts):
            gone[article_id] = near
            continue
        for key in keys:
            if len(kept[key]) < MAX_BUCKET:
                kept[key].append(article_id)
    return gone


def is_near(text: str, kept: str) -> bool:
    """Tell whether a text may give way to a kept one."""
    if similarity(text, kept) < THRESHOLD:
        return False
    known, _ = _compared(kept)
    runs = groupby(shingles(text), known.__contains__)
    return all(len(list(run)) <= MAX_NEW for is_known, run in runs if not is_known)


def similarity(a: str, b: str) -> float:
    """Give the Jaccard similarity of two texts' shingles; 0 where their numbers differ."""
    (one, in_one), (other, in_other) = _compared(a), _compared(b)
    common = len(one & other) if in_one == in_other else 0
    return common / (len(one) + len(other) - common)


def shingles(text: str) -> list[str]:
    """List every three words in a row; a shorter text is one shingle."""
    words = text.casefold().split()
    return [" ".join(words[n : n + SHINGLE]) for n in range(max(1, len(words) - SHINGLE + 1))]


def numbers(text: str) -> frozenset[str]:
    """Collect the numbers of a text."""
    return frozenset(re.findall(r"\d+", text))


@lru_cache(maxsize=1_024)  # those of a template are compared again and again
def _compared(text: str) -> tuple[frozenset[str], frozenset[str]]:
    return frozenset(shingles(text)), numbers(text)


def _near(text: str, likely: Iterable[str], texts: Mapping[str, str]) -> str | None:
    return min((other for other in likely if is_near(text, texts[other])), default=None)


def _likely(keys: Iterable[int], kept: Mapping[int, list[str]]) -> list[str]:
    """Name the kept articles with most bands in common, ties by id."""
    common = Counter(other for key in keys for other in kept.get(key, ()))
    return sorted(common, key=lambda other: (-common[other], other))[:MAX_COMPARED]


def _sketch(articles: pl.DataFrame) -> pl.DataFrame:
    from rensa import RMinHash

    texts = articles.select(WHOLE).to_series().to_list()
    sets = [shingles(text) for text in texts]
    rows = RMinHash.digest_matrix_from_token_sets(sets, BANDS * ROWS, SEED).to_rows()
    signatures = np.array(rows, np.uint32).reshape(len(texts), BANDS, ROWS)
    rich = [len(found) >= MIN_SHINGLES for found in sets]
    meant = zip(rich, articles["lang"], texts, signatures, strict=True)
    keys = [list(_keys(*row)) if enough else [] for enough, *row in meant]
    bands = pl.Series("bands", keys, pl.List(pl.UInt64))
    return articles.select("article_id", "version", bands)


def _keys(lang: str, text: str, signature: Signature) -> Iterator[int]:
    """Hash each band, with what must agree too: the language and the numbers."""
    alike = "\0".join([lang, *sorted(numbers(text))]).encode()
    for n, band in enumerate(signature.astype("<u4")):
        data = b"\0".join((bytes([n]), band.tobytes(), alike))
        yield int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")
