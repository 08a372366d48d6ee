"""A student from pairs: select, teach, train, write."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from align.chain import bring_up
from align.encoders import load_encoder
from align.lexical import Lexical
from align.static import StaticEncoder, count_tokens
from corpus import __version__, reserved
from corpus.errors import EmptyError
from corpus.pairs import language_pairs, sentence_pairs
from corpus.stages import row_digest
from corpus.tables import write_text
from corpus.vectors import open_store
from corpus.workspace import FILE
from distill import data, static
from distill.export import count_facts, made_from, save_static
from distill.recipe import load_recipe
from distill.teacher import teach

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from align.encoders import Encoder
    from corpus.console import Console
    from corpus.workspace import Workspace
    from distill.recipe import Recipe

    Progress = Callable[[str, int, int], None]

HELD_OUT = 0.1
FEWEST = 20  # pairs: below that a vocabulary makes no sense


@dataclass(frozen=True, slots=True)
class Job:
    """What the command was told: recipe, pairs, what to keep out, where to."""

    recipe: str
    data: Path | None
    reserved: tuple[Path, ...]
    teacher: str | None
    out: Path | None
    pairs: tuple[str, ...]


def train(
    recipe: Recipe,
    pairs: pl.DataFrame,
    out: Path,
    *,
    kept_out: Sequence[str],
    teacher: Encoder | None,
    workspace: Workspace | None = None,
    progress: Progress,
) -> dict[str, Any]:
    """Do what `distill.run` says; a workspace keeps the teacher's vectors."""
    pairs, counts = _select(recipe, pairs, kept_out)
    texts = data.unique_texts(pairs)
    begun = _begun(recipe.start, texts.langs)
    if teacher is None and recipe.teacher:
        teacher = load_encoder(recipe.teacher)
    facts = counts | count_facts(pairs, teacher, begun)
    facts["made_from"] = _digest(recipe, pairs, [e.key for e in (teacher, begun) if e])
    if made_from(out) == facts["made_from"]:
        return facts | {"is_fresh": True}
    if begun:
        tokenizer, dim = begun.tokenizer, begun.dim
    else:
        tokenizer, dim = static.train_vocabulary(texts.texts, recipe.vocabulary), recipe.dim
    taught = None
    if teacher is not None:
        store = open_store(workspace, teacher) if workspace else None
        readable = np.isin(texts.langs, recipe.teacher_languages)
        asked = partial(progress, "teacher")
        taught = teach(texts, readable, teacher, dim, store, asked)
    group = (pairs["src_lang"] + "-" + pairs["tgt_lang"]).rank("dense").to_numpy()
    tokens = count_tokens(tokenizer, texts.texts)
    corpus = static.Corpus(tokens, texts.src, texts.tgt, group, taught)
    rows = begun.rows if begun else static.start(corpus, dim, recipe.training.seed)
    rows = static.fit(corpus, rows, recipe.training, partial(progress, "training"))
    lexical = begun.lexical if begun else Lexical.fit(texts.texts)
    save_static(out, tokenizer, rows, lexical, recipe, facts)
    return facts | {"is_fresh": False}


def _digest(recipe: Recipe, pairs: pl.DataFrame, encoders: Sequence[str]) -> str:
    """Digest all that decides a student: the same again is not trained again."""
    rows = row_digest(pairs, data.COLUMNS)
    text = json.dumps([__version__, recipe.model_dump(mode="json"), rows, *encoders])
    return hashlib.sha256(text.encode()).hexdigest()


def _begun(spec: str, langs: NDArray[np.object_]) -> StaticEncoder | None:
    """Load the model to go on from; None where there is none for these languages."""
    model = load_encoder(spec) if spec else None
    if not isinstance(model, StaticEncoder) or not set(langs) <= (model.languages or set(langs)):
        return None
    return model


def _select(
    recipe: Recipe, pairs: pl.DataFrame, kept_out: Sequence[str]
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Keep the pairs to train on, and count the others."""
    kept, dropped = data.select(pairs, recipe.data, recipe.languages)
    if kept_out:
        clean = reserved.drop(kept, ["src", "tgt"], kept_out)
        dropped["nearly an evaluation text"] = kept.height - clean.height
        kept = clean
    if kept.height < FEWEST:
        reasons = ", ".join(f"{n} {why}" for why, n in dropped.items() if n)
        raise EmptyError(
            f"{kept.height} of {pairs.height} pairs are left, at least {FEWEST} are needed "
            f"(dropped: {reasons or 'none'})"
        )
    return kept, {"n_read": pairs.height, "dropped": dropped, "n_reserved": len(kept_out)}


def run_job(console: Console, job: Job, progress: Progress) -> dict[str, Any]:
    """Do what the command says; the facts name the model's path too."""
    recipe = load_recipe(job.recipe)
    if job.data is not None:
        pairs, out = data.read_pairs(job.data), job.out or Path(recipe.name)
    else:
        bring_up(console, job.pairs)
        langs = language_pairs(console.workspace, job.pairs)
        pairs = workspace_pairs(console.workspace, langs)
        out = job.out or console.workspace.model(recipe.name)
    workspace = console.workspace if (console.root / FILE).exists() else None
    facts = train(
        recipe,
        pairs,
        out,
        kept_out=reserved.read_texts(job.reserved)
        + (reserved.load(workspace) if workspace else []),
        teacher=load_encoder(job.teacher) if job.teacher else None,
        workspace=workspace,
        progress=progress,
    )
    return facts | {"path": str(out)}


def workspace_pairs(workspace: Workspace, langs: Sequence[str]) -> pl.DataFrame:
    """Give a workspace's kept pairs but a tenth of the article pairs.

    That tenth is written down for benchmarks, and no pair that is left holds its texts.
    """
    frames, held = [], []
    for pair in langs:
        kept = sentence_pairs(workspace, pair).filter("kept")
        out = data.hold_out(kept, HELD_OUT)
        frames.append(data.from_sentence_pairs(kept.filter(~out)))
        held.append(kept.filter(out).select("src_text", "tgt_text"))
        _write_pairs(workspace.held_out(pair), held[-1])
    texts = [text for frame in held for side in frame for text in side]
    everything = pl.concat(frames) if frames else data.no_pairs()
    return everything.filter(~pl.col("src").is_in(texts), ~pl.col("tgt").is_in(texts))


def _write_pairs(path: Path, pairs: pl.DataFrame) -> None:
    if not pairs.height:
        path.unlink(missing_ok=True)
        return
    tsv = pairs.write_csv(separator="\t", include_header=False, quote_style="never")
    if not path.exists() or path.read_text(encoding="utf-8") != tsv:
        write_text(path, tsv)
