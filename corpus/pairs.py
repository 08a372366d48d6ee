"""What `align` leaves in a workspace, and all others read: the stages' tables by language pair."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corpus import stages
from corpus.stages import Stage
from corpus.tables import (
    ARTICLE_PAIRS,
    ARTICLE_STATES,
    DECOYS,
    SENTENCE_CANDIDATES,
    SENTENCE_PAIRS,
)

if TYPE_CHECKING:
    import polars as pl

    from corpus.tables import Table
    from corpus.workspace import Workspace

SCORE_ARTICLES = Stage("article_candidates", 1, (ARTICLE_PAIRS,))
MATCH_ARTICLES = Stage("article_pairs", 1, (ARTICLE_PAIRS, ARTICLE_STATES))
SCORE_SENTENCES = Stage("sentence_candidates", 1, (SENTENCE_CANDIDATES, DECOYS))
MATCH_SENTENCES = Stage("sentence_pairs", 4, (SENTENCE_PAIRS,))


def aligned_pairs(workspace: Workspace) -> list[str]:
    """List the language pairs that were aligned."""
    return sorted(p.name for p in workspace.pairs.glob("*-*") if p.is_dir())


def scan(workspace: Workspace, langs: str, stage: Stage, table: Table) -> pl.DataFrame:
    """Read one table of a stage of a language pair, sorted by its key."""
    return stages.scan(stage, workspace.pair_stage(langs, stage.name), table)


def article_pairs(workspace: Workspace, langs: str) -> pl.DataFrame:
    """Read the article pairs of a language pair."""
    return scan(workspace, langs, MATCH_ARTICLES, ARTICLE_PAIRS)


def sentence_pairs(workspace: Workspace, langs: str) -> pl.DataFrame:
    """Read the matched sentence pairs of a language pair, kept or not."""
    return scan(workspace, langs, MATCH_SENTENCES, SENTENCE_PAIRS)
