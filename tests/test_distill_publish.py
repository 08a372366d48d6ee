"""A model goes to the Hub in one commit, with its card and nothing pickled."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from corpus.errors import InputError
from distill.publish import publish
from tests import hub_server

if TYPE_CHECKING:
    from pathlib import Path

NAME = "org/model"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    made.mkdir()
    for name, content in (
        ("model.safetensors", b"w" * 99),
        ("README.md", b"# m"),
        ("a.json", b"{}"),
    ):
        (made / name).write_bytes(content)
    return made


@pytest.mark.slow
def test_one_commit_and_again_none(folder: Path, tmp_path: Path) -> None:
    with hub_server.HubServer() as server:
        env = {
            **os.environ, "HF_ENDPOINT": server.url, "HF_HUB_DISABLE_XET": "1",
            "HF_HOME": str(tmp_path / "hf"), "HF_TOKEN": hub_server.TOKEN,
        }  # fmt: skip
        code = "from distill.cli import main; main()"
        for said in ("(commit ", "nothing new"):
            done = subprocess.run(
                [sys.executable, "-c", code, "publish", NAME, str(folder)],
                env=env, capture_output=True, text=True, timeout=120, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            assert f"published: {server.url}/{NAME} " in done.stdout
            assert said in done.stdout
            assert hub_server.TOKEN not in done.stdout + done.stderr
        repo = server.repos[NAME]
        assert len(repo.commits) == 2  # the one that made it, and ours
        assert repo.private
        for path in folder.iterdir():
            assert repo.files[path.name] == path.read_bytes()


def test_what_is_no_model_stays_here(folder: Path) -> None:
    (folder / "old.bin").write_bytes(b"\x80")
    with pytest.raises(InputError, match=r"old\.bin: pickled files are not published"):
        publish(folder, NAME, private=True)
    (folder / "old.bin").unlink()
    with pytest.raises(InputError, match="no name for a model"):
        publish(folder, "a/b/c", private=True)
    (folder / "README.md").unlink()
    with pytest.raises(InputError, match="goes up with its card"):
        publish(folder, NAME, private=True)
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match="holds no model"):
        publish(folder, NAME, private=True)
