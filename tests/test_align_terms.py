"""The commands with an encoder behind an API: one estimate, one limit, no second call."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from align.cli import main as align
from corpus.cli import main as corpus
from tests.openai_server import KEY, OpenAIServer

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as running:
        yield running


@pytest.fixture(scope="module")
def newsroom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("newsroom")
    for args in (["init", "--contact", "me@example.org"], ["crawl", "sample"]):
        done = CliRunner().invoke(corpus, [*args, "-w", str(root)])
        assert done.exit_code == 0, done.output
    return root


def run(server: OpenAIServer, root: Path, *args: str) -> Result:
    server.requests.clear()
    options = ("--encoder", "openai:small", "--base-url", server.url, "--price", "0.02")
    return CliRunner().invoke(
        align, [*args, *options, "-w", str(root)], env={"OPENAI_API_KEY": KEY}
    )


@pytest.mark.parametrize("method", ["margin", "beads"])
def test_sentences_ask_once(server: OpenAIServer, newsroom: Path, method: str) -> None:
    chosen = ("sentences", "--pair", "lb-en", "--pair", "fr-en", "--method", method)
    refused = run(server, newsroom, *chosen, "--max-cost", "0.00001")
    assert refused.exit_code == 1
    assert "over --max-cost 1e-05" in refused.output
    assert "nothing was asked" in refused.output
    assert server.requests == []
    done = run(server, newsroom, *chosen, "--max-cost", "1")
    assert done.exit_code == 0, done.output
    [told] = re.findall(r"up to about ([\d,]+) tokens, \$[\d.]+", done.output)  # all pairs at once
    used = sum(sum(server.count(body["input"])) for body in server.requests)
    assert used <= int(told.replace(",", "")) <= 4 * used
    assert KEY not in done.output
    again = run(server, newsroom, *chosen, "--max-cost", "0")
    assert (again.exit_code, server.requests) == (0, [])
    assert "tokens" not in again.output


def test_plain_files_ask_once(server: OpenAIServer, newsroom: Path, tmp_path: Path) -> None:
    lines = {"lb": ["Muer reent et.", "D'Bréck ass nei."], "en": ["It will rain.", "A new bridge."]}
    for lang, texts in lines.items():
        (tmp_path / lang).write_text("\n".join(texts))
    for command, n_texts in (("files", 4), ("score", 0)):  # the same texts
        for n in (n_texts, 0):
            done = run(server, newsroom, command, str(tmp_path / "lb"), str(tmp_path / "en"))
            assert (done.exit_code, server.n_texts) == (0, n), done.output


def test_a_dry_run_says_the_cost(server: OpenAIServer, newsroom: Path) -> None:
    done = run(server, newsroom, "articles", "--pair", "lb-en", "--dry-run")
    assert done.exit_code == 0, done.output
    assert "small will be asked: up to about" in done.output
    assert server.requests == []
