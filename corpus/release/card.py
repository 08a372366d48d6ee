"""The dataset card: everything it says is read from what is in the release."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import jinja2
import polars as pl
from huggingface_hub import DatasetCardData

from corpus import __version__
from corpus.files import write_bytes
from corpus.languages import language_name
from corpus.release.splits import SPLITS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from corpus.release.manifest import Manifest
    from corpus.release.rows import Rows

N_SAMPLES = 3  # rows of each language pair
# Licences that the Hub has a name for, as profiles write them.
LICENCES = {"CC0-1.0", "CC-BY-3.0", "CC-BY-4.0", "CC-BY-SA-3.0", "CC-BY-SA-4.0", "Apache-2.0"}
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (10**6, "100K<n<1M"),
         (10**7, "1M<n<10M"))  # fmt: skip


def render(
    folder: Path,
    facts: Manifest,
    rows: Rows,
    configs: Mapping[str, pl.DataFrame],
    personal: Mapping[str, tuple[int, list[str]]],
) -> str:
    """Render the card, and draw its plots into the release's folder.

    Args:
        folder: of the release.
        facts: what it was made with.
        rows: what it was made from.
        configs: configuration → what is released, with the column split.
        personal: kind of personal data → texts that hold it.
    """
    pairs = {langs: configs[langs] for langs in rows.pairs if langs in configs}
    every = pl.concat([found.select("licence", "encoder") for found in pairs.values()])
    pretty_name = facts.name.rpartition("/")[2]
    environment = jinja2.Environment(  # noqa: S701 - Markdown, not HTML
        trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["cell"] = _cell
    template = (files("corpus.release") / "card.md").read_text(encoding="utf-8")
    return environment.from_string(template).render(
        card_data=_metadata(pretty_name, rows, configs, every).to_yaml(),
        pretty_name=pretty_name,
        repo_id=facts.name,
        cite_key=re.sub(r"\W+", "-", pretty_name).strip("-").lower(),
        invented=rows.invented,
        deferred=facts.options.deferred,
        masked=facts.options.mask,
        how=facts.options.split,
        versions={"extractors": facts.extractors, "segmenter": facts.segmenter},
        sites=_sites(rows),
        splits=[s for s in SPLITS if any((found["split"] == s).any() for found in pairs.values())],
        pairs=[_facts(folder, langs, found, rows.decided[langs]) for langs, found in pairs.items()],
        others=len(rows.articles) > 0,
        n_imported=sum(f["src_article"].null_count() for f in pairs.values()),
        personal={what: n for what, (n, _) in personal.items()},
        samples=[
            {"langs": langs, **row}
            for langs, found in pairs.items()
            for row in found.sort("pair_id").head(N_SAMPLES).to_dicts()
        ],
        encoders=every["encoder"].unique().drop_nulls().sort().to_list(),
        version=__version__,
    )


def _metadata(
    pretty_name: str, rows: Rows, configs: Mapping[str, pl.DataFrame], every: pl.DataFrame
) -> DatasetCardData:
    """Give the fields that the Hub reads; the default configuration comes first."""
    return DatasetCardData(
        language=sorted({lang for langs in rows.pairs for lang in langs.split("-")}),
        license=_licence(every),
        annotations_creators=["machine-generated"],
        language_creators=["found"],
        multilinguality=["translation"],
        source_datasets=["original"],
        size_categories=[next((name for most, name in SIZES if len(every) < most), "10M<n<100M")],
        task_categories=["translation", "sentence-similarity"],
        pretty_name=pretty_name,
        tags=["bitext", "parallel-corpus", "news", *(["invented"] if rows.invented else [])],
        configs=[
            {
                "config_name": name,
                "data_files": [
                    {"split": split, "path": f"data/{name}/{split}-*.parquet"}
                    for split in SPLITS
                    if (found["split"] == split).any()
                ],
                **({} if first else {"default": True}),
            }
            for first, (name, found) in enumerate(configs.items())
        ],
    )


def _facts(folder: Path, langs: str, pairs: pl.DataFrame, decided: pl.DataFrame) -> dict[str, Any]:
    """Gather what the card says of one language pair."""
    src, tgt = (language_name(lang) for lang in langs.split("-"))
    counted = decided.filter(~pl.col("kept")).group_by("reason").len("n")
    dropped = counted.sort("n", "reason", descending=[True, False]).rows()
    days = pairs["published"].dt.date()
    return {
        "langs": langs,
        "name": f"{src} – {tgt}",
        "n": len(pairs),
        "n_matched": len(decided),
        "n_articles": pairs["src_article"].n_unique(),
        "first": days.min(),
        "last": days.max(),
        "splits": dict(pairs.group_by("split").len().rows()),
        "dropped": ", ".join(f"{reason} {n}" for reason, n in dropped),
        "sim": pairs["sim"].min(),
        "margin": pairs["margin"].min(),
        "q": pairs["q"].max(),
        "plot": _plot(folder, langs, decided),
    }


def _plot(folder: Path, langs: str, decided: pl.DataFrame) -> str | None:
    """Draw a language pair's scores; None where nothing has a margin."""
    if not decided["margin"].count():
        return None
    from corpus import plots

    name = f"plots/{langs}.png"
    write_bytes(folder / name, plots.scores_png(decided))
    return name


def _sites(rows: Rows) -> list[dict[str, Any]]:
    """Count articles by site and rights; of pairs that came as files, the pairs."""
    imported = [
        found.filter(pl.col("src_article").is_null()).select(
            pl.col("origin").alias("site"),
            "licence",
            pl.lit(None, pl.String).alias("basis"),
            pl.lit(None, pl.String).alias("rights"),
        )
        for found in rows.pairs.values()
    ]
    every = pl.concat([rows.articles.select("site", "licence", "basis", "rights"), *imported])
    counted = every.group_by("site", "licence", "basis").agg(
        pl.len().alias("n"), pl.col("rights").is_not_null().sum().alias("n_rights")
    )
    return counted.sort("site", "licence", "basis").to_dicts()


def _licence(pairs: pl.DataFrame) -> str:
    """Name the one licence of all pairs as the Hub does, or 'other'."""
    found = pairs["licence"].unique().to_list()
    return found[0].lower() if len(found) == 1 and found[0] in LICENCES else "other"


def _cell(text: str) -> str:
    """Make a text safe in a cell of a Markdown table."""
    plain = " ".join(str(text).split()).replace("\\", "\\\\").replace("|", "\\|")
    return plain.replace("<", "&lt;")
