"""Paraphrase sets and pairs to judge, on a small workspace with invented sentences."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner

from benchmarks.build import candidates, items
from benchmarks.build.paraphrase import Triple, spread
from benchmarks.cli import main
from benchmarks.review.store import Judgement, Store
from corpus import dedup, extract, reserved, segment, tables
from corpus.bitext import Source, import_pairs
from corpus.errors import InputError
from corpus.pairs import MATCH_ARTICLES, MATCH_SENTENCES
from corpus.tables import REJECTS, text_key
from corpus.workspace import Workspace
from tests.hash_encoder import HashEncoder
from tests.release_room import put

# Two ways to say a thing in English, and what both were aligned to.
SAID = [
    ("The council approved 12 new flats on Monday evening.",
     "On Monday night councillors said yes to a dozen homes.",
     "Le conseil a approuvé 12 logements lundi soir."),
    ("Lentz beat Paula Kremer in the final at Millebach.",
     "Kremer was defeated by Lentz when they met for the title.",
     "Lentz a battu Paula Kremer en finale à Millebach."),
    ("The old bridge was closed because of the flood.",
     "High water forced officials to shut a crossing last night.",
     "Le vieux pont a été fermé à cause de la crue."),
]  # fmt: skip


def make_workspace(folder: Path) -> Workspace:
    """Put sentences and kept pairs of two articles an edition, as the stages would."""
    ws = Workspace.create(folder, "you@example.org")
    facts = {"version": "v", "site": "demo", "licence": "CC-BY-4.0"}
    articles = [{"article_id": a, "lang": a[:2], **facts} for a in ("en1", "en2", "fr1", "fr2")]
    full = [{**a, "url": f"https://demo.example/{a['article_id']}"} for a in articles]
    put(extract.STAGE, ws.extracted, "demo/1", full, [])
    put(dedup.STAGE, ws.catalogue, "catalogue", [{**a, "state": "kept"} for a in articles])
    texts = {
        "en1": [one for one, _, _ in SAID], "en2": [two for _, two, _ in SAID],
        "fr1": [fr for *_, fr in SAID], "fr2": [fr.upper() for *_, fr in SAID],
    }  # fmt: skip
    for lang in ("en", "fr"):
        rows = [
            {
                "sentence_id": f"{a}.v.{n}", "article_id": a, "n": n, "part": "body",
                "lang": lang, "text": text, "text_key": text_key(text),
            }
            for a in (f"{lang}1", f"{lang}2") for n, text in enumerate(texts[a])
        ]  # fmt: skip
        put(segment.STAGE, ws.sentences / lang, "2026-03", rows)
    put(MATCH_ARTICLES, ws.pair_stage("en-fr", "article_pairs"), "all", [], [])
    rows = [
        {
            "pair_id": f"{a}{n}", "src_text": en, "tgt_text": fr, "langs": "en-fr", "sim": 0.5,
            "margin": 1 + n / 10, "q": 0.01, "src_article": f"en{a}", "tgt_article": f"fr{a}",
            "licence": "CC-BY-4.0", "encoder": "hash", "method": "margin", "kept": True,
        }
        for a in (1, 2)
        for n, (en, fr) in enumerate(zip(texts[f"en{a}"], texts[f"fr{a}"], strict=True))
    ]  # fmt: skip
    put(MATCH_SENTENCES, ws.pair_stage("en-fr", "sentence_pairs"), "all", rows)
    return ws


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return make_workspace(tmp_path_factory.mktemp("ws"))


def run(workspace: Workspace, *args: str) -> tuple[int, Any]:
    done = CliRunner().invoke(main, ["build", *args, "-w", str(workspace.root), "--json"])
    return done.exit_code, json.loads(done.stdout) if done.exit_code == 0 else done.output


def test_pivots_become_triples(workspace: Workspace) -> None:
    code, record = run(workspace, "paraphrase", "first", "--lang", "en", "--near", "0.3")
    assert (code, record["n_items"]) == (0, 3)
    rows = items.load(workspace, "first")
    by_anchor = {row["texts"][0]: row for row in rows.iter_rows(named=True)}
    assert {frozenset(row["texts"][:2]) for row in by_anchor.values()} == {
        frozenset(pair[:2]) for pair in SAID
    }
    for row in by_anchor.values():
        anchor, paraphrase, negative = row["texts"]
        shared = len(set(anchor.split()) & set(negative.split()))
        assert shared > len(set(anchor.split()) & set(paraphrase.split()))
        assert row["proposer"] == "pivot fr"
        assert row["licence"] == ["CC-BY-4.0"] * 2
        assert row["url"][0].startswith("https://demo.example/en")
        assert "[…]" in row["context"][0]
    assert rows["edit"].n_unique() == 3  # as even as can be
    assert rows["item_id"].to_list() == [
        items.item_id("triple", "en", texts) for texts in rows["texts"]
    ]


def test_imported_pairs_are_pivots_too(tmp_path: Path) -> None:
    ws = Workspace.create(tmp_path / "w", "you@example.org")
    for side, licence in enumerate(("CC0-1.0", "CC-BY-4.0")):
        path = tmp_path / f"{side}.en-fr.tsv"
        path.write_text("\n".join(f"{row[side]}\t{row[2]}" for row in SAID))
        import_pairs(ws, Source([path], licence=licence))
    assert run(ws, "paraphrase", "set", "--lang", "en")[1]["n_items"] == 3
    of_text = {row[side]: licence for row in SAID
               for side, licence in enumerate(("CC0-1.0", "CC-BY-4.0"))}  # fmt: skip
    for texts, licences in items.load(ws, "set").select("texts", "licence").iter_rows():
        assert licences == [of_text[text] for text in texts[:2]]
    Store(ws.judgements("set"), items.load(ws, "set"))  # a look at it judges nothing
    assert run(ws, "paraphrase", "set", "--lang", "en", "--size", "2")[1]["n_items"] == 2
    store = Store(ws.judgements("set"), items.load(ws, "set"))
    name = next(iter(store.items))
    store.add(Judgement("anna", name, name, "accept"))
    assert run(ws, "paraphrase", "set", "--lang", "en") == (
        1,
        "Error: the set set was judged already; build another under a new name\n",
    )


def test_equal_input_gives_equal_sets(workspace: Workspace) -> None:
    found = []
    for name in ("one", "two"):
        assert run(workspace, "paraphrase", name, "--lang", "en", "--near", "0.3")[0] == 0
        found.append(workspace.items(name).read_bytes())
    assert found[0] == found[1]


def test_what_is_reserved_is_no_item(tmp_path: Path) -> None:
    ws = make_workspace(tmp_path)
    reserved.reserve(ws, [SAID[0][0]])
    assert run(ws, "paraphrase", "set", "--lang", "en", "--near", "0.3")[1]["rejects"] == {
        "leak": 1
    }
    assert tables.read(ws.items("set", "rejects"), REJECTS)["value"].to_list() == [
        "a reserved text"
    ]


def test_neighbours_need_two_encoders(workspace: Workspace) -> None:
    """One that proposes everything, and one that shares its vote on two pairs alone."""
    one, two = HashEncoder(), HashEncoder()
    two.name = two.key = "other"
    found = candidates.neighbours(workspace, "en", [one, two], (-1, 0.99))
    assert set(found["proposer"]) == {"neighbours hash+other"}
    assert not len(candidates.neighbours(workspace, "en", [one], (-1, 0.99)))
    scores = found["score"].to_list()
    assert scores == sorted(scores, reverse=True)
    low = candidates.neighbours(workspace, "en", [one, two], (scores[1], 0.99))
    assert low["score"].to_list() == [s for s in scores if s >= scores[1]]


def test_a_sample_is_spread_over_proposers_and_lengths() -> None:
    def triple(proposer: str, n_words: int) -> Triple:
        return Triple("word " * n_words, "", None, proposer, (None, None), (None, None))  # type: ignore[arg-type]

    many = [triple("a", 5) for _ in range(8)] + [triple("b", 30), triple("b", 15), triple("a", 15)]
    chosen = [(t.proposer, len(t.anchor.split())) for t in spread(many, 5)]
    assert sorted(chosen) == [("a", 5), ("a", 5), ("a", 15), ("b", 15), ("b", 30)]


def test_pairs_are_taken_over_all_margins(workspace: Workspace) -> None:
    assert run(workspace, "pairs", "judged", "--pair", "en-fr", "--size", "4")[0] == 0
    rows = items.load(workspace, "judged")
    assert set(rows["kind"]) == {"pair"}
    assert set(rows["proposer"]) == {"hash margin"}
    assert rows["margin"].n_unique() == 3
    assert rows.filter(pl.col("context").list.get(1) != "").height == 4


def test_nothing_to_build_says_why(workspace: Workspace) -> None:
    code, said = run(workspace, "paraphrase", "--lang", "fr", "--near", "1.1")
    assert code == 2
    code, said = run(workspace, "paraphrase", "--lang", "bn")
    assert (code, said.split(";")[0]) == (
        1,
        "Error: no item for paraphrase-bn: no candidate at all",
    )
    code, said = run(workspace, "paraphrase", "--lang", "xx")
    assert (code, said.split(";")[0]) == (1, "Error: 'xx' is no language code")
    code, said = run(workspace, "pairs", "--pair", "lb-en")
    assert (code, said) == (
        1, "Error: no sentence pairs in lb-en: run align sentences --pair lb-en\n"
    )  # fmt: skip


def test_names_of_sets_are_checked(workspace: Workspace) -> None:
    with pytest.raises(InputError, match="no name for a set"):
        items.load(workspace, "../away")
    with pytest.raises(InputError, match=r"no set 'absent'.*there are:.*first"):
        items.load(workspace, "absent")
