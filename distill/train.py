"""A student from pairs: select, teach, train, write."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from align.encoders import load_encoder
from align.lexical import Lexical
from align.static import StaticEncoder, count_tokens
from corpus import __version__, reserved
from corpus.errors import EmptyError, InputError
from corpus.vectors import encode_once, open_store
from distill import data, static
from distill.export import count_facts, made, save_static, save_transformer
from distill.figures import figures, hardware
from distill.guards import Dev, Watch, measure_dev
from distill.keep import Keeper
from distill.recipe import StaticRecipe
from distill.teacher import teach

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import polars as pl
    from numpy.typing import NDArray

    from align.encoders import Encoder
    from corpus.workspace import Workspace
    from distill.recipe import Recipe, TransformerRecipe

    Floats = NDArray[np.float32]
    Progress = Callable[[str, int, int], None]

SIDES = ("src", "tgt")
FEWEST = 20  # pairs: below that a vocabulary makes no sense
DEV_SHARE, DEV_MOST = 0.05, 500  # of the pairs, where no dev set is given
GIVEN, HELD_OUT, SEEN = "given", "held out", "trained on"  # what dev pairs are


def train(
    recipe: StaticRecipe | TransformerRecipe,
    pairs: pl.DataFrame,
    out: Path,
    *,
    kept_out: Sequence[str],
    teacher: Encoder | None,
    dev: pl.DataFrame | None = None,
    test: pl.DataFrame | None = None,
    workspace: Workspace | None = None,
    progress: Progress,
) -> dict[str, Any]:
    """Do what `distill.run` says; a workspace keeps the teacher's vectors."""
    began = time.monotonic()
    pairs, facts = _select(recipe, pairs, kept_out, {"dev": dev, "test": test})
    pairs, dev, facts["dev_is"] = _find_dev(recipe, pairs, dev, test, facts["dropped"])
    texts = data.unique_texts(pairs)
    begun = _begun(recipe.start, texts.langs) if isinstance(recipe, StaticRecipe) else None
    teacher = _find_teacher(recipe, teacher, texts.langs)
    measured = {"dev": None if facts["dev_is"] == SEEN else dev, "test": test}
    facts |= count_facts(pairs, measured, teacher, begun)
    facts["made_from"] = _digest(recipe, facts["digests"], [e.key for e in (teacher, begun) if e])
    if (known := made(out)).get("made_from") == facts["made_from"]:
        return facts | known | {"is_fresh": True}
    test_set = None if test is None else _dev(test)
    run = _Run(pairs, texts, teacher, workspace, _dev(dev), test_set, out, facts, progress, began)
    if isinstance(recipe, StaticRecipe):
        return facts | _train_static(recipe, run, begun) | {"is_fresh": False}
    return facts | _train_transformer(recipe, run) | {"is_fresh": False}


@dataclass(frozen=True, slots=True)
class _Run:
    """What a training takes, whichever student it is of."""

    pairs: pl.DataFrame
    texts: data.Texts
    teacher: Encoder | None
    workspace: Workspace | None
    dev: Dev
    test: Dev | None
    out: Path
    facts: dict[str, Any]
    progress: Progress
    began: float

    def teach(self, langs: Sequence[str], dim: int) -> Floats | None:
        """Give each text the vector of the teacher, who reads some languages, in ``dim``."""
        if self.teacher is None:
            return None
        readable = np.isin(self.texts.langs, langs)
        store = open_store(self.workspace, self.teacher) if self.workspace else None
        told = partial(self.progress, "teacher")
        return teach(self.texts, readable, self.teacher, dim, store, told)

    def encode(self, encoder: Encoder) -> Floats:
        """Encode all texts, from the workspace's store where there is one."""
        if self.workspace is None:
            return encoder.encode(self.texts.texts)
        return encode_once(open_store(self.workspace, encoder), encoder, self.texts.texts)[0]

    def measured(self, encode: Callable[[Sequence[str]], Floats]) -> dict[str, Any]:
        """Measure the trained student, and say what that took."""
        return {
            "dev": figures(self.dev, encode, with_cuts=self.facts["dev_is"] != SEEN),
            "test": figures(self.test, encode) if self.test else {},
            "hardware": hardware(),
            "seconds": round(time.monotonic() - self.began, 1),
        }


def _train_static(recipe: StaticRecipe, run: _Run, begun: StaticEncoder | None) -> dict[str, Any]:
    texts, group = run.texts, run.pairs["src_lang"] + "-" + run.pairs["tgt_lang"]
    if begun:
        tokenizer, dim = begun.tokenizer, begun.dim
    else:
        tokenizer, dim = static.train_vocabulary(texts.texts, recipe.vocabulary), recipe.dim
    taught = run.teach(recipe.teacher_languages, dim)
    tokens = count_tokens(tokenizer, texts.texts)
    groups = group.rank("dense").to_numpy()
    corpus = static.Corpus(tokens, texts.src, texts.tgt, groups, taught)
    rows = begun.rows if begun else static.start(corpus, dim, recipe.training.seed)
    watch, seen = Watch(recipe.training.epochs, len(run.dev.src)), []

    def see(epoch: int, rows: Floats) -> None:
        health, vectors = measure_dev(run.dev, partial(static.encode, tokenizer, rows))
        seen.append(health.values())
        watch.see(epoch, health, vectors)

    keep = Keeper(run.out / "checkpoint.safetensors", run.facts["made_from"])
    see(0, rows)
    rows = static.fit(corpus, rows, recipe.training, partial(run.progress, "training"), see, keep)
    lexical = begun.lexical if begun else Lexical.fit(texts.texts)
    found = {"start": seen[0], "health": seen[-1]}
    found |= run.measured(partial(static.encode, tokenizer, rows))
    save_static(run.out, tokenizer, rows, lexical, recipe, run.facts | found)
    keep.forget()
    return found


def _train_transformer(recipe: TransformerRecipe, run: _Run) -> dict[str, Any]:
    from distill import transformer

    dim = run.teacher.dim if run.teacher else 0
    model = transformer.start(recipe, run.texts.texts, dim)
    taught, negatives = run.teach(recipe.teacher_languages, dim), None
    if recipe.losses.negatives:
        vectors = run.encode(load_encoder(recipe.losses.negatives))
        negatives = transformer.hard_negatives(run.texts, vectors)
    mine = run.out / "checkpoints" / run.facts["made_from"][:12]
    told = partial(run.progress, "training")
    found = transformer.fit(model, recipe, run.texts, taught, negatives, run.dev, mine, told)
    weights = recipe.losses.model_dump(include={"mse", "cosine", "mnr", "contrastive"})
    found["losses"] = " + ".join(f"{weight:g} {name}" for name, weight in weights.items() if weight)
    found |= run.measured(partial(transformer.encode, model))
    save_transformer(run.out, model, recipe, run.facts | found)
    shutil.rmtree(mine.parent)
    return found


def _find_dev(
    recipe: Recipe,
    pairs: pl.DataFrame,
    dev: pl.DataFrame | None,
    test: pl.DataFrame | None,
    dropped: dict[str, int],
) -> tuple[pl.DataFrame, pl.DataFrame, str]:
    """Give the pairs to train on, those that a run looks at, and what these are."""
    if dev is not None:
        apart = dev if test is None else reserved.drop(dev, SIDES, [*test["src"], *test["tgt"]])
        if apart.is_empty():
            raise EmptyError("every pair of the dev set nearly repeats one of the test set")
        return pairs, apart, GIVEN
    if isinstance(recipe, StaticRecipe):
        return pairs, pairs, SEEN
    left, dev = data.split_dev(pairs, min(DEV_MOST, int(DEV_SHARE * pairs.height)))
    left = reserved.drop(left, SIDES, [*dev["src"], *dev["tgt"]])
    near = pairs.height - dev.height - left.height
    dropped |= {"held out as dev": dev.height, "nearly a dev text": near}
    return left, dev, HELD_OUT


def _find_teacher(
    recipe: StaticRecipe | TransformerRecipe, given: Encoder | None, langs: NDArray[np.object_]
) -> Encoder | None:
    """Give the teacher; None where no loss asks for one, or it reads none of the texts."""
    follows = not isinstance(recipe, StaticRecipe) and recipe.losses.follow
    found = None
    if (follows or isinstance(recipe, StaticRecipe)) and {*langs} & {*recipe.teacher_languages}:
        found = given or (load_encoder(recipe.teacher) if recipe.teacher else None)
    if follows and found is None:
        raise InputError(
            f"the recipe {recipe.name} has the loss mse or cosine but no teacher that reads "
            f"{', '.join(sorted({*langs}))}; give --teacher, and its languages as teacher_languages"
        )
    return found


def _dev(pairs: pl.DataFrame) -> Dev:
    langs = pairs["src_lang"] + "-" + pairs["tgt_lang"]
    return Dev(pairs["src"].to_list(), pairs["tgt"].to_list(), langs.to_list())


def _digest(recipe: Recipe, rows: Mapping[str, str], encoders: Sequence[str]) -> str:
    """Digest all that decides a student: the same again is not trained again."""
    text = json.dumps([__version__, recipe.model_dump(mode="json"), rows, encoders])
    return hashlib.sha256(text.encode()).hexdigest()


def _begun(spec: str, langs: NDArray[np.object_]) -> StaticEncoder | None:
    """Load the model to go on from; None where there is none for these languages."""
    model = load_encoder(spec) if spec else None
    if not isinstance(model, StaticEncoder) or not set(langs) <= (model.languages or set(langs)):
        return None
    return model


def _select(
    recipe: Recipe,
    pairs: pl.DataFrame,
    kept_out: Sequence[str],
    measured: Mapping[str, pl.DataFrame | None],
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Keep the pairs to train on, and count the others."""
    kept, dropped = data.select(pairs, recipe.data, recipe.languages)
    leaks = {"nearly an evaluation text": kept_out} | {
        f"nearly a {name} text": [*frame["src"], *frame["tgt"]]
        for name, frame in measured.items()
        if frame is not None
    }
    for reason, texts in leaks.items():
        if texts:
            clean = reserved.drop(kept, SIDES, texts)
            dropped[reason] = kept.height - clean.height
            kept = clean
    if recipe.data.most_pairs and kept.height > recipe.data.most_pairs:
        dropped["not drawn"] = kept.height - recipe.data.most_pairs
        kept = data.draw(kept, recipe.data.most_pairs)
    if kept.height < FEWEST:
        reasons = ", ".join(f"{n} {why}" for why, n in dropped.items() if n)
        raise EmptyError(
            f"{kept.height} of {pairs.height} pairs are left, at least {FEWEST} are needed "
            f"(dropped: {reasons or 'none'})"
        )
    return kept, {"n_read": pairs.height, "dropped": dropped, "n_reserved": len(kept_out)}
