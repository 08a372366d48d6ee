from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from corpus.errors import InputError
from corpus.release import make_release
from corpus.release.hub import publish as publish_folder
from tests import hub_server
from tests.release_room import NAME, make_workspace, put_pairs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from corpus.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path / "ws")


@pytest.mark.parametrize("name", ["..", "../x", "a/b/c", "", "a b", "/etc", "org/..", "org/x..y"])
def test_a_name_never_leads_out_of_the_releases(workspace: Workspace, name: str) -> None:
    before = sorted(workspace.root.rglob("*"))
    for act in (make_release, lambda ws, name: publish_folder(ws.root, name)):
        with pytest.raises(InputError, match="give ORG/NAME"):
            act(workspace, name)
    assert sorted(workspace.root.rglob("*")) == before


@pytest.fixture
def server() -> Iterator[Any]:
    with hub_server.HubServer() as running:
        yield running


def hub_settings(server: Any, tmp_path: Path) -> dict[str, str]:
    return {
        "HF_ENDPOINT": server.url, "HF_HUB_DISABLE_XET": "1", "HF_HOME": str(tmp_path / "hf"),
        "HF_TOKEN": hub_server.TOKEN, "HF_HUB_DISABLE_TELEMETRY": "1",
    }  # fmt: skip


@pytest.fixture
def publish(server: Any, workspace: Workspace, tmp_path: Path) -> Callable[..., Any]:
    """Run ``corpus publish`` in a process of its own: the client reads its settings once."""

    def run(*options: str, **env: str) -> subprocess.CompletedProcess[str]:
        code = "from corpus.cli import main; main()"
        words = ["publish", NAME, "-w", str(workspace.root), "-v", *options]
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            env={**os.environ, **hub_settings(server, tmp_path), **env},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert hub_server.TOKEN not in done.stdout + done.stderr
        return done

    return run


@pytest.mark.slow
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


@pytest.mark.slow
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
    languages = [n for n in server.repos[NAME].files if n.startswith(("data/lb", "plots/"))]
    assert sorted(languages) == ["data/lb-en/train-2026.parquet", "plots/lb-en.png"]


@pytest.mark.train
def test_what_was_published_is_read_back(
    server: Any, publish: Callable[..., Any], workspace: Workspace, tmp_path: Path
) -> None:
    publish()
    load = f"datasets.load_dataset({NAME!r}, split='train', "
    code = (
        "import datasets, json, sys\n"
        f"rows = {load} name='lb-en')\n"
        f"lazy = {load} name='sentences', streaming=True)\n"
        "json.dump([list(rows['tgt_text']), [row['text'] for row in lazy]], sys.stdout)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **hub_settings(server, tmp_path)},
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    texts, sentences = json.loads(done.stdout)
    assert texts == ["Hello 0\nworld", "Hello 1\nworld"]
    assert len(sentences) == 6


@pytest.mark.slow
def test_a_lost_answer_makes_no_second_commit(server: Any, publish: Callable[..., Any]) -> None:
    server.lose_answers = 1
    done = publish()
    assert done.returncode == 0, done.stderr
    assert len(server.repos[NAME].commits) == 2
    assert server.repos[NAME].commits[-1] in done.stdout


def test_an_upload_by_xet_is_one_commit_too(server: Any, publish: Callable[..., Any]) -> None:
    server.xet = True
    done = publish(HF_HUB_DISABLE_XET="0")
    assert done.returncode == 0, done.stderr
    assert len(server.repos[NAME].commits) == 2
    assert any("/v1/xorbs/" in path for _, path in server.log)
    assert not any(path.startswith("/lfs/") for _, path in server.log)


@pytest.mark.slow
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


@pytest.mark.slow
def test_what_somebody_else_has_just_pushed_is_not_overwritten(
    server: Any, publish: Callable[..., Any]
) -> None:
    server.meanwhile = lambda repo: repo.commits.append("f" * 40)
    done = publish()
    assert done.returncode == 1
    assert "(412)" in done.stderr
    assert server.repos[NAME].commits[1:] == ["f" * 40]


@pytest.mark.slow
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


@pytest.mark.slow
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
