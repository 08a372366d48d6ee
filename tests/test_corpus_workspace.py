from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from corpus.errors import InputError, WorkspaceError
from corpus.workspace import FILE, Workspace


def test_create_writes_defaults_once(tmp_path: Path) -> None:
    Workspace.create(tmp_path, "me@example.org")
    text = (tmp_path / FILE).read_text()
    assert '# encoder = "sentence-transformers/LaBSE"' in text
    (tmp_path / FILE).write_text(text + "# mine\n")
    workspace = Workspace.create(tmp_path, "other@example.org")
    assert workspace.contact == "me@example.org"
    assert (tmp_path / FILE).read_text().endswith("# mine\n")


@pytest.mark.parametrize("contact", ["", "me", 'a@b"\nx=1'])
def test_contact_must_reach_someone(tmp_path: Path, contact: str) -> None:
    with pytest.raises(InputError, match=r"--contact you@example\.org"):
        Workspace.create(tmp_path, contact)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "make one with corpus init"),
        ("format = 2", "of format 2, this Bitextile reads 1; update it"),
        ("format = ", "cannot read"),
        ("", "of format None"),
    ],
)
def test_open_says_what_is_wrong(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / FILE).write_text(text)
    with pytest.raises(WorkspaceError, match=message):
        Workspace.open(tmp_path)


def test_a_lock_names_its_holder_and_ends_with_it(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path, "me@example.org")
    script = (
        "import sys,time; from corpus.workspace import Workspace\n"
        f"with Workspace.open({str(tmp_path)!r}).lock('extract'):\n"
        " print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    with (
        pytest.raises(WorkspaceError, match=f"in use by process {holder.pid}"),
        workspace.lock("extract", wait=False),
    ):
        pass
    with workspace.lock("segment"):
        pass
    holder.kill()
    holder.wait()
    with workspace.lock("extract"):
        pass


def test_a_contact_is_read_back_as_it_was_given(tmp_path: Path) -> None:
    for n, contact in enumerate((r"a@b\c", 'say "x" <é@b.example>')):
        assert Workspace.create(tmp_path / str(n), contact).contact == contact


def test_a_place_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for root in (file, file / "below"):
        with pytest.raises(WorkspaceError, match=r"cannot make a workspace in .*--workspace"):
            Workspace.create(root, "me@example.org")
    workspace = Workspace.create(tmp_path, "me@example.org")
    (tmp_path / ".locks").touch()
    with (
        pytest.raises(WorkspaceError, match=r"cannot write in the workspace .*the permissions"),
        workspace.lock("extract"),
    ):
        pass
