"""A recipe: everything that shapes a student, in one TOML file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from corpus.errors import InputError, choices

FOLDER = Path(__file__).parent / "recipes"
MOST_BYTES = 100_000


class Strict(BaseModel):
    """A frozen table whose unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(Strict):
    """Which rows to train on."""

    max_chars: Annotated[int, Field(ge=10)] = 1000
    licences: dict[str, str] = {}
    """SPDX licence by source tag; the longest tag that starts a row's own decides."""
    allow: list[str] | None = None
    """Licences to train on; without it all, also unstated ones."""


class Training(Strict):
    """How to train."""

    seed: Annotated[int, Field(ge=0)] = 0
    epochs: Annotated[int, Field(ge=1, le=1000)]
    batch: Annotated[int, Field(ge=2, le=16384)]
    rate: Annotated[float, Field(gt=0)]
    scale: Annotated[float, Field(gt=0)]
    """Inverse temperature of the in-batch softmax."""
    temperature: Annotated[float, Field(ge=0, le=1)]
    """A language pair of n pairs is drawn in proportion to n to this power."""
    teacher_weight: Annotated[float, Field(ge=0)]
    """Weight of 1 - cosine to the teacher beside the in-batch loss."""


class Recipe(Strict):
    """A student's recipe.

    Attributes:
        name: names the model's folder.
        summary: one line for ``distill recipes`` and the card.
        languages: keeps only pairs of these; without it those of the data.
        start: a static model to go on from where it knows the pairs' languages; the
            student then has its tokens and dimensions.
        vocabulary: most tokens of a student that starts anew.
        dim: dimensions of a student that starts anew.
        teacher: an encoder's spec; empty to train without one.
        teacher_languages: languages whose texts the teacher reads itself.
        lexical_weight: how much the lexical score counts beside the cosine.
        licence: SPDX licence of the student's weights, for its card.
        data: which rows.
        training: how.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    summary: str
    languages: list[str] | None = None
    start: str = ""
    vocabulary: Annotated[int, Field(ge=100, le=1_000_000)]
    dim: Annotated[int, Field(ge=2, le=4096)]
    teacher: str = ""
    teacher_languages: list[str] = ["en"]
    lexical_weight: Annotated[float, Field(ge=0, lt=1)] = 0.3
    licence: str = ""
    data: Data = Data()
    training: Training


def names() -> list[str]:
    """List the recipes that ship."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load_recipe(spec: str) -> Recipe:
    """Read a shipped recipe by name, or a TOML file by path.

    Raises:
        InputError: there is no such recipe, or a key of it is wrong; names the key.
    """
    path = Path(spec) if spec.endswith(".toml") else FOLDER / f"{spec}.toml"
    if not path.is_file():
        raise InputError(f"no recipe {choices(spec, names())}, or the path of a .toml file")
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"{path} has over {MOST_BYTES} bytes; a recipe is a short TOML file")
        return Recipe.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise InputError(f"cannot read the recipe {path}: {error}") from error
    except ValidationError as error:
        raise InputError(f"recipe {path}: {_explain(error)}") from error


def _explain(error: ValidationError) -> str:
    first: Any = error.errors()[0]
    *tables, key = [str(part) for part in first["loc"]]
    if first["type"] != "extra_forbidden":
        return f"{'.'.join([*tables, key])}: {first['msg']}"
    models: dict[str, type[Strict]] = {"data": Data, "training": Training}
    where = f"[{'.'.join(tables)}] " if tables else ""
    return f"{where}unknown key {choices(key, models.get('.'.join(tables), Recipe).model_fields)}"
