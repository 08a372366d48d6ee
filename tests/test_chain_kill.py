"""``kill -9`` at random moments of the whole chain: the end is that of a quiet run."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.equal import assert_equal

CHAIN = """
from corpus.cli import main as corpus
from align.cli import main as align
from distill.cli import main as distill
for command, *args in (
    (corpus, "init", "--contact", "me@example.org"),
    (corpus, "crawl", "sample"),
    (align, "sentences"),
    (distill, "run", "--no-reserved"),
):
    try:
        command(args)
    except SystemExit as end:
        if end.code:
            raise
"""
N_KILLS = 20
KILLS_EACH = 4


def start(folder: Path) -> subprocess.Popen[bytes]:
    log = (folder / "log").open("ab")
    return subprocess.Popen(
        [sys.executable, "-c", CHAIN], cwd=folder, stdout=log, stderr=log, start_new_session=True
    )


def finish(folder: Path) -> float:
    began = time.monotonic()
    assert start(folder).wait() == 0, (folder / "log").read_text()[-2000:]
    return time.monotonic() - began


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_kills_anywhere_change_nothing(tmp_path: Path) -> None:
    quiet = tmp_path / "quiet"
    quiet.mkdir()
    seconds = finish(quiet)
    draw = random.Random(7)
    for n in range(N_KILLS // KILLS_EACH):
        folder = tmp_path / f"killed{n}"
        folder.mkdir()
        for _ in range(KILLS_EACH):
            chain = start(folder)
            time.sleep(draw.uniform(0.5, seconds))
            os.killpg(chain.pid, signal.SIGKILL)
            chain.wait()
        finish(folder)
        assert_equal(quiet, folder)
