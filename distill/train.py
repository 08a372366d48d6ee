"""A student from pairs: select, teach, train, write."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from align.decide import load
from align.encoders import load_encoder
from align.lexical import Lexical
from align.static import count_tokens
from corpus.chain import language_pairs
from corpus.errors import EmptyError
from corpus.tables import write_whole
from corpus.vectors import open_store
from corpus.workspace import FILE
from distill import data, static
from distill.export import save_static
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
    reserved: Sequence[str],
    teacher: Encoder | None,
    workspace: Workspace | None = None,
    progress: Progress,
) -> dict[str, Any]:
    """Do what `distill.run` says; a workspace keeps the teacher's vectors."""
    n_read = pairs.height
    pairs, dropped = data.select(pairs, recipe.data, recipe.languages)
    if reserved:
        before = pairs.height
        pairs, _ = data.drop_near_duplicates(pairs, reserved)
        dropped["nearly an evaluation text"] = before - pairs.height
    if pairs.height < FEWEST:
        raise EmptyError(
            f"{pairs.height} of {n_read} pairs are left, at least {FEWEST} are needed "
            f"(dropped: {', '.join(f'{n} {why}' for why, n in dropped.items() if n) or 'none'})"
        )
    if teacher is None and recipe.teacher:
        teacher = load_encoder(recipe.teacher)
    texts, langs, src, tgt = _unique_texts(pairs)
    tokenizer = static.train_vocabulary(texts, recipe.vocabulary)
    taught = None
    if teacher is not None:
        readable = np.isin(langs, recipe.teacher_languages)
        store = open_store(workspace, teacher) if workspace else None
        asked = partial(progress, "teacher")
        taught = teach(texts, readable, (src, tgt), teacher, recipe.dim, store, asked)
    group = pl.Series(pairs["src_lang"] + "-" + pairs["tgt_lang"]).rank("dense").to_numpy()
    counts = count_tokens(tokenizer, texts)
    counts.sum_duplicates()
    corpus = static.Corpus(counts, src, tgt, group, taught)
    rows = static.fit(corpus, recipe.dim, recipe.training, partial(progress, "training"))
    lexical = Lexical.fit(texts)
    facts = _facts(pairs, n_read, dropped, reserved, teacher) | {
        "n_tokens": len(rows),
        "n_buckets": lexical.idf.size,
    }
    save_static(out, tokenizer, rows, lexical, recipe, facts)
    return facts


def run_job(console: Console, job: Job, progress: Progress) -> dict[str, Any]:
    """Do what the command says; the facts name the model's path too."""
    recipe = load_recipe(job.recipe)
    if job.data is not None:
        pairs, out = data.read_pairs(job.data), job.out or Path(recipe.name)
    else:
        langs = language_pairs(console.workspace, job.pairs)
        pairs = workspace_pairs(console.workspace, langs)
        out = job.out or console.workspace.model(recipe.name)
    facts = train(
        recipe,
        pairs,
        out,
        reserved=data.read_texts(job.reserved),
        teacher=load_encoder(job.teacher) if job.teacher else None,
        workspace=console.workspace if (console.root / FILE).exists() else None,
        progress=progress,
    )
    return facts | {"path": str(out)}


def workspace_pairs(workspace: Workspace, langs: Sequence[str]) -> pl.DataFrame:
    """Give a workspace's kept pairs but a tenth of the article pairs.

    That tenth is written down for benchmarks, and no pair that is left holds its texts.
    """
    frames, held = [], []
    for pair in langs:
        kept = load(workspace, pair).filter("kept")
        out = data.hold_out(kept, HELD_OUT)
        frames.append(data.from_sentence_pairs(kept.filter(~out)))
        held.append(kept.filter(out).select("src_text", "tgt_text"))
        tsv = held[-1].write_csv(separator="\t", include_header=False, quote_style="never")
        write_whole(workspace.held_out(pair), partial(_write_text, text=tsv))
    texts = [text for frame in held for side in frame for text in side]
    everything = pl.concat(frames) if frames else data.no_pairs()
    return everything.filter(~pl.col("src").is_in(texts), ~pl.col("tgt").is_in(texts))


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _unique_texts(
    pairs: pl.DataFrame,
) -> tuple[list[str], NDArray[np.str_], NDArray[np.int64], NDArray[np.int64]]:
    """Number the texts, apart by language: texts, languages, rows of src, rows of tgt."""
    sides = pl.concat(
        pairs.select(pl.col(side).alias("text"), pl.col(f"{side}_lang").alias("lang"))
        for side in ("src", "tgt")
    )
    unique = sides.unique(maintain_order=True).with_row_index("row")
    rows = sides.join(unique, on=["text", "lang"], how="left", maintain_order="left")
    row = rows["row"].to_numpy().astype(np.int64)
    half = pairs.height
    return unique["text"].to_list(), unique["lang"].to_numpy(), row[:half], row[half:]


def _facts(
    pairs: pl.DataFrame,
    n_read: int,
    dropped: dict[str, int],
    reserved: Sequence[str],
    teacher: Encoder | None,
) -> dict[str, Any]:
    by_langs = pairs.group_by("src_lang", "tgt_lang").len().sort("src_lang", "tgt_lang")
    sources = (
        pairs.group_by("source", "licence").len().sort("len", "source", descending=[True, False])
    )
    return {
        "languages": sorted({*pairs["src_lang"], *pairs["tgt_lang"]}),
        "n_read": n_read,
        "n_pairs": pairs.height,
        "dropped": dropped,
        "n_reserved": len(reserved),
        "by_langs": {f"{src}-{tgt}": n for src, tgt, n in by_langs.iter_rows()},
        "sources": list(sources.iter_rows()),
        "teacher": _named(teacher) if teacher else "",
    }


def _named(encoder: Encoder) -> str:
    """Name an encoder for the card, without the folders of this machine."""
    name = "/".join(Path(encoder.name).parts[-2:])
    return f"{name} ({encoder.revision})"
