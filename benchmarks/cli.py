"""The command ``benchmarks``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from corpus.console import Console, Group, common

FILE = click.Path(path_type=Path)
METHOD = click.Choice(["margin", "beads"])
SETTING = click.Choice(["halves", "third", "comparable"])
PORT = click.IntRange(0, 65535)
SHARE = click.FloatRange(0, 1)
SPLIT = click.Choice(["all", "dev", "test"])


@click.group("benchmarks", cls=Group)
def main() -> None:
    """Measure encoders, and whole corpora against known translations."""


@main.command("list")
@common
def list_(console: Console) -> None:
    """List the tasks; two scores that differ by less mean little."""
    from benchmarks.kinds import listing

    tasks = listing()
    for task in tasks:
        console.entry(task)
    console.show("Also: held-out pairs (benchmarks run MODEL), benchmarks newsroom")
    console.emit(tasks)


@main.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option("--data", type=FILE, help="Folder of evaluation sets; all that it has.")
@click.option("--task", "tasks", multiple=True, help="Name, task.toml or mteb:NAME (repeat).")
@click.option("--tsv", "files", multiple=True, type=FILE, help="File of pairs (repeat).")
@click.option("--columns", multiple=True, help="Two columns of its header: lb,en (repeat).")
@click.option(
    "--split",
    "splits",
    multiple=True,
    type=SPLIT,
    help="Part to score (repeat); by default test of tasks, all of files.",
)
@common
def run(
    console: Console,
    models: tuple[str, ...],
    data: Path | None,
    tasks: tuple[str, ...],
    files: tuple[Path, ...],
    columns: tuple[str, ...],
    splits: tuple[str, ...],
) -> None:
    """Score MODELs (embedded, random, a path, a Hub id; NAME=SPEC) on tasks.

    Without --task all that --data has; without either the workspace's held-out pairs.
    """
    from benchmarks.measure import Request, check, measure, show

    request = Request(models, files, columns, splits, tasks, data)
    records, failed = measure(console, request)
    show(console, records)
    check(failed)


@main.command()
@click.option("--out", type=FILE, help="The page, in place of the workspace's.")
@common
def report(console: Console, out: Path | None) -> None:
    """Write all results as one HTML page, and their leaderboard as Markdown beside it."""
    from benchmarks import report as page
    from benchmarks import results

    workspace = console.workspace
    records = results.load(workspace.results)
    name = workspace.root.resolve().name
    paths = page.build(records, name, out or workspace.results_report)
    for path in paths:
        console.show(str(path))
    console.emit([str(path) for path in paths])


@main.command()
@click.argument("files", nargs=-1, required=True, type=FILE, metavar="FILE...")
@click.option("--columns", multiple=True, help="Columns of its header: lb,en (repeat); all cells.")
@common
def reserve(console: Console, files: tuple[Path, ...], columns: tuple[str, ...]) -> None:
    """Add the texts of FILEs (TSV, CSV, lines) to what nothing may train on or publish."""
    from corpus import reserved

    names = [name for some in columns for name in some.split(",")]
    n_new = reserved.reserve(console.workspace, reserved.read_texts(files, names))
    total = len(reserved.load(console.workspace))
    console.show(f"{n_new} texts are newly reserved, {total} in all: {console.workspace.reserved}")
    console.emit({"n_new": n_new, "n_reserved": total, "path": str(console.workspace.reserved)})


@main.group(cls=Group)
def build() -> None:
    """Build a set that people judge: paraphrase triples, or aligned pairs."""


@build.command()
@click.argument("name", required=False)
@click.option("--lang", required=True, help="Language of the set, such as lb.")
@click.option(
    "--encoder",
    "encoders",
    multiple=True,
    default=["embedded"],
    show_default=True,
    help="Encoder spec (repeat: two and more also propose near neighbours).",
)
@click.option(
    "--near",
    type=SHARE,
    default=0.8,
    show_default=True,
    help="Least score of two translations that count as the same sentence.",
)
@click.option(
    "--band",
    type=(float, float),
    default=(0.8, 0.95),
    show_default=True,
    help="Least and greatest score of near neighbours.",
)
@click.option(
    "--overlap",
    type=SHARE,
    default=0.5,
    show_default=True,
    help="Largest share of words that anchor and paraphrase have in common.",
)
@click.option("--unshared", type=click.IntRange(0), default=0, help="Least words of each alone.")
@click.option("--size", type=click.IntRange(1), default=400, show_default=True, help="Items.")
@click.option("--chat", help="Model that writes negatives, and paraphrases up to --size.")
@click.option("--prompts", type=FILE, help="Folder with own paraphrase.md, negative.md.")
@click.option("--max-cost", type=click.FloatRange(0), help="US dollars that --chat may cost.")
@click.option("--price", type=(float, float), hidden=True, help="US dollars a million tokens.")
@common
def paraphrase(
    console: Console,
    name: str | None,
    chat: str | None,
    prompts: Path | None,
    max_cost: float | None,
    price: tuple[float, float] | None,
    **options: Any,  # noqa: ANN401 - click's options
) -> None:
    """Build the set NAME [paraphrase-LANG]: anchor, paraphrase, and a negative one edit away.

    --chat asks OpenAI, or the server that OPENAI_BASE_URL names.
    """
    from benchmarks.build import paraphrase as of_triples

    model = None
    if chat:
        from align.services import Terms
        from benchmarks.build.chat import Chat

        terms = Terms(max_cost=max_cost, price=price, say=console.say)
        model = Chat(chat, console.workspace, terms, prompts)
    settings = of_triples.Options(**options)
    of_triples.build(console, name or f"paraphrase-{settings.lang}", settings, model)


@build.command()
@click.argument("name", required=False)
@click.option("--pair", required=True, help="Languages, such as lb-en.")
@click.option("--size", type=click.IntRange(1), default=200, show_default=True, help="Items.")
@common
def pairs(console: Console, name: str | None, pair: str, size: int) -> None:
    """Build the set NAME [pairs-PAIR]: aligned pairs of every margin, kept or not."""
    from benchmarks.build import pairs as of_pairs

    of_pairs.build(console, name or f"pairs-{pair}", pair, size)


@main.command()
@click.argument("name", metavar="SET")
@click.option("--judge", "judges", multiple=True, help="Who judges; two of them with --finish.")
@click.option("--port", default=8765, show_default=True, type=PORT, help="Port.")
@click.option("--finish", is_flag=True, help="Make a set of what two judges kept.")
@click.option("--import", "read", type=FILE, help="Take judgements from Label Studio's JSON.")
@click.option("--export", "write", type=FILE, help="Write all as Label Studio's JSON.")
@common
def review(
    console: Console,
    name: str,
    judges: tuple[str, ...],
    port: int,
    finish: bool,
    read: Path | None,
    write: Path | None,
) -> None:
    """Judge SET with --judge NAME on a page of this machine; alone, say how far it is."""
    from benchmarks.review import command

    if finish:
        command.finish(console, name, judges)
    elif read or write:
        command.exchange(console, name, read, write)
    elif judges:
        command.serve(console, name, judges, port)
    else:
        command.progress(console, name)


@main.command()
@click.argument("name", metavar="SET")
@click.argument("repo_id", metavar="ORG/NAME")
@click.option("--dry-run", is_flag=True, help="Write the card and send nothing.")
@click.option("--public", is_flag=True, help="Make a new dataset public; private by default.")
@common
def publish(console: Console, name: str, repo_id: str, dry_run: bool, public: bool) -> None:
    """Bring the finished SET to the Hub as ORG/NAME, with card and task definition."""
    from benchmarks.publish import publish

    publish(console, name, repo_id, dry_run=dry_run, private=not public)


@main.command()
@click.argument("documents", required=False, type=FILE)
@click.option("--pair", "pairs", multiple=True, help="Languages, such as lb-en (repeat).")
@click.option("--encoder", default="embedded", show_default=True, help="Encoder spec.")
@click.option("--keep", type=FILE, help="Folder for the workspace; a temporary one by default.")
@click.option("--method", default="margin", type=METHOD, show_default=True, help="As in align.")
@click.option("--setting", type=SETTING, help="Make the target side harder.")
@common
def newsroom(
    console: Console,
    documents: Path | None,
    pairs: tuple[str, ...],
    encoder: str,
    keep: Path | None,
    method: str,
    setting: str | None,
) -> None:
    """Render DOCUMENTS (a TSV) as a news site, crawl and align it, score it by lines.

    Without DOCUMENTS the bundled sample is scored as it stands in this workspace.
    """
    from benchmarks import newsroom as benchmark

    if documents is None:
        records = benchmark.score_sample(console.workspace)
    else:
        records = benchmark.run(console, documents, pairs, encoder, keep, method, setting)
    benchmark.show(console, records)


@main.command()
@click.argument("documents", type=FILE)
@click.option("--pair", "pairs", multiple=True, required=True, help="Such as lb-en (repeat).")
@click.option("--seeds", default=20, show_default=True, help="Draws of each setting.")
@click.option("--split", default="all", type=SPLIT, show_default=True, help="Documents to take.")
@click.option("--method", default="margin", type=METHOD, show_default=True, help="As in align.")
@common
def confidence(
    console: Console, documents: Path, pairs: tuple[str, ...], seeds: int, split: str, method: str
) -> None:
    """Say how true --fdr is: spoil a newsroom of DOCUMENTS many times, and count."""
    from benchmarks import confidence as benchmark

    benchmark.show(console, benchmark.run(console, documents, pairs, seeds, split, method))


if __name__ == "__main__":
    main()
