"""A recipe: everything that shapes a student, in one TOML file.

A recipe with a table ``[student]`` trains a transformer, one without a static encoder.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from corpus.errors import InputError, choices

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDER = Path(__file__).parent / "recipes"
MOST_BYTES = 100_000
Weight = Annotated[float, Field(ge=0)]
Seed = Annotated[int, Field(ge=0)]
Epochs = Annotated[int, Field(ge=1, le=1000)]
Batch = Annotated[int, Field(ge=2, le=16384)]
Rate = Annotated[float, Field(gt=0)]


class Strict(BaseModel):
    """A frozen table whose unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(Strict):
    """Which rows to train on."""

    max_chars: Annotated[int, Field(ge=10)] = 1000
    most_pairs: Annotated[int, Field(ge=20)] | None = None
    """Pairs to draw, where there are more."""
    licences: dict[str, str] = {}
    """SPDX licence by source tag; the longest tag that starts a row's own decides."""
    allow: list[str] | None = None
    """Licences to train on; without it all, also unstated ones."""


class Training(Strict):
    """How to train a static student."""

    seed: Seed = 0
    epochs: Epochs
    batch: Batch
    rate: Rate
    scale: Annotated[float, Field(gt=0)]
    """Inverse temperature of the in-batch softmax."""
    temperature: Annotated[float, Field(ge=0, le=1)]
    """A language pair of n pairs is drawn in proportion to n to this power."""
    teacher_weight: Weight
    """Weight of 1 - cosine to the teacher beside the in-batch loss."""
    head: Annotated[int, Field(ge=0)] = 0
    """First dimensions that serve alone too, as a cheaper encoder; 0 for none."""
    head_weight: Weight = 0.3
    """Weight of the head's own in-batch loss."""


class Student(Strict):
    """Which transformer learns."""

    start: str = ""
    """The path or Hub id of a model to go on from; without it one of the sizes below."""
    tokenizer: str = "own"
    """``own`` trains one on the pairs; else the model (path or Hub id) to take it from."""
    vocabulary: Annotated[int, Field(ge=100, le=1_000_000)] = 16000
    layers: Annotated[int, Field(ge=1, le=48)] = 2
    hidden: Annotated[int, Field(ge=8, le=4096)] = 192
    dim: Annotated[int, Field(ge=0, le=4096)] = 0
    """Dimensions of its vectors; 0: the teacher's where it follows one, else ``hidden``."""
    heads: Annotated[int, Field(ge=1, le=64)] = 4
    max_length: Annotated[int, Field(ge=8, le=8192)] = 64
    """Tokens; what is longer is cut."""


class Losses(Strict):
    """The weight of each loss in the sum; ``mse`` and ``cosine`` need a teacher."""

    mse: Weight = 0
    cosine: Weight = 0
    mnr: Weight = 0
    contrastive: Weight = 0
    scale: Annotated[float, Field(gt=0)] = 20
    """Inverse temperature of ``mnr``."""
    margin: Annotated[float, Field(gt=0, le=2)] = 0.5
    """Cosine distance that ``contrastive`` keeps from hard negatives."""
    negatives: str = ""
    """The encoder that mines hard negatives; without it there are none."""

    @model_validator(mode="after")
    def _act(self) -> Losses:
        if not self.mse + self.cosine + self.mnr + self.contrastive:
            raise ValueError("no loss has a weight: give mse, cosine, mnr or contrastive one")
        if self.contrastive and not self.negatives:
            raise ValueError("contrastive needs hard negatives: name an encoder as negatives")
        return self

    @property
    def follow(self) -> bool:
        """Whether a teacher is needed."""
        return bool(self.mse or self.cosine)


class Fitting(Strict):
    """How to train a transformer."""

    seed: Seed = 0
    epochs: Epochs
    batch: Batch
    rate: Rate
    warm_up: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the steps in which the rate rises."""
    evaluations: Annotated[int, Field(ge=1, le=1000)] = 10
    """How often a run measures itself on dev, and writes a checkpoint."""
    patience: Annotated[int, Field(ge=1)] = 3
    """Evaluations without better retrieval after which it stops."""
    may_fall: Annotated[float, Field(ge=0, le=1)] | None = None
    """How far retrieval may fall below that of the model it goes on from."""
    precision: Literal["float32", "bf16", "fp16"] = "float32"


class Recipe(Strict):
    """What all students' recipes tell.

    Attributes:
        name: names the model's folder.
        summary: one line for ``distill recipes`` and the card.
        reproduces: the published work that it follows.
        unknown: what that source leaves unknown.
        status: whether it has been run as it stands.
        languages: keeps only pairs of these; without it those of the data.
        teacher: an encoder's spec; empty to train without one.
        teacher_languages: languages whose texts the teacher reads itself.
        licence: SPDX licence of the student's weights, for its card.
        data: which rows.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    summary: str
    reproduces: str = ""
    unknown: list[str] = []
    status: Literal["", "run here", "written from the paper, not run at scale"] = ""
    languages: list[str] | None = None
    teacher: str = ""
    teacher_languages: list[str] = ["en"]
    licence: str = ""
    data: Data = Data()


class StaticRecipe(Recipe):
    """A static student's recipe.

    Attributes:
        start: a static model to go on from where it knows the pairs' languages; the
            student then has its tokens and dimensions.
        vocabulary: most tokens of a student that starts anew.
        dim: dimensions of a student that starts anew.
        lexical_weight: how much the lexical score counts beside the cosine.
        training: how.
        mixtures: language pairs by the name of a mixture; each trains a student of its
            own, all on equally many pairs.
    """

    start: str = ""
    vocabulary: Annotated[int, Field(ge=100, le=1_000_000)]
    dim: Annotated[int, Field(ge=2, le=4096)]
    lexical_weight: Annotated[float, Field(ge=0, lt=1)] = 0.3
    training: Training
    mixtures: dict[str, list[str]] = {}


class TransformerRecipe(Recipe):
    """A transformer's recipe: which student, what it minimises, and how."""

    student: Student
    losses: Losses
    training: Fitting


def names() -> list[str]:
    """List the recipes that ship."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load_recipe(spec: str, changes: Sequence[str] = ()) -> StaticRecipe | TransformerRecipe:
    """Read a shipped recipe by name, or a TOML file by path.

    Args:
        spec: the name or path.
        changes: lines of TOML that overrule it, such as ``training.epochs=2``.

    Raises:
        InputError: there is no such recipe, or a key of it is wrong; names the key.
    """
    path = Path(spec) if spec.endswith(".toml") else FOLDER / f"{spec}.toml"
    if not path.is_file():
        raise InputError(f"no recipe {choices(spec, names())}, or the path of a .toml file")
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"{path} has over {MOST_BYTES} bytes; a recipe is a short TOML file")
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError, RecursionError) as error:
        raise InputError(f"cannot read the recipe {path}: {error}") from error
    for change in changes:
        try:
            _merge(table, tomllib.loads(change))
        except tomllib.TOMLDecodeError as error:
            raise InputError(
                f"cannot read the change '{change}': {error}; give KEY=VALUE as in TOML"
            ) from error
    model = TransformerRecipe if "student" in table else StaticRecipe
    try:
        return model.model_validate(table)
    except ValidationError as error:
        raise InputError(f"recipe {path}: {_explain(error, model)}") from error


def _merge(table: dict[str, Any], change: dict[str, Any]) -> None:
    for key, value in change.items():
        if isinstance(value, dict) and isinstance(table.get(key), dict):
            _merge(table[key], value)
        else:
            table[key] = value


def _explain(error: ValidationError, model: type[Strict]) -> str:
    """Say what is wrong first; an unknown key, which may be why another is missing."""
    errors: Any = error.errors()
    first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    tables, keys = [], [str(part) for part in first["loc"]]
    if first["type"] != "extra_forbidden":
        return f"{'.'.join(keys)}: {first['msg']}"
    homes = [
        name
        for name, field in model.model_fields.items()
        if keys[0] in getattr(field.annotation, "model_fields", {})
    ]
    if len(keys) == 1 and homes:
        return f"unknown key '{keys[0]}'; it stands in [{homes[0]}]"
    while len(keys) > 1:
        tables.append(keys.pop(0))
        model = model.model_fields[tables[-1]].annotation  # type: ignore[assignment]
    where = f"[{'.'.join(tables)}] " if tables else ""
    return f"{where}unknown key {choices(keys[0], model.model_fields)}"
