"""What `distill run` does: find the pairs, train on them, tell what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from align.chain import bring_up
from align.encoders import load_encoder
from corpus import reserved
from corpus.errors import EmptyError, InputError
from corpus.pairs import language_pairs, sentence_pairs
from corpus.tables import write_text
from corpus.workspace import FILE
from distill import data
from distill.recipe import Data, StaticRecipe, load_recipe
from distill.train import SEEN, train

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from corpus.console import Console
    from corpus.workspace import Workspace

    Progress = Callable[[str, int, int], None]

HELD_OUT = 0.1
MOST_CHARS = 10_000  # of a text that is measured on


@dataclass(frozen=True, slots=True)
class Job:
    """What the command was told: recipe, pairs, what to keep out, where to."""

    recipe: str
    data: Path | None = None
    reserved: tuple[Path, ...] = ()
    teacher: str | None = None
    out: Path | None = None
    pairs: tuple[str, ...] = ()
    dev: Path | None = None
    test: Path | None = None
    no_reserved: bool = False
    changes: tuple[str, ...] = ()


def run_job(console: Console, job: Job, progress: Progress) -> dict[str, Any]:
    """Do what the command says; the facts name the model's path too.

    Raises:
        InputError: nothing says which texts are reserved for evaluation.
    """
    recipe = load_recipe(job.recipe, job.changes)
    workspace = console.workspace if (console.root / FILE).exists() else None
    kept_out = reserved.read_texts(job.reserved)
    kept_out += reserved.load(workspace) if workspace else []
    if not kept_out and not job.no_reserved:
        raise InputError(
            "nothing says which texts are kept for evaluation; name them by --reserved FILE or "
            "benchmarks reserve, or go on with --no-reserved"
        )
    pairs, held, out = _find_pairs(console, job, recipe.name)
    run = partial(
        train,
        kept_out=kept_out,
        teacher=load_encoder(job.teacher) if job.teacher else None,
        dev=_translations(job.dev, recipe.languages),
        test=_translations(job.test, recipe.languages) if job.test else held,
        workspace=workspace,
        progress=progress,
    )
    if isinstance(recipe, StaticRecipe) and recipe.mixtures:
        return {"path": str(out), "mixtures": _train_mixtures(recipe, pairs, out, run)}
    return run(recipe, pairs, out) | {"path": str(out)}


def _find_pairs(
    console: Console, job: Job, name: str
) -> tuple[pl.DataFrame, pl.DataFrame | None, Path]:
    """Give the pairs to train on, those of a workspace that are held out, the model's folder."""
    if job.data is None:
        bring_up(console, job.pairs)
        langs = language_pairs(console.workspace, job.pairs)
        pairs, held = workspace_pairs(console.workspace, langs)
        held = data.select(held, Data(max_chars=MOST_CHARS), None)[0]
        out = job.out or console.workspace.model(name)
        return pairs, None if held.is_empty() else held, out
    pairs = data.read_pairs(job.data)
    named = data.languages_of(pairs)
    wanted = [data.in_order(pair) for pair in job.pairs]
    kept = pairs.filter(named.is_in(wanted)) if wanted else pairs
    if kept.is_empty():
        there = ", ".join(named.unique().sort())
        raise EmptyError(f"no pairs of {', '.join(job.pairs)} in {job.data}; it has {there}")
    return kept, None, job.out or Path(name)


def _train_mixtures(
    recipe: StaticRecipe, pairs: pl.DataFrame, out: Path, run: Callable[..., dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Train a student on each mixture, on equally many pairs, in equal parts."""
    pairs = data.select(pairs, recipe.data, recipe.languages)[0].drop("licence")
    langs = data.languages_of(pairs)
    parts = {name: pairs.filter(langs == name) for name in langs.unique().sort()}
    wanted = {
        name: [data.in_order(pair) for pair in mixture] for name, mixture in recipe.mixtures.items()
    }
    if missing := sorted({pair for mixture in wanted.values() for pair in mixture} - set(parts)):
        raise EmptyError(f"no pairs of {', '.join(missing)}, which the mixtures need")
    n = min(parts[pair].height for mixture in wanted.values() for pair in mixture)
    n = min(n, recipe.data.most_pairs or n)
    facts = {}
    for name, mixture in wanted.items():
        some = pl.concat(data.draw(parts[pair], n // len(mixture)) for pair in mixture)
        one = recipe.model_copy(update={"name": f"{recipe.name}-{name}", "mixtures": {}})
        facts[name] = run(one, some, out / name)
    return facts


def _translations(path: Path | None, langs: Sequence[str] | None) -> pl.DataFrame | None:
    """Read what a student is measured on, in the languages of its recipe."""
    if path is None:
        return None
    pairs = data.select(data.read_pairs(path), Data(max_chars=MOST_CHARS), langs)[0]
    if pairs.is_empty():
        raise EmptyError(f"no pair in {path} is in two of the languages {', '.join(langs or ())}")
    return pairs


def workspace_pairs(
    workspace: Workspace, langs: Sequence[str]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give a workspace's kept pairs but a tenth of the article pairs, and those of that tenth.

    The tenth is written down for benchmarks, and no pair that is left holds its texts.
    """
    frames, held = [data.no_pairs()], [data.no_pairs()]
    for pair in langs:
        kept = sentence_pairs(workspace, pair).filter("kept")
        out = data.hold_out(kept, HELD_OUT)
        frames.append(data.from_sentence_pairs(kept.filter(~out)))
        held.append(data.from_sentence_pairs(kept.filter(out)))
        _write_pairs(workspace.held_out(pair), held[-1].select("src", "tgt"))
    everything, apart = pl.concat(frames), pl.concat(held)
    texts = [*apart["src"], *apart["tgt"]]
    return everything.filter(~pl.col("src").is_in(texts), ~pl.col("tgt").is_in(texts)), apart


def _write_pairs(path: Path, pairs: pl.DataFrame) -> None:
    if not pairs.height:
        path.unlink(missing_ok=True)
        return
    tsv = pairs.write_csv(separator="\t", include_header=False, quote_style="never")
    if not path.exists() or path.read_text(encoding="utf-8") != tsv:
        write_text(path, tsv)


def show(console: Console, facts: dict[str, Any]) -> None:
    """Show what was trained, and what was measured on the way."""
    for name, run in facts.get("mixtures", {"": facts}).items():
        path = f"{facts['path']}/{name}".rstrip("/")
        if run["is_fresh"]:
            console.say(f"{path} is up to date")
        console.table(f"{path}: trained on", ("languages", "pairs"), list(run["by_langs"].items()))
    on = "the pairs trained on" if run["dev_is"] == SEEN else "dev"
    if "mixtures" in facts:
        runs = facts["mixtures"]
        langs = sorted({pair for run in runs.values() for pair in run["dev"]})
        rows = [
            (name, *(run["dev"].get(pair, {}).get("retrieval", "") for pair in langs))
            for name, run in runs.items()
        ]
        console.table(f"Retrieval on {on}", ("mixture", *langs), rows)
    else:
        before, after = facts["start"], facts["health"]
        rows = [(name, before[name], after[name]) for name in after]
        console.table(f"On {on}", ("measure", "at the start", "at the end"), rows)
        for name in ("dev", "test"):
            if facts[name] and (name, facts["dev_is"]) != ("dev", SEEN):
                columns = ("languages", *next(iter(facts[name].values())))
                figures = [(langs, *f.values()) for langs, f in facts[name].items()]
                console.table(f"Retrieval on {name}, and cosines at precision", columns, figures)
