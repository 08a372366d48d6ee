"""Bad input gets one clear line and exit 1, and nothing is lost."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from align.cli import main as align
from corpus.cli import main as corpus
from corpus.crawl.frontier import Frontier
from corpus.workspace import FILE
from tests.equal import contents


def run(command: click.Command, *args: str | Path) -> Result:
    return CliRunner().invoke(command, [str(arg) for arg in args])


def fails(result: Result, *parts: str) -> None:
    """One line on stderr that has all parts, and exit 1."""
    assert result.exit_code == 1, result.output
    [line] = [text for text in result.stderr.splitlines() if text.startswith("Error:")]
    for part in parts:
        assert part in line


@pytest.fixture(scope="module")
def crawled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample newsroom, crawled and aligned."""
    root = tmp_path_factory.mktemp("crawled")
    assert run(corpus, "init", "-w", root, "--contact", "me@example.org").exit_code == 0
    assert run(corpus, "crawl", "sample", "-w", root).exit_code == 0
    assert run(align, "sentences", "--pair", "lb-en", "-w", root).exit_code == 0
    return root


@pytest.fixture
def workspace(crawled: Path, tmp_path: Path) -> Path:
    return shutil.copytree(crawled, tmp_path / "w")


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    run(corpus, "init", "-w", tmp_path, "--contact", "me@example.org")
    return tmp_path


def test_unknown_site(empty: Path) -> None:
    fails(run(corpus, "crawl", "rlt", "-w", empty), "'rlt'", "did you mean 'rtl'?", "allowed: ")


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("delay = -1", "delay"),
        ("delya = 1", "delya"),
        ('pairs = ["lb-xx"]', "pairs"),
        (
            'editions = [{lang = "lb", host = "a.example", articles = ["("]}]',
            "editions.0.articles.0",
        ),
        ("name = ", "cannot be read"),
    ],
)
def test_broken_profile_names_the_key(empty: Path, line: str, key: str) -> None:
    fields = {
        "name": '"mine"',
        "title": '"Mine"',
        "licence": '"unknown"',
        "pairs": "[]",
        "editions": '[{lang = "lb", host = "a.example", articles = ["/a/"]}]',
    }
    fields.pop(line.partition(" ")[0], None)
    profile = empty / "mine.toml"
    profile.write_text("\n".join([f"{k} = {v}" for k, v in fields.items()] + [line]))
    fails(run(corpus, "crawl", profile, "-w", empty), "profile mine.toml", key)


def test_unknown_language(workspace: Path) -> None:
    fails(run(align, "articles", "--pair", "lb-xq", "-w", workspace), "'xq'", "no language code")
    fails(run(align, "articles", "--pair", "lb-is", "-w", workspace), "'is'", "bn, en, fr, lb")


def test_a_language_that_the_encoder_does_not_know(empty: Path) -> None:
    rows = [
        {
            "id": f"{lang}{n}",
            "lang": lang,
            "title": "",
            "date": "2026-03-02",
            "text": f"{text} {n}.",
        }
        for lang, text in (("is", "Bæjarstjórn samþykkti nýja brú"), ("en", "The council agreed"))
        for n in range(3)
    ]
    file = empty / "rows.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows))
    assert run(corpus, "import", "--articles", file, "-w", empty).exit_code == 0
    result = run(align, "sentences", "--pair", "is-en", "-w", empty)
    fails(result, "is", "LaBSE", "distill run")
    assert run(align, "sentences", "--pair", "is-en", "--any-language", "-w", empty).exit_code == 0


def test_newer_workspace(empty: Path) -> None:
    (empty / FILE).write_text("format = 9")
    fails(run(align, "sentences", "-w", empty), "format 9", "pip install -U bitextile")


def test_no_workspace(tmp_path: Path) -> None:
    fails(run(corpus, "extract", "-w", tmp_path), "corpus init --contact")


def test_damaged_parts_are_made_again(workspace: Path, crawled: Path) -> None:
    for path in (*workspace.glob("sentences/*/*.parquet"), *workspace.rglob("all.parquet")):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 255
        path.write_bytes(data)
    assert run(align, "sentences", "--pair", "lb-en", "-w", workspace).exit_code == 0
    assert contents(workspace) == contents(crawled)


def test_damaged_warc_tail_is_a_reject(workspace: Path) -> None:
    [warc] = workspace.glob("pages/sample/*.warc.gz")
    warc.write_bytes(warc.read_bytes()[:-200])
    result = run(corpus, "extract", "--json", "-w", workspace)
    assert result.exit_code == 0
    counts = json.loads(result.stdout)
    assert counts["rejects.damaged_warc"] == 1
    rejects = sum(n for name, n in counts.items() if name.startswith("rejects."))
    assert counts["pages"] == counts["articles"] + rejects


def test_a_full_disk_loses_nothing(
    workspace: Path, crawled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in workspace.rglob("pairs/lb-en/*/*"):
        path.unlink()
    sync, n_written = os.fsync, iter(range(99))

    def full(fd: int) -> None:
        if next(n_written) == 3:
            raise OSError(28, "No space left on device")
        sync(fd)

    monkeypatch.setattr(os, "fsync", full)
    fails(run(align, "sentences", "--pair", "lb-en", "-w", workspace), "No space left", "make room")
    assert not list(workspace.rglob("*.part"))
    monkeypatch.undo()
    assert run(align, "sentences", "--pair", "lb-en", "-w", workspace).exit_code == 0
    assert contents(workspace) == contents(crawled)


def test_missing_extra_is_named(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "bert"
    model.mkdir()
    (model / "config.json").write_text('{"model_type": "bert"}')
    (model / "model.safetensors").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    result = run(align, "sentences", "--encoder", model, "-w", workspace)
    fails(result, "pip install 'bitextile[train]'")


def test_hub_id_while_offline(workspace: Path) -> None:
    script = "from align.cli import main; main()"
    args = ["sentences", "--encoder", "sentence-transformers/no-such-model", "-w", str(workspace)]
    done = subprocess.run(
        [sys.executable, "-c", script, *args],
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("Error: the encoder 'sentence-transformers/no-such-model' is not on")
    assert "hf download sentence-transformers/no-such-model" in last


def test_an_empty_corpus_says_which_stage_dropped_what(empty: Path) -> None:
    fails(run(align, "sentences", "-w", empty), "no page is fetched yet", "corpus crawl SITE")


def test_rejected_pages_are_counted(workspace: Path) -> None:
    [warc] = workspace.glob("pages/sample/*.warc.gz")
    text = gzip.decompress(warc.read_bytes()).replace(b"HTTP/1.1 200", b"HTTP/1.1 500")
    warc.write_bytes(gzip.compress(text))
    result = run(align, "sentences", "-w", workspace)
    fails(result, "extract dropped all", "corpus report")


def test_columns_come_together_or_one_by_one(empty: Path) -> None:
    file = empty / "rows.jsonl"
    file.write_text('{"nr": 1, "body": "Moien", "lang": "lb"}\n')
    ask = ("import", "--articles", file, "-w", empty, "--json")
    together = run(corpus, *ask, "--columns", "text=body,id=nr")
    apart = run(corpus, *ask, "--columns", "text=body", "--columns", "id=nr")
    assert json.loads(together.stdout) == json.loads(apart.stdout) == {"articles": 1, "rows": 1}
    assert run(corpus, *ask, "--columns", "text").exit_code == 2


def test_a_check_says_what_it_can_do_and_writes_nothing(workspace: Path, tmp_path: Path) -> None:
    result = run(corpus, "sites", "check", "rtl", "-w", tmp_path / "none")
    assert "rtl is valid (lb, en, fr); --live asks the site" in result.stdout
    live = run(corpus, "sites", "check", "rtl", "--live", "-w", tmp_path / "none")
    fails(live, "--contact you@example.org")
    fails(run(corpus, "sites", "check", "rtl", "--live", "--contact", "me"), "'me' is no mail")
    assert run(corpus, "sites", "check", "rtl", "--pages", tmp_path / "none").exit_code == 2
    fails(run(corpus, "sites", "check", "sample", "--pages", tmp_path), "pages/rtl")
    pages = workspace / "pages" / "sample"
    before = sorted(workspace.rglob("*"))
    found = json.loads(run(corpus, "sites", "check", "sample", "--pages", pages, "--json").stdout)
    assert all(edition["n_articles"] and len(edition["titles"]) == 3 for edition in found)
    assert all("characters" in row["text"] for edition in found for row in edition["fields"])
    assert sorted(workspace.rglob("*")) == before


def test_a_selector_that_finds_nothing_is_an_alarm(workspace: Path) -> None:
    text = Path(str(files("corpus.sites").joinpath("sample.toml"))).read_text()
    drifted = workspace / "drifted.toml"
    drifted.write_text(text + 'select = {body = "div.gone", title = "h1"}\n')
    pages = workspace / "pages" / "sample"
    result = run(corpus, "sites", "check", drifted, "--pages", pages, "-w", workspace)
    fails(result, "bn (bn.sample.example): select finds nothing on any page: body")
    assert "select.title found something on 3 of 3 pages" in result.stdout


def test_json_is_told_of_everything(workspace: Path) -> None:
    sites = json.loads(run(corpus, "sites", "--json").stdout)
    assert {site["name"] for site in sites} >= {"rtl", "sample"}
    report = json.loads(run(corpus, "report", "--json", "-w", workspace).stdout)
    [pages] = report["tables"]["Pages"]
    assert (pages["site"], pages["in = out"]) == ("sample", "yes")
    args = ("me/data", "--dry-run", "--force", "--json", "-w", workspace)
    release = json.loads(run(corpus, "publish", *args).stdout)
    assert (Path(release["folder"]) / "README.md").exists()
    assert release["commit"] is None


def test_a_second_init_says_which_contact_stands(empty: Path) -> None:
    result = run(corpus, "init", "-w", empty, "--contact", "you@example.org")
    assert "with contact me@example.org" in result.stderr
    assert f"edit {empty / FILE}" in result.stderr


def test_a_bound_below_one_is_wrong_usage(empty: Path) -> None:
    for option in ("--days", "--limit"):
        assert run(corpus, "crawl", "sample", option, "0", "-w", empty).exit_code == 2


def test_a_limited_crawl_says_what_waits(empty: Path) -> None:
    result = run(corpus, "crawl", "sample", "--limit", "3", "-w", empty)
    assert "3 pages to fetch" in result.stderr
    frontier = Frontier(empty / "pages" / "sample" / "frontier.sqlite", read_only=True)
    n_waiting = frontier.states()["waiting"]
    frontier.close()
    assert f"{n_waiting} pages wait: run again" in result.stdout


@pytest.mark.slow
def test_a_warc_file_that_is_gone_is_reported_and_mended(workspace: Path) -> None:
    def pages() -> list[str]:
        assert run(corpus, "extract", "-w", workspace).exit_code == 0
        report = json.loads(run(corpus, "report", "--json", "-w", workspace).stdout)
        [row] = report["tables"]["Pages"]
        return [row["pages"], row["went on"], row["in = out"]]

    before = pages()
    [warc] = workspace.glob("pages/sample/*.warc.gz")
    warc.unlink()
    assert pages() == [before[0], 0, "yes"]
    assert run(corpus, "crawl", "sample", "-w", workspace).exit_code == 0
    assert pages() == before
