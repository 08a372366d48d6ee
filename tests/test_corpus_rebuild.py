"""A deferred release brings its text back, from the site or from WARC files."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from click.testing import CliRunner
from markupsafe import escape

from align.cli import main as align
from corpus import tables
from corpus.cli import main as corpus
from corpus.crawl import command
from corpus.errors import InputError
from corpus.release import rebuild
from corpus.release.manifest import load
from corpus.sample.documents import load_documents
from corpus.sample.render import Newsroom, render
from corpus.sample.server import NewsroomServer
from corpus.sites import load_profile
from corpus.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "org/sample"
PAIR = ["pair_id", "src_text", "tgt_text", "margin", "langs"]

pytestmark = pytest.mark.slow


def run(group: Any, *words: str) -> str:
    done = CliRunner().invoke(group, words)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, pl.DataFrame]:
    """A deferred release, the WARC file behind it, and its pairs; all else is deleted."""
    folder = tmp_path_factory.mktemp("released")
    root = str(folder / "ws")
    run(corpus, "init", "--contact", "me@example.org", "-w", root)
    run(corpus, "crawl", "sample", "-w", root)
    run(align, "sentences", "--pair", "lb-en", "-w", root)
    run(corpus, "publish", NAME, "--dry-run", "--deferred", "--force", "-w", root)
    workspace = Workspace.open(root)
    pairs = pl.read_parquet(workspace.pair_stage("lb-en", "sentence_pairs") / "all.parquet")
    shutil.copytree(workspace.release(NAME), folder / "release")
    [warc] = workspace.site_pages("sample").glob("*.warc.gz")
    shutil.copy(warc, folder / "pages.warc.gz")
    shutil.rmtree(root)
    return folder / "release", folder / "pages.warc.gz", pairs.filter("kept").select(PAIR)


def rebuilt(root: Path, *words: str) -> tuple[dict[str, Any], pl.DataFrame]:
    run(corpus, "init", "--contact", "me@example.org", "-w", str(root))
    report = json.loads(run(corpus, "rebuild", *words, "-w", str(root), "--json"))
    return report, pl.read_parquet(Workspace.open(root).rebuilt(NAME, "lb-en")).select(PAIR)


def test_the_same_pairs_come_from_the_site(released: Any, tmp_path: Path) -> None:
    folder, _, pairs = released
    report, found = rebuilt(tmp_path, str(folder))
    assert found.equals(pairs)
    assert report["pairs"] == {"lb-en": len(pairs)}
    assert {article["state"] for article in report["articles"]} == {"same"}


def test_the_same_pairs_come_from_warc(released: Any, tmp_path: Path) -> None:
    folder, warc, pairs = released
    assert rebuilt(tmp_path, str(folder), "--warc", str(warc))[1].equals(pairs)


def test_what_changed_or_has_gone_is_named(
    released: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _, pairs = released
    newsroom = render(load_documents(), load_profile("sample"))
    mine = [article for (_, lang), article in sorted(newsroom.gold.items()) if lang == "lb"]
    released_urls = set(pl.read_parquet(folder / "data/articles/train-2026.parquet")["url"])
    first, second, third = [a for a in mine if a.url in released_urls][:3]
    for article in (first, second):
        change(newsroom, article)
    newsroom.pages.pop(place(newsroom, third.url))

    @contextmanager
    def served() -> Iterator[dict[str, str]]:
        with NewsroomServer(newsroom.pages) as server:
            yield server.host_map

    monkeypatch.setattr(command, "served", served)
    report, found = rebuilt(tmp_path, str(folder))
    other = {
        a["url"]: (a["state"], a["reason"]) for a in report["articles"] if a["state"] != "same"
    }
    assert other == {
        first.url: ("changed", ""),
        second.url: ("changed", ""),
        third.url: ("gone", "HTTP 404"),
    }
    assert set(found.rows()) < set(pairs.rows())
    assert report["lost"]["lb-en"].keys() == {"changed", "gone"}
    assert len(found) + sum(report["lost"]["lb-en"].values()) == len(pairs)


def place(newsroom: Newsroom, url: str) -> tuple[str, str]:
    [key] = [key for key in newsroom.pages if url.endswith("".join(key))]
    return key


def change(newsroom: Newsroom, article: Any) -> None:
    """Put words before the third line of an article."""
    line = str(escape(list(article.lines.values())[2])).encode()
    key = place(newsroom, article.url)
    page = newsroom.pages[key]
    assert line in page.body
    body = page.body.replace(line, b"Hei ass eppes anescht: " + line)
    newsroom.pages[key] = replace(page, body=body)


def test_a_strangers_release_is_read_with_care(released: Any, tmp_path: Path) -> None:
    folder, *_ = released
    facts = load(folder)
    local = facts.profiles[0].editions[0].model_copy(update={"host": "127.0.0.1:8080"})
    with pytest.raises(InputError, match="no public name"):
        rebuild.for_urls(facts.profiles[0].model_copy(update={"editions": [local]}))
    plain = rebuild.for_urls(facts.profiles[0])
    assert [edition.articles for edition in plain.editions] == [[""]] * len(plain.editions)
    for text in ("{", "[]", '{"format": 9}', '{"name": "x"}'):
        (tmp_path / "release.json").write_text(text)
        with pytest.raises(InputError, match=r"no release of Bitextile|format 9"):
            load(tmp_path)
    with pytest.raises(InputError, match="no release folder"):
        rebuild.local_folder("nothing")


def test_a_hash_that_is_no_pairs_own_is_not_believed() -> None:
    keys = {"src_keys": ["00" * 16], "tgt_keys": ["11" * 16]}
    texts = {("a1", "00" * 16): ("a1.v.0", "x"), ("a2", "11" * 16): ("a2.v.0", "y")}
    row = {"pair_id": "p0", "src_article": "a1", "tgt_article": "a2", **keys}
    assert not rebuild._fill(dict(row), "lb-en", texts)
    own = tables.pair_id("lb-en", [bytes(16)], [b"\x11" * 16])
    filled = row | {"pair_id": own}
    assert rebuild._fill(filled, "lb-en", texts)
    assert (filled["src_text"], filled["tgt_ids"]) == ("x", ["a2.v.0"])
