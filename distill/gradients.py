"""The losses of a static student and their gradients, in numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

EPSILON = 1e-8


def unit_rows(rows: Floats) -> tuple[Floats, Floats]:
    """Divide rows by their norms; give the unit rows and 1/norm (0 for a zero row)."""
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    inverse = np.where(norms > EPSILON, 1 / np.maximum(norms, EPSILON), 0).astype(np.float32)
    return rows * inverse[:, None], inverse


def unit_gradient(unit: Floats, inverse: Floats, gradient: Floats) -> Floats:
    """Carry a loss's gradient through `unit_rows`."""
    along = np.einsum("ij,ij->i", unit, gradient)
    through: Floats = (gradient - unit * along[:, None]) * inverse[:, None]
    return through


def contrastive(
    src: Floats, tgt: Floats, scale: float, masked: NDArray[np.bool_]
) -> tuple[float, Floats, Floats]:
    """Compute the symmetric in-batch softmax loss and its gradients.

    Args:
        src: unit vectors, [n, dim]; row i translates row i of ``tgt``.
        tgt: unit vectors, [n, dim].
        scale: inverse temperature of the cosines.
        masked: pairs that are no negatives, [n, n]; the diagonal is ignored.

    Returns:
        Mean loss, gradient by ``src``, gradient by ``tgt``.
    """
    n = len(src)
    logits = (src @ tgt.T) * np.float32(scale)
    own = logits.diagonal().copy()
    weights = np.exp(logits - np.float32(scale), out=logits)
    diagonal = weights.diagonal().copy()
    weights[masked] = 0
    np.fill_diagonal(weights, diagonal)
    rows, columns = weights.sum(1), weights.sum(0)
    loss = np.mean(np.log(rows) + np.log(columns) + 2 * (scale - own)) / 2
    weights *= (1 / rows)[:, None] + 1 / columns
    np.fill_diagonal(weights, weights.diagonal() - 2)
    weights *= np.float32(scale / (2 * n))
    return float(loss), weights @ tgt, weights.T @ src


def follow(unit: Floats, teacher: Floats) -> tuple[float, Floats]:
    """Compute the mean of 1 - cosine to the teacher over the rows that have one.

    Args:
        unit: unit vectors, [n, dim].
        teacher: unit or zero vectors, [n, at most dim]; compared with the first columns.
    """
    taught = max(int(np.any(teacher, axis=1).sum()), 1)
    gradient = np.zeros_like(unit)
    width = teacher.shape[1]
    gradient[:, :width] = -teacher / taught
    loss = 1 + float(np.einsum("ij,ij->", unit[:, :width], gradient[:, :width]))
    return loss, gradient
