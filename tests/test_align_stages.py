"""The alignment stages over a workspace of imported articles, with a known truth."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from align import articles, sentences
from align.cli import main
from align.decide import Cuts
from corpus import dedup, segment
from corpus.chain import language_pairs
from corpus.errors import LanguageError
from corpus.importing import Source, import_articles
from corpus.ledger import read_articles
from corpus.pairs import MATCH_ARTICLES, SCORE_ARTICLES, article_pairs, scan, sentence_pairs
from corpus.tables import ARTICLE_DECOYS
from corpus.workspace import Workspace
from tests.hash_encoder import HashEncoder

N = 24


def write_articles(path: Path, n: int = N, change: str = "") -> None:
    """``n`` lb articles and their translations, three a day, ten sentences each."""
    draw = random.Random(0)
    rows = []
    for a in range(n):
        lines = [[draw.randrange(10**6) for _ in range(7)] for _ in range(10)]
        day = date(2026, 3, 20) + timedelta(days=a // 3)
        for lang in ("lb", "en"):
            text = " ".join(
                " ".join(f"{lang}{w}" for w in line).capitalize() + "." for line in lines
            )
            if a == 0 and lang == "en":
                text += change
            row = {"id": f"{lang}-{a}", "lang": lang, "title": "", "text": text}
            rows.append({**row, "date": str(day + timedelta(days=draw.randrange(-1, 2)))})
    path.write_text("\n".join(json.dumps(row) for row in rows))


def build(root: Path, file: Path, encoder: HashEncoder, cuts: Cuts | None = None) -> Workspace:
    workspace = Workspace.create(root, "me@example.org")
    import_articles(workspace, Source(file))
    dedup.update(workspace)
    segment.update(workspace)
    articles.update(workspace, "lb-en", encoder, articles.Settings())
    sentences.update(workspace, "lb-en", encoder, cuts or Cuts())
    return workspace


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "news.jsonl"
    write_articles(path)
    return path


def test_all_translations_are_found(tmp_path: Path, file: Path) -> None:
    workspace = build(tmp_path / "w", file, HashEncoder())
    pairs = article_pairs(workspace, "lb-en")
    assert len(pairs) == N
    kept = sentence_pairs(workspace, "lb-en").filter("kept")
    same = kept["src_text"].str.to_lowercase() == kept[
        "tgt_text"
    ].str.to_lowercase().str.replace_all("en", "lb")
    assert len(kept) == 10 * N
    assert same.all()
    assert (kept["q"] <= 0.05).all()


def test_the_second_run_does_nothing_and_a_cut_encodes_nothing(tmp_path: Path, file: Path) -> None:
    encoder = HashEncoder()
    workspace = build(tmp_path / "w", file, encoder)
    state = {p: p.stat().st_mtime_ns for p in workspace.root.rglob("*") if p.is_file()}
    again = HashEncoder()
    build(tmp_path / "w", file, again)
    assert again.n_encoded == 0
    written = {
        p for p in workspace.root.rglob("*") if p.is_file() and p.stat().st_mtime_ns != state.get(p)
    }
    assert {p.parent.name for p in written} <= {".locks"}
    build(tmp_path / "w", file, again, Cuts(threshold=2.0))
    assert again.n_encoded == 0
    pairs = sentence_pairs(workspace, "lb-en")
    assert set(pairs["reason"]) == {"threshold"}
    assert not pairs["kept"].any()


def test_a_changed_article_changes_its_months_only(tmp_path: Path, file: Path) -> None:
    encoder = HashEncoder()
    workspace = build(tmp_path / "w", file, encoder)
    folder = workspace.pair_stage("lb-en", "sentence_candidates")
    before = {p.name: p.read_bytes() for p in folder.glob("*.parquet")}
    n_before = encoder.n_encoded
    write_articles(file, change=" En999 en998 en997 en996.")
    build(tmp_path / "w", file, encoder)
    assert encoder.n_encoded - n_before == 1  # the new sentence alone
    after = {p.name: p.read_bytes() for p in folder.glob("*.parquet")}
    assert before.keys() == after.keys()
    assert before["2026-03.parquet"] != after["2026-03.parquet"]


def test_states_add_up(tmp_path: Path, file: Path) -> None:
    with file.open("a") as out:
        far = {"title": "", "text": "lb1 lb2 lb3 lb4 lb5 lb6. Lb7 lb8 lb9 lb10 lb11.", "lang": "lb"}
        out.write("\n" + json.dumps({**far, "id": "far", "date": "2020-01-01"}))
        out.write("\n" + json.dumps({**far, "id": "undated", "text": far["text"] + " Lb12 lb13."}))
    workspace = build(tmp_path / "w", file, HashEncoder())
    stage = MATCH_ARTICLES
    states = pl.read_parquet(
        stage.path(workspace.pair_stage("lb-en", stage.name), "all", stage.outputs[1])
    )
    counts = dict(states.filter(side="src").group_by("state").len().iter_rows())
    assert counts == {"paired": N, "none_in_window": 1, "undated": 1}


def test_small_pools_have_no_margin(tmp_path: Path) -> None:
    file = tmp_path / "two.jsonl"
    write_articles(file, 2)
    workspace = build(tmp_path / "w", file, HashEncoder())
    pairs = sentence_pairs(workspace, "lb-en")
    assert len(pairs) == 20
    assert pairs["margin"].null_count() == 20
    assert pairs["kept"].all()  # matched by the score itself


def test_a_changed_pack_changes_the_pairs(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sentence ids stay when a pack changes: the pairs must not keep the old texts."""
    build(tmp_path / "w", file, HashEncoder())
    monkeypatch.setattr(segment, "STAGE", replace(segment.STAGE, version=99))
    monkeypatch.setattr(segment, "MAX_CHARS", 30)
    old = build(tmp_path / "w", file, HashEncoder(), Cuts(margin=1.0))
    new = build(tmp_path / "fresh", file, HashEncoder(), Cuts(margin=1.0))
    assert sentence_pairs(old, "lb-en").equals(sentence_pairs(new, "lb-en"))
    texts = {
        row["sentence_id"]: row["text"]
        for path in old.sentences.rglob("*.parquet")
        for row in pl.read_parquet(path).to_dicts()
    }
    for row in sentence_pairs(old, "lb-en").to_dicts():
        assert texts[row["src_ids"][0]] == row["src_text"]


def test_a_margin_that_is_asked_for_must_be_there(tmp_path: Path) -> None:
    file = tmp_path / "two.jsonl"
    write_articles(file, 2)
    workspace = build(tmp_path / "w", file, HashEncoder(), Cuts(margin=0.5))
    assert set(sentence_pairs(workspace, "lb-en")["reason"]) == {"margin"}


def test_judged_pairs_take_the_place_of_decoys(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of pairs above the median margin people judged all true, of those below half of them."""
    workspace = build(tmp_path / "w", file, HashEncoder())
    monkeypatch.setattr("align.chain.load_encoder", lambda *_: HashEncoder())
    margins = sentence_pairs(workspace, "lb-en")["margin"].sort()
    middle = margins[len(margins) // 2]
    steps = [(0.5, 0.5), (middle, 1.0)]
    said = {
        "langs": "lb-en",
        "made_by": "hash margin",
        "steps": [{"least_margin": m, "precision": p, "n_pairs": 20} for m, p in steps],
    }
    path = tmp_path / "calibration.json"

    def align(*args: str) -> Result:
        path.write_text(json.dumps(said))
        args = ("sentences", "-w", str(workspace.root), "--calibration", str(path), *args)
        return CliRunner().invoke(main, args)

    done = align("--fdr", "0.1")
    assert done.exit_code == 0, done.output
    assert "lb-en: precision and --fdr are by 40 judged pairs" in done.output
    pairs = sentence_pairs(workspace, "lb-en").sort("margin", descending=True)
    n_true = int((pairs["margin"] >= middle).sum())
    assert pairs["q"][:n_true].max() == 0
    assert pairs["q"][-1] == pytest.approx((len(pairs) - n_true) / 2 / len(pairs), abs=1e-5)
    # n false of half below the n_true above: n / 2 / (n_true + n) <= .1, so n <= n_true / 4
    assert int(pairs["kept"].sum()) == n_true + n_true // 4
    for key, other in {"langs": "lb-fr", "made_by": "hash beads"}.items():
        said[key] = other
        done = align()
        assert done.exit_code == 1
        assert "aligned here: lb-en by hash margin" in done.output


def test_pairs_are_checked(tmp_path: Path, file: Path) -> None:
    workspace = build(tmp_path / "w", file, HashEncoder())
    assert language_pairs(workspace, ["LB-en"]) == ["lb-en"]
    for pair, message in {
        "en-lb": "aligns lb-en, not en-lb",
        "lb-lb": "pairs a language with itself",
        "lb": "no pair of two languages",
        "lb-pt-BR": "no pair of two languages",
        "lb-fr": "no article in 'fr'",
    }.items():
        with pytest.raises(LanguageError, match=message):
            language_pairs(workspace, [pair])


def test_article_pairs_know_how_sure_they_are(tmp_path: Path) -> None:
    file = tmp_path / "news.jsonl"
    write_articles(file, 300)
    rows = (json.loads(line) for line in file.read_text().splitlines())
    some = [row for row in rows if int(row["id"][3:]) % 6 != (row["lang"] == "lb")]
    file.write_text("\n".join(map(json.dumps, some)))
    workspace = Workspace.create(tmp_path / "w", "me@example.org")
    import_articles(workspace, Source(file))
    dedup.update(workspace)
    segment.update(workspace)
    articles.update(workspace, "lb-en", HashEncoder(), articles.Settings(floor=0.3))
    decoys = scan(workspace, "lb-en", SCORE_ARTICLES, ARTICLE_DECOYS)
    assert decoys["days"].abs().max() == 2
    pairs = article_pairs(workspace, "lb-en")
    urls = dict(read_articles(workspace, ["article_id", "url"]).iter_rows())
    right = [
        urls[a].split("-")[-1] == urls[b].split("-")[-1]
        for a, b in pairs.select("src_id", "tgt_id").iter_rows()
    ]
    found = pairs.with_columns(right=pl.Series(right))
    assert len(found) > 200 == found["right"].sum()
    sure = found.filter(pl.col("q") <= 0.05)
    assert sure["right"].sum() == 200
    assert len(sure) < 1.07 * 200
    assert found.filter(~pl.col("right"))["q"].median() > 0.3
