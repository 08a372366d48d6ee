"""Approximate neighbours of very large collections: FAISS IVF behind a recall gate.

An inverted file compares a row only with the cells nearest to it. How many true
neighbours that finds depends on the vectors: on a sample it is measured against the
exact search, and the number of cells is raised until it is enough.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from align import neighbours as exact
from align.lexical import mix
from align.products import import_faiss

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from align.neighbours import Embedded, Neighbours

SAMPLE = 500  # rows a side whose true neighbours are known
MOST_CELLS = 65_536
FIRST_PROBES = 8
MOST_PROBES = 0.25  # of the cells: past it exact blocks are as fast
SPARE = 4  # times k: neighbours by cosine that the mixed score chooses from
BATCH = 16_384  # rows searched at once


def nearest(
    src: Embedded,
    tgt: Embedded,
    k: int,
    weight: float,
    recall: float,
    say: Callable[[str], None],
) -> tuple[Neighbours, Neighbours] | None:
    """Find the k nearest of each row of both sides, nearly all of them.

    Args:
        src: source texts.
        tgt: target texts.
        k: neighbours a row.
        weight: weight of the lexical score.
        recall: least share of the true neighbours that the sample must find.
        say: takes a line on what was reached.

    Returns:
        The neighbours of both sides; None where the recall is out of reach, which is said.

    Raises:
        MissingExtraError: FAISS is not installed.
    """
    forward = _one_way(src, tgt, k, weight, recall, say)
    backward = None if forward is None else _one_way(tgt, src, k, weight, recall, say)
    return None if forward is None or backward is None else (forward, backward)


def _one_way(
    src: Embedded,
    tgt: Embedded,
    k: int,
    weight: float,
    recall: float,
    say: Callable[[str], None],
) -> Neighbours | None:
    sample = np.unique(np.linspace(0, len(src) - 1, SAMPLE).astype(np.intp))
    truth = exact.nearest_targets(src.rows(sample), tgt, k, weight)
    index = _build(tgt.vectors)
    probes = min(FIRST_PROBES, index.nlist)
    while True:
        index.nprobe = probes
        found = _search(index, src.rows(sample), tgt, k, weight)
        reached = float((found.at[:, :, None] == truth.at[:, None, :]).any(axis=1).mean())
        line = (
            f"IVF with {probes} of {index.nlist} cells: recall {reached:.3f} on {len(sample)} rows"
        )
        if reached >= recall:
            say(f"{line}; index and vectors take {2 * tgt.vectors.nbytes / 1e6:,.0f} MB")
            return _search(index, src, tgt, k, weight)
        if 2 * probes > MOST_PROBES * index.nlist:
            say(f"{line}, {recall:g} was asked for: going on with the exact search")
            return None
        say(f"{line}, {recall:g} was asked for: taking twice the cells")
        probes *= 2


def _build(vectors: NDArray[np.float32]) -> Any:  # noqa: ANN401 - an index of FAISS
    """Sort vectors [n, dim] into cells, about four square roots of their number."""
    faiss = import_faiss()
    n, dim = vectors.shape
    n_cells = int(np.clip(4 * np.sqrt(n), 1, min(MOST_CELLS, max(1, n // 39))))
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, n_cells, faiss.METRIC_INNER_PRODUCT)
    index.cp.seed = 1
    index.train(vectors[:: max(1, n // (64 * n_cells))])
    index.add(vectors)
    return index


def _search(
    index: Any,  # noqa: ANN401 - an index of FAISS
    src: Embedded,
    tgt: Embedded,
    k: int,
    weight: float,
) -> Neighbours:
    """Take neighbours by cosine from an index, and of these the k best by mixed score."""
    k, parts = min(k, len(tgt)), []
    for start in range(0, len(src), BATCH):
        some = src.rows(slice(start, start + BATCH))
        at = index.search(some.vectors, min(SPARE * k, len(tgt)) if weight else k)[1]
        row = np.repeat(np.arange(len(some)), at.shape[1])
        pairs = np.stack([row, np.maximum(at.ravel(), 0)], axis=1)
        score = mix(*exact.pair_scores(some, tgt, pairs), weight)
        score[at.ravel() < 0] = 0  # the cells held fewer rows than were asked for
        parts.append(exact.best(pairs, score, len(some), k))
    return exact.Neighbours(
        np.concatenate([part.score for part in parts]), np.concatenate([part.at for part in parts])
    )
