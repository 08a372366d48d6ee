"""A chat model writes negatives and paraphrases, well and badly, on a loopback server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from align.services import Terms
from benchmarks.build import items
from benchmarks.build.chat import Chat, read
from benchmarks.cli import main
from corpus import tables
from corpus.errors import InputError, ServiceError
from corpus.tables import REJECTS
from corpus.workspace import Workspace
from tests.openai_server import KEY, OpenAIServer
from tests.test_benchmarks_build import SAID, make_workspace

TEXTS = ["The council met on Monday.", "The bridge was closed.", "Lentz won the final."]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    with OpenAIServer() as found:
        monkeypatch.setenv("OPENAI_BASE_URL", found.url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        yield found


def text(said: str) -> dict[str, Any]:
    return {"content": json.dumps({"text": said})}


def make_chat(workspace: Workspace, **terms: Any) -> tuple[Chat, list[str]]:
    said: list[str] = []
    return Chat("small", workspace, Terms(say=said.append, **terms)), said


def test_every_answer_is_kept_and_none_is_asked_twice(server: OpenAIServer, tmp_path: Path) -> None:
    ws = Workspace.create(tmp_path, "you@example.org")
    server.write = lambda system, user: text(f"  {user.upper()}  ")
    chat, said = make_chat(ws, price=(1.0, 2.0))
    first = chat.ask("negative", "lb", TEXTS[:2])
    assert [answer.text for answer in first] == [t.upper() for t in TEXTS[:2]]
    assert said[0].startswith("small will be asked: up to about ")
    asked = server.requests[0]
    assert "Luxembourgish" in asked["messages"][0]["content"]
    assert asked["messages"][1] == {"role": "user", "content": TEXTS[0]}
    assert asked["response_format"]["json_schema"]["strict"] is True
    kept = [json.loads(line) for line in ws.answers.read_text().splitlines()]
    assert [record["model"] for record in kept] == ["small", "small"]
    assert kept[0]["messages"] == asked["messages"]
    # A kill cut the last line: it is asked again, the other is not.
    ws.answers.write_text(ws.answers.read_text()[:-40])
    again, _ = make_chat(ws)
    assert again.ask("negative", "lb", TEXTS[:2]) == first
    assert len(server.requests) == 3
    assert make_chat(ws)[0].ask("negative", "lb", TEXTS[:2]) == first
    assert len(server.requests) == 3
    assert KEY not in ws.answers.read_text()


def test_the_limit_holds_before_anything_is_asked(server: OpenAIServer, tmp_path: Path) -> None:
    ws = Workspace.create(tmp_path, "you@example.org")
    chat, _ = make_chat(ws, price=(1.0, 2.0), max_cost=0.0001)
    with pytest.raises(ServiceError, match="nothing was asked"):
        chat.ask("negative", "en", TEXTS)
    assert not server.requests
    with pytest.raises(ServiceError, match="the price of 'small' is not known"):
        make_chat(ws, max_cost=1.0)


def test_own_prompts_take_the_place_of_ours(server: OpenAIServer, tmp_path: Path) -> None:
    ws = Workspace.create(tmp_path, "you@example.org")
    (tmp_path / "negative.md").write_text("Edit this {language}.")
    Chat("small", ws, Terms(), tmp_path).ask("negative", "bn", TEXTS[:1])
    Chat("small", ws, Terms(), tmp_path).ask("paraphrase", "bn", TEXTS[:1])
    own, ours = (body["messages"][0]["content"] for body in server.requests)
    assert own == "Edit this Bangla."
    assert ours.startswith("You rewrite sentences of news in Bangla.")
    with pytest.raises(InputError, match="cannot read the prompt"):
        Chat("small", ws, Terms(), tmp_path / "away").ask("negative", "bn", TEXTS[:1])


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"answer": "Sure! Here it is."}, "bad_answer no such JSON: Sure! Here it is."),
        ({"answer": None}, "bad_answer no such JSON: None"),
        ({"answer": '["text"]'}, 'bad_answer no such JSON: ["text"]'),
        ({"answer": '{"text": 5}'}, "bad_answer an empty text"),
        ({"answer": '{"text": " "}'}, "bad_answer an empty text"),
        ({"answer": "{" * 9000}, "bad_answer no such JSON: " + "{" * 80),
        ({"answer": '{"text": "a', "finish": "length"}, "bad_answer cut off"),
        ({"refusal": "I cannot do this."}, "bad_answer refused: I cannot do this."),
    ],
)
def test_bad_answers_have_a_reason(record: dict[str, Any], said: str) -> None:
    assert read(record) == ("", said)


def test_a_set_by_chat_names_who_wrote_what(server: OpenAIServer, tmp_path: Path) -> None:
    """Bad negatives give way to an edit made here, and their reason is kept."""
    ws = make_workspace(tmp_path)
    negatives = {
        SAID[0][0]: text("The council rejected 12 new flats on Monday evening."),
        SAID[1][0]: {"content": "I would rather talk about the weather."},
        SAID[2][0]: text(SAID[2][0]),
    }

    def write(system: str, user: str) -> dict[str, Any]:
        if "You rewrite" in system:
            return text("Nothing of what was written about it can be confirmed today.")
        return negatives.get(user, text("Completely different words stand in this sentence."))

    server.write = write
    args = ["build", "paraphrase", "set", "--lang", "en", "--near", "0.3", "--chat", "small"]
    done = CliRunner().invoke(main, [*args, "--price", "1", "2", "-w", str(ws.root), "--json"])
    assert done.exit_code == 0, done.output
    assert "small will be asked: up to about" in done.stderr
    rows = {r["texts"][0]: r for r in items.load(ws, "set").iter_rows(named=True)}
    by_chat = rows[SAID[0][0]]
    assert by_chat["edit"] == "chat small"
    assert by_chat["texts"][2] == "The council rejected 12 new flats on Monday evening."
    assert {row["edit"] for row in rows.values()} - {"chat small"}
    reasons = set(tables.read(ws.items("set", "rejects"), REJECTS)["reason"])
    assert reasons >= {"bad_answer"}
