"""What becomes of judged sets: the Hub, Label Studio, calibration."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from align.confidence import Calibration, load_calibration
from benchmarks.build import items
from benchmarks.cli import main
from benchmarks.review import finish as of_sets
from benchmarks.review import labelstudio
from benchmarks.review.calibration import calibrate
from benchmarks.review.store import Judgement
from benchmarks.sets import load, read_spec
from corpus import reserved
from corpus.errors import InputError
from corpus.tables import REJECTS
from corpus.workspace import Workspace
from tests import hub_server
from tests.kill_review import NAME, make_set, open_store
from tests.test_corpus_hub import hub_settings

REPO = "org/paraphrases"


def judged(folder: Path, monkeypatch: pytest.MonkeyPatch, **said: Any) -> Workspace:
    """Make a set of 12 items of which both judges reject one; 10 are enough here."""
    ws = make_set(folder, 12)
    store = open_store(ws)
    for judge in ("anna", "ben"):
        for n, version in enumerate(sorted(store.items)):
            verdict = "accept" if n else "reject"
            given = {"by_script": False, **said}
            store.add(Judgement(judge, version, version, verdict, **given))
    monkeypatch.setattr(of_sets, "LEAST_ITEMS", 10)
    of_sets.finish(ws, NAME)
    return ws


def publish(ws: Workspace, server: Any, *options: str) -> subprocess.CompletedProcess[str]:
    """Publish in a process of its own: the Hub's client reads its settings once."""
    words = ["publish", NAME, REPO, "-w", str(ws.root), *options]
    env = {**os.environ, **hub_settings(server, ws.root)}
    command = [sys.executable, "-m", "benchmarks.cli", *words]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_set_goes_up_once_with_card_and_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ws = judged(tmp_path, monkeypatch)
    with hub_server.HubServer() as server:
        done = publish(ws, server)
        assert done.returncode == 0, done.stderr
        assert "commit none: nothing new" in publish(ws, server).stdout
        repo = server.repos[REPO]
    assert repo.private
    assert len(repo.commits) == 2  # its making, and ours
    assert set(repo.files) - {".gitattributes"} == {
        "README.md", "set.json", "task.toml", "data/test.jsonl",
    }  # fmt: skip
    card = repo.files["README.md"].decode()
    assert "11 paraphrase triples in English" in card
    assert "kappa 1.00" in card
    assert "license: cc-by-4.0" in card
    assert "| negation | 11 |" in card
    assert not {"anna", "ben"} & set(card.split())
    folder = ws.finished_set(NAME)
    data = load(read_spec(folder / "task.toml"), folder)
    assert len(data.part("test")) == 11


@pytest.mark.parametrize(
    ("said", "why"), [({"by_script": True}, "a script judged it"), ({}, "11 items, under 300")]
)
def test_what_must_not_go_up_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: dict[str, Any], why: str
) -> None:
    ws = judged(tmp_path, monkeypatch, **said)
    if not said:
        monkeypatch.undo()
        of_sets.finish(ws, NAME)
    done = CliRunner().invoke(main, ["publish", NAME, REPO, "-w", str(ws.root)])
    assert (done.exit_code, done.output) == (1, f"Error: {NAME} is not published: {why}\n")


def test_a_rehearsal_sends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ws = judged(tmp_path, monkeypatch)
    done = CliRunner().invoke(main, ["publish", NAME, REPO, "--dry-run", "-w", str(ws.root)])
    assert "would publish 11 items" in done.output
    assert (ws.finished_set(NAME) / "README.md").exists()


def test_an_unfinished_set_says_what_to_do(tmp_path: Path) -> None:
    ws = make_set(tmp_path, 2)
    done = CliRunner().invoke(main, ["publish", NAME, REPO, "-w", str(ws.root)])
    assert (done.exit_code, done.output) == (
        1, f"Error: no finished set '{NAME}': finish it with benchmarks review {NAME} --finish\n",
    )  # fmt: skip


def test_label_studio_and_back(tmp_path: Path) -> None:
    """A round trip keeps verdicts, edits, comments, judges; twice read counts once."""
    one, two = make_set(tmp_path / "one", 4), make_set(tmp_path / "two", 4)
    store = open_store(one)
    a, b, c, _ = sorted(store.items)
    texts = (*store.items[b]["texts"][:2], "Something else.")
    store.add(Judgement("anna", a, a, "accept", by_script=False))
    store.add(Judgement("anna", b, b, "edit", texts, "hm", by_script=False))
    store.add(Judgement("anna", c, c, "skip", by_script=False))
    store.add(Judgement("ben", a, a, "reject"))
    path = tmp_path / "tasks.json"
    args = ["review", NAME, "--json", "-w"]
    done = CliRunner().invoke(main, [*args, str(one.root), "--export", str(path)])
    assert json.loads(done.stdout) == {"set": NAME, "n_written": 4}
    assert '<Choice value="accept"/>' in path.with_suffix(".xml").read_text()
    for n_new in (3, 0):
        done = CliRunner().invoke(main, [*args, str(two.root), "--import", str(path)])
        assert json.loads(done.stdout) == {"set": NAME, "n_read": n_new}

    def plain(given: list[Judgement]) -> list[tuple[Any, ...]]:
        return sorted(
            (j.judge, j.item_id, j.verdict, j.texts, j.comment, j.by_script) for j in given
        )

    kept = [one for one in store.judgements() if one.verdict != "skip"]
    assert plain(open_store(two).judgements()) == plain(kept)


def test_what_label_studio_itself_writes(tmp_path: Path) -> None:
    """Judges are numbers there, and what took no time was made by its API."""
    store = open_store(make_set(tmp_path, 1))
    [item] = store.items
    texts = store.items[item]["texts"]
    verdict = {"from_name": "verdict", "to_name": "anchor", "type": "choices",
               "value": {"choices": ["accept"]}}  # fmt: skip
    same = {"from_name": "edited_anchor", "to_name": "anchor", "type": "textarea",
            "value": {"text": [texts[0]]}}  # fmt: skip
    annotations = [
        {"id": 7, "completed_by": 3, "lead_time": 12.5, "result": [verdict, same]},
        {"id": 8, "completed_by": 4, "lead_time": None, "result": [verdict]},
        {"id": 9, "completed_by": 4, "lead_time": 3.0, "was_cancelled": True, "result": []},
    ]
    path = tmp_path / "theirs.json"
    path.write_text(json.dumps([{"data": {"item_id": item}, "annotations": annotations}]))
    assert labelstudio.read(store, path) == 2
    assert [(one.judge, one.verdict, one.by_script) for one in store.judgements()] == [
        ("3", "accept", False), ("4", "accept", True),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "{}", "[5]", '[{"data": {"item_id": "x"}}]', '["a"]',
                                  '[{"data": {"item_id": "x"}, "annotations": [{}]}]'])  # fmt: skip
def test_a_file_of_another_layout_is_one_line(tmp_path: Path, text: str) -> None:
    store = open_store(make_set(tmp_path, 1))
    path = tmp_path / "bad.json"
    path.write_text(text)
    try:
        assert labelstudio.read(store, path) == 0
    except InputError as error:
        assert "has not Label Studio's layout" in str(error)  # noqa: PT017
    assert not store.judgements()


def test_calibration_by_hand() -> None:
    """Margins .9 1 1.1 1.2 1.3 were false, true, false, true, true: the middle two pool to ½."""
    rows = {
        str(n): {"margin": 0.9 + n / 10, "q": 0.1 if n else None} for n in range(5)
    }  # fmt: skip
    right = {str(n): said for n, said in enumerate([False, True, False, True, True])}
    steps = calibrate(rows, right)
    assert [(round(m, 1), p, q, n) for m, p, q, n in steps] == [
        (0.9, 0.0, None, 1), (1.0, 0.5, 0.9, 2), (1.2, 1.0, 0.9, 2),
    ]  # fmt: skip
    assert calibrate({"a": {"margin": None, "q": None}}, {"a": True}) == []


def test_judged_pairs_calibrate(tmp_path: Path) -> None:
    ws = Workspace.create(tmp_path, "you@example.org")
    rows = [
        {
            "item_id": items.item_id("pair", "lb-en", [f"s{n}", f"t{n}"]), "kind": "pair",
            "langs": "lb-en", "texts": [f"s{n}", f"t{n}"], "proposer": "embedded margin",
            "margin": 1 + n / 10, "q": 0.2, "site": ["a", "b"], "licence": ["CC-BY-4.0"] * 2,
            "basis": [None, None],
        }
        for n in range(4)
    ]  # fmt: skip
    items.save(ws, "pairs", items.ITEMS.frame(rows), REJECTS.empty())
    store = open_store(ws, "pairs")
    for judge in ("anna", "ben"):
        for n, row in enumerate(rows):
            verdict = "reject" if n == 0 else "accept"
            store.add(Judgement(judge, row["item_id"], row["item_id"], verdict))
    done = CliRunner().invoke(main, ["review", "pairs", "--finish", "-w", str(ws.root)])
    assert done.exit_code == 0, done.output
    assert "Share of true pairs by margin" in done.output
    stair = load_calibration(ws.finished_set("pairs") / "calibration.json")
    steps = ((1.0, 0.0), (1.1, 1.0))
    assert stair == Calibration("lb-en", "embedded margin", steps, n_judged=4)
    assert not (ws.finished_set("pairs") / "task.toml").exists()
    assert not reserved.load(ws)  # what was judged true stays in the corpus
    lines = (ws.finished_set("pairs") / "data" / "test.jsonl").read_text().splitlines()
    assert {json.loads(line)["source"] for line in lines} == {"s1", "s2", "s3"}
