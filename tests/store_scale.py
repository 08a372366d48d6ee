"""Time, disk and memory of a large vector store: ``python -m tests.store_scale 1000000``."""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from align import stores
from corpus.vectors import BATCH, VectorStore

DIM = 768  # LaBSE's


def seconds(function: Callable[[], object]) -> str:
    start = time.perf_counter()
    function()
    return f"{time.perf_counter() - start:.1f} s"


def main(n_texts: int) -> None:
    draw = np.random.default_rng(0)
    keys = [n.to_bytes(8, "big")[::-1] * 2 for n in draw.permutation(n_texts).tolist()]
    block = draw.normal(size=(BATCH, DIM)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        store = VectorStore(Path(folder) / "store")

        def fill() -> None:
            for begin in range(0, n_texts, BATCH):
                own = keys[begin : begin + BATCH]
                store.add(own, block[: len(own)])

        say = {"texts": n_texts, "fill": seconds(fill)}
        say["open"] = seconds(lambda: VectorStore(store.folder))
        few, some = keys[:: n_texts // 1000], keys[: n_texts // 10]
        say[f"get {len(few)} scattered"] = seconds(lambda: store.get(few))
        say[f"get {len(some)} in order"] = seconds(lambda: store.get(some))
        say["verify"] = seconds(lambda: [stores.damage(store, n) for n in store.numbers()])
        say["prune"] = seconds(lambda: stores.prune(store))
        say["disk"] = f"{sum(p.stat().st_size for p in store.folder.iterdir()) / 1e9:.2f} GB"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    sys.stdout.write(f"{say | {'peak memory': f'{peak:.2f} GiB'}}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
