"""Mining whole collections: neighbours of both sides, ratio margin, one to one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from align import approximate
from align import margin as margins
from align.lexical import mix
from align.neighbours import Embedded, Neighbours, nearest, pair_scores

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from align.encoders import Encoder

RECALL = 0.99  # least share of true neighbours that an approximate search must find
EXACT = 2.5e11  # pairs up to which every one is scored: a quarter of an hour on a laptop


@dataclass(frozen=True, slots=True)
class Mined:
    """Pairs of two collections.

    Attributes:
        pairs: positions of source and target [n, 2], best margin first.
        sim: cosines [n], float64 from vectors as stored, rounded as all scores here.
        lexical: lexical scores [n].
        margin: ratio margins [n].
    """

    pairs: NDArray[np.intp]
    sim: NDArray[np.float64]
    lexical: NDArray[np.float64]
    margin: NDArray[np.float64]

    def frame(self, src: Sequence[str], tgt: Sequence[str]) -> pl.DataFrame:
        """Give the texts (src, tgt) with their scores."""
        texts = {
            "src": [src[i] for i in self.pairs[:, 0]],
            "tgt": [tgt[j] for j in self.pairs[:, 1]],
        }
        scores = {name: getattr(self, name) for name in ("sim", "lexical", "margin")}
        return pl.DataFrame(texts | scores, schema_overrides={"src": pl.String, "tgt": pl.String})


def embed_texts(texts: Sequence[str], encoder: Encoder, weight: float | None = None) -> Embedded:
    """Encode texts, with n-grams where they have a weight (the encoder's by default)."""
    weight = encoder.lexical_weight if weight is None else weight
    return Embedded(encoder.encode(texts), encoder.lexical.vectors(texts) if weight else None)


def mine(
    src: Sequence[str], tgt: Sequence[str], encoder: Encoder, margin: float = 1.0
) -> pl.DataFrame:
    """Find mutual best pairs of two lists; see `align.mine`."""
    sides = embed_texts(src, encoder), embed_texts(tgt, encoder)
    return mine_vectors(*sides, encoder.lexical_weight, margin=margin).frame(src, tgt)


def mine_vectors(
    src: Embedded,
    tgt: Embedded,
    weight: float = 0.0,
    *,
    margin: float = 0.0,
    recall: float = RECALL,
    greedy: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Mined:
    """Pair two collections one to one by ratio margin (k = 4).

    Args:
        src: source texts.
        tgt: target texts.
        weight: weight of the lexical score.
        margin: least ratio margin of a pair.
        recall: see `search`.
        greedy: see `match`.
        say: takes a line on how the neighbours were found.
    """
    if not len(src) or not len(tgt):
        return Mined(np.zeros((0, 2), np.intp), *np.zeros((3, 0)))
    forward, backward = search(src, tgt, weight, recall, say)
    pairs = match(forward, backward, greedy=greedy)
    sim, lexical = pair_scores(src, tgt, pairs)
    score = mix(sim, lexical, weight)
    value = margins.ratio(score, forward.mean[pairs[:, 0]], backward.mean[pairs[:, 1]])
    sim, lexical, value = np.stack([sim, lexical, value]).round(margins.DECIMALS)
    order = np.lexsort((pairs[:, 1], pairs[:, 0], -value))
    order = order[value[order] >= margin]
    return Mined(pairs[order], sim[order], lexical[order], value[order])


def search(
    src: Embedded,
    tgt: Embedded,
    weight: float = 0.0,
    recall: float = RECALL,
    say: Callable[[str], None] = lambda line: None,
) -> tuple[Neighbours, Neighbours]:
    """Find the neighbours of both sides: exactly, or of large collections by FAISS IVF.

    Args:
        src: source texts.
        tgt: target texts.
        weight: weight of the lexical score.
        recall: least share of the true neighbours to find, measured on a sample;
            1 searches exactly whatever the size.
        say: takes a line on the way and the memory it takes.
    """
    if recall < 1 and len(src) * len(tgt) > EXACT:
        found = approximate.nearest(src, tgt, margins.K, weight, recall, say)
        if found is not None:
            return found
    dense = (src.vectors.nbytes + tgt.vectors.nbytes) / 1e6
    say(
        f"exact search of {len(src):,} x {len(tgt):,} sentences in blocks: "
        f"about {1.5 * dense + 350:,.0f} MB, of which vectors {dense:,.0f} MB"
    )
    return nearest(src, tgt, margins.K, weight)


def match(forward: Neighbours, backward: Neighbours, *, greedy: bool = False) -> NDArray[np.intp]:
    """Pair rows one to one by margin among their neighbours, ties to the smaller position.

    Args:
        forward: the neighbours of each source.
        backward: the neighbours of each target.
        greedy: take the best target of each source and the best source of each target,
            best first, each row once ("max" in LASER). By default both must agree.

    Returns:
        Positions of source and target [n, 2].
    """
    tgt, tgt_margin = _best(forward, backward.mean)
    src, src_margin = _best(backward, forward.mean)
    rows, columns = np.arange(len(tgt)), np.arange(len(src))
    if not greedy:
        mutual = src[tgt] == rows
        return np.stack([rows[mutual], tgt[mutual]], axis=1)
    pairs = np.concatenate([np.stack([rows, tgt], 1), np.stack([src, columns], 1)])
    order = np.lexsort((pairs[:, 1], pairs[:, 0], -np.concatenate([tgt_margin, src_margin])))
    seen_src, seen_tgt, chosen = set[int](), set[int](), list[tuple[int, int]]()
    for row, column in pairs[order].tolist():
        if row not in seen_src and column not in seen_tgt:
            seen_src.add(row)
            seen_tgt.add(column)
            chosen.append((row, column))
    return np.array(chosen, np.intp).reshape(-1, 2)


def _best(
    neighbours: Neighbours, other_mean: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.floating]]:
    """Choose each row's neighbour of the highest margin."""
    margin = margins.ratio(neighbours.score, neighbours.mean[:, None], other_mean[neighbours.at])
    rows, at = np.arange(len(margin)), margin.argmax(axis=1)
    return neighbours.at[rows, at], margin[rows, at]
