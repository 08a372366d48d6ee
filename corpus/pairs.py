"""What `align` and imports leave in a workspace, and all others read, by language pair."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from corpus import stages
from corpus.errors import LanguageError
from corpus.languages import check_pair
from corpus.stages import Stage
from corpus.tables import (
    ARTICLE_DECOYS,
    ARTICLE_PAIRS,
    ARTICLE_STATES,
    DECOYS,
    REJECTS,
    SENTENCE_CANDIDATES,
    SENTENCE_PAIRS,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from corpus.tables import Table
    from corpus.workspace import Workspace

SCORE_ARTICLES = Stage("article_candidates", 5, (ARTICLE_PAIRS, ARTICLE_DECOYS))
MATCH_ARTICLES = Stage("article_pairs", 3, (ARTICLE_PAIRS, ARTICLE_STATES))
SCORE_SENTENCES = Stage("sentence_candidates", 4, (SENTENCE_CANDIDATES, DECOYS))
MATCH_SENTENCES = Stage("sentence_pairs", 4, (SENTENCE_PAIRS,))
IMPORT = Stage("imported_pairs", 1, (SENTENCE_PAIRS, REJECTS))


def language_pairs(workspace: Workspace, chosen: Sequence[str] = ()) -> list[str]:
    """List the language pairs that were aligned or imported, or those chosen of them.

    Raises:
        LanguageError: one that was chosen is not there.
    """
    present = sorted(p.name for p in workspace.pairs.glob("*-*") if p.is_dir())
    for pair in map(check_pair, chosen):
        if pair not in present:
            raise LanguageError(f"no pairs of {pair}; this workspace has {', '.join(present)}")
    return [check_pair(pair) for pair in chosen] or present


def aligned_pairs(workspace: Workspace) -> list[str]:
    """List the language pairs that were aligned."""
    found = {p.parent.name for p in workspace.pairs.glob("*-*/*") if p.name != IMPORT.name}
    return sorted(found)


def scan(workspace: Workspace, langs: str, stage: Stage, table: Table) -> pl.DataFrame:
    """Read one table of a stage of a language pair, sorted by its key."""
    return stages.scan(stage, workspace.pair_stage(langs, stage.name), table)


def article_pairs(workspace: Workspace, langs: str) -> pl.DataFrame:
    """Read the article pairs of a language pair."""
    return scan(workspace, langs, MATCH_ARTICLES, ARTICLE_PAIRS)


def sentence_pairs(workspace: Workspace, langs: str) -> pl.DataFrame:
    """Read the sentence pairs of a language pair, matched or imported, kept or not."""
    return SENTENCE_PAIRS.conform(scan_pairs(workspace, langs).collect())


def scan_pairs(workspace: Workspace, langs: str) -> pl.LazyFrame:
    """Scan the sentence pairs of a language pair; where several are equal one is kept.

    An aligned pair goes before imported ones. Rows are streamed; a hash of each is held.
    """
    parts = [
        stage.path(path.parent, path.stem, SENTENCE_PAIRS)
        for stage in (MATCH_SENTENCES, IMPORT)
        for path, _ in stages.manifests(workspace.pair_stage(langs, stage.name))
    ]
    rows = pl.concat([SENTENCE_PAIRS.empty().lazy(), *map(pl.scan_parquet, parts)])
    if not any(workspace.pair_stage(langs, IMPORT.name).glob("*")):
        return rows
    rows = rows.with_row_index("row")
    keys = (
        rows.filter("kept").select("row", key=pl.col("pair_id").hash()).collect(engine="streaming")
    )
    again = pl.col("row").is_in(keys.filter(~pl.col("key").is_first_distinct())["row"].implode())
    reason = pl.when(again).then(pl.lit("duplicate")).otherwise("reason")
    return rows.with_columns(kept=pl.col("kept") & ~again, reason=reason).drop("row")
