"""The margin: how much a pair stands out from both neighbourhoods.

Artetxe and Schwenk, "Margin-based parallel corpus mining with multilingual
sentence embeddings" (ACL 2019). It takes similarities, never distances, so that
an ambiguous pair scores below a clear one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

K = 4  # neighbours a margin is taken over, as in the paper
DECIMALS = 5  # scores are rounded, so that equal inputs give equal tables

_SMALL = 1e-6  # below it a neighbourhood is empty of meaning (zero vectors)


def ratio(
    score: NDArray[np.floating], src_mean: NDArray[np.floating], tgt_mean: NDArray[np.floating]
) -> NDArray[np.floating]:
    """Divide the score by the mean of both neighbourhoods; 0 where that is not positive.

    Args:
        score: similarities, any shape.
        src_mean: mean similarity of the source's k nearest targets, broadcast to ``score``.
        tgt_mean: mean similarity of the target's k nearest sources, broadcast to ``score``.
    """
    mean = (src_mean + tgt_mean) / 2
    return np.where(mean > _SMALL, score / np.maximum(mean, _SMALL), 0.0)
