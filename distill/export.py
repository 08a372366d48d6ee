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
from safetensors.numpy import save

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from tokenizers import Tokenizer

    from align.lexical import Lexical
    from distill.recipe import Recipe

MODULES = "sentence_transformers.models"
CARD = Path(__file__).parent / "card.md"


def save_static(
    folder: Path,
    tokenizer: Tokenizer,
    rows: NDArray[np.float32],
    lexical: Lexical,
    recipe: Recipe,
    facts: dict[str, Any],
) -> None:
    """Write the model, its n-gram weights and its card.

    Args:
        folder: made where it is not there.
        tokenizer: with ``<unk>`` as token 0.
        rows: a vector a token, [n_tokens, dim].
        lexical: the n-gram weights of the same texts.
        recipe: what it was trained by.
        facts: what was counted on the way, for the card.
    """
    folder.mkdir(parents=True, exist_ok=True)
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
    for name, content in (("config.json", config), ("modules.json", modules)):
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    whole, scale = quantise(rows)
    weights = save({"embeddings": whole, "weights": scale})
    (folder / "model.safetensors").write_bytes(weights)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    lexical.save(folder)
    (folder / "README.md").write_text(card(recipe, facts), encoding="utf-8")


def quantise(rows: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Round each row to int8 in its own scale: rows are about ``whole * scale``."""
    scale = np.abs(rows).max(1) / 127
    whole = np.rint(rows / np.where(scale > 0, scale, 1)[:, None])
    return whole.astype(np.int8), scale.astype(np.float32)


def card(recipe: Recipe, facts: dict[str, Any]) -> str:
    """Fill the model card from facts; a fact that is missing is an error."""
    environment = Environment(  # noqa: S701 - Markdown
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    template = environment.from_string(CARD.read_text(encoding="utf-8"))
    return template.render(recipe=recipe, **facts)
