"""Judge on the page's server while it is killed again and again; nothing answered is lost.

``python -m tests.kill_review 50`` kills it fifty times.
"""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

from benchmarks.build import items
from benchmarks.build.items import ITEMS
from benchmarks.review.server import Server
from benchmarks.review.store import Store
from corpus.tables import REJECTS
from corpus.workspace import Workspace

NAME, JUDGE = "set", "anna"


def triple(n: int) -> dict[str, Any]:
    """Make an item of invented words; its paraphrase would be HTML if it were not text."""
    texts = [
        f"Anchor {n} is here, as it was.",
        f"<b>Paraphrase</b> {n} & the rest",
        f"Anchor {n} is not here, as it was.",
    ]
    return {
        "item_id": items.item_id("triple", "en", texts), "kind": "triple", "langs": "en",
        "texts": texts, "proposer": "pivot fr", "edit": "negation", "sim": 0.5, "lexical": 0.2,
        "context": ["before […] after", ""], "url": ["https://demo.example/1", None],
        "site": ["demo", "demo"], "licence": ["CC-BY-4.0", "CC-BY-4.0"], "basis": [None, None],
    }  # fmt: skip


def make_set(folder: Path, n_items: int, **columns: Any) -> Workspace:
    """Make a workspace with a set that waits for its judges."""
    workspace = Workspace.create(folder, "you@example.org")
    rows = ITEMS.frame([{**triple(n), **columns} for n in range(n_items)])
    items.save(workspace, NAME, rows, REJECTS.empty())
    return workspace


def open_store(workspace: Workspace, name: str = NAME) -> Store:
    """Open what was judged of a set."""
    return Store(workspace.judgements(name), items.load(workspace, name))


@contextmanager
def serving(workspace: Workspace, port: int = 0) -> Iterator[Server]:
    """Serve a set's page in this process."""
    with Server(open_store(workspace), JUDGE, port) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


def start(workspace: Workspace, judge: str = JUDGE, name: str = NAME) -> tuple[Any, str]:
    """Start the command; give its process and the address that it prints."""
    command = [sys.executable, "-m", "benchmarks.cli", "review", name, "--judge", judge]
    command += ["--port", "0", "-w", str(workspace.root)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout
    found = re.search(r"http\S+", process.stdout.readline())
    assert found
    return process, found[0]


def ask(url: str, path: str, body: object, **headers: str) -> dict[str, Any]:
    """Ask as the page does."""
    origin, _, token = url.partition("/#")
    sent = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", **headers}
    request = urllib.request.Request(origin + path, json.dumps(body).encode(), sent)
    with urllib.request.urlopen(request, timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def judge_until_dead(url: str, process: Any, after: float) -> list[str]:
    """Judge without a pause, kill the server meanwhile; give the requests that were answered."""
    threading.Timer(after, process.send_signal, [signal.SIGKILL]).start()
    answered = []
    with suppress(OSError, HTTPException, ValueError):
        item = ask(url, "/next", {})["item"]
        for n in range(100_000):
            name = f"{process.pid}-{n}"
            verdict = random.choice(["accept"] + ["skip"] * 50)
            body = {key: item[key] for key in ("item_id", "version")}
            body |= {"request": name, "verdict": verdict, "by_script": True}
            item = ask(url, "/judge", body)["item"] or item
            answered.append(name)
    process.wait()
    return answered


def main(n_kills: int) -> tuple[int, int]:
    """Kill the server so many times; give answered judgements, and how many are lost."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = make_set(Path(folder), 400)
        answered: list[str] = []
        for _ in range(n_kills):
            process, url = start(workspace)
            answered += judge_until_dead(url, process, random.uniform(0.2, 1.0))
        store = open_store(workspace)
        with store._open() as db:
            stored = {name for (name,) in db.execute("SELECT request FROM judgements")}
        return len(answered), len(set(answered) - stored)


if __name__ == "__main__":
    n_answered, n_lost = main(int(sys.argv[1]))
    sys.stdout.write(f"{n_answered} judgements answered, {n_lost} lost\n")
