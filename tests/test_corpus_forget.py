"""What is forgotten is in no file any more, and does not come back."""

from __future__ import annotations

import gzip
import html
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from click.testing import CliRunner

from align.cli import main as align
from corpus import forgotten
from corpus.cli import main as corpus
from corpus.crawl.frontier import Frontier
from corpus.crawl.warc import response_record
from corpus.errors import InputError
from corpus.ledger import read_articles
from corpus.segment import sentences_of
from corpus.sites import load_profile
from corpus.warc import Damage, Page, read_records
from corpus.workspace import Workspace
from tests import hub_server
from tests.equal import assert_equal
from tests.test_corpus_hub import hub_settings

if TYPE_CHECKING:
    from pathlib import Path

NAME = "org/sample"
COLUMNS = ("article_id", "version", "url", "lang", "title", "lead", "text")


def run(group: Any, *words: str, exit_code: int = 0) -> str:
    done = CliRunner().invoke(group, words)
    assert done.exit_code == exit_code, done.output
    return done.output if exit_code else done.stdout


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, list[str]]:
    """A workspace with all that holds text, an article's address, and its own passages."""
    folder = tmp_path_factory.mktemp("forget")
    root = str(folder / "ws")
    run(corpus, "init", "--contact", "me@example.org", "-w", root)
    run(corpus, "crawl", "sample", "--all", "-w", root)
    rows = {"url": "https://other.example/1", "lang": "en", "text": "Another text entirely. " * 9}
    (folder / "other.jsonl").write_text(json.dumps(rows) + "\n")
    run(corpus, "import", "--articles", str(folder / "other.jsonl"), "-w", root)
    run(align, "sentences", "--pair", "lb-en", "-w", root)
    run(corpus, "publish", NAME, "--dry-run", "--force", "-w", root)
    run(corpus, "report", "-w", root)
    workspace = Workspace.open(root)
    pairs = pl.read_parquet(workspace.pair_stage("lb-en", "sentence_pairs") / "all.parquet")
    victim = pairs.filter("kept")["tgt_article"].sort()[0]
    every = read_articles(workspace, COLUMNS)
    article = every.filter(article_id=victim).row(0, named=True)
    # Rows of an import, of held-out pairs and of a rebuilt release hold it as well.
    (folder / "mine.jsonl").write_text(json.dumps({**article, "id": "x"}) + "\n")
    run(corpus, "import", "--articles", str(folder / "mine.jsonl"), "-w", root)
    held = pairs.filter("kept").select("src_text", "tgt_text")
    for path in (workspace.held_out("lb-en"), workspace.rebuilt(NAME, "lb-en")):
        path.parent.mkdir(parents=True)
    held.write_csv(workspace.held_out("lb-en"), separator="\t", include_header=False)
    pairs.write_parquet(workspace.rebuilt(NAME, "lb-en"))
    workspace.model("student").mkdir(parents=True)
    texts = {row["text"] for row in sentences_of(article)} | set(article["text"].split("\n\n"))
    others = "\n".join(every.filter(pl.col("article_id") != victim)["text"])
    passages = sorted(text for text in texts if len(text) > 20 and text not in others)
    assert len(passages) > 5
    return folder, article["url"], passages


def holders(root: Path, passages: list[str]) -> set[str]:
    """Find the files that hold a passage, after every unpacking that one can think of."""
    forms = [f.encode() for text in passages for f in (text, html.escape(text))]
    found = set()
    for path in filter(os.path.isfile, sorted(root.rglob("*"))):
        data = path.read_bytes()
        pieces = [data]
        if path.suffix == ".parquet":
            strings = pl.read_parquet(path).select(pl.col(pl.String))
            pieces += [str(value).encode() for column in strings for value in column]
        at = data.find(b"\x1f\x8b")
        while at >= 0:
            pieces.append(b"")
            unpacker = zlib.decompressobj(wbits=31)
            with suppress(zlib.error):
                for start in range(at, len(data), 64):
                    pieces[-1] += unpacker.decompress(data[start : start + 64])
                    if unpacker.eof:
                        break
            at = data.find(b"\x1f\x8b", at + 1)
        if any(form in piece for piece in pieces for form in forms):
            found.add(str(path.relative_to(root)))
    return found


def unquoted(folder: Path, passages: list[str]) -> list[str]:
    """Leave out the passages that other pages of the site quote, as teasers do."""
    [warc] = Workspace.open(folder / "ws").site_pages("sample").glob("*.warc.gz")
    bodies = [record.body.decode() for record in read_records(warc) if isinstance(record, Page)]
    found = [p for p in passages if sum(p in b or html.escape(p) in b for b in bodies) == 1]
    assert len(found) > 3
    return found


def copied(made: Any, root: Path) -> tuple[str, list[str]]:
    """Copy the workspace; give the article's address, and its own passages."""
    folder, url, passages = made
    shutil.copytree(folder / "ws", root)
    return url, passages


@pytest.mark.slow
def test_no_file_holds_the_text_and_it_does_not_come_back(made: Any, tmp_path: Path) -> None:
    root = tmp_path / "ws"
    url, passages = copied(made, root)
    folder = made[0]
    workspace = Workspace.open(root)
    before = holders(root, passages)
    kinds = ("pages", "articles/extracted", "articles/imported", "sentences", "pairs", "rebuilt",
             "releases", "benchmarks/held-out")  # fmt: skip
    assert {kind for kind in kinds for name in before if name.startswith(kind)} == set(kinds)
    [warc] = workspace.site_pages("sample").glob("*.warc.gz")
    shutil.copy(warc, tmp_path / "old.warc.gz")
    every = read_articles(workspace, COLUMNS).filter(pl.col("url") != url)

    told = json.loads(run(corpus, "forget", f"{url}?utm_source=x#top", "-w", str(root), "--json"))
    assert holders(root, passages) == set()
    assert (told["articles"], told["models"], told["holders"]) == (1, ["student"], [])
    assert told["pages"] == 1
    assert told["vectors"] > 5
    assert told["releases"].keys() == {NAME}
    # All else is as it was.
    after = read_articles(workspace, COLUMNS)
    assert after.sort("url").equals(every.sort("url"))
    frontier = Frontier(workspace.frontier("sample"), read_only=True)
    assert [row[:2] for row in frontier.urls("failed") if row[0] == url] == [(url, "forgotten")]
    frontier.close()
    assert "no" not in {row[-1] for row in json_rows(root)}

    own = unquoted(folder, passages)
    for words in (
        ("crawl", "sample", "--all"),
        ("extract", str(tmp_path / "old.warc.gz"), "--site", "sample"),
        ("segment",),
    ):
        run(corpus, *words, "-w", str(root))
        assert holders(root, own) == set(), words
    mine = ("import", "--articles", str(folder / "mine.jsonl"), "-w", str(root))
    assert "rejected for 'forgotten'" in run(corpus, *mine, exit_code=1)
    run(align, "sentences", "--pair", "lb-en", "-w", str(root))
    assert holders(root, own) == set()
    again = json.loads(run(corpus, "forget", url, "-w", str(root), "--json"))
    assert (again["articles"], again["pages"], again["releases"]) == (0, 0, {})


def json_rows(root: Path) -> list[list[Any]]:
    tables = json.loads(run(corpus, "report", "-w", str(root), "--json"))["tables"]
    return [list(row.values()) for rows in tables.values() for row in rows if "in = out" in row]


@pytest.mark.slow
def test_a_deferred_release_does_not_bring_it_back(made: Any, tmp_path: Path) -> None:
    root = str(tmp_path / "ws")
    url, passages = copied(made, tmp_path / "ws")
    folder = made[0]
    run(corpus, "publish", NAME, "--dry-run", "--deferred", "--force", "-w", root)
    shutil.copytree(Workspace.open(root).release(NAME), tmp_path / "release")
    shutil.rmtree(root)
    run(corpus, "init", "--contact", "me@example.org", "-w", root)
    assert "1 were not here" in run(corpus, "forget", url, "-w", root)
    words = ("rebuild", str(tmp_path / "release"), "-w", root, "--json")
    fates = {
        a["url"]: (a["state"], a["reason"]) for a in json.loads(run(corpus, *words))["articles"]
    }
    assert fates[url] == ("gone", "forgotten")
    assert holders(tmp_path / "ws", unquoted(folder, passages)) == set()


@pytest.mark.slow
def test_a_kill_at_any_moment_is_mended_by_another_run(made: Any, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    url, passages = copied(made, whole)
    code = "from corpus.cli import main; main()"
    words = [sys.executable, "-c", code, "forget", url, "-w"]
    began = time.monotonic()
    subprocess.run([*words, str(whole)], check=True, capture_output=True)
    seconds = time.monotonic() - began
    draw, n_killed = random.Random(3), 0
    for n in range(2):
        root = tmp_path / f"killed{n}"
        copied(made, root)
        process = subprocess.Popen([*words, str(root)], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, start_new_session=True)  # fmt: skip
        time.sleep(draw.uniform(0.2, 0.6) * seconds)
        if process.poll() is None:  # a machine may be slower in the whole run than in this one
            n_killed += 1
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        subprocess.run([*words, str(root)], check=True, capture_output=True)
        assert holders(root, passages) == set()
        assert_equal(whole, root)
        shutil.rmtree(root)
    assert n_killed


@pytest.mark.slow
def test_publish_pushes_one_commit_without_it(made: Any, tmp_path: Path) -> None:
    root = tmp_path / "ws"
    url, passages = copied(made, root)
    code = "from corpus.cli import main; main()"
    with hub_server.HubServer() as server:
        env = {**os.environ, **hub_settings(server, tmp_path)}

        def call(*words: str) -> str:
            words = (sys.executable, "-c", code, *words, "-w", str(root))
            done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            return done.stdout

        call("publish", NAME, "--force")
        repo = server.repos[NAME]
        assert len(repo.commits) == 2  # made, and the release
        told = call("forget", url, "--publish")
        assert f"release {NAME}: pushed as commit {repo.commits[-1]}" in told
        assert len(repo.commits) == 3
        pushed = tmp_path / "pushed"
        for name, data in repo.files.items():
            (pushed / name).parent.mkdir(parents=True, exist_ok=True)
            (pushed / name).write_bytes(data)
        assert (pushed / "data" / "lb-en").is_dir()
        assert holders(pushed, passages) == set()


URL = "https://demo.example/a/1.html"
SAID = "The council of Nowhere voted nine to four for the bridge."


def record(url: str, body: bytes) -> bytes:
    return response_record(
        url, 200, [("Content-Type", "text/html")], body, "2026-03-02T00:00:00Z", None
    )


def pages(path: Path) -> list[tuple[str, bytes]]:
    return [(r.url, r.body) if isinstance(r, Page) else ("damage", b"") for r in read_records(path)]


@pytest.mark.parametrize("pack", [gzip.compress, bytes], ids=["gzip", "plain"])
def test_a_record_gives_way_to_one_of_its_length(tmp_path: Path, pack: Any) -> None:
    quote = f"<p>before {SAID} after</p>".encode()
    parts = [record(URL, SAID.encode()), record(f"{URL}x", quote), record(f"{URL}y", b"<p>ok</p>")]
    path = tmp_path / "some.warc.gz"
    path.write_bytes(b"".join(map(pack, parts)))
    size = path.stat().st_size
    offsets = [r.offset for r in read_records(path)]
    scrub = forgotten.Scrub({forgotten.id_of(URL)}, [SAID])
    assert scrub(path, load_profile("sample")) == {0}
    assert path.stat().st_size == size
    blank = quote.replace(SAID.encode(), b" " * len(SAID))
    assert pages(path) == [(f"{URL}x", blank), (f"{URL}y", b"<p>ok</p>")]
    assert [r.offset for r in read_records(path)] == offsets[1:]
    unchanged = path.read_bytes()
    assert scrub(path, load_profile("sample")) == set()
    assert path.read_bytes() == unchanged


@pytest.mark.parametrize("pack", [gzip.compress, bytes], ids=["gzip", "plain"])
@pytest.mark.parametrize("where", ["tail", "middle"])
def test_what_is_torn_holds_nothing_of_it_either(tmp_path: Path, pack: Any, where: str) -> None:
    noise = random.Random(1).randbytes(900).hex().encode()
    torn = pack(record(URL, SAID.encode() * 3 + noise))[:-300]
    path = tmp_path / "torn.warc.gz"
    good = pack(record(f"{URL}y", b"<p>ok</p>"))
    path.write_bytes(good + torn + (good if where == "middle" else b""))
    assert [isinstance(r, Damage) for r in read_records(path)].count(True) == 1
    assert holders(tmp_path, [SAID])
    before = [url for url, _ in pages(path)]
    forgotten.Scrub({forgotten.id_of(URL)}, [SAID])(path, load_profile("sample"))
    assert not holders(tmp_path, [SAID])
    left = [url for url in before if url not in (URL, "damage")]
    assert [url for url, _ in pages(path) if url != "damage"] == left


def test_a_quote_in_another_charset_and_in_markup_is_blanked(tmp_path: Path) -> None:
    said = "De Schäffe huet gesot: „Mir maachen dat & méi.“"
    body = f"<p>{html.escape(said)}</p>".encode() + b"<i>" + said.encode("cp1252") + b"</i>"
    path = tmp_path / "quote.warc.gz"
    path.write_bytes(gzip.compress(record(f"{URL}y", body)))
    forgotten.Scrub({"0" * 16}, [said])(path, load_profile("sample"))
    [(_, after)] = pages(path)
    assert (
        after
        == b"<p>" + b" " * (len(body) - 14 - len(said)) + b"</p><i>" + b" " * len(said) + b"</i>"
    )


def test_a_page_that_names_it_as_its_own_address_goes_too(tmp_path: Path) -> None:
    profile = load_profile("sample")
    host = profile.editions[0].host
    url = f"https://{host}/national/a/77.html"
    assert profile.editions[0].is_article(url)
    body = f'<html><head><link rel="canonical" href="{url}"></head><p>{SAID}</p></html>'.encode()
    path = tmp_path / "amp.warc.gz"
    path.write_bytes(gzip.compress(record(f"https://{host}/amp/77", body)))
    assert forgotten.Scrub({forgotten.id_of(url)})(path, profile) == {0}
    assert pages(path) == []


def test_addresses_and_lists_that_are_none(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path, "me@example.org")
    assert "'no url' is no URL" in run(corpus, "forget", "no url", "-w", str(tmp_path), exit_code=1)
    workspace.forgotten.write_text("0123456789abcdef\nhttps://x\n")
    with pytest.raises(InputError, match="'https://x' is no article id"):
        forgotten.load(workspace)
