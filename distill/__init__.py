"""From pairs to an encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import polars as pl

    from align.encoders import Encoder

__all__ = ["run"]


def run(
    recipe: str,
    pairs: pl.DataFrame,
    out: Path,
    *,
    reserved: Sequence[str] = (),
    teacher: Encoder | None = None,
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> dict[str, Any]:
    """Train a student on pairs and write it to a folder.

    Args:
        recipe: name of a shipped recipe, or the path of a TOML file.
        pairs: columns src, tgt, src_lang, tgt_lang, source; see `distill.data.read_pairs`.
        out: the model's folder.
        reserved: texts that it will be evaluated on; pairs that nearly hold one are dropped.
        teacher: an encoder in place of the recipe's.
        progress: called with the stage's name, steps done and steps in all.

    Returns:
        What the card tells: counts, languages, sources and licences.

    Raises:
        EmptyError: no pair is left to train on.
    """
    from distill.recipe import load_recipe
    from distill.train import train

    return train(
        load_recipe(recipe), pairs, out, kept_out=reserved, teacher=teacher, progress=progress
    )
