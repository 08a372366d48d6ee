from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from corpus.console import Console, Group, common
from corpus.errors import InputError
from corpus.workspace import FILE, Workspace


@click.group("toy", cls=Group)
def toy() -> None:
    """A command like the four."""


@toy.command()
@click.option("--size", default=1)
@click.option("--how", default="")
@click.option("--all", "everything", is_flag=True)
@click.option("--pair", "langs", multiple=True)
@common
def work(console: Console, size: int, how: str, everything: bool, langs: tuple[str, ...]) -> None:
    if how == "error":
        raise InputError("got 3 columns, 2 are allowed; name them with --columns")
    if how == "interrupt":
        raise KeyboardInterrupt
    console.say("a note")
    console.table("Sizes", ("name", "n"), [("x", size), ("y", 0.12345)])
    console.emit({"size": size} | ({"all": langs} if everything else {}))


def run(*args: str) -> Result:
    return CliRunner().invoke(toy, ["work", *args])


def test_results_and_notes_are_apart() -> None:
    result = run("--size", "7")
    assert result.exit_code == 0
    assert "a note" in result.stderr
    assert "7" in result.stdout
    assert "0.123" in result.stdout


def test_json_is_all_of_stdout() -> None:
    assert json.loads(run("--json").stdout) == {"size": 1}


@pytest.mark.parametrize(("how", "code"), [("error", 1), ("interrupt", 130)])
def test_exit_codes(how: str, code: int) -> None:
    result = run("--how", how)
    assert result.exit_code == code
    assert len(result.stderr.splitlines()) == 1
    assert run("--nonsense").exit_code == 2


def test_defaults_come_from_the_workspace(tmp_path: Path) -> None:
    Workspace.create(tmp_path, "me@example.org")
    with (tmp_path / FILE).open("a") as file:
        file.write("[toy.work]\nsize = 5\n")
    assert json.loads(run("--json", "-w", str(tmp_path)).stdout) == {"size": 5}
    assert json.loads(run("--json", f"--workspace={tmp_path}", "--size", "6").stdout)["size"] == 6


def test_an_unknown_default_is_named(tmp_path: Path) -> None:
    Workspace.create(tmp_path, "me@example.org")
    with (tmp_path / FILE).open("a") as file:
        file.write("[toy.work]\nsizes = 5\n")
    result = run("-w", str(tmp_path))
    assert result.exit_code == 1
    assert "[toy.work] has no option 'sizes'; did you mean 'size'?" in result.stderr


def test_defaults_bear_the_names_of_the_options(tmp_path: Path) -> None:
    Workspace.create(tmp_path, "me@example.org")
    with (tmp_path / FILE).open("a") as file:
        file.write('[toy.work]\nall = true\npair = "lb-en"\n')
    for where in (f"-w{tmp_path}", f"-vw{tmp_path}"):
        assert json.loads(run("--json", where).stdout) == {"size": 1, "all": ["lb-en"]}
    (tmp_path / FILE).write_text('format = 1\n[toy.work]\neverything = true\nlangs = ["a"]\n')
    assert json.loads(run("--json", f"-w{tmp_path}").stdout) == {"size": 1, "all": ["a"]}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("toy = 3", "'toy' is no table; write [toy.work]"),
        ("[toy]\nwork = 3", "'work' is no table; write [toy.work]"),
        ("[toy.wrok]\nsize = 3", "no command is called 'wrok'; did you mean 'work'?"),
        ("[algin.sentences]\nk = 3", "no command is called 'algin'; did you mean 'align'?"),
    ],
)
def test_a_table_of_no_command_is_named(tmp_path: Path, line: str, says: str) -> None:
    (tmp_path / FILE).write_text(f"format = 1\n{line}\n")
    result = run("-w", str(tmp_path))
    assert result.exit_code == 1
    assert result.stderr == f"Error: {FILE}: {says}" + (
        " and OPTION = VALUE\n" if "table" in says else "\n"
    )
