"""A finished set on the Hub: its data, its task definition, and a card."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING

import jinja2
import polars as pl
from huggingface_hub import DatasetCardData

from benchmarks.build.items import TRIPLE, check_name
from benchmarks.review.finish import DATA, FACTS, TASK, Facts
from benchmarks.sets import read_spec
from corpus import tables
from corpus.errors import InputError
from corpus.languages import language_name
from corpus.release import hub, stops
from corpus.release.card import LICENCES, SIZES

if TYPE_CHECKING:
    from pathlib import Path

    from corpus.console import Console

CARD = "README.md"


def publish(
    console: Console, name: str, repo_id: str, *, dry_run: bool, private: bool
) -> hub.Published | None:
    """Write a finished set's card, and bring the set to the Hub in one commit.

    Raises:
        InputError: it is not finished, or may not be published: a script judged it, it has
            too few items or judges who agree too little, or texts that may not go up.
        OfflineError: the Hub cannot be reached.
        BitextileError: the Hub refuses; says what to do.
    """
    hub.check_name(repo_id)
    folder = console.workspace.finished_set(check_name(name))
    facts = _facts(folder, name)
    if facts.against:
        raise InputError(f"{name} is not published: {'; '.join(facts.against)}")
    rows = pl.read_ndjson(folder / DATA)
    stops.check_secrets(name, rows)
    for what, (n, samples) in stops.personal(
        pl.concat([rows[c] for c in rows.columns[:3]])
    ).items():
        console.say(f"{n} texts hold what looks like a {what} ({'; '.join(samples)}): look at them")
    tables.write_text(folder / CARD, card(facts, folder, repo_id))
    done = None if dry_run else hub.publish(folder, repo_id, private=private)
    if done:
        console.show(f"published: {done.url} (commit {done.commit or 'none: nothing new'})")
    else:
        console.show(f"would publish {len(rows)} items: {folder}")
    record = done._asdict() if done else {"url": None, "commit": None}
    console.emit({"set": name, "folder": str(folder), **record})
    return done


def card(facts: Facts, folder: Path, repo_id: str) -> str:
    """Render the card: everything it says is read from the finished set."""
    licences = {licence for licence in facts.licences if licence in LICENCES}
    data = DatasetCardData(
        language=[facts.langs],
        license=licences.pop().lower() if len(licences) == len(facts.licences) == 1 else "other",
        annotations_creators=["expert-generated"],
        source_datasets=["original"],
        size_categories=[next(name for most, name in SIZES if facts.n_items < most)],
        task_categories=["sentence-similarity"],
        pretty_name=facts.name,
        tags=["paraphrase", "evaluation", "bitextile"],
        configs=[{"config_name": "default", "data_files": [{"split": "test", "path": DATA}]}],
    )
    environment = jinja2.Environment(  # noqa: S701 - Markdown, not HTML
        trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined
    )
    template = (files("benchmarks") / "card.md").read_text(encoding="utf-8")
    return environment.from_string(template).render(
        card_data=data.to_yaml(),
        name=facts.name,
        facts=facts,
        language=language_name(facts.langs),
        repo_id=repo_id,
        least=read_spec(folder / TASK).least_difference,
    )


def _facts(folder: Path, name: str) -> Facts:
    try:
        facts = Facts(**json.loads((folder / FACTS).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"no finished set '{name}': finish it with benchmarks review {name} --finish"
        ) from error
    if facts.kind != TRIPLE:
        raise InputError(f"{name} holds aligned pairs, which are no task; publish triples")
    return facts
