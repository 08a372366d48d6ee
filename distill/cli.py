"""The command ``distill``."""

from __future__ import annotations

from pathlib import Path

import click

from corpus.console import Console, Group, common

PATH = click.Path(exists=True, path_type=Path)


@click.group("distill", cls=Group)
def main() -> None:
    """Train sentence encoders from pairs."""


@main.command()
@click.argument("recipe", default="static")
@click.option("--data", type=PATH, help="Pairs (a file or folder) in place of the workspace's.")
@click.option("--reserved", type=PATH, multiple=True, help="Evaluation texts to keep out (repeat).")
@click.option("--teacher", help="An encoder in place of the recipe's teacher.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the model.")
@click.option("--pair", "pairs", multiple=True, help="Languages, such as lb-en (repeat).")
@common
def run(
    console: Console,
    recipe: str,
    data: Path | None,
    reserved: tuple[Path, ...],
    teacher: str | None,
    out: Path | None,
    pairs: tuple[str, ...],
) -> None:
    """Train RECIPE (a name or a TOML file) on the workspace's kept pairs, or on --data."""
    from distill import train

    job = train.Job(recipe, data, reserved, teacher, out, pairs)
    with console.progress(f"distill {recipe}") as bar:
        facts = train.run_job(console, job, lambda _stage, done, total: bar(done, total))
    counts = list(facts["by_langs"].items())
    if facts["is_fresh"]:
        console.say(f"{facts['path']} is up to date")
    console.table(f"{facts['path']}: trained on", ("languages", "pairs"), counts)
    console.emit(facts)


@main.command()
@common
def recipes(console: Console) -> None:
    """List the recipes that ship."""
    from distill.recipe import load_recipe, names

    rows = [(name, load_recipe(name).summary) for name in names()]
    console.table("Recipes", ("recipe", "what it trains"), rows)
    console.emit([dict(zip(("recipe", "summary"), row, strict=True)) for row in rows])
