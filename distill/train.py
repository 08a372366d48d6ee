"""A student from pairs: select, teach, train, write."""

from __future__ import annotations

import hashlib
import json
import shutil
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from align.encoders import load_encoder
from align.lexical import Lexical
from align.static import StaticEncoder, count_tokens
from corpus import __version__, reserved
from corpus.errors import EmptyError
from corpus.stages import row_digest
from corpus.vectors import encode_once, open_store
from distill import data, static
from distill.export import count_facts, made, save_static, save_transformer
from distill.guards import Dev, Watch, measure_dev
from distill.keep import Keeper
from distill.recipe import StaticRecipe
from distill.teacher import teach

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import polars as pl
    from numpy.typing import NDArray

    from align.encoders import Encoder
    from corpus.workspace import Workspace
    from distill.recipe import Recipe, TransformerRecipe

    Progress = Callable[[str, int, int], None]

HELD_OUT = 0.1
FEWEST = 20  # pairs: below that a vocabulary makes no sense
DEV_SHARE, DEV_MOST = 0.05, 500  # of the pairs, where no dev set is given


def train(
    recipe: StaticRecipe | TransformerRecipe,
    pairs: pl.DataFrame,
    out: Path,
    *,
    kept_out: Sequence[str],
    teacher: Encoder | None,
    dev: pl.DataFrame | None = None,
    workspace: Workspace | None = None,
    progress: Progress,
) -> dict[str, Any]:
    """Do what `distill.run` says; a workspace keeps the teacher's vectors."""
    pairs, facts = _select(recipe, pairs, kept_out, dev)
    if dev is None and not isinstance(recipe, StaticRecipe):
        pairs, dev = data.split_dev(pairs, min(DEV_MOST, int(DEV_SHARE * pairs.height)))
    texts = data.unique_texts(pairs)
    begun = _begun(recipe.start, texts.langs) if isinstance(recipe, StaticRecipe) else None
    if teacher is None and recipe.teacher:
        teacher = load_encoder(recipe.teacher)
    facts |= count_facts(pairs, teacher, begun)
    facts["made_from"] = _digest(recipe, [pairs, dev], [e.key for e in (teacher, begun) if e])
    if (known := made(out)).get("made_from") == facts["made_from"]:
        return facts | known | {"is_fresh": True}
    make = partial(_teach, recipe, texts, teacher, workspace, partial(progress, "teacher"))
    watched = _dev(pairs if dev is None else dev)
    report = partial(progress, "training")
    if isinstance(recipe, StaticRecipe):
        facts |= _train_static(recipe, pairs, texts, begun, make, watched, out, facts, report)
    else:
        facts |= _train_transformer(recipe, texts, make, workspace, watched, out, facts, report)
    return facts | {"is_fresh": False}


def _train_static(
    recipe: StaticRecipe,
    pairs: pl.DataFrame,
    texts: data.Texts,
    begun: StaticEncoder | None,
    make: Callable[[int], NDArray[np.float32] | None],
    dev: Dev,
    out: Path,
    facts: dict[str, Any],
    progress: Callable[[int, int], None],
) -> dict[str, Any]:
    if begun:
        tokenizer, dim = begun.tokenizer, begun.dim
    else:
        tokenizer, dim = static.train_vocabulary(texts.texts, recipe.vocabulary), recipe.dim
    taught = make(dim)
    group = (pairs["src_lang"] + "-" + pairs["tgt_lang"]).rank("dense").to_numpy()
    tokens = count_tokens(tokenizer, texts.texts)
    corpus = static.Corpus(tokens, texts.src, texts.tgt, group, taught)
    rows = begun.rows if begun else static.start(corpus, dim, recipe.training.seed)
    watch, measured = Watch(recipe.training.epochs, len(dev.src)), []

    def see(epoch: int, rows: NDArray[np.float32]) -> None:
        encode = partial(static.encode, tokenizer, rows)
        measured.append(measure_dev(dev, encode))
        watch.see(epoch, measured[-1][0], measured[-1][2])

    keep = Keeper(out / "checkpoint.safetensors", facts["made_from"])
    see(0, rows)
    rows = static.fit(corpus, rows, recipe.training, progress, see, keep)
    lexical = begun.lexical if begun else Lexical.fit(texts.texts)
    health, by_langs, _ = measured[-1]
    found = {"dev": by_langs, "health": health.values(), "start": measured[0][0].values()}
    save_static(out, tokenizer, rows, lexical, recipe, facts | found)
    keep.forget()
    return found


def _train_transformer(
    recipe: TransformerRecipe,
    texts: data.Texts,
    make: Callable[[int], NDArray[np.float32] | None],
    workspace: Workspace | None,
    dev: Dev,
    out: Path,
    facts: dict[str, Any],
    progress: Callable[[int, int], None],
) -> dict[str, Any]:
    from distill import transformer

    taught = make(0) if recipe.losses.follow else None
    negatives = None
    if recipe.losses.negatives:
        vectors = _encode(workspace, load_encoder(recipe.losses.negatives), texts.texts)
        negatives = transformer.hard_negatives(texts, vectors)
    checkpoints = out / "checkpoints" / facts["made_from"][:12]
    model, found = transformer.fit(recipe, texts, taught, negatives, dev, checkpoints, progress)
    weights = recipe.losses.model_dump(include={"mse", "cosine", "mnr", "contrastive"})
    found["losses"] = " + ".join(f"{weight:g} {name}" for name, weight in weights.items() if weight)
    save_transformer(out, model, recipe, facts | found)
    shutil.rmtree(out / "checkpoints")
    return found


def _teach(
    recipe: Recipe,
    texts: data.Texts,
    teacher: Encoder | None,
    workspace: Workspace | None,
    progress: Callable[[int, int], None],
    dim: int,
) -> NDArray[np.float32] | None:
    """Give each text the teacher's vector, in at most ``dim`` dimensions (0: all)."""
    if teacher is None:
        return None
    readable = np.isin(texts.langs, recipe.teacher_languages)
    store = open_store(workspace, teacher) if workspace else None
    return teach(texts, readable, teacher, dim or teacher.dim, store, progress)


def _encode(
    workspace: Workspace | None, encoder: Encoder, texts: Sequence[str]
) -> NDArray[np.float32]:
    if workspace is None:
        return encoder.encode(texts)
    return encode_once(open_store(workspace, encoder), encoder, texts)[0]


def _dev(pairs: pl.DataFrame) -> Dev:
    langs = pairs["src_lang"] + "-" + pairs["tgt_lang"]
    return Dev(pairs["src"].to_list(), pairs["tgt"].to_list(), langs.to_list())


def _digest(recipe: Recipe, frames: Sequence[pl.DataFrame | None], encoders: Sequence[str]) -> str:
    """Digest all that decides a student: the same again is not trained again."""
    rows = [row_digest(frame, data.COLUMNS) for frame in frames if frame is not None]
    text = json.dumps([__version__, recipe.model_dump(mode="json"), *rows, *encoders])
    return hashlib.sha256(text.encode()).hexdigest()


def _begun(spec: str, langs: NDArray[np.object_]) -> StaticEncoder | None:
    """Load the model to go on from; None where there is none for these languages."""
    model = load_encoder(spec) if spec else None
    if not isinstance(model, StaticEncoder) or not set(langs) <= (model.languages or set(langs)):
        return None
    return model


def _select(
    recipe: Recipe, pairs: pl.DataFrame, kept_out: Sequence[str], dev: pl.DataFrame | None
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Keep the pairs to train on, and count the others."""
    kept, dropped = data.select(pairs, recipe.data, recipe.languages)
    leaks = {
        "nearly an evaluation text": kept_out,
        "nearly a dev text": [] if dev is None else [*dev["src"], *dev["tgt"]],
    }
    for reason, texts in leaks.items():
        if texts:
            clean = reserved.drop(kept, ["src", "tgt"], texts)
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
