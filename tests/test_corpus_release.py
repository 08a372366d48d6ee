from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from huggingface_hub import DatasetCard
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus import reserved, segment
from corpus.errors import EmptyError, InputError
from corpus.release import Options, make_release, splits, stops
from corpus.tables import text_key
from corpus.workspace import Workspace
from tests.release_room import DAY, NAME, make_workspace, put, put_articles, put_pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

# https://raw.githubusercontent.com/huggingface/hub-docs/main/datasetcard.md
DOCUMENTED = {
    "language", "license", "license_name", "license_link", "license_details", "tags",
    "annotations_creators", "language_creators", "language_details", "pretty_name",
    "size_categories", "source_datasets", "task_categories", "task_ids", "paperswithcode_id",
    "configs", "dataset_info", "train-eval-index", "viewer", "multilinguality",
}  # fmt: skip


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path / "ws")


def contents(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


def split_of(workspace: Workspace, config: str) -> str:
    [path] = (workspace.release(NAME) / "data" / config).glob("*.parquet")
    return path.name.split("-")[0]


def test_a_release_holds_the_kept_pairs_and_where_they_are_from(workspace: Workspace) -> None:
    folder = make_release(workspace, NAME).folder
    data = sorted(name for name in contents(folder) if name.startswith("data/"))
    side = split_of(workspace, "lb-en")
    assert data == [
        f"data/{config}/{side}-2026.parquet"
        for config in ("article-pairs", "articles", "lb-en", "lb-fr", "sentences")
    ]
    rows = pl.read_parquet(folder / data[2]).to_dicts()
    assert rows[0] == {
        "pair_id": "p0", "src_text": "Moien | <b>0</b>", "tgt_text": "Hello 0\nworld", "sim": 0.5,
        "lexical": 0.1, "margin": 1.4, "q": None, "src_article": "a1", "tgt_article": "a2",
        "src_url": "https://demo.example/a1", "tgt_url": "https://demo.example/a2",
        "published": DAY, "origin": "demo", "licence": "CC-BY-4.0", "encoder": "embedded",
        "method": "margin",
    }  # fmt: skip
    assert [row["pair_id"] for row in rows] == ["p0", "p1"]
    articles = pl.read_parquet(folder / data[1])
    assert articles["version"].to_list() == ["v", "v"]
    assert articles["n_sentences"].to_list() == [3, 3]
    sentences = pl.read_parquet(folder / data[4])
    assert sentences.row(0) == ("a1", 0, "body", "lb", "Moien | <b>0</b>")


def test_sums_are_of_all_files(workspace: Workspace) -> None:
    files = contents(make_release(workspace, NAME).folder)
    said = dict(
        reversed(line.split("  ")) for line in files.pop("SHA256SUMS").decode().splitlines()
    )
    assert said == {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}


def test_the_card_says_what_is_inside(workspace: Workspace) -> None:
    folder = make_release(workspace, NAME).folder
    card = DatasetCard.load(folder / "README.md")
    data = card.data.to_dict()
    side = split_of(workspace, "lb-en")
    assert data.keys() <= DOCUMENTED
    assert data["language"] == ["en", "fr", "lb"]
    assert data["license"] == "cc-by-4.0"
    assert data["size_categories"] == ["n<1K"]
    assert data["configs"][0] == {
        "config_name": "lb-en",
        "data_files": [{"split": side, "path": f"data/lb-en/{side}-*.parquet"}],
        "default": True,
    }
    assert [c["config_name"] for c in data["configs"]] == [
        "lb-en", "lb-fr", "article-pairs", "articles", "sentences",
    ]  # fmt: skip
    days = "2026-03-02 | 2026-03-02"
    assert f"| `lb-en` | Luxembourgish – English | 2 | 3 | 1 | {days} | 2 |" in card.text
    assert "| `lb-en` | margin 1 | 0.5 | 1.2 | not estimated |" in card.text
    assert "| `lb-en` | Moien \\| &lt;b>0&lt;/b> | Hello 0 world | 1.4 |" in card.text
    assert "| demo | 2 | CC-BY-4.0 | the licence | 0 |" in card.text
    assert "plots/lb-en.png" in card.text
    assert "invented" not in card.text


def test_the_same_pairs_give_the_same_bytes_and_old_files_go(workspace: Workspace) -> None:
    first = contents(make_release(workspace, NAME).folder)
    assert contents(make_release(workspace, NAME).folder) == first
    put_pairs(workspace, "lb-fr", 0.5)
    gone = first.keys() - contents(make_release(workspace, NAME).folder).keys()
    assert gone == {f"data/lb-fr/{split_of(workspace, 'lb-en')}-2026.parquet", "plots/lb-fr.png"}


def test_a_card_of_imported_pairs_speaks_of_no_articles(tmp_path: Path) -> None:
    ws = Workspace.create(tmp_path / "ws", "you@example.org")
    put_pairs(ws, "lb-fr", 1.1, src_article=None, tgt_article=None, encoder=None)
    text = (make_release(ws, NAME).folder / "README.md").read_text()
    assert "Sentences that translate each other, as files of others paired them." in text
    assert "1 pairs came as files and were not paired here." in text
    assert "Articles of two editions" not in text
    assert "Encoder:" not in text


def test_nothing_kept_is_said(tmp_path: Path) -> None:
    empty = Workspace.create(tmp_path / "empty", "you@example.org")
    with pytest.raises(EmptyError, match="no pair is kept: run align sentences"):
        make_release(empty, NAME)


def test_a_deferred_release_holds_no_text(workspace: Workspace) -> None:
    put_articles(workspace, licence="all rights reserved")
    folder = make_release(workspace, NAME, Options(deferred=True)).folder
    side = split_of(workspace, "lb-en")
    row = pl.read_parquet(folder / f"data/lb-en/{side}-2026.parquet").row(0, named=True)
    assert row["src_keys"] == [text_key("Moien | <b>0</b>").hex()]
    assert row["tgt_keys"] == [text_key("Hello 0\nworld").hex()]
    plain = [data for name, data in contents(folder).items() if not name.endswith(".parquet")]
    tables = [pl.read_parquet(p).write_json().encode() for p in folder.rglob("*.parquet")]
    everything = b"".join(plain + tables)
    assert b"Moien" not in everything
    assert b"Hello" not in everything
    assert "corpus rebuild org/lux-news" in (folder / "README.md").read_text()


def test_a_deferred_release_leaves_out_pairs_without_an_article(workspace: Workspace) -> None:
    put_pairs(workspace, "lb-fr", 1.1, src_article=None, tgt_article=None, src_ids=[], tgt_ids=[])
    made = make_release(workspace, NAME, Options(deferred=True))
    assert made.n_left_out == 1
    assert not (made.folder / "data" / "lb-fr").exists()


# What must never go up.


@pytest.mark.parametrize(
    ("licence", "basis", "may"),
    [
        ("CC-BY-4.0", None, True),
        ("CC0-1.0", None, True),
        ("CC-BY-NC-SA-4.0", None, True),
        ("CC-BY-ND-4.0", None, False),
        ("CC-BY-NC-ND-4.0", None, False),
        ("all rights reserved", None, False),
        ("unknown", None, False),
        (None, None, False),
        ("all rights reserved", "permission: the publisher, by letter", True),
        ("CC-BY-4.0", "research", False),
    ],
)
def test_rights_decide_what_goes_up(licence: str | None, basis: str | None, may: bool) -> None:
    assert stops.may_publish(licence, basis) is may


def test_text_without_rights_stops_the_release(workspace: Workspace) -> None:
    put_articles(workspace, basis="research")
    with pytest.raises(InputError, match=r"2 texts of demo .*basis: research.*--deferred"):
        make_release(workspace, NAME)
    put_articles(workspace)
    put_pairs(workspace, "lb-fr", 1.1, src_article=None, licence="unknown", origin="opus")
    with pytest.raises(InputError, match=r"1 texts of opus \(licence: unknown\)"):
        make_release(workspace, NAME)
    assert not workspace.release(NAME).exists()
    make_release(workspace, NAME, Options(sites=("demo",)))


def test_reserved_texts_stop_the_release_and_are_left_out_of_sentences(
    workspace: Workspace,
) -> None:
    said = "D'Gemeng huet um Méindeg decidéiert, déi al Bréck ze reparéieren."
    put_pairs(workspace, "lb-fr", 1.1, src_text=said)
    make_release(workspace, NAME)
    reserved.reserve(workspace, [said.upper()])
    with pytest.raises(InputError, match=r"1 kept pairs of lb-fr .* align sentences leaves"):
        make_release(workspace, NAME)
    put_pairs(workspace, "lb-fr", 1.1, src_text=said, kept=False, reason="reserved")
    sentence = {"sentence_id": "a1.v.7", "article_id": "a1", "n": 7, "part": "body"}
    sentence |= {"lang": "lb", "text": said, "text_key": text_key(said)}
    put(segment.STAGE, workspace.sentences / "lb", "2026-04", [sentence])
    folder = make_release(workspace, NAME).folder
    texts = pl.concat(pl.read_parquet(p) for p in (folder / "data/sentences").iterdir())["text"]
    assert len(texts) == 6
    assert said not in texts.to_list()


def test_the_invented_sample_stops_the_release(workspace: Workspace) -> None:
    put_pairs(workspace, "lb-fr", 1.1, origin="sample")
    with pytest.raises(InputError, match="invented"):
        make_release(workspace, NAME)
    assert not workspace.release(NAME).exists()
    card = DatasetCard.load(make_release(workspace, NAME, Options(force=True)).folder / "README.md")
    assert "invented" in card.data.to_dict()["tags"]
    assert "**The texts of this dataset are invented.**" in card.text


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("Den Token ass hf_" + "aB3" * 10, "token"),
        ("key=sk-proj-" + "x1" * 16, "API key"),
        ("-----BEGIN RSA PRIVATE KEY-----", "private key"),
        ("https://anna:geheim@host.example/x", "password"),
        ("gespäichert ënner /home/anna/texter", "path"),
        ("gespäichert ënner C:\\Users\\anna", "path"),
    ],
)
def test_secrets_and_paths_stop_the_release(workspace: Workspace, text: str, what: str) -> None:
    for column in ("src_text", "encoder"):
        put_pairs(workspace, "lb-fr", 1.1, **{column: text})
        with pytest.raises(InputError, match=rf"lb-fr, column {column}, hold an? \w*.*") as caught:
            make_release(workspace, NAME)
        assert what in str(caught.value)
        assert text not in str(caught.value)
    assert not workspace.release(NAME).exists()


def test_addresses_that_are_no_paths_go_up() -> None:
    texts = ["https://demo.example/home/x", "an/oder 1/2", "24/7 /", "Kapp/Zuel"]
    stops.check_secrets("x", pl.DataFrame({"text": texts}))


def test_personal_data_is_counted_and_masked_on_request(workspace: Workspace) -> None:
    text = "Rufft +352 621 123 456 un, 12, rue de la Gare, oder anna@demo.example. (1940-1945)"
    put_pairs(workspace, "lb-fr", 1.1, src_text=text)
    found = make_release(workspace, NAME).personal
    assert {what: n for what, (n, _) in found.items()} == {
        "phone number": 1, "mail address": 1, "street address": 1,
    }  # fmt: skip
    folder = make_release(workspace, NAME, Options(mask=True)).folder
    [path] = folder.glob("data/lb-fr/*.parquet")
    masked = pl.read_parquet(path)["src_text"][0]
    assert masked.startswith("Rufft [phone number] un, [street address]")
    assert masked.endswith("oder [mail address]. (1940-1945)")


@pytest.mark.parametrize(
    "text", ["1940-1945", "Den Score war 6-3, 6-4, 7-5.", "2026-03-31", "10.000.000 Euro", "00:30"]
)
def test_numbers_are_no_phone_numbers(text: str) -> None:
    assert stops.personal(pl.Series([text])) == {}


# Splits.


def articles(*ids: str, days: Sequence[int] = ()) -> pl.DataFrame:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    dates = [start + timedelta(days=d) for d in days] or [start] * len(ids)
    return pl.DataFrame({"article_id": list(ids), "published": dates})


def links(*pairs: tuple[str, str]) -> pl.DataFrame:
    return pl.DataFrame(pairs, {"a": pl.String, "b": pl.String}, orient="row")


EDGES = st.lists(st.tuples(st.integers(0, 59), st.integers(0, 59)), max_size=60)


@given(EDGES, st.sampled_from(["hash", "date"]))
@settings(deadline=None, max_examples=50)
def test_no_article_and_no_copy_is_on_two_sides(edges: list[tuple[int, int]], how: str) -> None:
    ids = [f"{lang}{n}" for lang in ("lb", "fr", "en") for n in range(20)]
    found = splits.assign(
        articles(*ids, days=range(60)), links(*((ids[a], ids[b]) for a, b in edges)), how
    )
    side = dict(found.rows())
    assert side.keys() == set(ids)
    assert all(side[ids[a]] == side[ids[b]] for a, b in edges)


def test_the_newest_components_are_held_out_by_date() -> None:
    ids = [f"a{n:02}" for n in range(40)]
    found = dict(splits.assign(articles(*ids, days=range(40)), links(), "date").rows())
    assert [found[i] for i in ids] == ["train"] * 36 + ["validation"] * 2 + ["test"] * 2
    linked = dict(
        splits.assign(articles(*ids, days=range(40)), links(("a00", "a39")), "date").rows()
    )
    assert linked["a39"] == linked["a00"] == "train"


def test_a_split_by_hash_does_not_move_when_articles_come() -> None:
    ids = [f"a{n:03}" for n in range(600)]
    before = splits.assign(articles(*ids[:500]), links())
    after = splits.assign(articles(*ids), links())
    assert before.rows() == after.head(500).rows()
    n = dict(after.group_by("split").len().rows())
    assert {split: n[split] for split in ("validation", "test")} == pytest.approx(
        {"validation": 30, "test": 30}, abs=12
    )


def test_copies_share_half_of_the_shorter_articles_sentences() -> None:
    rows = [("a", k) for k in "1234"] + [("b", k) for k in "34"] + [("c", k) for k in "4567"]
    rows += [(f"x{n}", "furniture") for n in range(splits.COMMON + 1)]
    sentences = pl.DataFrame(rows, ["article_id", "text_key"], orient="row")
    assert splits.copies(sentences).rows() == [("a", "b"), ("b", "c")]


# Reading it back.


@pytest.mark.train
def test_datasets_reads_the_folder(workspace: Workspace, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    folder = str(make_release(workspace, NAME).folder)
    side = split_of(workspace, "lb-en")
    assert datasets.get_dataset_config_names(folder) == [
        "lb-en", "lb-fr", "article-pairs", "articles", "sentences",
    ]  # fmt: skip
    loaded = datasets.load_dataset(folder, "lb-en", split=side, cache_dir=str(tmp_path / "c"))
    assert loaded["src_text"] == ["Moien | <b>0</b>", "Moien | <b>1</b>"]
    assert loaded["published"] == [DAY, DAY]
    default = datasets.load_dataset(folder, cache_dir=str(tmp_path / "c"), streaming=True)
    assert len(list(default[side])) == 2


def test_the_manifest_names_versions_and_the_card_is_one(workspace: Workspace) -> None:
    folder = make_release(workspace, NAME).folder
    facts: dict[str, Any] = json.loads((folder / "release.json").read_text())
    assert facts["extractors"] == ["trafilatura 2"]
    assert facts["packs"].keys() == {"lb", "en"}
    card = DatasetCard.load(folder / "README.md")
    assert DatasetCard(str(card)).data.to_yaml() == card.data.to_yaml()
