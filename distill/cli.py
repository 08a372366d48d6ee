"""The command ``distill``."""

from __future__ import annotations

from pathlib import Path

import click

from corpus.console import Console, Group, common

PATH = click.Path(exists=True, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)


@click.group("distill", cls=Group)
def main() -> None:
    """Train sentence encoders from pairs."""


@main.command()
@click.argument("recipe", default="static")
@click.option("--data", type=PATH, help="Pairs (a file or folder) in place of the workspace's.")
@click.option("--reserved", type=PATH, multiple=True, help="Evaluation texts to keep out (repeat).")
@click.option("--teacher", help="An encoder in place of the recipe's teacher.")
@click.option("--out", type=FOLDER, help="Folder of the model.")
@click.option("--pair", "pairs", multiple=True, help="Languages, such as lb-en (repeat).")
@click.option("--dev", type=PATH, help="Translations to measure on, and to stop by.")
@click.option("--test", type=PATH, help="Translations to measure on once, at the end.")
@click.option("--no-reserved", is_flag=True, help="Train although no text is kept for evaluation.")
@click.option("--set", "changes", multiple=True, help="KEY=VALUE over the recipe's (repeat).")
@common
def run(
    console: Console,
    recipe: str,
    data: Path | None,
    reserved: tuple[Path, ...],
    teacher: str | None,
    out: Path | None,
    pairs: tuple[str, ...],
    dev: Path | None,
    test: Path | None,
    no_reserved: bool,
    changes: tuple[str, ...],
) -> None:
    """Train RECIPE (a name or a TOML file) on the workspace's kept pairs, or on --data."""
    from distill import job

    told = job.Job(recipe, data, reserved, teacher, out, pairs, dev, test, no_reserved, changes)
    with console.progress(f"distill {recipe}") as bar:
        facts = job.run_job(console, told, lambda _stage, done, total: bar(done, total))
    job.show(console, facts)
    console.emit(facts)


@main.command()
@common
def recipes(console: Console) -> None:
    """List the recipes that ship: what each reproduces, and what its source leaves unknown."""
    from distill.recipe import load_recipe, names

    found = [
        {
            "recipe": name,
            "summary": recipe.summary,
            "status": recipe.status,
            "reproduces": recipe.reproduces,
            "unknown": "; ".join(recipe.unknown),
        }
        for name in names()
        for recipe in [load_recipe(name)]
    ]
    for each in found:
        console.entry(each)
    console.emit(found)


@main.command()
@click.argument("model")
@click.option("--out", required=True, type=FOLDER, help="A new folder.")
@click.option("--texts", type=PATH, help="Pairs (a file or folder) in place of the workspace's.")
@click.option("--trim", help="Keep the vocabulary that texts in these languages use: lb,fr,en.")
@click.option("--float", "as_float", is_flag=True, help="Weights in float32, not int8.")
@click.option("--no-onnx", is_flag=True, help="Keep the model's format: with --trim.")
@common
def export(
    console: Console,
    model: str,
    out: Path,
    texts: Path | None,
    trim: str | None,
    as_float: bool,
    no_onnx: bool,
) -> None:
    """Write MODEL (a folder or Hub id) small and fast, for --encoder; refuse a broken export."""
    from corpus.pairs import language_pairs
    from distill import convert, data, job

    pairs = (
        data.read_pairs(texts)
        if texts
        else job.workspace_pairs(console.workspace, language_pairs(console.workspace))[0]
    )
    langs = tuple(filter(None, (trim or "").split(",")))
    facts = convert.convert(model, out, pairs, convert.Wanted(langs, not no_onnx, not as_float))
    console.table(f"{out}", ("what", "value"), [(k, str(v)) for k, v in facts.items()])
    console.emit(facts | {"path": str(out)})


@main.command()
@click.argument("name")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--public", is_flag=True, help="Make a new repository public; private by default.")
@common
def publish(console: Console, name: str, folder: Path, public: bool) -> None:
    """Bring the model in FOLDER to the Hub as NAME (ORG/NAME), in one commit."""
    from distill.publish import publish as run

    done = run(folder, name, private=not public)
    console.show(f"published: {done.url} (commit {done.commit or 'none: nothing new'})")
    console.emit({"url": done.url, "commit": done.commit})


if __name__ == "__main__":
    main()
