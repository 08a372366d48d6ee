"""The house's rules that a reader cannot see in one file."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BELOW = {
    "corpus": {"corpus"},
    "align": {"align", "corpus"},
    "distill": {"distill", "align", "corpus"},
    "benchmarks": {"benchmarks", "align", "corpus"},
}
MODULES = sorted(path for package in BELOW for path in (ROOT / package).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """Name every module that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_run_only_downwards(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    ours = {name.partition(".")[0] for name in imported(path)} & set(BELOW)
    assert ours <= BELOW[package]
    if package == "corpus":
        assert not {"torch", "faiss"} & {n.partition(".")[0] for n in imported(path)}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_pickle(path: Path) -> None:
    assert not {"pickle", "joblib", "dill", "shelve", "marshal"} & set(imported(path))


@pytest.mark.parametrize("command", sorted(BELOW))
def test_help_answers_at_once(command: str) -> None:
    """Heavy libraries would show as seconds: compare with the bare interpreter and click."""
    code = f"from {command}.cli import main; main(['--help'])"
    check = (
        f"import sys\ntry:\n  exec({code!r})\nfinally:\n"
        "  heavy = {'polars', 'numpy', 'scrapy', 'torch', 'trafilatura', 'scipy'}\n"
        "  assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


def test_files_stay_small() -> None:
    long = {
        str(p.relative_to(ROOT)): n for p in MODULES if (n := len(p.read_text().splitlines())) > 300
    }
    assert not long
