"""``corpus forget``: take articles out of everything that a workspace holds.

The order of steps makes a kill harmless, since the command can be run again: the list
of what must not come back first, then the pages, then all that was made of them. What
cannot be changed (models, files that others wrote here) is named.
"""

from __future__ import annotations

import json
import shutil
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from corpus import chain, dedup, forgotten, segment, stages, tables, vectors
from corpus.crawl.frontier import Frontier
from corpus.crawl.warc import SUFFIX, WarcStore
from corpus.errors import BitextileError, InputError
from corpus.ledger import read_articles
from corpus.pages import site_profile
from corpus.pairs import aligned_pairs, sentence_pairs
from corpus.release import Options, hub, make_release, manifest
from corpus.release.rebuild import read_config
from corpus.release.rows import ARTICLES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from corpus.console import Console
    from corpus.workspace import Workspace

MIN_CHARS = 20  # of a passage that counts as a quote where it stands elsewhere
COLUMNS = ("article_id", "version", "url", "lang", "title", "lead", "text")
ID_COLUMNS = ("article_id", "src_article", "tgt_article", "src_id", "tgt_id")
STORES = {".safetensors", ".gz", ".open"}  # vectors, and pages that are seen to on their own


@dataclass(slots=True)
class Forgotten:
    """What was done.

    Attributes:
        articles: how many of those asked for were here; ``pages`` their records.
        copies: addresses where the same text stands as another article.
        models: trained here, from pairs of the articles.
        releases: name → what became of it.
        holders: files that still hold some of the text.
    """

    articles: int = 0
    pages: int = 0
    vectors: int = 0
    copies: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    releases: dict[str, str] = field(default_factory=dict)
    holders: list[str] = field(default_factory=list)


def forget(console: Console, urls: Sequence[str], *, publish: bool = False) -> None:
    """Forget articles, and say what was done and what a person has to do.

    Args:
        console: of the workspace.
        urls: of the articles, in any form.
        publish: push releases that held them.

    Raises:
        InputError: an address is no URL.
        WorkspaceError: a crawl is running.
    """
    workspace = console.workspace
    ids = {_checked(url) for url in urls}
    done = Forgotten()
    every = read_articles(workspace, COLUMNS)
    is_asked = pl.col("article_id").is_in(list(ids))
    articles, others = every.filter(is_asked), every.filter(~is_asked)
    done.articles = articles["article_id"].n_unique()
    done.copies = _copies(workspace, ids, others)
    done.models = _models(workspace, ids)
    passages = _own(articles, others)
    gone = forgotten.add(workspace, ids)
    done.pages = _scrub_pages(console, gone, passages)
    _drop_rows(workspace, gone)
    chain.text(console)
    done.vectors = _drop_vectors(workspace, map(tables.text_key, _runs(articles)))
    workspace.report.unlink(missing_ok=True)
    done.releases = dict(_releases(workspace, gone, publish=publish))
    done.holders = [str(p.relative_to(workspace.root)) for p in _holders(workspace, passages)]
    _show(console, done, ids)


def _checked(url: str) -> str:
    if "://" not in url or not (name := forgotten.id_of(url)):
        raise InputError(f"'{url}' is no URL; give the article's address, as in its table")
    return name


def _texts(articles: pl.DataFrame) -> list[str]:
    """Give the title, lead and sentences of articles."""
    return [
        row["text"]
        for article in articles.iter_rows(named=True)
        for row in (*segment.sentences_of(article), {"text": article["lead"] or ""})
    ]


def _runs(articles: pl.DataFrame) -> Iterator[str]:
    """Give the texts of articles that may have a vector: sentences, and those of beads."""
    for article in articles.iter_rows(named=True):
        texts = [row["text"] for row in segment.sentences_of(article)]
        for size in range(1, vectors.RUN + 1):
            yield from (" ".join(texts[n : n + size]) for n in range(len(texts)))


def _own(articles: pl.DataFrame, others: pl.DataFrame) -> list[str]:
    """Choose the passages of articles that no other article's own text says too."""
    passages = sorted({text for text in _texts(articles) if len(text) >= MIN_CHARS})
    if not passages:
        return []
    said = pl.concat_str("title", "lead", "text", separator="\n", ignore_nulls=True)
    found = others.select(said.str.extract_many(passages, overlapping=True)).to_series()
    return sorted(set(passages) - set(found.explode().drop_nulls()))


def _copies(workspace: Workspace, ids: Collection[str], others: pl.DataFrame) -> list[str]:
    """Find the addresses of articles that say the same, or nearly so."""
    rows = stages.scan(dedup.STAGE, workspace.catalogue, tables.CATALOGUE)
    named = list(ids)
    mine = rows.filter(pl.col("article_id").is_in(named))["of"].drop_nulls()
    same = rows.filter(
        pl.col("state").is_in(["duplicate", "near_duplicate"])
        & (pl.col("of").is_in(named) | pl.col("of").is_in(mine.to_list()))
        | pl.col("article_id").is_in(mine.to_list())
    )
    return sorted(set(others.join(same, "article_id", "semi")["url"]))


def _models(workspace: Workspace, ids: Collection[str]) -> list[str]:
    """Name the models trained here, where a kept pair is of one of the articles."""
    of = pl.col("src_article").is_in(list(ids)) | pl.col("tgt_article").is_in(list(ids))
    for langs in aligned_pairs(workspace):
        if not sentence_pairs(workspace, langs).filter(of & pl.col("kept")).is_empty():
            return sorted(path.name for path in workspace.model("any").parent.glob("*/"))
    return []


def _scrub_pages(console: Console, ids: Collection[str], passages: Sequence[str]) -> int:
    """Take the articles out of all WARC files and frontiers; count their records."""
    workspace, n_gone = console.workspace, 0
    scrub = forgotten.Scrub(ids, passages)
    with ExitStack() as stack:
        folders = sorted(workspace.pages.glob("*/"))
        for folder in folders:
            stack.enter_context(workspace.lock(f"crawl {folder.name}", wait=False))
        bar = stack.enter_context(console.progress("pages"))
        for n, folder in enumerate(folders, 1):
            n_gone += _scrub_site(workspace, folder.name, ids, scrub)
            bar(n, len(folders))
    return n_gone


def _scrub_site(
    workspace: Workspace, site: str, ids: Collection[str], scrub: forgotten.Scrub
) -> int:
    folder, profile = workspace.site_pages(site), site_profile(workspace, site)
    with closing(Frontier(workspace.frontier(site))) as frontier:
        WarcStore(folder, frontier.file_sizes())  # closes what a crawl that died left open
        places = {
            (path.name, offset)
            for path in sorted(folder.glob(f"*{SUFFIX}"))
            for offset in scrub(path, profile)
        }
        frontier.forget(lambda url: forgotten.id_of(url) in ids, places)
        frontier.commit()
    return len(places)


def _drop_rows(workspace: Workspace, ids: Collection[str]) -> None:
    """Drop the rows of articles where no stage of text makes them anew."""
    keep = partial(_without, ids)
    texts: set[str] = set()
    for langs in aligned_pairs(workspace):
        pairs = sentence_pairs(workspace, langs)
        gone = pairs.join(keep(pairs), "pair_id", "anti")
        texts.update(gone["src_text"], gone["tgt_text"])
    for path in workspace.held_out("any").parent.glob("*.tsv"):
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if texts.isdisjoint(line.rstrip("\n").split("\t"))]
        if len(kept) < len(lines):
            tables.write_text(path, "".join(kept))
    for root in (workspace.imported, workspace.pairs):
        stages.drop_rows(root, keep)
    for path in workspace.rebuilt("any", "any").parents[1].glob("*/*.parquet"):
        rows = tables.read(path, tables.SENTENCE_PAIRS)
        tables.write(path, tables.SENTENCE_PAIRS, keep(rows))


def _drop_vectors(workspace: Workspace, keys: Iterable[bytes]) -> int:
    """Take the vectors of some texts out of all stores; count them."""
    wanted, n_gone = vectors.halves(sorted(set(keys))), 0
    for note in sorted(workspace.vectors.glob(f"*/{vectors.NOTE}")):
        precision = json.loads(note.read_text(encoding="utf-8"))["precision"]
        store = vectors.VectorStore(note.parent, precision=precision)
        with store.writing():
            store.index(anew=True)
            at = store.find(wanted)
            keep = np.ones(len(store), bool)
            keep[at[at >= 0]] = False
            store.rewrite(np.unique(store.places[~keep, 0]).tolist(), keep)
            n_gone += int(np.sum(~keep))
    return n_gone


def _without(ids: Collection[str], rows: pl.DataFrame) -> pl.DataFrame:
    named = (pl.col(name).is_in(list(ids)) for name in ID_COLUMNS if name in rows.columns)
    return rows.remove(pl.any_horizontal(pl.lit(False), *named))


def _releases(
    workspace: Workspace, ids: Collection[str], *, publish: bool
) -> Iterator[tuple[str, str]]:
    """Make the releases that hold one of the articles again without it; push them if asked."""
    for folder in sorted(workspace.release("any").parent.glob("*/")):
        held = set(read_config(folder, ARTICLES.name, ARTICLES)["article_id"])
        if held.isdisjoint(ids):
            continue
        facts = manifest.load(folder)
        try:
            make_release(workspace, facts.name, Options(**facts.options.model_dump()))
        except BitextileError as error:
            shutil.rmtree(folder)
            yield facts.name, f"removed here, and cannot be made again: {error}"
            continue
        if not publish:
            yield facts.name, f"made again; if it is public: corpus publish {facts.name}"
        elif hub.exists(facts.name):
            yield facts.name, f"pushed as commit {hub.publish(folder, facts.name).commit}"
        else:
            yield facts.name, "made again; it was never published"


def _holders(workspace: Workspace, passages: Sequence[str]) -> Iterator[Path]:
    """Find the files that still hold one of some passages."""
    for path in sorted(workspace.root.rglob("*")):
        if passages and path.is_file() and path.suffix not in STORES:
            if path.suffix == ".parquet":
                strings = pl.read_parquet(path).select(pl.col(pl.String))
                texts = [text for column in strings for text in column.drop_nulls()]
            else:
                texts = [path.read_text(encoding="utf-8", errors="replace")]
            if pl.Series(texts, dtype=pl.String).str.contains_any(list(passages)).any():
                yield path


def _show(console: Console, done: Forgotten, ids: Collection[str]) -> None:
    absent = len(ids) - done.articles
    console.show(
        f"{done.articles} articles forgotten, with {done.pages} pages and {done.vectors} vectors"
        + (f"; {absent} were not here, and will not come" if absent else "")
    )
    for url in done.copies:
        console.show(f"the same text also stands at {url}: corpus forget it as well?")
    for name in done.models:
        console.show(f"model {name} may have been trained on it: train it again, or take it down")
    for name, fate in done.releases.items():
        console.show(f"release {name}: {fate}")
    for path in done.holders:
        console.show(f"{path} still holds some of the text: remove or edit it by hand")
    console.emit(asdict(done))
