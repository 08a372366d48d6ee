from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from huggingface_hub import DatasetCard

from corpus import dedup, extract, hub, stages
from corpus.errors import EmptyError, InputError
from corpus.pairs import MATCH_SENTENCES
from corpus.stages import Made, Part, Stage
from corpus.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_spec = spec_from_file_location("hub_server", Path(__file__).parent / "hub_server.py")
assert _spec is not None
assert _spec.loader is not None
hub_server = module_from_spec(_spec)
sys.modules["hub_server"] = hub_server
_spec.loader.exec_module(hub_server)

NAME = "org/lux-news"
DAY = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)


def put(stage: Stage, folder: Path, part: str, *rows: list[dict[str, Any]]) -> None:
    frames = {t.name: t.frame(r) for t, r in zip(stage.outputs, rows, strict=True)}
    stages._make_part(stage, folder, lambda work: Made(frames), Part(part, [], None))


def put_pairs(ws: Workspace, langs: str, *margins: float, origin: str = "demo") -> None:
    rows = [
        {
            "pair_id": f"p{n}", "src_ids": [f"s{n}"], "tgt_ids": [f"t{n}"], "langs": langs,
            "src_text": f"Moien | <b>{n}</b>", "tgt_text": f"Hello {n}\nworld", "sim": 0.5,
            "lexical": 0.1, "margin": margin, "src_article": "a1", "tgt_article": "a2",
            "origin": origin, "licence": "CC-BY-4.0", "encoder": "embedded",
            "kept": margin >= 1, "reason": None if margin >= 1 else "margin",
        }
        for n, margin in enumerate(margins)
    ]  # fmt: skip
    put(MATCH_SENTENCES, ws.pair_stage(langs, "sentence_pairs"), "all", rows)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    ws = Workspace.create(tmp_path / "ws", "you@example.org")
    articles = [
        {"article_id": f"a{n}", "version": "v", "site": "demo", "lang": lang, "published": DAY}
        for n, lang in ((1, "lb"), (2, "en"))
    ]
    with_urls = [{**a, "url": f"https://demo.example/{a['article_id']}"} for a in articles]
    old = {**with_urls[0], "version": "older", "published": None}
    put(extract.STAGE, ws.extracted, "demo/1", [old, *with_urls], [])
    put(dedup.STAGE, ws.catalogue, "catalogue", [{**a, "state": "kept"} for a in articles])
    put_pairs(ws, "lb-en", 1.4, 1.2, 0.8)
    put_pairs(ws, "lb-fr", 1.1)
    return ws


def test_a_release_holds_the_kept_pairs_and_where_they_are_from(workspace: Workspace) -> None:
    folder = hub.make_release(workspace, NAME)
    files = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    assert files == [
        "README.md",
        "data/lb-en/train-00000-of-00001.parquet",
        "data/lb-fr/train-00000-of-00001.parquet",
    ]
    rows = pl.read_parquet(folder / files[1]).to_dicts()
    assert rows[0] == {
        "pair_id": "p0", "src_text": "Moien | <b>0</b>", "tgt_text": "Hello 0\nworld", "sim": 0.5,
        "lexical": 0.1, "margin": 1.4, "q": None, "src_url": "https://demo.example/a1",
        "tgt_url": "https://demo.example/a2", "published": DAY, "origin": "demo",
        "licence": "CC-BY-4.0", "encoder": "embedded",
    }  # fmt: skip
    assert [row["pair_id"] for row in rows] == ["p0", "p1"]


def test_the_card_says_what_is_inside(workspace: Workspace) -> None:
    folder = hub.make_release(workspace, NAME)
    card = DatasetCard.load(folder / "README.md")
    data = card.data.to_dict()
    assert data["language"] == ["en", "fr", "lb"]
    assert data["license"] == "cc-by-4.0"
    assert data["size_categories"] == ["n<1K"]
    assert data["configs"] == [
        {
            "config_name": "lb-en",
            "data_files": [{"split": "train", "path": "data/lb-en/train-*"}],
            "default": True,
        },
        {
            "config_name": "lb-fr",
            "data_files": [{"split": "train", "path": "data/lb-fr/train-*"}],
        },
    ]
    days = "2026-03-02 | 2026-03-02"
    assert f"| `lb-en` | Luxembourgish – English | 2 | 3 | 1 | {days} |" in card.text
    assert "| `lb-en` | margin 1 | 0.5 | 1.2 | – |" in card.text
    assert "| `lb-en` | Moien \\| &lt;b>0&lt;/b> | Hello 0 world | 1.4 |" in card.text
    assert "demo: 3 pairs, licence: CC-BY-4.0" in card.text
    assert "invented" not in card.text


def test_the_same_pairs_give_the_same_bytes_and_old_files_go(workspace: Workspace) -> None:
    def contents() -> dict[Path, bytes]:
        folder = hub.make_release(workspace, NAME)
        return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    first = contents()
    assert contents() == first
    put_pairs(workspace, "lb-fr", 0.5)
    assert first.keys() - contents().keys() == {
        workspace.release(NAME) / "data/lb-fr/train-00000-of-00001.parquet"
    }


def test_what_is_not_released(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(EmptyError, match="no pair is kept: run align sentences"):
        hub.make_release(Workspace.create(tmp_path / "empty", "you@example.org"), NAME)
    put_pairs(workspace, "lb-fr", 1.1, origin="sample")
    with pytest.raises(InputError, match="invented"):
        hub.make_release(workspace, NAME)
    assert not workspace.release(NAME).exists()
    folder = hub.make_release(workspace, NAME, force=True)
    card = DatasetCard.load(folder / "README.md")
    assert "invented" in card.data.to_dict()["tags"]
    assert "**The texts of this dataset are invented.**" in card.text


@pytest.mark.parametrize("name", ["..", "../x", "a/b/c", "", "a b", "/etc", "org/..", "org/x..y"])
def test_a_name_never_leads_out_of_the_releases(workspace: Workspace, name: str) -> None:
    before = sorted(workspace.root.rglob("*"))
    for act in (hub.make_release, lambda ws, name: hub.publish(ws.root, name)):
        with pytest.raises(InputError, match="give ORG/NAME"):
            act(workspace, name)
    assert sorted(workspace.root.rglob("*")) == before


def test_licences_that_differ_are_other() -> None:
    def licence(*names: str) -> str:
        return hub._licence(pl.DataFrame({"licence": names}))

    assert licence("CC-BY-4.0", "CC-BY-4.0") == "cc-by-4.0"
    assert licence("CC-BY-4.0", "CC0-1.0") == "other"
    assert licence("all rights reserved") == "other"


@pytest.mark.train
def test_datasets_reads_the_folder(workspace: Workspace, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    folder = str(hub.make_release(workspace, NAME))
    assert datasets.get_dataset_config_names(folder) == ["lb-en", "lb-fr"]
    loaded = datasets.load_dataset(folder, "lb-en", split="train", cache_dir=str(tmp_path / "c"))
    assert loaded["src_text"] == ["Moien | <b>0</b>", "Moien | <b>1</b>"]
    assert loaded["published"] == [DAY, DAY]
    default = datasets.load_dataset(folder, cache_dir=str(tmp_path / "c"), streaming=True)
    assert len(list(default["train"])) == 2


@pytest.fixture
def server() -> Iterator[Any]:
    with hub_server.HubServer() as running:
        yield running


@pytest.fixture
def publish(server: Any, workspace: Workspace, tmp_path: Path) -> Callable[..., Any]:
    """Run ``corpus publish`` in a process of its own: the client reads its settings once."""

    def run(*options: str, **env: str) -> subprocess.CompletedProcess[str]:
        settings = {
            "HF_ENDPOINT": server.url, "HF_HUB_DISABLE_XET": "1", "HF_HOME": str(tmp_path / "hf"),
            "HF_TOKEN": hub_server.TOKEN, "HF_HUB_DISABLE_TELEMETRY": "1",
        }  # fmt: skip
        code = "from corpus.cli import main; main()"
        words = ["publish", NAME, "-w", str(workspace.root), "-v", *options]
        done = subprocess.run(
            [sys.executable, "-c", code, *words], env={**os.environ, **settings, **env},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert hub_server.TOKEN not in done.stdout + done.stderr
        return done

    return run


def test_publishing_is_one_commit_and_again_none(
    server: Any, publish: Callable[..., Any], workspace: Workspace
) -> None:
    first = publish()
    assert first.returncode == 0, first.stderr
    repo = server.repos[NAME]
    assert f"{server.url}/datasets/{NAME}" in first.stdout
    assert repo.private
    assert len(repo.commits) == 2  # the one that made it, and ours
    folder = workspace.release(NAME)
    for path in folder.rglob("*"):
        if path.is_file():
            assert repo.files[path.relative_to(folder).as_posix()] == path.read_bytes()
    again = publish()
    assert again.returncode == 0
    assert "nothing new" in again.stdout
    assert len(repo.commits) == 2


def test_a_change_sends_only_what_changed(
    server: Any, publish: Callable[..., Any], workspace: Workspace
) -> None:
    publish()
    put_pairs(workspace, "lb-en", 1.4, 1.2, 1.3)
    put_pairs(workspace, "lb-fr", 0.5)
    server.log.clear()
    assert publish().returncode == 0
    assert len(server.repos[NAME].commits) == 3
    assert sum(method == "PUT" for method, _ in server.log) == 1
    assert sorted(server.repos[NAME].files) == [
        ".gitattributes", "README.md", "data/lb-en/train-00000-of-00001.parquet",
    ]  # fmt: skip


def test_a_cut_upload_leaves_no_commit_and_a_second_try_completes_it(
    server: Any, publish: Callable[..., Any]
) -> None:
    for place in ("POST .*/preupload/", "POST .*/batch", "PUT /lfs/", "POST .*/commit/"):
        server.failures = {place: 403}
        assert publish().returncode == 1
        assert len(server.repos[NAME].commits) == 1
    server.failures = {}
    assert publish().returncode == 0
    assert len(server.repos[NAME].commits) == 2


def test_what_somebody_else_has_just_pushed_is_not_overwritten(
    server: Any, publish: Callable[..., Any]
) -> None:
    server.meanwhile = lambda repo: repo.commits.append("f" * 40)
    done = publish()
    assert done.returncode == 1
    assert "(412)" in done.stderr
    assert server.repos[NAME].commits[1:] == ["f" * 40]


@pytest.mark.parametrize(
    ("place", "status", "words"),
    [
        ("GET /api/datasets", 403, "write access"),
        ("POST .*/commit/", 429, "pause"),
        ("POST .*/commit/", 503, "trouble"),
        ("POST /api/repos/create", 404, "ORG/NAME"),
    ],
)
def test_the_hubs_refusals_are_one_line(
    server: Any, publish: Callable[..., Any], place: str, status: int, words: str
) -> None:
    server.failures = {place: status}
    done = publish()
    [line] = [line for line in done.stderr.splitlines() if line.startswith("Error")]
    assert done.returncode == 1
    assert f"({status})" in line
    assert words in line
    assert "Traceback" not in done.stderr


def test_a_stranger_is_told_to_log_in(publish: Callable[..., Any]) -> None:
    done = publish(HF_TOKEN="hf_wrong")
    assert done.returncode == 1
    assert "hf auth login" in done.stderr
    assert "hf_wrong" not in done.stderr


def test_offline_keeps_the_folder(publish: Callable[..., Any], workspace: Workspace) -> None:
    for env in ({"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9"}):
        done = publish(**env)
        assert done.returncode == 1
        assert "cannot reach" in done.stderr
        assert "Traceback" not in done.stderr
        assert (workspace.release(NAME) / "README.md").exists()


def test_dry_run_sends_nothing(
    server: Any, publish: Callable[..., Any], workspace: Workspace
) -> None:
    assert publish("--dry-run").returncode == 0
    assert server.log == []
    assert (workspace.release(NAME) / "README.md").exists()
