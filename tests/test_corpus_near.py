from __future__ import annotations

import itertools
import random
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus import dedup, extract, near, stages
from corpus.stages import Made, Part
from corpus.tables import ARTICLES, REJECTS, article_version
from corpus.workspace import Workspace
from tests import dedup_scale
from tests.language_quality import LANGUAGES, documents

STORY = (
    "D'Gemeng huet en neie Spillplaz opgemaach. Vill Kanner sinn den Owend komm a goufe vun der "
    "Schäffin begréisst. D'Aarbechten haten am Fréijoer ugefaangen an hu méi laang gedauert, wéi "
    "geplangt war. Elo stinn do eng Rutsch, zwou Klunschen an eng Bänk fir d'Elteren. D'Käschte "
    "goufe vum Staat an der Gemeng zesumme bezuelt. Am Hierscht kënnt nach e Bam dobäi."
)
WEATHER = (
    "Moies hu mir an der ganzer Regioun {} Grad an e liichte Wand aus dem Weste mat {} Kilometer "
    "an der Stonn. Nomëttes geet d'Temperatur op {} Grad erop, an et bléift bis den Owend dréchen. "
    "An der Nuecht gëtt et méi kill, an um Buedem kann et fréieren. Passt op de Stroossen op."
)


def found(*texts: str, langs: str = "") -> dict[int, int]:
    """Say which of the texts gives way to which, by position."""
    rows = {
        "article_id": [f"{n:02}" for n in range(len(texts))],
        "version": "v",
        "lang": langs.split() or ["lb"] * len(texts),
        "title": "",
        "lead": None,
        "text": texts,
    }
    frame = pl.DataFrame(rows, dict.fromkeys(rows, pl.String))
    gone = near.give_way(
        near._sketch(frame), lambda wanted: frame.join(wanted, "article_id", "semi")
    )
    return {int(a): int(b) for a, b in gone.items()}


def test_similarity_is_the_share_of_common_shingles() -> None:
    assert near.shingles("A b  c\nD") == ["a b c", "b c d"]
    assert near.shingles("a") == ["a"]
    assert near.similarity("a b c d", "a b c e") == 1 / 3
    assert near.similarity("a b c d 1", "a b c d 2") == 0.0  # the numbers differ
    assert near.similarity("", "") == 1.0


def test_an_edited_copy_gives_way_to_the_smaller_id() -> None:
    edited = STORY.replace("neie", "neien")
    assert found(STORY, WEATHER, edited) == {2: 0}
    assert found(edited, WEATHER, STORY) == {2: 0}
    assert found(STORY, STORY) == {1: 0}


def test_other_news_stays() -> None:
    update = f"{STORY} Gëschter gouf de Spillplaz awer no engem Accident erëm zougemaach, sot se."
    assert near.similarity(STORY, update) >= near.THRESHOLD
    assert found(STORY, update) == {}  # a sentence more is news
    assert found(update, STORY) == {1: 0}  # a sentence less is none
    assert found(STORY, f"{STORY} Foto: Anna Weber") == {1: 0}
    figure = STORY.replace("zwou", "2")
    assert found(STORY, figure, figure.replace("2", "3")) == {}


def test_a_template_filled_anew_stays() -> None:
    days = [WEATHER.format(n % 9, 10 + n, 20 + n % 7) for n in range(60)]
    assert found(*days) == {}
    assert found(*days, days[3].replace("liichte", "mëlle")) == {60: 3}


def test_a_short_text_in_a_long_frame_stays() -> None:
    frame = " ".join(f"{STORY} {WEATHER.format('', '', '')}".split()[:120])
    news = ["Den Theater huet eng nei Säson virgestallt, mat zéng Stécker op Lëtzebuergesch."]
    news += ["An der Schoul ass gëschter e Feier ausgebrach, verletzt gouf dobäi awer keen."]
    pages = [f"{text}\n\n{frame}" for text in news]
    assert near.similarity(*pages) > 0.6
    assert found(*pages) == {}


def test_a_word_of_a_short_text_is_news() -> None:
    short = " ".join(STORY.split()[:45])
    assert found(short, short.replace("neie", "alen")) == {}


def test_another_language_stays() -> None:
    assert found(STORY, STORY, langs="lb de") == {}


def test_what_goes_is_always_near_something_kept() -> None:
    """A chain: each text nearly equals the next, the ends do not."""
    words = STORY.split()
    chain = [" ".join(["neit"] * n + words[n:]) for n in range(0, 13, 3)]
    near_next = [near.similarity(a, b) >= near.THRESHOLD for a, b in itertools.pairwise(chain)]
    assert all(near_next)
    assert near.similarity(chain[0], chain[-1]) < near.THRESHOLD
    gone = found(*chain)
    assert gone
    assert not gone.keys() & set(gone.values())
    assert all(near.similarity(chain[a], chain[b]) >= near.THRESHOLD for a, b in gone.items())
    kept = sorted(set(range(len(chain))) - gone.keys())
    pairs = itertools.combinations(kept, 2)
    assert all(near.similarity(chain[a], chain[b]) < near.THRESHOLD for a, b in pairs)


@given(st.lists(st.text("ab 1", max_size=9), max_size=9))
def test_banding_finds_what_comparing_all_finds(texts: list[str]) -> None:
    kept: list[int] = []
    slow: dict[int, int] = {}
    for n, text in enumerate(texts):
        close = [k for k in kept if near.is_near(text, texts[k])]
        slow.update({n: close[0]} if close else {})
        kept += [] if close else [n]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near, "MIN_SHINGLES", 0)
        assert found(*texts) == slow


def store(root: Path, parts: dict[str, list[tuple[str, str]]]) -> Workspace:
    """Store articles (id, text) as crawled parts."""
    workspace = Workspace.create(root, "you@example.org")

    def make(part: str) -> Made:
        rows = [
            {"article_id": i, "version": article_version("", "", t), "lang": "lb", "text": t}
            for i, t in parts[part]
        ]
        return Made({"articles": ARTICLES.frame(rows), "rejects": REJECTS.empty()})

    named = [Part(name, str(rows), name) for name, rows in parts.items()]
    stages.run(extract.STAGE, workspace.extracted, named, make)
    return workspace


def states(workspace: Workspace) -> dict[str, tuple[str, str | None]]:
    dedup.update(workspace)
    rows = stages.scan(dedup.STAGE, workspace.catalogue, dedup.CATALOGUE)
    return {i: (state, of) for i, state, of in rows.select("article_id", "state", "of").iter_rows()}


def test_the_catalogue_names_near_duplicates_across_editions_and_runs(tmp_path: Path) -> None:
    edited = STORY.replace("neie", "neien")
    whole = [("b", edited), ("c", edited), ("d", WEATHER), ("a", STORY)]
    workspace = store(tmp_path / "1", {"x/1": whole[:3]})
    assert states(workspace) == {
        "b": ("kept", None),
        "c": ("duplicate", "b"),
        "d": ("kept", None),
    }
    later = store(tmp_path / "1", {"x/1": whole[:3], "y/1": whole[3:]})
    expected = {
        "a": ("kept", None),
        "b": ("near_duplicate", "a"),
        "c": ("near_duplicate", "a"),  # b, its exact copy, is not there to give way to
        "d": ("kept", None),
    }
    assert states(later) == expected
    assert dedup.update(later).changed is False
    assert dedup.kept_articles(later)["article_id"].to_list() == ["a", "d"]
    # In one run, and in other parts and order, the same.
    random.Random(1).shuffle(whole)
    once = store(tmp_path / "2", {"x/1": whole})
    assert states(once) == expected
    # A sketch is made again only where its articles changed.
    assert len(list(later.sketches.rglob("*.json"))) == 2


def test_many_articles_are_decided_as_they_were_made(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path, "you@example.org")
    dedup_scale.fill(workspace, 1_000)
    assert dedup.update(workspace).counts == {
        "articles": 1_000,
        "kept": 900,
        "duplicate": 50,
        "near_duplicate": 50,
    }


@pytest.mark.realdata
def test_real_articles_and_translations_are_no_near_duplicates(shared: Path) -> None:
    found = documents("all", shared)
    texts = ["\n".join(document[lang]) for document in found for lang in LANGUAGES]
    closest = max(near.similarity(a, b) for a, b in itertools.combinations(texts, 2))
    print("closest two of", len(texts), "articles:", closest)  # noqa: T201
    assert closest < 0.1
