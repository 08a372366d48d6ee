"""The second run of the whole chain encodes nothing and writes nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from align.cli import main as align
from align.static import StaticEncoder
from corpus.cli import main as corpus
from distill.cli import main as distill


def session(root: Path, *cuts: str) -> None:
    for command, *args in (
        (corpus, "init", "--contact", "me@example.org"),
        (corpus, "crawl", "sample"),
        (align, "sentences", *cuts),
        (distill, "run", "--no-reserved"),
    ):
        done = CliRunner().invoke(command, [*args, "-w", str(root)])
        assert done.exit_code == 0, done.output


def files(root: Path) -> dict[str, str]:
    """Digest all files; of the frontier, SQLite's own counters move, so not its bytes."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file() and "frontier.sqlite" not in path.name
    }


@pytest.mark.slow
def test_the_second_run_does_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session(tmp_path)
    before = files(tmp_path)
    encoded: list[str] = []
    real = StaticEncoder.encode

    def watched(self: StaticEncoder, texts: Sequence[str]) -> NDArray[np.float32]:
        encoded.extend(texts)
        return real(self, texts)

    monkeypatch.setattr(StaticEncoder, "encode", watched)
    session(tmp_path)
    assert files(tmp_path) == before
    assert encoded == []
    done = CliRunner().invoke(align, ["sentences", "--threshold", "0.7", "-w", str(tmp_path)])
    assert done.exit_code == 0
    assert encoded == []
    changed = {name for name, digest in files(tmp_path).items() if before.get(name) != digest}
    assert {Path(name).parts[0] for name in changed} <= {"pairs", "runs"}
    assert {Path(name).parts[2] for name in changed if name.startswith("pairs")} == {
        "sentence_pairs"
    }
