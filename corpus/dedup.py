"""The catalogue: which version of which article counts.

Of an article the newest version is kept; of articles in one language with the same
words, or nearly so (`corpus.near`), the one with the smallest id, whatever site or
edition it is of.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from corpus import near, stages, tables
from corpus.stages import Made, Part, Stage, StageRun
from corpus.tables import ARTICLES, CATALOGUE, SKETCHES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from corpus.engine import Engine
    from corpus.workspace import Workspace

STAGE = Stage("catalogue", 2, (CATALOGUE,))
PART = "catalogue"
SAME = {"same": pl.String, "near": pl.String}
IDS = ("article_id", "version", "site", "lang", "published", "fetched", "licence")


def update(
    workspace: Workspace,
    *,
    engine: Engine | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    dry: bool = False,
) -> StageRun:
    """Bring the catalogue up to date with all extracted and imported articles."""
    files = list(_article_files(workspace))
    parts = [Part(name, [digest, near.LIBRARY], path) for path, name, digest in files]
    whole = Part(PART, [[name, digest, near.LIBRARY] for _, name, digest in files], workspace)
    if dry:
        return stages.run(STAGE, workspace.catalogue, [whole], _make, dry=True)
    stages.run(near.STAGE, workspace.sketches, parts, near.sketch, engine=engine, progress=progress)
    return stages.run(STAGE, workspace.catalogue, [whole], _make)


def load(workspace: Workspace) -> pl.DataFrame:
    """Load the catalogue's rows of kept articles, by id."""
    rows = stages.scan(STAGE, workspace.catalogue, CATALOGUE)
    return rows.filter(state="kept")


def kept_articles(workspace: Workspace, rows: pl.DataFrame | None = None) -> pl.DataFrame:
    """Load articles with their text, by id.

    Args:
        workspace: where they are.
        rows: of the catalogue; all kept ones by default.
    """
    wanted = load(workspace) if rows is None else rows
    found = [ARTICLES.empty()]
    for (part,), ids in sorted(wanted.partition_by("part", as_dict=True).items()):
        path = part_path(workspace, str(part))
        keys = ids.select("article_id", "version")
        articles = tables.read(path, ARTICLES).join(keys, ["article_id", "version"], "semi")
        found.append(articles.unique(["article_id", "version"], keep="first", maintain_order=True))
    return ARTICLES.conform(pl.concat(found))


def part_path(workspace: Workspace, part: str) -> Path:
    """Say where the articles of a catalogue's row stand."""
    return workspace.extracted.parent / f"{part}.parquet"


def catalogue(rows: pl.DataFrame) -> pl.DataFrame:
    """Decide which articles are kept.

    Args:
        rows: article_id, version, site, lang, published, fetched, part of all articles.

    Returns:
        A row of the catalogue for each article and version. A version that was
        fetched several times counts with its last fetch.
    """
    by_age = rows.sort("article_id", "fetched", "version", "part", nulls_last=False)
    unique = by_age.unique(["article_id", "version"], keep="last", maintain_order=True)
    newest = unique.with_columns(newest=pl.col("version").last().over("article_id"))
    is_newest = pl.col("version") == pl.col("newest")
    smallest = pl.col("article_id").filter(is_newest).min().over("lang", "version")
    decided = newest.with_columns(smallest=smallest).with_columns(
        state=pl.when(~is_newest)
        .then(pl.lit("older_version"))
        .when(pl.col("smallest") != pl.col("article_id"))
        .then(pl.lit("duplicate"))
        .otherwise(pl.lit("kept"))
    )
    of = {"older_version": pl.col("newest"), "duplicate": pl.col("smallest")}
    named = pl.coalesce(pl.when(state=state).then(column) for state, column in of.items())
    return CATALOGUE.conform(decided.with_columns(of=named))


def without(rows: pl.DataFrame, gone: Mapping[str, str]) -> pl.DataFrame:
    """Let articles give way to near duplicates, and with them their exact ones.

    Args:
        rows: of the catalogue.
        gone: the article that stays, by the id of the one that gives way.
    """
    given = pl.DataFrame({"same": list(gone), "near": list(gone.values())}, SAME)
    same = pl.when(state="kept").then("article_id").when(state="duplicate").then("of")
    joined = rows.with_columns(same=same).join(given, "same", "left", maintain_order="left")
    is_near = pl.col("near").is_not_null()
    return CATALOGUE.conform(
        joined.with_columns(
            state=pl.when(is_near).then(pl.lit("near_duplicate")).otherwise("state"),
            of=pl.coalesce("near", "of"),
        )
    )


def _make(workspace: Workspace) -> Made:
    frames = [
        pl.read_parquet(path, columns=list(IDS)).with_columns(part=pl.lit(part))
        for path, part, _ in _article_files(workspace)
    ]
    empty = ARTICLES.empty().select(*IDS, part=pl.lit("", pl.String))
    rows = catalogue(pl.concat([empty, *frames]))
    kept = rows.filter(state="kept").select("article_id", "version", "part")
    sketches = stages.scan(near.STAGE, workspace.sketches, SKETCHES)
    mine = sketches.unique(SKETCHES.key).join(kept, SKETCHES.key)
    rows = without(rows, near.give_way(mine, partial(kept_articles, workspace)))
    states = rows.group_by("state").len().rows()
    return Made({"catalogue": rows}, {"articles": rows.height, **{s: int(n) for s, n in states}})


def _article_files(workspace: Workspace) -> Iterator[tuple[Path, str, str]]:
    """List the tables of articles, their names below the folder of articles, their digests."""
    for folder in (workspace.extracted, workspace.imported):
        for manifest, content in stages.manifests(folder):
            path = STAGE.path(manifest.parent, manifest.stem, STAGE.outputs[0])
            name = str(path.relative_to(workspace.extracted.parent).with_suffix(""))
            yield path, name, content["files"].get(path.name, "")
