"""Releases: a folder that `datasets` reads, and one commit of it to the Hub."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

import jinja2
import polars as pl
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, DatasetCardData, HfApi
from huggingface_hub.errors import (  # type: ignore[attr-defined]  # re-exports its HTTP client's
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

from corpus import __version__, dedup, tables
from corpus.errors import BitextileError, EmptyError, InputError, OfflineError
from corpus.languages import language_name
from corpus.ledger import read_articles
from corpus.pairs import aligned_pairs, sentence_pairs
from corpus.tables import UTC, Table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from corpus.workspace import Workspace

SAMPLE_SITE = "sample"
N_SAMPLES = 3  # rows of each language pair on the card
RELEASED = Table(
    "release",
    {
        "pair_id": pl.String,
        "src_text": pl.String,
        "tgt_text": pl.String,
        "sim": pl.Float64,
        "lexical": pl.Float64,
        "margin": pl.Float64,
        "q": pl.Float64,
        "src_url": pl.String,
        "tgt_url": pl.String,
        "published": UTC,
        "origin": pl.String,
        "licence": pl.String,
        "encoder": pl.String,
    },
    ("pair_id", "src_url", "tgt_url"),
)
# Licences that the Hub has a name for, as profiles write them.
LICENCES = {"CC0-1.0", "CC-BY-3.0", "CC-BY-4.0", "CC-BY-SA-3.0", "CC-BY-SA-4.0", "Apache-2.0"}
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (10**6, "100K<n<1M"))
NEXT_STEP = {
    401: "the Hub does not know you: log in with 'hf auth login', or set HF_TOKEN",
    403: "your token may not write there: make one with write access at {endpoint}/settings/tokens",
    404: "there is no such place: check the name, ORG/NAME",
    412: "somebody else has just changed it: run the command again",
    429: "the Hub asks for a pause: run the command again in a few minutes",
}


class Published(NamedTuple):
    """Where a release is, and the commit that brought it; None where nothing was new."""

    url: str
    commit: str | None


def make_release(workspace: Workspace, name: str, *, force: bool = False) -> Path:
    """Write the kept pairs as a folder that ``datasets.load_dataset`` reads.

    Args:
        workspace: its kept sentence pairs are released, a configuration a language pair.
        name: the release, as ORG/NAME.
        force: release the invented sample too.

    Raises:
        EmptyError: no pair is kept.
        InputError: a name that the Hub refuses, or pairs of the invented sample.
    """
    _check_name(name)  # it also becomes a folder, whose old content goes
    urls = (
        read_articles(workspace, ["article_id", "version", "url", "published"])
        .join(dedup.load(workspace), ["article_id", "version"], "semi")
        .unique("article_id", keep="first", maintain_order=True)
        .drop("version")
    )
    decided = {langs: sentence_pairs(workspace, langs) for langs in aligned_pairs(workspace)}
    kept = {langs: _released(pairs, urls) for langs, pairs in decided.items()}
    kept = {langs: pairs for langs, pairs in kept.items() if len(pairs)}
    if not kept:
        raise EmptyError("no pair is kept: run align sentences; corpus report says what was lost")
    invented = any((pairs["origin"] == SAMPLE_SITE).any() for pairs in kept.values())
    if invented and not force:
        raise InputError(
            "the bundled sample is invented and is not released; crawl a real site, "
            "or add --force to try the mechanics"
        )
    folder = workspace.release(name)
    shutil.rmtree(folder, ignore_errors=True)
    for langs, pairs in kept.items():
        tables.write(folder / _file(langs), RELEASED, pairs)
    tables.write_text(folder / "README.md", _card(name, kept, decided, invented=invented))
    return folder


def publish(folder: Path, repo_id: str, *, private: bool = True) -> Published:
    """Bring a release to the Hub in one commit; one that changes nothing is not made.

    The token is found by the Hub's own client. A commit is bound to the state that it
    was compared with, so that a retry after a lost answer never doubles it.

    Args:
        folder: from `make_release`.
        repo_id: the dataset, as ORG/NAME; made where it is not there.
        private: whether a dataset that is made is private.

    Raises:
        InputError: a name that the Hub refuses.
        InputError: a name that the Hub refuses.
        OfflineError: the Hub cannot be reached.
        BitextileError: the Hub refuses; says what to do.
    """
    _check_name(repo_id)
    api = HfApi(library_name="bitextile", library_version=__version__)
    url = f"{api.endpoint}/datasets/{repo_id}"
    with _clear_errors(url, api.endpoint):
        try:
            info = api.dataset_info(repo_id)
        except RepositoryNotFoundError:
            api.create_repo(repo_id, repo_type="dataset", private=private, exist_ok=True)
            info = api.dataset_info(repo_id)
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        own = {path.relative_to(folder).as_posix(): path for path in paths}
        theirs = {file.rfilename for file in info.siblings or ()}
        gone = sorted(f for f in theirs - own.keys() if f.startswith("data/"))
        commit = api.create_commit(
            repo_id,
            [CommitOperationAdd(name, path) for name, path in own.items()]
            + [CommitOperationDelete(name) for name in gone],
            commit_message="Release made by Bitextile",
            repo_type="dataset",
            parent_commit=info.sha,
        )
    return Published(url, None if commit.oid == info.sha else commit.oid)


def _check_name(name: str) -> None:
    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise InputError(f"'{name}' is no name for a dataset; give ORG/NAME") from error


def _file(langs: str) -> str:
    return f"data/{langs}/train-00000-of-00001.parquet"


def _released(pairs: pl.DataFrame, urls: pl.DataFrame) -> pl.DataFrame:
    """Take the kept pairs with the addresses of their articles."""
    src = urls.rename({"article_id": "src_article", "url": "src_url"})
    tgt = urls.select(tgt_article="article_id", tgt_url="url")
    found = pairs.filter("kept").join(src, "src_article", how="left")
    return RELEASED.conform(found.join(tgt, "tgt_article", how="left"))


def _card(
    name: str, kept: dict[str, pl.DataFrame], decided: dict[str, pl.DataFrame], *, invented: bool
) -> str:
    """Render the dataset card from what is in the release."""
    every = pl.concat(kept.values())
    sites = every.group_by("origin", "licence").len("n").sort("origin", "licence")
    pretty_name = name.rpartition("/")[2]
    data = DatasetCardData(
        language=sorted({lang for langs in kept for lang in langs.split("-")}),
        license=_licence(every),
        multilinguality=["translation"],
        size_categories=[next((s for n, s in SIZES if len(every) < n), "n>1M")],
        task_categories=["translation", "sentence-similarity"],
        pretty_name=pretty_name,
        tags=["bitext", "parallel-corpus", "news", *(["invented"] if invented else [])],
        configs=[
            {
                "config_name": langs,
                "data_files": [{"split": "train", "path": f"data/{langs}/train-*"}],
                **({"default": True} if not n else {}),
            }
            for n, langs in enumerate(kept)
        ],
    )
    environment = jinja2.Environment(  # noqa: S701 - Markdown, not HTML
        trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["cell"] = _cell
    template = (files("corpus") / "card.md").read_text(encoding="utf-8")
    return environment.from_string(template).render(
        card_data=data.to_yaml(),
        pretty_name=pretty_name,
        repo_id=name,
        invented=invented,
        sites=sites.rename({"origin": "name"}).to_dicts(),
        pairs=[_facts(langs, pairs, decided[langs]) for langs, pairs in kept.items()],
        samples=[
            {"langs": langs, **row}
            for langs, pairs in kept.items()
            for row in pairs.head(N_SAMPLES).to_dicts()
        ],
        encoders=every["encoder"].unique().sort().to_list(),
        version=__version__,
    )


def _facts(langs: str, pairs: pl.DataFrame, decided: pl.DataFrame) -> dict[str, Any]:
    """Gather what the card says of one language pair."""
    src, tgt = (language_name(lang) for lang in langs.split("-"))
    dropped = decided.filter(~pl.col("kept")).group_by("reason").len("n").sort("n", descending=True)
    days = pairs["published"].dt.date()
    return {
        "langs": langs,
        "name": f"{src} – {tgt}",
        "n": len(pairs),
        "n_matched": len(decided),
        "n_articles": pairs["src_url"].n_unique(),
        "first": days.min(),
        "last": days.max(),
        "dropped": ", ".join(f"{reason} {n}" for reason, n in dropped.iter_rows()),
        "sim": pairs["sim"].min(),
        "margin": pairs["margin"].min(),
        "q": pairs["q"].max(),
    }


def _licence(pairs: pl.DataFrame) -> str:
    """Name the one licence of all pairs as the Hub does, or 'other'."""
    found = pairs["licence"].unique().to_list()
    return found[0].lower() if len(found) == 1 and found[0] in LICENCES else "other"


def _cell(text: str) -> str:
    """Make a text safe in a cell of a Markdown table."""
    plain = " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|")
    return plain.replace("<", "&lt;")


@contextmanager
def _clear_errors(url: str, endpoint: str) -> Iterator[None]:
    """Turn the Hub's errors into one line with the next step."""
    try:
        yield
    except HfHubHTTPError as error:
        status = error.response.status_code
        step = NEXT_STEP.get(status, "the Hub has trouble: run the command again later")
        raise BitextileError(
            f"cannot publish {url} ({status}); {step.format(endpoint=endpoint)}"
        ) from error
    except (HTTPError, OfflineModeIsEnabled) as error:
        raise OfflineError(
            f"cannot reach {endpoint} to publish ({type(error).__name__}); the release folder "
            "stays: run the command again with a network, without HF_HUB_OFFLINE"
        ) from error
