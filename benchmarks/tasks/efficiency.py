"""Efficiency: what an encoder weighs, needs and encodes a second.

All encoders are timed in turn in one run, three times, and the least time of each counts:
machines are noisy. Static encoders keep the vectors of words that they met, so theirs is
the speed of a warm process. Peak memory is that of a process of its own which loads the
encoder and encodes the ordinary texts.
"""

from __future__ import annotations

import re
import resource
import subprocess
import sys
import time
from itertools import chain, cycle, islice
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from safetensors import safe_open

from align.encoders import load_encoder, model_folder
from benchmarks.results import Score
from corpus.errors import InputError
from corpus.files import folder_size
from corpus.sample.documents import load_documents

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.models import Once

NAME = "efficiency"
MAIN = "per_second"
ORDINARY = "ordinary"
WORDS = {"short": 5, ORDINARY: 20, "long": 100}
BATCHES = {1: 16, 32: 128, 256: 256}  # texts by batch
N_ROUNDS = 3
PEAK = "from benchmarks.tasks.efficiency import peak_memory as p; print(p({spec!r}))"


class Setting(NamedTuple):
    """What is timed: texts of a length in batches."""

    length: str
    batch: int

    def __str__(self) -> str:
        """Name it for tables."""
        return f"{self.length}, batch {self.batch}"


def texts(length: str, n: int = max(BATCHES.values())) -> list[str]:
    """Give n texts of a length in words, cut from the bundled newsroom's English stories."""
    lines = chain.from_iterable(each.lines.get("en", {}).values() for each in load_documents())
    words = cycle([word for line in lines for word in line.split()])
    return [" ".join(islice(words, WORDS[length])) for _ in range(n)]


def run(encoders: Sequence[Once]) -> dict[str, list[Score]]:
    """Measure all encoders in turn; scores by the encoder's name."""
    seconds: dict[tuple[str, Setting], list[float]] = {}
    settings = [Setting(length, batch) for length in WORDS for batch in BATCHES]
    for setting in settings:
        batches = list(_batches(setting))
        for encoder in list(encoders) * N_ROUNDS:
            encoder.inner.encode(batches[0])
            start = time.perf_counter()
            for batch in batches:
                encoder.inner.encode(batch)
            taken = time.perf_counter() - start
            seconds.setdefault((encoder.name, setting), []).append(taken)
    return {
        each.name: [
            *(_speed(setting, min(seconds[each.name, setting])) for setting in settings),
            Score("size", _size(each)),
        ]
        for each in encoders
    }


def _batches(setting: Setting) -> Iterator[list[str]]:
    all_ = texts(setting.length, BATCHES[setting.batch])
    for start in range(0, len(all_), setting.batch):
        yield all_[start : start + setting.batch]


def _speed(setting: Setting, seconds: float) -> Score:
    n = BATCHES[setting.batch]
    values = {MAIN: n / seconds, "milliseconds": 1000 * seconds * setting.batch / n}
    return Score(str(setting), values)


def _size(encoder: Once) -> dict[str, float | None]:
    """Give parameters in millions, disk and memory in megabytes."""
    megabytes = float(_apart(PEAK.format(spec=encoder.spec)))
    if encoder.spec == "random" or encoder.spec.startswith("openai:"):  # nothing lies here
        return {"parameters_m": 0.0, "disk_mb": 0.0, "memory_mb": megabytes}
    folder = model_folder(encoder.spec)
    return {
        "parameters_m": sum(map(_parameters, folder.rglob("*.safetensors"))) / 1e6,
        "disk_mb": folder_size(folder) / 1e6,
        "memory_mb": megabytes,
    }


def _parameters(path: Path) -> int:
    """Count the numbers in a safetensors file."""
    with safe_open(path, "numpy") as file:
        return sum(prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118 - no dict


def peak_memory(spec: str) -> float:
    """Load an encoder, encode the ordinary texts, give this process's peak in megabytes."""
    if spec != "random":
        load_encoder(spec).encode(texts(ORDINARY))
    return peak_mb()


def peak_mb() -> float:
    """Give the peak memory of this process, or of a larger one that it waited for, in megabytes.

    Linux counts a parent's memory in what getrusage tells its child, but not in VmHWM.
    """
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    status = Path("/proc/self/status")
    if status.exists():
        found = re.search(r"^VmHWM:\s*(\d+) kB$", status.read_text(), re.MULTILINE)
        own = int(found[1]) if found else own
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) * 1024 / 1e6


def _apart(code: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        raise InputError(f"the process that measures memory failed: {last}")
    return done.stdout.split()[-1]
