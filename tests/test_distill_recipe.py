"""Recipes: those that ship, and what is said of a broken one."""

from __future__ import annotations

from pathlib import Path

import pytest

from corpus.errors import InputError
from distill.recipe import TransformerRecipe, load_recipe, names

GOOD = """
name = "own"
summary = "mine"
vocabulary = 500
dim = 8
[training]
epochs = 1
batch = 8
rate = 0.01
scale = 10
temperature = 1
teacher_weight = 0
"""


@pytest.mark.parametrize("name", names())
def test_shipped_recipes_are_sound(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.summary.endswith(".")
    assert set(recipe.data.allow or []) <= {*recipe.data.licences.values(), "CC0-1.0"}
    assert not {"AGPL-3.0-only", "GPL-3.0-only", "GPL-2.0-only"} & set(recipe.data.allow or [])


def test_there_is_one_for_each_use_and_each_says_what_is_known() -> None:
    papers = {"banglaembed-mnr", "banglaembed-mse", "luxembedder", "luxembedder-distill"}
    assert set(names()) == papers | {"bangla-small", "embedded", "pair-mix", "static"}
    for name in names():
        recipe = load_recipe(name)
        assert (recipe.status == "run here") == (name not in papers)
        assert bool(recipe.reproduces and recipe.unknown) == (name in papers | {"pair-mix"})


def test_banglaembed_is_as_published() -> None:
    for name in ("banglaembed-mse", "banglaembed-mnr"):
        recipe = load_recipe(name)
        assert isinstance(recipe, TransformerRecipe)
        assert recipe.student.start.endswith("distilbert-base-uncased")
        fitting = recipe.training
        assert (fitting.epochs, fitting.batch, fitting.rate) == (10, 4, 5e-5)
        assert getattr(recipe.losses, name.split("-")[1]) == 1


def test_changes_overrule_a_recipe(tmp_path: Path) -> None:
    changes = ["training.epochs=3", "losses.mse=0", "data.most_pairs=50"]
    recipe = load_recipe("bangla-small", changes)
    assert isinstance(recipe, TransformerRecipe)
    assert (recipe.training.epochs, recipe.training.batch) == (3, 128)
    assert (recipe.losses.mse, recipe.losses.mnr, recipe.data.most_pairs) == (0, 1, 50)
    for change, message in {
        "losses.mes=1": r"\[losses\] unknown key 'mes' \(did you mean 'mse'",
        "losses.mnr=0": "no loss has a weight",
        "losses.contrastive=1": "contrastive needs hard negatives",
        "epochs": "give KEY=VALUE as in TOML",
    }.items():
        with pytest.raises(InputError, match=message):
            load_recipe("bangla-small", ["losses.mse=0", change])


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(GOOD)
    recipe = load_recipe(str(path))
    assert (recipe.name, recipe.training.seed, recipe.teacher) == ("own", 0, "")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("epochs = 1", "epoch = 1", r"epoch|epochs"),
        (
            "epochs = 1",
            "epochs = 1\nbacth = 3",
            r"\[training\] unknown key 'bacth' \(did you mean 'batch'",
        ),
        ("epochs = 1", "epoch = 1", r"\[training\] unknown key 'epoch' \(did you mean 'epochs'"),
        ("dim = 8", "epochs = 2\ndim = 8", r"unknown key 'epochs'; it stands in \[training\]"),
        ("dim = 8", "dimm = 8\ndim = 8", r"unknown key 'dimm' \(did you mean 'dim'"),
        ("dim = 8", "dim = -1", "dim: Input should be greater"),
        ("temperature = 1", "temperature = 2", "training.temperature: Input should be less"),
        ('"own"', '"../own"', "name: String should match"),
        ("[training]", "[[training]]", "training: Input should be a valid dict"),
        ("dim = 8", "dim = ", "cannot read the recipe"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(InputError, match=message):
        load_recipe(str(path))


def test_recipes_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no recipe 'statik' \(did you mean 'static'\?\)"):
        load_recipe("statik")
    huge = tmp_path / "huge.toml"
    huge.write_text("#" * 200_000)
    with pytest.raises(InputError, match="a recipe is a short TOML file"):
        load_recipe(str(huge))
