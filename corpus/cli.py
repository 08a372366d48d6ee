"""The command ``corpus``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from corpus.console import Console, Group, common

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

WHAT = click.Choice(["articles", "sentences", "pairs"])
AT_LEAST_1 = click.IntRange(min=1)
SPLIT = click.Choice(["hash", "date"])
DAY = click.DateTime(["%Y-%m-%d"])
FORMAT = click.Choice(["parquet", "jsonl", "tsv", "moses", "tmx"])
FILE = click.Path(path_type=Path)


@click.group("corpus", cls=Group)
def main() -> None:
    """Crawl multilingual news and turn it into clean text, tables and releases."""


@main.command()
@click.option("--contact", required=True, help="Mail or URL that crawled sites may write to.")
@common
def init(console: Console, contact: str) -> None:
    """Make a workspace."""
    from corpus.workspace import FILE, Workspace

    workspace = Workspace.create(console.root, contact)
    if workspace.contact != contact:
        console.say(
            f"the workspace was there already, with contact {workspace.contact}; "
            f"to change it, edit {workspace.root.resolve() / FILE}"
        )
    console.show(f"workspace {workspace.root.resolve()} is ready; its defaults are in {FILE}")
    console.show("next: corpus crawl SITE (corpus sites lists them)")
    console.emit({"workspace": str(workspace.root), "contact": workspace.contact})


@main.group(cls=Group, invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
@click.pass_context
def sites(context: click.Context, as_json: bool) -> None:
    """List the built-in site profiles, or check one."""
    if context.invoked_subcommand is None:
        from corpus.sites import builtin_profiles, load_profile

        profiles = [load_profile(name) for name in builtin_profiles()]
        columns = ("name", "site", "languages", "licence")
        rows = [(p.name, p.title, ", ".join(p.languages), p.licence) for p in profiles]
        console = Console(Path(), as_json=as_json)
        console.table("Sites", columns, rows)
        console.emit([dict(zip(columns, row, strict=True)) for row in rows])


@sites.command()
@click.argument("site")
@click.option("--live", is_flag=True, help="Ask the real site, slowly, for up to a minute.")
@click.option("--contact", default="", help="Mail or URL for the User-Agent of --live.")
@click.option(
    "--pages",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Look at a crawl: pages/SITE.",
)
@common
def check(console: Console, site: str, live: bool, contact: str, pages: Path | None) -> None:
    """Show what a profile (a name or a TOML file) understands of its site."""
    from corpus.crawl.command import check_site

    check_site(console, site, live=live, pages=pages, contact=contact)


@main.command()
@click.argument("site")
@click.option("--all", "everything", is_flag=True, help="Take all pages, not the newest days.")
@click.option(
    "--days", type=AT_LEAST_1, default=30, show_default=True, help="How many of the newest days."
)
@click.option("--since", type=DAY, help="First day to take (YYYY-MM-DD), in place of --days.")
@click.option("--until", type=DAY, help="Last day to take; --days count back from it.")
@click.option("--limit", type=AT_LEAST_1, help="Most pages to fetch in this run.")
@click.option(
    "--budget", multiple=True, help="Most of one host: pages=N, bytes=N or seconds=N (repeat)."
)
@common
def crawl(
    console: Console,
    site: str,
    everything: bool,
    days: int,
    since: datetime | None,
    until: datetime | None,
    limit: int | None,
    budget: tuple[str, ...],
) -> None:
    """Fetch the newest pages of SITE (a name or a TOML file), politely; again: only what is new."""
    from corpus.crawl.command import crawl_site

    bounds = {
        "all_": everything,
        "days": days,
        "since": since and since.date(),
        "until": until and until.date(),
        "limit": limit,
    }
    crawl_site(console, site, budget=budget, bounds=bounds)


def _stage(function: Callable[..., None]) -> Callable[..., None]:
    """Add what every text stage takes."""
    only = click.option("--only", is_flag=True, help="Run this stage alone.")
    dry = click.option("--dry-run", is_flag=True, help="Say what would run.")
    return common(only(dry(function)))


@main.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--site", help="Whose pages FILES hold: a name or a TOML file.")
@click.option(
    "--basis", multiple=True, help='[SITE=]research, permission:"TEXT", or none (repeat).'
)
@_stage
def extract(
    console: Console,
    files: tuple[Path, ...],
    site: str | None,
    basis: tuple[str, ...],
    only: bool,
    dry_run: bool,
) -> None:
    """Turn pages, fetched or in WARC FILES, into articles, each an article or a reject.

    Pages whose site reserves text and data mining are rejects, unless a --basis to keep
    them is given; it holds for later commands too.
    """
    from corpus import chain, rights, stages
    from corpus.pages import site_profile, take

    if bool(files) != bool(site):
        raise click.UsageError("WARC files and --site (their profile) go together")
    if site and not dry_run:
        with console.workspace.lock("extract"):
            take(console.workspace, files, site_profile(console.workspace, site))
    if basis and not dry_run:
        rights.remember(console.workspace, basis)
    chain.text(console, "catalogue", only=only, dry=dry_run)
    counts = stages.counts(console.workspace.extracted)
    console.table("Pages", ("what", "n"), list(counts.items()))
    console.emit(counts)


@main.command()
@_stage
def segment(console: Console, only: bool, dry_run: bool) -> None:
    """Cut articles into sentences."""
    from corpus import chain, stages

    chain.text(console, "segment", only=only, dry=dry_run)
    counts = stages.counts(console.workspace.sentences)
    console.table("Sentences", ("what", "n"), list(counts.items()))
    console.emit(counts)


@main.command("import")
@click.option("--articles", type=FILE, help="A JSONL, CSV, TSV or Parquet file.")
@click.option("--pairs", multiple=True, type=FILE, help="One of these or TMX, or two of lines.")
@click.option("--columns", multiple=True, help="How columns are called: text=body,date=day.")
@click.option("--site", help="Name of the source; the file's name by default.")
@click.option("--lang", help="Language of all rows where none is told; of pairs lb-en.")
@click.option("--licence", default="unknown", show_default=True, help="Licence of the texts.")
@common
def import_(
    console: Console,
    articles: Path | None,
    pairs: tuple[Path, ...],
    columns: tuple[str, ...],
    site: str | None,
    lang: str | None,
    licence: str,
) -> None:
    """Take articles, or sentence pairs, from files of others (gzipped or not)."""
    from corpus import bitext, importing

    if bool(articles) == bool(pairs) or len(pairs) > 2:
        raise click.UsageError("give --articles FILE, or --pairs FILE (twice for files of lines)")
    fields = [field for text in columns for field in re.split(r",(?=\w+=)", text)]
    if wrong := [field for field in fields if not all(field.partition("="))]:
        raise click.BadParameter(f"'{wrong[0]}' is not FIELD=COLUMN, such as text=body")
    names = dict(field.partition("=")[::2] for field in fields)
    file = articles or pairs[0]
    name = site or file.name.partition(".")[0]
    with console.workspace.lock("import"), console.progress(f"importing {file.name}") as progress:
        if articles:
            source = importing.Source(articles, names, name, licence, lang)
            run = importing.import_articles(console.workspace, source, progress=progress)
        else:
            bitexts = bitext.Source(pairs, lang or "", names, name, licence)
            run = bitext.import_pairs(console.workspace, bitexts, progress=progress)
    console.stage(run)
    console.table("Imported", ("what", "n"), list(run.counts.items()))
    console.emit(run.counts)


@main.command()
@click.argument("what", type=WHAT)
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--format", "form", type=FORMAT, help="By default the path's ending decides.")
@click.option("--langs", multiple=True, help="A language, or a pair such as lb-en (repeat).")
@common
def export(
    console: Console, what: str, path: Path, form: str | None, langs: tuple[str, ...]
) -> None:
    """Write articles, sentences or kept pairs to a file for other tools."""
    from corpus.formats import export as run

    written = run(console.workspace, what, path, form, langs)
    for file, n in written.items():
        console.show(f"{n} rows in {file}")
    console.emit({str(file): n for file, n in written.items()})


@main.command()
@common
def report(console: Console) -> None:
    """Show what every stage took, kept and dropped; write report.html."""
    from corpus.report import build, summary

    found = summary(console.workspace)
    for title, columns, rows in found:
        console.table(title, columns, rows)
    path = build(console.workspace)
    console.show(f"report: {path.resolve()}")
    records = {t: [dict(zip(cs, row, strict=True)) for row in rows] for t, cs, rows in found}
    console.emit({"report": str(path), "tables": records})


@main.command()
@click.argument("name")
@click.option("--dry-run", is_flag=True, help="Write the folder and send nothing.")
@click.option("--deferred", is_flag=True, help="Addresses and hashes in place of text.")
@click.option("--split", type=SPLIT, default="hash", show_default=True, help="What decides splits.")
@click.option("--site", "sites", multiple=True, help="Only what is of this site (repeat).")
@click.option("--mask", is_flag=True, help="Mask phone numbers and addresses.")
@click.option("--public", is_flag=True, help="Make a new dataset public; private by default.")
@click.option("--force", is_flag=True, help="Release the invented sample too.")
@common
def publish(
    console: Console,
    name: str,
    dry_run: bool,
    public: bool,
    **options: Any,  # noqa: ANN401 - click's options
) -> None:
    """Release the kept pairs as the Hub dataset NAME (ORG/NAME), in one commit."""
    from corpus.release import Options
    from corpus.release.command import release

    release(console, name, Options(**options), dry_run=dry_run, private=not public)


@main.command()
@click.argument("source")
@click.option("--warc", "warcs", multiple=True, type=click.Path(exists=True, path_type=Path),
              help="Take pages from this file, not from the site (repeat).")  # fmt: skip
@common
def rebuild(console: Console, source: str, warcs: tuple[Path, ...]) -> None:
    """Find the text of a deferred release again: a folder, or ORG/NAME on the Hub."""
    from corpus.release.command import rebuild as run

    run(console, source, warcs)


@main.command()
@click.argument("urls", nargs=-1, required=True, metavar="URL...")
@click.option("--publish", is_flag=True, help="Push the releases that held them, without them.")
@common
def forget(console: Console, urls: tuple[str, ...], publish: bool) -> None:
    """Take articles out of everything, for ever: pages, texts, pairs, vectors, releases."""
    from corpus.forget import forget as run

    run(console, urls, publish=publish)


@main.command()
@click.argument("documents", required=False, type=click.Path(path_type=Path))
@common
def sample(console: Console, documents: Path | None) -> None:
    """Serve the bundled newsroom (or one made from aligned DOCUMENTS) on loopback."""
    from corpus.sample.serve import serve

    serve(console, documents)
