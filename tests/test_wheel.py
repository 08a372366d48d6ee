"""The wheel works outside the checkout, without torch: the user's first session."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SESSION = [
    ("corpus", "init", "--contact", "you@example.org"),
    ("corpus", "crawl", "sample"),
    ("align", "sentences", "--threshold", "0.8"),
    ("distill", "run", "--no-reserved"),
    ("benchmarks", "run", "models/static"),
]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's content, and a torch that cannot be imported."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("corpus", "align", "distill", "benchmarks", "setup.cfg", "pyproject.toml"):
        (source / name).symlink_to(ROOT / name)
    for name in ("README.md", "LICENSE"):
        (source / name).symlink_to(ROOT / name)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(folder)]
    subprocess.run([*build, str(source)], check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    site = folder / "site"
    zipfile.ZipFile(wheel).extractall(site)
    (site / "torch.py").write_text("raise ImportError('torch is not installed')\n")
    return site


@pytest.mark.slow
def test_the_first_session(installed: Path, tmp_path: Path) -> None:
    env = os.environ | {"PYTHONPATH": str(installed)}
    told = []
    for package, *args in SESSION:
        code = (
            f"import {package}.cli as cli; assert cli.__file__.startswith({str(installed)!r});"
            "cli.main()"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, *args],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        told.append(done.stdout + done.stderr)
    assert "pages fetched" in told[1]
    assert "where --fdr 0.05 keeps" in told[2]  # the hint about the threshold
    assert "--threshold 0." in told[2]
    assert "models/static: trained on" in told[3]
    assert "static" in told[4]
