"""The README says what works."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import click
import polars as pl
import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
# Not a command's own: what all commands take, and what all that run stages do.
SHARED = {"root", "verbose", "as_json", "only", "dry_run"}
COMMANDS = re.findall(r"^(corpus|align|distill|benchmarks) (\w+)", README, re.MULTILINE)


def test_the_first_lines_of_python_run() -> None:
    [code] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names: dict[str, object] = {}
    exec(code, names)
    pairs = names["pairs"]
    assert isinstance(pairs, pl.DataFrame)
    found = {(src[:4], tgt[:4]) for src, tgt in pairs.select("src", "tgt").iter_rows()}
    assert found == {("Eng ", "A ne"), ("Muer", "It w")}


@pytest.mark.parametrize(("group", "command"), sorted(set(COMMANDS)))
def test_documented_commands_exist(group: str, command: str) -> None:
    main = import_module(f"{group}.cli").main
    assert isinstance(main, click.Group)
    assert command in main.commands


def test_links_lead_to_files() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert links
    assert not [link for link in links if not (ROOT / link).exists()]


def test_every_command_has_at_most_ten_options_and_help() -> None:
    for group in ("corpus", "align", "distill", "benchmarks"):
        for name, command in import_module(f"{group}.cli").main.commands.items():
            options = [p for p in command.params if isinstance(p, click.Option)]
            assert command.help, name
            own = [p.name for p in options if p.name not in SHARED and not p.hidden]
            assert len(own) <= 10, name
            assert all(option.help or option.name == "file" for option in options), name
