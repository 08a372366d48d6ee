"""The command ``align``."""

from __future__ import annotations

from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from align.services import Terms
from corpus.console import Console, Group, common

if TYPE_CHECKING:
    from collections.abc import Callable

    Decorator = Callable[[Callable[..., None]], Callable[..., None]]

SHARE, DOLLARS = click.FloatRange(0, 1), click.FloatRange(0)
FILE = click.Path(path_type=Path)
METHOD = click.option(
    "--method",
    type=click.Choice(["margin", "beads"]),
    default="margin",
    show_default=True,
    help="Mutual best sentences, or beads of several, in order.",
)


@click.group("align", cls=Group)
def main() -> None:
    """Find which articles and sentences translate each other."""


def _encoding(function: Callable[..., None]) -> Callable[..., None]:
    """Add what chooses an encoder, and hand over the terms of one behind an API."""
    told = "Encoder spec; openai:MODEL takes --base-url, --max-cost, --price (USD a 1M tokens) too."
    options = [
        click.option("--encoder", default="embedded", show_default=True, help=told),
        click.option("--any-language", is_flag=True, help="Go on with unknown languages."),
        click.option("--base-url", hidden=True, help="Server of openai:MODEL."),
        click.option("--max-cost", hidden=True, type=DOLLARS, help="US dollars to spend."),
        click.option("--price", hidden=True, type=DOLLARS, help="US dollars a million tokens."),
    ]

    @wraps(function)
    def wrapped(
        *args: Console,
        base_url: str | None,
        max_cost: float | None,
        price: float | None,
        **others: Any,  # noqa: ANN401 - click's options
    ) -> None:
        both = None if price is None else (price, 0.0)
        terms = Terms(base_url, max_cost, both, partial(click.echo, err=True))
        function(*args, terms=terms, **others)

    for option in reversed(options):
        wrapped = option(wrapped)
    return wrapped


def _choices(function: Callable[..., None]) -> Callable[..., None]:
    """Add what both stages take."""
    options: list[Decorator] = [
        click.option("--pair", "pairs", multiple=True, help="Languages, such as lb-en (repeat)."),
        _encoding,
        click.option("--only", is_flag=True, help="Run this stage alone, on inputs as they are."),
        click.option("--dry-run", is_flag=True, help="Say what would run."),
    ]
    for option in reversed(options):
        function = option(function)
    return common(function)


@main.command()
@_choices
@click.option("--lexical", type=SHARE, help="Weight of the lexical score.")
@click.option("--window", type=click.IntRange(0), help="Days between two articles [2].")
def articles(console: Console, **options: Any) -> None:  # noqa: ANN401 - click's options
    """Pair articles by date window, BiMax and ratio margin."""
    from align import chain

    chain.articles(console, chain.Options(**options))


@main.command()
@_choices
@click.option("--lexical", type=SHARE, hidden=True, help="Weight of the lexical score.")
@METHOD
@click.option("--threshold", type=click.FloatRange(-1, 1), help="Least cosine of a kept pair.")
@click.option("--margin", type=click.FloatRange(0), help="Least ratio margin of a kept pair.")
@click.option("--fdr", type=SHARE, help="Largest estimated share of false pairs.")
@click.option("--prefilter", help="Cheap encoder that chooses what --encoder sees.")
@click.option(
    "--calibration",
    "calibrations",
    multiple=True,
    type=FILE,
    help="What judged pairs say of --fdr: calibration.json of benchmarks review (repeat).",
)
def sentences(
    console: Console,
    threshold: float | None,
    margin: float | None,
    fdr: float | None,
    **options: Any,  # noqa: ANN401 - click's options
) -> None:
    """Pair the sentences of paired articles."""
    from align import chain
    from align.decide import Cuts

    chain.sentences(console, chain.Options(**options), Cuts(threshold, margin, fdr))


@main.command()
@click.argument("src", type=FILE)
@click.argument("tgt", type=FILE)
@click.option("--out", type=FILE, help="File of pairs: .tsv, .jsonl or .parquet [TSV to stdout].")
@METHOD
@click.option("--pair", default="", help="Languages of the files, such as lb-en.")
@_encoding
@click.option("--lexical", type=SHARE, help="Weight of the lexical score.")
@click.option("--threshold", type=click.FloatRange(-1, 1), help="Least cosine of a kept pair.")
@click.option("--margin", type=click.FloatRange(0), help="Least ratio margin of a kept pair [1].")
@click.option(
    "--recall",
    type=SHARE,
    default=0.99,
    show_default=True,
    help="Neighbours that the search of huge files must find; 1 is exact.",
)
@common
def files(
    console: Console,
    src: Path,
    tgt: Path,
    threshold: float | None,
    margin: float | None,
    **options: Any,  # noqa: ANN401 - click's options
) -> None:
    """Pair the sentences of two plain files, one a line, all against all."""
    from align import files as of_files
    from align.decide import Cuts

    of_files.run(console, src, tgt, of_files.Options(**options), Cuts(threshold, margin))


@main.command()
@click.argument("bitext", nargs=-1, required=True, type=FILE)
@click.option("--out", type=FILE, help="All pairs with scores: .tsv, .jsonl or .parquet.")
@click.option("--pair", default="", help="Languages of the two sides, such as lb-en.")
@_encoding
@click.option("--lexical", type=SHARE, help="Weight of the lexical score.")
@click.option("--threshold", type=click.FloatRange(-1, 1), help="Least cosine of a kept pair.")
@click.option("--margin", type=click.FloatRange(0), help="Least ratio margin of a kept pair [1].")
@common
def score(
    console: Console,
    bitext: tuple[Path, ...],
    threshold: float | None,
    margin: float | None,
    **options: Any,  # noqa: ANN401 - click's options
) -> None:
    """Score the pairs of BITEXT: TSV, TMX, JSONL or Parquet, or two files of lines."""
    from align import bitext as of_bitext
    from align.decide import Cuts
    from align.files import Options

    if len(bitext) > 2:
        raise click.UsageError("give one file of pairs, or two files of lines")
    of_bitext.run(console, bitext, Options(**options), Cuts(threshold, margin))


@main.group(cls=Group)
def vectors() -> None:
    """List, verify and prune the stored vectors of this workspace."""


STORES = click.argument("names", nargs=-1, metavar="[STORE]...")


@vectors.command("list")
@common
def list_(console: Console) -> None:
    """List the vector stores: whose they are, how many texts, how large."""
    from align import stores

    columns = ("store", "encoder", "precision", "texts", "dimensions", "shards", "MB")
    rows = [
        (s.name, s.encoder, s.precision, len(s.store), s.store.dim, len(s.store.numbers()), s.size)
        for s in stores.find(console.workspace)
    ]
    console.table("Vector stores", columns, [(*row[:-1], row[-1] / 1e6) for row in rows])
    names = (*columns[:-1], "bytes")
    console.emit([dict(zip(names, row, strict=True)) for row in rows])


@vectors.command()
@STORES
@common
def verify(console: Console, names: tuple[str, ...]) -> None:
    """Read every vector of the STOREs (all by default); exit 1 where a shard is damaged."""
    from align import stores
    from corpus.errors import InputError

    bad = []
    for found in stores.find(console.workspace, names):
        numbers = found.store.numbers()
        reasons = [(found.name, n, why) for n in numbers if (why := stores.damage(found.store, n))]
        console.show(f"{found.name}: {len(numbers)} shards, {len(reasons)} damaged")
        bad += reasons
    if bad:
        console.table("Damaged", ("store", "shard", "why"), bad)
    console.emit([dict(zip(("store", "shard", "why"), row, strict=True)) for row in bad])
    if bad:
        raise InputError("take them away with align vectors prune; their texts are encoded again")


@vectors.command()
@STORES
@click.option("--unused", is_flag=True, help="Also texts that are no sentence here (any more).")
@click.option("--all", "all_", is_flag=True, help="Everything in the STOREs that are named.")
@common
def prune(console: Console, names: tuple[str, ...], unused: bool, all_: bool) -> None:
    """Take damaged shards out of the STOREs (all by default), and join small ones."""
    import numpy as np

    from align import stores

    if all_ and not names:
        raise click.UsageError("--all needs the names of STOREs; align vectors list shows them")
    wanted = stores.in_sentences(console.workspace) if unused else None
    if all_:
        wanted = lambda keys: np.zeros(len(keys), bool)  # noqa: E731 - as in_sentences gives it
    records = []
    for found in stores.find(console.workspace, names):
        before = found.size
        n_texts = stores.prune(found.store, wanted)
        records.append({"store": found.name, "texts": n_texts, "bytes": before - found.size})
        console.show(
            f"{found.name}: {n_texts} texts gone, {(before - found.size) / 1e6:.1f} MB less"
        )
    console.emit(records)
