"""Judging: the store, its server, agreement, and what becomes of a set."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.build import items
from benchmarks.cli import main
from benchmarks.review.finish import cohens_kappa, finish, task
from benchmarks.review.server import Server
from benchmarks.review.store import Judgement, Store
from corpus import reserved
from corpus.errors import EmptyError, InputError
from corpus.workspace import Workspace
from tests import kill_review
from tests.kill_review import NAME, make_set, open_store, serving


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_set(tmp_path, 4)


def say(store: Store, judge: str, verdict: str, version: str, *texts: str) -> None:
    item = store.versions()[version].item_id
    store.add(Judgement(judge, item, version, verdict, texts, by_script=False))


def test_kappa_by_hand() -> None:
    """Of 10 items 7 alike; chance: (6·5 + 4·5) / 100 = .5, so (.7 - .5) / .5."""
    pairs = [("a", "a")] * 4 + [("r", "r")] * 3 + [("a", "r")] * 2 + [("r", "a")]
    assert cohens_kappa(pairs) == pytest.approx(0.4)
    assert cohens_kappa([("a", "a"), ("r", "r")]) == 1
    assert cohens_kappa([("a", "r"), ("r", "a")]) == -1
    assert cohens_kappa([("a", "a")] * 9) is None
    assert cohens_kappa([]) is None


def test_judges_see_every_item_in_an_order_of_their_own(workspace: Workspace) -> None:
    store = open_store(workspace)
    seen: dict[str, list[str]] = {}
    for judge in ("anna", "ben"):
        while item := store.view(judge)["item"]:
            seen.setdefault(judge, []).append(item["version"])
            say(store, judge, "accept", item["version"])
        assert store.view(judge)["waiting"] == 0
    assert seen["anna"] != seen["ben"]
    assert sorted(seen["anna"]) == sorted(seen["ben"]) == sorted(store.items)


def test_skipped_items_come_last_and_an_undone_one_at_once(workspace: Workspace) -> None:
    store = open_store(workspace)
    first = store.view("anna")["item"]["version"]
    say(store, "anna", "skip", first)
    second = store.view("anna")["item"]["version"]
    say(store, "anna", "reject", second)
    for _ in range(2):
        say(store, "anna", "accept", store.view("anna")["item"]["version"])
    assert store.view("anna")["item"]["version"] == first
    taken_back = next(one for one in store.judgements() if one.version == second)
    assert store.undo("ben", taken_back.n) == ""  # only one's own
    assert store.undo("anna", taken_back.n) == second
    assert store.view("anna", second)["item"]["version"] == second
    assert store.view("anna")["waiting"] == 2
    assert len(store.judgements()) == 3


def test_an_edit_is_kept_when_the_other_judge_keeps_it(workspace: Workspace) -> None:
    store = open_store(workspace)
    one, two, three, four = sorted(store.items)
    for judge in ("anna", "ben"):
        say(store, judge, "accept", one)
        say(store, judge, "reject", two)
    texts = (*store.items[three]["texts"][:2], "The anchor is far away from here.")
    say(store, "anna", "edit", three, *texts)
    edited = store.version_of(three, texts)
    say(store, "ben", "accept", three)  # ben sees the item as it was built first
    say(store, "ben", "accept", four)
    say(store, "anna", "reject", four)
    assert store.view("anna")["item"] is None  # one's own edit is not shown to one
    assert store.view("ben")["item"]["texts"] == texts
    say(store, "ben", "accept", edited)
    facts = finish(workspace, NAME)
    lines = (workspace.finished_set(NAME) / "data" / "test.jsonl").read_text().splitlines()
    kept = {row["anchor"]: row for row in map(json.loads, lines)}
    assert len(kept) == facts.n_items == 2
    assert kept[texts[0]]["not_paraphrase"] == texts[2]
    assert kept[texts[0]]["proposer"] == "pivot fr"
    assert facts.verdicts == {
        "accept, accept": 1, "edit, accept": 1, "reject, accept": 1, "reject, reject": 1,
    }  # fmt: skip
    # Agreement 2 of 4; chance (1·3 + 2·1) / 16.
    assert facts.kappa == pytest.approx((8 - 5) / (16 - 5), abs=1e-4)
    assert set(texts) <= set(reserved.load(workspace))
    assert facts.against == ["2 items, under 300", "kappa 0.27, under 0.6"]
    said = (workspace.finished_set(NAME) / "set.json").read_text()
    assert "anna" not in said  # judges' names stay here


def test_a_set_says_why_it_may_not_be_published(tmp_path: Path) -> None:
    ws = make_set(tmp_path, 3, site=["sample", "sample"], licence=["©", None])
    store = open_store(ws)
    for judge in ("anna", "ben"):
        for version in sorted(store.items):
            store.add(Judgement(judge, version, version, "accept"))  # as of a script
    facts = finish(ws, NAME)
    assert facts.kappa is None
    assert facts.against == [
        "3 items, under 300", "kappa undefined, under 0.6", "a script judged it",
        "its texts are invented", "it holds texts without an open licence or a permission",
    ]  # fmt: skip
    assert "not publishable: 3 items" in task(facts)


def test_finishing_needs_two_judges_who_keep_something(workspace: Workspace) -> None:
    store = open_store(workspace)
    with pytest.raises(InputError, match="judged by nobody; two judges"):
        finish(workspace, NAME)
    first = min(store.items)
    say(store, "anna", "accept", first)
    say(store, "ben", "reject", first)
    with pytest.raises(EmptyError, match="kept no item"):
        finish(workspace, NAME)
    say(store, "carl", "accept", first)
    with pytest.raises(InputError, match="judged by anna, ben, carl"):
        finish(workspace, NAME)
    assert finish(workspace, NAME, ["anna", "carl"]).n_items == 1
    with pytest.raises(InputError, match="was judged already"):
        items.save(workspace, NAME, items.load(workspace, NAME), items.ITEMS.empty())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"version": "0" * 16}, "no item"),
        ({"verdict": "maybe"}, "allowed: accept, reject, edit, skip"),
        ({"verdict": "edit"}, "texts go with the verdict edit"),
        ({"texts": ("a", "b", "c")}, "texts go with the verdict edit"),
        ({"verdict": "edit", "texts": ("a", "b")}, "changes a text and leaves none empty"),
        ({"verdict": "edit", "texts": ("a", " ", "c")}, "changes a text and leaves none empty"),
        ({"comment": "x" * 5_001}, "of over 5000 characters"),
    ],
)
def test_what_cannot_be_is_not_stored(
    workspace: Workspace, given: dict[str, object], said: str
) -> None:
    store = open_store(workspace)
    first = min(store.items)
    fields = {"judge": "anna", "item_id": first, "version": first, "verdict": "accept", **given}
    with pytest.raises(InputError, match=said):
        store.add(Judgement(**fields))  # type: ignore[arg-type]
    assert not store.judgements()


def test_a_strange_file_is_no_store(workspace: Workspace) -> None:
    path = workspace.judgements(NAME)
    path.write_text("this is no database, and long enough to be told from an empty one" * 20)
    with pytest.raises(InputError, match="holds no judgements"):
        open_store(workspace)


def test_progress_shows_judges_and_agreement(workspace: Workspace) -> None:
    store = open_store(workspace)
    for judge in ("anna", "ben"):
        for version, verdict in zip(sorted(store.items), ["accept", "reject"], strict=False):
            say(store, judge, verdict, version)
    done = CliRunner().invoke(main, ["review", NAME, "-w", str(workspace.root), "--json"])
    assert json.loads(done.stdout) == {
        "set": NAME, "n_items": 4, "judges": {"anna": 2, "ben": 2}, "kappa": {"anna, ben": 1.0},
    }  # fmt: skip


# The server.


@pytest.fixture
def server(workspace: Workspace) -> Iterator[Server]:
    with serving(workspace) as found:
        yield found


def ask(
    server: Server, path: str = "/next", method: str = "POST", data: bytes = b"{}", **headers: str
) -> tuple[int, str]:
    """Send one request with the page's headers, some of them changed (None: left out)."""
    wire = HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    sent = {"Authorization": f"Bearer {server.store.token}", "Content-Type": "application/json"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    wire.request(method, path, data if method == "POST" else None, sent)
    answer = wire.getresponse()
    return answer.status, answer.read().decode()


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (200, {}),
        (200, {"Sec_Fetch_Site": "same-origin"}),
        (401, {"Authorization": "Bearer guess"}),
        (401, {"Authorization": ""}),
        (403, {"Origin": "https://evil.example"}),
        (403, {"Origin": "null"}),
        (403, {"Origin": "http://localhost:1"}),
        (403, {"Host": "rebound.example"}),
        (403, {"Sec_Fetch_Site": "cross-site"}),
        (415, {"Content_Type": "text/plain"}),
        (413, {"Content_Length": "999999999"}),
    ],
)
def test_only_our_own_page_may_ask(server: Server, status: int, headers: dict[str, str]) -> None:
    found, said = ask(server, **headers)
    assert found == status, said
    assert ("Anchor" in said) == (status == 200)


def test_the_page_holds_no_data_and_no_token(server: Server) -> None:
    status, page = ask(server, "/", "GET")
    assert status == 200
    assert server.store.token not in page
    assert "Anchor" not in page
    assert ask(server, "/", "GET", Host="rebound.example")[0] == 403
    assert ask(server, "/judgements.sqlite", "GET")[0] == 404
    assert not re.search(r"https?://|innerHTML|eval\(", page)
    assert server.policy.startswith("default-src 'none'; script-src 'sha256-")
    assert server.socket.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"[" * 90_000, b'{"texts": 5, "n": "x"}'])
def test_bad_bodies_are_one_line(server: Server, data: bytes) -> None:
    status, said = ask(server, "/judge", data=data)
    assert status == 400
    assert set(json.loads(said)) == {"error"}
    assert not server.store.judgements()


def test_a_judgement_sent_twice_counts_once_and_as_a_scripts(server: Server) -> None:
    """What does not say that a person made it was made by a script."""
    first = server.store.view("anna")["item"]["version"]
    body = {"request": "r1", "item_id": first, "version": first, "verdict": "accept"}
    for _ in range(2):
        assert ask(server, "/judge", data=json.dumps(body).encode())[0] == 200
    [stored] = server.store.judgements()
    assert (stored.judge, stored.verdict, stored.by_script) == ("anna", "accept", True)
    person = json.dumps({**body, "request": "r2", "by_script": False}).encode()
    assert ask(server, "/judge", data=person)[0] == 200
    first_one, last = server.store.judgements()
    assert (first_one.by_script, last.by_script) == (True, False)
    assert ask(server, "/undo", data=json.dumps({"n": last.n}).encode())[0] == 200
    assert len(server.store.judgements()) == 1


def test_a_taken_port_is_one_line(server: Server) -> None:
    with pytest.raises(InputError, match=f"port {server.server_port} is taken"):
        Server(server.store, "ben", server.server_port)


def test_no_judgement_is_lost_under_kill() -> None:
    """``python -m tests.kill_review 50`` is the long form."""
    n_answered, n_lost = kill_review.main(2)
    assert n_answered > 0
    assert n_lost == 0
