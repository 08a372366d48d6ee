"""Fixtures that every test file shares."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("no clock", deadline=None)  # a busy machine fails no test
settings.load_profile("no clock")

SHARED = Path(__file__).parents[2] / "shared"
# At the end of a process's code: its peak memory in MB, as the last word that it prints.
PEAK = "from benchmarks.tasks.efficiency import peak_mb; print(round(peak_mb()))"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the checkout."""
    if not (SHARED / "data").is_dir():
        pytest.skip("no data folder beside the checkout (../shared/data)")
    return SHARED / "data"


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A chromium without a window."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip("no chromium on this machine (apt-get install chromium)")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    flags = ["--no-sandbox", "--disable-dev-shm-usage"]
    with api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=flags)
        yield found
        found.close()
