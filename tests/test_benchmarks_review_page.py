"""The page in a real browser: judged by keyboard alone, and nothing else than text."""

from __future__ import annotations

import json
import re
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from align.cli import main as align
from benchmarks.build import items
from benchmarks.cli import main
from benchmarks.review.server import Server
from corpus.cli import main as corpus
from corpus.workspace import Workspace
from tests.kill_review import NAME, make_set, open_store, serving, start
from tests.openai_server import KEY, OpenAIServer

pytestmark = pytest.mark.browser


class Judge:
    """A person at the keyboard, as far as the page can tell."""

    def __init__(self, browser: Any, url: str, **options: Any) -> None:
        self.page = browser.new_page(**options)
        self.errors: list[str] = []
        self.asked: set[str] = set()
        self.page.on("console", lambda said: self.errors.append(said.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.asked.add(request.url))
        self.page.goto(url)
        self.until("state !== null")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)
            self.until("!busy")

    def until(self, said: str) -> None:
        """Wait; the page's policy lets no library do it inside the page."""
        for _ in range(500):
            if self.page.evaluate(said):
                return
            self.page.wait_for_timeout(10)
        raise AssertionError(f"never {said}")

    def type(self, text: str) -> None:
        self.page.keyboard.insert_text(text)

    @property
    def item(self) -> dict[str, Any]:
        found: dict[str, Any] = self.page.evaluate("state.item")
        return found

    @property
    def count(self) -> str:
        return str(self.page.inner_text("#count"))

    @property
    def texts(self) -> list[str]:
        return [said.strip() for said in self.page.locator(".text p").all_inner_texts()]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_set(tmp_path, 5)


@pytest.fixture
def server(workspace: Workspace) -> Iterator[Server]:
    with serving(workspace) as found:
        yield found


def test_every_key_does_what_it_says(browser: Any, server: Server) -> None:
    anna = Judge(browser, server.url)
    first = anna.item
    assert anna.texts == first["texts"]
    assert anna.texts[1].startswith("<b>Paraphrase</b>")  # HTML is text
    anna.press("d")
    assert "pivot fr" in anna.page.inner_text("#details")
    anna.press("c")
    anna.type("doubtful")
    anna.press("Enter", "r")
    assert anna.count == "1 of 5"
    anna.press("u")
    assert anna.item == first
    assert anna.count == "0 of 5"
    anna.press("a", "s", "e")
    anna.page.keyboard.press("Control+A")
    anna.type("Quite another <i>ending</i>.")
    anna.press("Control+Enter")
    anna.press("e", "Escape", "a", "a")
    assert anna.item["version"]  # the skipped one is left
    anna.press("a")
    assert anna.page.is_visible("#end")
    said = server.store.judgements()
    assert [one.verdict for one in said] == ["accept", "skip", "edit", "accept", "accept", "accept"]
    assert said[2].texts[2] == "Quite another <i>ending</i>."
    assert all(one.by_script for one in said)  # the page knows that it is driven
    assert not anna.errors
    assert {re.sub(r"^http://127.0.0.1:\d+", "", url).partition("#")[0] for url in anna.asked} == {
        "/", "/next", "/judge", "/undo",
    }  # fmt: skip


def test_hostile_texts_are_shown_as_text(browser: Any, tmp_path: Path) -> None:
    texts = [
        "<script>window.owned = 1</script> one two", "<img src=x onerror='window.owned = 1'> three",
        "javascript:window.owned=1 \u202e </textarea><script>window.owned = 1</script>",
    ]  # fmt: skip
    ws = make_set(tmp_path, 1, texts=texts, url=["javascript:alert(1)", None])
    with serving(ws) as server:
        anna = Judge(browser, server.url)
        assert anna.texts[:2] == texts[:2]
        anna.press("d", "e", "Escape")
        assert anna.page.evaluate("window.owned") is None
        assert not anna.page.locator("#item script, #item img, #details a").count()
        assert not anna.errors


def test_another_site_gets_nothing(browser: Any, server: Server) -> None:
    """A page of another origin tries to judge, and to show ours in a frame."""
    first = server.store.view("anna")["item"]["version"]
    body = json.dumps({"item_id": first, "version": first, "verdict": "accept"})

    class Evil(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<iframe id=f></iframe>")

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    with HTTPServer(("127.0.0.1", 0), Evil) as evil:
        threading.Thread(target=evil.serve_forever, args=(0.05,), daemon=True).start()
        page = browser.new_page()
        page.goto(f"http://localhost:{evil.server_port}/")
        for headers in ({}, {"Authorization": f"Bearer {server.store.token}"}):
            asked = {"method": "POST", "body": body, "headers": headers}
            said = page.evaluate(
                "([url, asked]) => fetch(url, asked).then(a => a.text()).catch(e => 'failed')",
                [f"{server.origin}/judge", asked],
            )
            assert said == "failed"
        page.evaluate("url => { f.src = url; }", server.url)
        page.wait_for_timeout(300)
        assert not page.frames[1].locator("#item").count()
        evil.shutdown()
    assert not server.store.judgements()


def test_a_judgement_waits_while_the_server_is_away(browser: Any, workspace: Workspace) -> None:
    """Killed and started again on the same port, the open page goes on: its token stays."""
    process, url = start(workspace)
    anna = Judge(browser, url)
    process.send_signal(signal.SIGKILL)
    process.wait()
    anna.page.keyboard.press("a")
    anna.page.wait_for_selector("#note.bad")
    assert "Not stored" in anna.page.inner_text("#note")
    anna.press("r")  # nothing else is judged meanwhile
    port = int(re.findall(r":(\d+)", url)[0])
    with serving(workspace, port) as server:
        assert server.url == url
        anna.press("Enter")
        anna.until("!unsent")
        assert anna.count == "1 of 5"
    assert [one.verdict for one in open_store(workspace).judgements()] == ["accept"]


def test_the_page_fits_a_telephone(browser: Any, server: Server) -> None:
    anna = Judge(browser, server.url, viewport={"width": 390, "height": 700})
    assert anna.page.evaluate("document.documentElement.scrollWidth") <= 390


def write(system: str, user: str) -> dict[str, Any]:
    """Write as a model would, and sometimes badly; the choice depends on the sentence alone."""
    words = user.split()
    if "You rewrite" in system:
        said = "Et gouf gemellt: " + " ".join(words[: max(3, len(words) * 2 // 3)])
    else:
        said = " ".join([*words[:2], "net", *words[2:]])
    bad = {
        0: {"content": "Here is your sentence!"}, 1: {"content": "", "refusal": "I cannot."},
        2: {"content": json.dumps({"text": user})}, 3: {"content": '{"text": "cut'},
    }  # fmt: skip
    return bad.get(len(user) % 12) or {"content": json.dumps({"text": said})}


def run(command: Any, *args: object) -> Any:
    done = CliRunner().invoke(command, [*map(str, args)])
    assert done.exit_code == 0, done.output
    return done


@pytest.mark.slow
def test_a_set_from_the_newsroom_to_a_task(
    browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole way: crawled, built with a chat model, judged twice, finished, run.

    A test of the mechanics: its judges are scripts, and the set says so.
    """
    ws = tmp_path / "ws"
    run(corpus, "init", "-w", ws, "--contact", "you@example.org")
    run(corpus, "crawl", "sample", "--limit", 60, "-w", ws)
    run(align, "sentences", "-w", ws, "--pair", "lb-fr")
    with OpenAIServer() as model:
        model.write = write
        monkeypatch.setenv("OPENAI_BASE_URL", model.url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        run(
            main, "build", "paraphrase", NAME, "--lang", "lb", "--near", 0.4, "--overlap", 1,
            "--size", 30, "--chat", "small", "--price", 0.1, 0.4, "--max-cost", 1, "-w", ws,
        )  # fmt: skip
    workspace = Workspace.open(ws)
    n_items = len(items.load(workspace, NAME))
    proposers = set(items.load(workspace, NAME)["proposer"])
    assert proposers == {"pivot fr", "chat small"}
    process, url = start(workspace, "anna")
    anna = Judge(browser, url)
    anna.press("a", "a", "r", "u", "a", "e")
    anna.type("Haut ")
    anna.press("Control+Enter")
    edited = open_store(workspace).judgements()[-1]
    process.send_signal(signal.SIGKILL)
    process.wait()
    process, url = start(workspace, "anna")
    anna = Judge(browser, url)
    assert anna.count == f"4 of {n_items}"  # goes on where it was
    anna.press("r", *"a" * (n_items - 5))
    assert anna.page.is_visible("#end")
    assert not anna.errors
    process.kill()
    process.wait()
    process, url = start(workspace, "ben")
    ben = Judge(browser, url)
    while ben.item and ben.item["version"] == ben.item["item_id"]:
        ben.press(
            "r" if ben.item["item_id"] == min(items.load(workspace, NAME)["item_id"]) else "a"
        )
    assert ben.texts == list(edited.texts)
    ben.press("a")
    assert ben.page.is_visible("#end")
    process.kill()
    process.wait()
    done = run(main, "review", NAME, "--finish", "--json", "-w", ws)
    facts = json.loads(done.stdout)
    assert facts["n_items"] in (n_items - 2, n_items - 1)
    assert facts["against"][-2:] == ["a script judged it", "its texts are invented"]
    folder = workspace.finished_set(NAME)
    rows = [json.loads(line) for line in (folder / "data" / "test.jsonl").read_text().splitlines()]
    assert {"anchor", "paraphrase", "not_paraphrase"} <= set(rows[0])
    assert edited.texts[2] in {row["not_paraphrase"] for row in rows}
    done = run(main, "run", "embedded", "--task", NAME, "--json", "-w", ws)
    [record] = json.loads(done.stdout)
    assert record["n"] == facts["n_items"]
    assert {score["name"] for score in record["scores"]} == {"lb", "by pivot fr", "by chat small"}
