"""Write a student as a folder that this project, model2vec and sentence-transformers load.

Rows are int8 with a float32 scale each (``weights``), which loses nothing measurable and
keeps a student small. The three readers agree because vectors are normalised, the
unknown token's row is zero, and nothing is ever cut.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from safetensors import SafetensorError
from safetensors.numpy import save

from corpus.errors import StorageError
from corpus.files import write_bytes, write_text, write_whole
from corpus.stages import row_digest
from distill.data import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl
    from numpy.typing import NDArray
    from tokenizers import Tokenizer

    from align.encoders import Encoder
    from align.lexical import Lexical
    from distill.recipe import Recipe, StaticRecipe

MODULES = "sentence_transformers.models"
MADE = "distilled.json"
# Facts that stand beside the weights.
NOTED = ("made_from", "dev", "test", "start", "health", "hardware", "seconds")
CARD = Path(__file__).parent / "card.md"


def save_static(
    folder: Path,
    tokenizer: Tokenizer,
    rows: NDArray[np.float32],
    lexical: Lexical,
    recipe: StaticRecipe,
    facts: dict[str, Any],
) -> None:
    """Write the model, its n-gram weights and its card, each whole or not at all.

    Args:
        folder: made where it is not there.
        tokenizer: with ``<unk>`` as token 0.
        rows: a vector a token, [n_tokens, dim].
        lexical: the n-gram weights of the same texts.
        recipe: what it was trained by.
        facts: what was counted on the way, for the card.
    """
    config = {
        "model_type": "model2vec",
        "architectures": ["StaticModel"],
        "normalize": True,
        "max_length": None,
        "embedding_dtype": "int8",
        "languages": facts["languages"],
        "lexical_weight": recipe.lexical_weight,
        "recipe": recipe.name,
    }
    modules = [
        {"idx": 0, "name": "0", "path": ".", "type": f"{MODULES}.StaticEmbedding"},
        {"idx": 1, "name": "1", "path": "1_Normalize", "type": f"{MODULES}.Normalize"},
    ]
    (folder / MADE).unlink(missing_ok=True)
    whole, scale = quantise(rows)
    weights = save({"embeddings": whole, "weights": scale})
    write_bytes(folder / "model.safetensors", weights)
    write_whole(folder / "tokenizer.json", lambda path: tokenizer.save(str(path), pretty=False))
    lexical.save(folder)
    sizes = {"n_tokens": len(rows), "dim": rows.shape[1], "n_buckets": lexical.idf.size}
    write_text(folder / "README.md", card(recipe, facts | sizes))
    write_text(folder / "modules.json", json.dumps(modules, indent=2) + "\n")
    write_text(folder / "config.json", json.dumps(config, indent=2) + "\n")
    _vouch(folder, recipe, facts)


def save_transformer(folder: Path, model: Any, recipe: Recipe, facts: dict[str, Any]) -> None:  # noqa: ANN401
    """Write a SentenceTransformer and its card."""
    (folder / MADE).unlink(missing_ok=True)
    try:
        model.save(str(folder), create_model_card=False)
    except (OSError, SafetensorError) as error:
        raise StorageError(f"cannot write {folder}: {error}; make room and run again") from error
    write_text(folder / "README.md", card(recipe, facts | {"dim": model.get_embedding_dimension()}))
    _vouch(folder, recipe, facts)


def _vouch(folder: Path, recipe: Recipe, facts: dict[str, Any]) -> None:
    """Write, last, what says that the other files are whole, and what they were made from."""
    noted = {name: facts[name] for name in ("languages", *NOTED)} | {"recipe": recipe.name}
    write_text(folder / MADE, json.dumps(noted, indent=2) + "\n")


def made(folder: Path) -> dict[str, Any]:
    """Read what a folder's model was made from and measured; empty without a whole model."""
    try:
        facts = json.loads((folder / MADE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    is_whole = isinstance(facts, dict) and (folder / "model.safetensors").is_file()
    return {name: facts[name] for name in NOTED if name in facts} if is_whole else {}


def quantise(rows: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Round each row to int8 in its own scale: rows are about ``whole * scale``."""
    scale = np.abs(rows).max(1) / 127
    whole = np.rint(rows / np.where(scale > 0, scale, 1)[:, None])
    return whole.astype(np.int8), scale.astype(np.float32)


def count_facts(
    pairs: pl.DataFrame,
    measured: Mapping[str, pl.DataFrame | None],
    teacher: Encoder | None,
    begun: Encoder | None,
) -> dict[str, Any]:
    """Count what a student is trained on, and digest that and what it is measured on."""
    frames = {"trained on": pairs, **measured}
    langs = (pairs["src_lang"] + "-" + pairs["tgt_lang"]).value_counts(name="n")
    sources = pairs.group_by("source", "licence").len().sort("licence", "source")
    return {
        "languages": sorted({*pairs["src_lang"], *pairs["tgt_lang"]}),
        "n_pairs": pairs.height,
        "by_langs": dict(langs.sort("src_lang").iter_rows()),
        "sources": list(sources.iter_rows()),
        "digests": {
            name: row_digest(frame, COLUMNS) for name, frame in frames.items() if frame is not None
        },
        "teacher": _named(teacher) if teacher else "",
        "begun": _named(begun) if begun else "",
    }


def _named(encoder: Encoder) -> str:
    """Name an encoder without the folders of this machine."""
    return f"{'/'.join(Path(encoder.name).parts[-2:])} ({encoder.revision})"


def card(recipe: Recipe, facts: dict[str, Any]) -> str:
    """Fill the model card from facts; a fact that is missing is an error."""
    environment = Environment(  # noqa: S701 - Markdown
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    template = environment.from_string(CARD.read_text(encoding="utf-8"))
    return template.render(recipe=recipe, student=getattr(recipe, "student", None), **facts)
