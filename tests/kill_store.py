"""``kill -9`` of two writers of one vector store: ``python -m tests.kill_store --kills 30``.

Two processes encode texts of their own and common ones into one store until both are
killed at a random moment, again and again; what each had encoded and did not leave in
the store is counted. Whenever all texts are there, the store has to give what the encoder
gives, every shard has to be whole, and the next round begins with an empty store.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from align import stores
from corpus.tables import text_key
from corpus.vectors import BATCH, VectorStore, encode_once

WRITER = "import sys; from tests.kill_store import write; write(*sys.argv[1:])"
SHARDS = 3  # of each writer's own, and common ones
ROOT = Path(__file__).parents[1]


class Slow:
    """Encodes a text by its digest; takes its time, and counts in a file what it was asked."""

    name, key, dim = "slow", "slow v1", 32

    def __init__(self, asked: Path) -> None:
        self.asked = asked

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        with self.asked.open("a") as file:
            file.write("".join(f"{text}\n" for text in texts))
        time.sleep(0.02)
        digests = b"".join(hashlib.sha256(text.encode()).digest() for text in texts)
        return np.frombuffer(digests, np.uint8).reshape(-1, self.dim).astype(np.float32) / 256


def texts_of(writer: str) -> list[str]:
    """Give a writer's own texts and the common ones, in an order of its own."""
    texts = [f"{name} {n}" for name in (writer, "common") for n in range(SHARDS * BATCH)]
    random.Random(writer).shuffle(texts)
    return texts


def write(folder: str, writer: str) -> None:
    """Encode a writer's texts; what is there already is not asked for."""
    texts = texts_of(writer)
    encoder = Slow(Path(folder) / f"{writer}.asked")
    encode_once(VectorStore(Path(folder) / "store"), encoder, texts, [text_key(t) for t in texts])


def prove(folder: Path, n_kills: int, seed: int = 7) -> dict[str, int]:
    """Kill both writers so many times.

    Returns:
        Rounds that were finished, and the most texts that one kill cost one writer.
    """
    draw, n_rounds, worst, done = random.Random(seed), 0, 0, 0
    while done < n_kills:
        n_rounds += 1
        here = folder / f"round{n_rounds}"
        here.mkdir()
        while done < n_kills and not _finished(here, draw.uniform(0.1, 0.7)):
            done += 1
            worst = max(worst, *(_lost(here, writer) for writer in "ab"))
        _finished(here, 600)
        _check(here)
    return {"kills": done, "rounds": n_rounds, "most_lost": worst, "shard": BATCH}


def _finished(here: Path, seconds: float) -> bool:
    """Run both writers for a time from their first work on; tell whether they came to their end."""
    for asked in here.glob("*.asked"):
        asked.unlink()
    command = [sys.executable, "-c", WRITER, str(here)]
    writers = [subprocess.Popen([*command, name], cwd=ROOT) for name in "ab"]
    while not all(
        w.poll() is not None or (here / f"{n}.asked").exists()
        for w, n in zip(writers, "ab", strict=True)
    ):
        time.sleep(0.01)
    end = time.monotonic() + seconds
    while time.monotonic() < end and any(w.poll() is None for w in writers):
        time.sleep(0.005)
    for writer in writers:
        writer.send_signal(signal.SIGKILL)
    return [writer.wait() for writer in writers] == [0, 0]


def _lost(here: Path, writer: str) -> int:
    """Count what a writer encoded in its last run and no writer left in the store."""
    path = here / f"{writer}.asked"
    asked = path.read_text().splitlines() if path.exists() else []
    return int((~VectorStore(here / "store").get([text_key(text) for text in asked])[1]).sum())


def _check(here: Path) -> None:
    store = VectorStore(here / "store")
    texts = sorted({text for writer in "ab" for text in texts_of(writer)})
    vectors, found = store.get([text_key(text) for text in texts])
    assert found.all()
    assert len(store) == len(texts)
    assert not [why for n in store.numbers() if (why := stores.damage(store, n))]
    expected = Slow(here / "checked").encode(texts).astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(vectors, expected)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    with tempfile.TemporaryDirectory() as folder:
        result = prove(Path(folder), parser.parse_args().kills)
    sys.stdout.write(f"{result}\n")
    sys.exit(result["most_lost"] > BATCH)
