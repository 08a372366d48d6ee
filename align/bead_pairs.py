"""Beads inside the article pairs: `align sentences --method beads`.

A bead's ids are its sentences' ids with a space between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from align import margin as margins
from align.beads import align, is_bead, score
from align.spans import Spans, mixed
from corpus.vectors import encode_once, open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from align.beads import Means
    from align.collection import Collection
    from align.encoders import Encoder
    from align.spans import Ints
    from corpus.workspace import Workspace

RUNNER_UP = "runner_up"  # method of a candidate that only tells how sure the bead is


def spans(
    workspace: Workspace,
    encoder: Encoder,
    collection: Collection,
    weight: float,
    progress: Callable[[int, int], None],
) -> Spans:
    """Give the runs of all articles of a collection, encoding only new ones."""
    store = open_store(workspace, encoder)

    def embed(runs: Sequence[str]) -> NDArray[np.float32]:
        return encode_once(store, encoder, runs, progress=progress)[0]

    texts = collection.sentences["text"].to_list()
    return Spans.of(texts, embed, encoder.lexical if weight else None, collection.starts)


def candidates(
    sides: tuple[Spans, Spans],
    ids: tuple[Sequence[str], Sequence[str]],
    pairs: Iterable[tuple[slice, slice]],
    means: Means | None,
    weight: float,
) -> pl.DataFrame:
    """Align article pairs; a bead and its runner-up are rows of the same source.

    Args:
        sides: runs of all articles.
        ids: their sentences' ids.
        pairs: rows of the sentences of each article pair.
        means: mean score of each run's neighbourhood; without it there is no margin.
        weight: weight of the lexical score.

    Returns:
        src and tgt (first rows), src_id, tgt_id, sim, lexical, margin, method.
    """
    frames = [_candidates(sides, ids, rows, means, weight) for rows in pairs]
    return pl.concat(frames) if frames else _frame(np.zeros((0, 4), np.intp), ids, "", None)


def _candidates(
    sides: tuple[Spans, Spans],
    ids: tuple[Sequence[str], Sequence[str]],
    rows: tuple[slice, slice],
    means: Means | None,
    weight: float,
) -> pl.DataFrame:
    src, tgt = (side.document(at) for side, at in zip(sides, rows, strict=True))
    own = means and (means[0][:, rows[0]], means[1][:, rows[1]])
    steps, around = align(src, tgt, weight, own)
    beads = steps[is_bead(steps)]
    found = {"beads": beads, RUNNER_UP: runners_up(src, tgt, beads, weight, around)}
    offsets = np.repeat([rows[0].start, rows[1].start], 2)
    frames = []
    for method, these in found.items():
        scores = score(src, tgt, these, weight, around)
        if means is None:
            scores = scores.with_columns(pl.lit(None, pl.Float64).alias("margin"))
        frames.append(_frame(these + offsets, ids, method, scores))
    return pl.concat(frames)


def runners_up(src: Spans, tgt: Spans, beads: Ints, weight: float, means: Means) -> Ints:
    """Find each bead's best other target run of its length, without competition.

    Returns:
        The same sources with these targets [m, 4]; none where the target has no other run.
    """
    if not len(beads):
        return beads
    n, at = beads[:, 1] - beads[:, 0], beads[:, 1] - 1
    sizes = np.repeat(np.arange(1, tgt.size + 1), len(tgt))
    ends = np.tile(np.arange(len(tgt)), tgt.size)
    around = means[0][n - 1, at][:, None], means[1].ravel()[None]
    margin = margins.ratio(mixed(src.rows(n, at), tgt.rows(sizes, ends), weight), *around)
    first = ends - sizes + 1
    taken = (first < beads[:, 3:]) & (ends >= beads[:, 2:3])
    alike = sizes == beads[:, 3:] - beads[:, 2:3]
    margin = np.where(alike & ~taken & (first >= 0), margin, -np.inf)
    best = margin.argmax(axis=1)
    others = np.column_stack([beads[:, :2], first[best], ends[best] + 1])
    kept: Ints = others[np.isfinite(margin.max(axis=1))]
    return kept


def _frame(
    beads: Ints,
    ids: tuple[Sequence[str], Sequence[str]],
    method: str,
    scores: pl.DataFrame | None,
) -> pl.DataFrame:
    joined = [
        [" ".join(names[begin:end]) for begin, end in beads[:, side : side + 2].tolist()]
        for names, side in ((ids[0], 0), (ids[1], 2))
    ]
    frame = pl.DataFrame(
        {"src": beads[:, 0], "tgt": beads[:, 2], "src_id": joined[0], "tgt_id": joined[1]},
        schema_overrides={"src_id": pl.String, "tgt_id": pl.String},
    )
    empty = {name: pl.lit(None, pl.Float64) for name in ("sim", "lexical", "margin")}
    values = scores if scores is not None else frame.select(**empty)
    return pl.concat([frame, values], how="horizontal").with_columns(pl.lit(method).alias("method"))
