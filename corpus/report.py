"""What happened to every page, article and sentence: tables, and one HTML page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from corpus import extract, pairs, plots, stages, tables
from corpus.languages import language_name
from corpus.ledger import (
    KEPT,
    PAIRS_TITLE,
    REASON,
    Row,
    Step,
    by_month,
    steps,
)
from corpus.tables import REJECTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from corpus.workspace import Workspace

SAMPLES = 2  # pairs of each decile, rejects of each reason
SCORES = {"margin": "ratio margin", "sim": "cosine", "lexical": "lexical score"}
# What a user can do about an outcome.
HINTS = {
    "not_article": "compare the profile's article patterns: corpus sites check SITE --live",
    "reserved": "the site reserves text and data mining; with its permission, or for research, "
    "corpus extract --basis keeps it",
    "wrong_language": "compare the languages of the profile's editions",
    "too_short": "these pages hold little text; look at a few of them below",
    "http_status": "the site refused; crawl again later",
    "waiting": "crawl again to go on",
    "not_extracted": "corpus extract reads them; if they stay, WARC files are gone or cut: "
    "corpus crawl SITE fetches those pages again",
    "undated": "pages without a date are not paired; see published_from of their site",
    "none_in_window": "crawl the same days of both languages, or raise --window",
    "below_floor": "the articles in reach do not translate each other by this encoder",
    "not_mutual_best": "another sentence fits better; comparable text has many of these",
    "no_candidate": "nothing in the other article is near; shortened translations have these",
    "fdr": "raise --fdr, or train a stronger encoder",
    "length_ratio": "one side is far longer: a sentence split or joined in translation",
    "years": "both sides name years, and none in common",
    "residue": "an address of a page, file or mailbox; see the profile's boilerplate",
    "copy": "the same words on both sides: not translated",
    "duplicate": "the same pair is kept from another article",
    "near_duplicate": "the same texts are kept already, but for case and punctuation",
    "template": "the same words with other numbers are kept already",
    "forgotten": "corpus forget was told to take it out, for ever",
    "threshold": "lower --threshold, or cut by --margin, which travels between encoders",
    "margin": "lower --margin",
    "language": "sentences in a third language; compare the editions",
}


def summary(workspace: Workspace) -> list[tuple[str, list[str], list[list[object]]]]:
    """Give the report as tables (title, columns, rows); the last says what came out."""
    found, months = steps(workspace), by_month(workspace)
    columns = _columns(months)
    counts = [[month, *(n.get(c, 0) for c in columns)] for month, n in months.items()]
    return [
        *((step.title, step.columns, step.rows) for step in found),
        *([("By month of publication", ["month", *columns], counts)] if months else []),
        ("In short", ["result"], [[line] for line in verdicts(found)]),
    ]


def verdicts(steps: Sequence[Step]) -> list[str]:
    """Say what came out, and for whatever gave nothing where it was lost and what to do."""
    if not steps:
        return ["Nothing has been crawled or imported yet: corpus crawl SITE"]
    lines = [
        f"{' '.join(row.where)}: none of {row.n:,} {step.item} went on{_largest_loss(row)}"
        for step in steps
        for row in step.items
        if not row.n_kept
    ]
    final = [row for step in steps if step.title == PAIRS_TITLE for row in step.items]
    lines += [
        f"{row.where[0]}: {row.n_kept:,} of {row.n:,} matched pairs kept" + _largest_loss(row)
        for row in final
        if row.n_kept
    ]
    if not final:
        lines.append(f"No step after '{steps[-1].title}' has run: align sentences")
    return lines


def build(workspace: Workspace) -> Path:
    """Write the report as one HTML page that opens without a network."""
    found, months = steps(workspace), by_month(workspace)
    page = (
        environment()
        .get_template("report.html")
        .render(
            name=workspace.root.resolve().name,
            verdicts=verdicts(found),
            steps=found,
            kept=KEPT,
            hints=HINTS,
            months={"columns": _columns(months), "rows": months} if months else None,
            pairs=[_pair_page(workspace, langs) for langs in pairs.language_pairs(workspace)],
            rejects=_reject_samples(workspace),
        )
    )
    tables.write_text(workspace.report, page)
    return workspace.report


def _largest_loss(row: Row) -> str:
    lost = {name: n for name, n in row.outcomes.items() if name not in KEPT and n}
    if not lost:
        return ""
    name = max(lost, key=lambda reason: (lost[reason], reason))
    hint = f": {HINTS[name]}" if name in HINTS and 10 * lost[name] >= row.n else ""
    return f"; the largest loss is {name.replace('_', ' ')} ({lost[name]:,}){hint}"


def _columns(months: Mapping[str, Mapping[str, int]]) -> list[str]:
    """List languages, then language pairs."""
    return sorted(
        {name for counts in months.values() for name in counts},
        key=lambda name: ("-" in name, name),
    )


def _pair_page(workspace: Workspace, langs: str) -> dict[str, Any]:
    """Gather what the page shows of one language pair."""
    decided = pairs.sentence_pairs(workspace, langs).with_columns(reason=REASON)
    src, tgt = langs.split("-")
    kept, dropped = decided.filter("kept"), decided.filter(~pl.col("kept"))
    return {
        "langs": langs,
        "name": f"{language_name(src)} – {language_name(tgt)}",
        "src": src,
        "tgt": tgt,
        "plots": [
            *([plots.precision_curve(decided)] if decided["q"].drop_nulls().len() else []),
            *(
                plots.histogram(kept[column], dropped[column], label)
                for column, label in SCORES.items()
                if decided[column].drop_nulls().len()
            ),
        ],
        "score": _decile_score(decided),
        "deciles": _deciles(decided),
    }


def _decile_score(decided: pl.DataFrame) -> str:
    return "margin" if decided["margin"].drop_nulls().len() else "sim"


def _deciles(decided: pl.DataFrame) -> list[dict[str, Any]]:
    """Take a few pairs of each tenth by score, best first; the choice is by id."""
    score = _decile_score(decided)
    ranked = decided.drop_nulls(score).sort(score, "pair_id", descending=[True, False])
    tenths = []
    for n in range(10 if len(ranked) else 0):
        start, stop = len(ranked) * n // 10, len(ranked) * (n + 1) // 10
        part = ranked[start:stop]
        if len(part):
            rows = part.sort("pair_id").head(SAMPLES).sort(score, descending=True)
            tenths.append(
                {
                    "high": part[score].max(),
                    "low": part[score].min(),
                    "kept": int(part["kept"].sum()),
                    "n": len(part),
                    "rows": rows.to_dicts(),
                }
            )
    return tenths


def _reject_samples(workspace: Workspace) -> dict[str, list[dict[str, str]]]:
    """Show a few rejects of each reason."""
    folders = (workspace.extracted, workspace.imported)
    rejects = pl.concat(stages.scan(extract.STAGE, folder, REJECTS) for folder in folders)
    return {
        str(reason): rows.head(SAMPLES).to_dicts()
        for (reason,), rows in rejects.sort("reason", "id")
        .partition_by("reason", as_dict=True, maintain_order=True)
        .items()
    }


def environment(package: str = "corpus") -> Environment:
    """Make what renders a package's pages, which extend ``base.html`` of this one."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("corpus")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["words"] = lambda name: str(name).replace("_", " ")
    environment.filters["thousands"] = lambda n: f"{n:,}"
    return environment
