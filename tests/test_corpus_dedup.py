from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus import dedup, extract, stages
from corpus.stages import Made, Part
from corpus.tables import ARTICLES, CATALOGUE, REJECTS
from corpus.tables import UTC as UTC_TYPE
from corpus.workspace import Workspace

START = datetime(2026, 6, 1, tzinfo=UTC)
SCHEMA = {
    **{name: ARTICLES.columns[name] for name in dedup.IDS},
    "fetched": UTC_TYPE,
    "part": pl.String,
}


def rows(*facts: tuple[str, str, str, int | None]) -> pl.DataFrame:
    """Article, version, language and hour of fetch."""
    records = [
        {
            "article_id": article,
            "version": version,
            "site": "s",
            "lang": lang,
            "published": None,
            "fetched": None if hour is None else START + timedelta(hours=hour),
            "part": f"extracted/s/{hour}",
        }
        for article, version, lang, hour in facts
    ]
    return pl.DataFrame(records, schema=SCHEMA, orient="row")


def decided(frame: pl.DataFrame) -> dict[tuple[str, str], tuple[str, str | None]]:
    made = dedup.catalogue(frame)
    return {
        (r["article_id"], r["version"]): (r["state"], r["of"]) for r in made.iter_rows(named=True)
    }


def test_the_newest_version_is_kept() -> None:
    frame = rows(("a", "v9", "lb", 1), ("a", "v1", "lb", 2), ("b", "v3", "lb", 1))
    assert decided(frame) == {
        ("a", "v9"): ("older_version", "v1"),
        ("a", "v1"): ("kept", None),
        ("b", "v3"): ("kept", None),
    }


def test_a_version_that_comes_back_is_the_newest_again() -> None:
    frame = rows(("a", "v1", "lb", 1), ("a", "v2", "lb", 2), ("a", "v1", "lb", 3))
    assert decided(frame) == {("a", "v1"): ("kept", None), ("a", "v2"): ("older_version", "v1")}
    kept = dedup.catalogue(frame).filter(state="kept")
    assert kept["part"].to_list() == ["extracted/s/3"]


def test_ties_go_to_the_greater_version_and_no_date_is_oldest() -> None:
    frame = rows(("a", "v1", "lb", 1), ("a", "v2", "lb", 1), ("a", "v3", "lb", None))
    assert decided(frame)["a", "v2"] == ("kept", None)
    assert decided(frame)["a", "v3"] == ("older_version", "v2")


def test_equal_words_are_kept_once_a_language() -> None:
    frame = rows(
        ("c", "v", "lb", 1), ("b", "v", "lb", 2), ("a", "v", "fr", 3), ("a0", "w", "lb", 4)
    )
    assert decided(frame) == {
        ("c", "v"): ("duplicate", "b"),
        ("b", "v"): ("kept", None),
        ("a", "v"): ("kept", None),
        ("a0", "w"): ("kept", None),
    }


def test_an_older_version_makes_no_duplicate() -> None:
    frame = rows(("a", "v", "lb", 1), ("a", "w", "lb", 2), ("b", "v", "lb", 1))
    assert decided(frame)["b", "v"] == ("kept", None)


FACTS = st.tuples(
    st.sampled_from("abcd"),
    st.sampled_from("vwx"),
    st.sampled_from(["lb", "fr"]),
    st.integers(0, 3),
)


@given(st.lists(FACTS, max_size=12), st.randoms(use_true_random=False))
def test_each_version_is_decided_once_in_whatever_order(
    facts: list[tuple[str, str, str, int]], draw: random.Random
) -> None:
    frame = rows(*facts)
    made = dedup.catalogue(frame)
    assert made.height == frame.n_unique(["article_id", "version"]) if facts else made.is_empty()
    kept = made.filter(state="kept")
    assert kept.n_unique("article_id") == kept.height
    assert kept.n_unique(["lang", "version"]) == kept.height
    # An article has a kept row or gave way to one that has.
    gave_way = dict(made.filter(state="duplicate").select("article_id", "of").rows())
    assert set(kept["article_id"]) | set(gave_way) == set(frame["article_id"])
    assert set(gave_way.values()) <= set(kept["article_id"])
    draw.shuffle(facts)
    # The language of a version that was read in two of them follows the order of parts.
    if len({(a, v, h) for a, v, _, h in facts}) == len(facts):
        assert dedup.catalogue(rows(*facts)).equals(made)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = Workspace.create(tmp_path, "you@example.org")
    put(made, made.extracted, "s/1", ("a", "one", 1), ("b", "two", 1))
    put(made, made.extracted, "s/2", ("a", "new", 2))
    put(made, made.imported, "file-1/00000", ("c", "two", 0))
    return made


def put(workspace: Workspace, folder: Path, part: str, *facts: tuple[str, str, int]) -> None:
    frame = ARTICLES.frame(
        {
            "article_id": article * 16,
            "version": text,
            "lang": "lb",
            "text": text,
            "fetched": START + timedelta(hours=hour),
        }
        for article, text, hour in facts
    )
    made = Made({"articles": frame, "rejects": REJECTS.empty()})
    name = Path(part)
    stage_folder = folder / name.parent
    parts = [Part(p.stem, None, None) for p in stage_folder.glob("*.json")]
    stages.run(extract.STAGE, stage_folder, [*parts, Part(name.name, None, None)], lambda _: made)


def test_the_catalogue_reads_all_parts(workspace: Workspace) -> None:
    run = dedup.update(workspace)
    assert run.counts == {"articles": 4, "kept": 2, "duplicate": 1, "older_version": 1}
    loaded = dedup.load(workspace)
    assert loaded.select("article_id", "version", "part").rows() == [
        ("a" * 16, "new", "extracted/s/2"),
        ("b" * 16, "two", "extracted/s/1"),
    ]
    assert dedup.kept_articles(workspace)["text"].to_list() == ["new", "two"]
    assert dedup.kept_articles(workspace, loaded.tail(1))["text"].to_list() == ["two"]
    assert not dedup.update(workspace).changed


def test_a_new_part_changes_the_catalogue(workspace: Workspace) -> None:
    dedup.update(workspace)
    put(workspace, workspace.extracted, "s/3", ("b", "newer", 9))
    assert dedup.update(workspace).counts["kept"] == 3  # c gives way to b no more
    assert dedup.kept_articles(workspace)["text"].to_list() == ["new", "newer", "two"]


def test_an_empty_workspace_has_an_empty_catalogue(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path, "you@example.org")
    assert dedup.update(workspace).counts == {}
    assert dedup.load(workspace).equals(CATALOGUE.empty())
    assert dedup.kept_articles(workspace).equals(ARTICLES.empty())
