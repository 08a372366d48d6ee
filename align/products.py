"""Block products: all dot products of two sets of vectors, a block at a time.

Each product may err by its ``slack``. Whoever takes neighbours from it keeps all
that could be among the best within twice that, and scores those anew in float64.
So every product leads to the same neighbours.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from corpus.errors import InputError, MissingExtraError, choices

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

Vectors = "NDArray[np.float32]"
LARGE = 10**11  # multiplications that are worth importing torch for
CPU_FLAGS = {"avx512_bf16", "amx_bf16", "bf16", "svebf16"}
CPUINFO = Path("/proc/cpuinfo")
FLOAT32, BFLOAT16 = 2.0**-24, 2.0**-8  # unit roundoffs


class Product(Protocol):
    """The dot products of source and target rows.

    Attributes:
        name: what computes them, for notes.
        slack: how far a value may lie from the exact one.
    """

    name: str
    slack: float

    def __call__(self, src: slice, tgt: slice) -> NDArray[np.float32]:
        """Multiply some source rows with some target rows [n_src, n_tgt]."""
        ...


class NumpyProduct:
    """Single precision by numpy's BLAS."""

    name = "numpy float32"

    def __init__(self, src: NDArray[np.float32], tgt: NDArray[np.float32]) -> None:
        """Keep the vectors [n, dim]."""
        self._src, self._tgt = src, tgt
        self.slack = rounding(src, tgt)

    def __call__(self, src: slice, tgt: slice) -> NDArray[np.float32]:
        """Multiply some source rows with some target rows [n_src, n_tgt]."""
        scores: NDArray[np.float32] = self._src[src] @ self._tgt[tgt].T
        return scores


class TorchProduct:
    """bfloat16 where the processor computes it, else single precision; on a GPU if there is one."""

    def __init__(self, src: NDArray[np.float32], tgt: NDArray[np.float32]) -> None:
        """Move the vectors [n, dim] to where they are multiplied.

        Raises:
            MissingExtraError: torch is not installed.
        """
        try:
            import torch
        except ImportError as error:
            raise MissingExtraError("mining with torch", "train") from error
        device = "cuda" if torch.cuda.is_available() else "cpu"
        dtype = torch.bfloat16 if device == "cpu" and has_bfloat16() else torch.float32
        self.name = f"torch {str(dtype).removeprefix('torch.')} on {device}"
        self._src, self._tgt = (torch.from_numpy(x).to(device, dtype) for x in (src, tgt))
        self.slack = rounding(src, tgt)
        if dtype == torch.bfloat16:
            # (a + e) (b + f) - a b <= |e| |b + f| + |a| |f|, and the result is rounded too
            (a, da), (b, db) = (_norms(x, y) for x, y in ((src, self._src), (tgt, self._tgt)))
            self.slack += da * (b + db) + a * db + a * b * BFLOAT16 / 2

    def __call__(self, src: slice, tgt: slice) -> NDArray[np.float32]:
        """Multiply some source rows with some target rows [n_src, n_tgt]."""
        scores: NDArray[np.float32] = (self._src[src] @ self._tgt[tgt].T).float().cpu().numpy()
        return scores


class FaissProduct:
    """Single precision by the BLAS that FAISS brings, which may be a faster one than numpy's."""

    name = "faiss float32"

    def __init__(self, src: NDArray[np.float32], tgt: NDArray[np.float32]) -> None:
        """Keep the vectors [n, dim].

        Raises:
            MissingExtraError: FAISS is not installed.
        """
        self._faiss, self._src, self._tgt = import_faiss(), src, tgt
        self.slack = rounding(src, tgt)

    def __call__(self, src: slice, tgt: slice) -> NDArray[np.float32]:
        """Multiply some source rows with some target rows [n_src, n_tgt]."""
        rows = np.ascontiguousarray(self._tgt[tgt])
        linear = self._faiss.LinearTransform(rows.shape[1], len(rows), False)
        self._faiss.copy_array_to_vector(rows.ravel(), linear.A)
        linear.is_trained = True
        scores: NDArray[np.float32] = linear.apply(np.ascontiguousarray(self._src[src]))
        return scores


BACKENDS: dict[str, Callable[[NDArray[np.float32], NDArray[np.float32]], Product]] = {
    "numpy": NumpyProduct,
    "torch": TorchProduct,
    "faiss": FaissProduct,
}


def product(
    src: NDArray[np.float32], tgt: NDArray[np.float32], backend: str | None = None
) -> Product:
    """Make the product of two sets of vectors [n, dim].

    Args:
        src: source vectors.
        tgt: target vectors.
        backend: numpy, torch or faiss; by default torch for large sets where it is
            installed and the machine has a GPU or bfloat16, else numpy.

    Raises:
        InputError: no such backend.
        MissingExtraError: the backend is not installed.
    """
    if backend is None:
        large = len(src) * len(tgt) * src.shape[1] > LARGE
        backend = "torch" if large and _torch_pays() else "numpy"
    if backend not in BACKENDS:
        raise InputError(f"cannot multiply with {choices(backend, BACKENDS)}")
    return BACKENDS[backend](src, tgt)


def has_bfloat16() -> bool:
    """Tell whether the processor multiplies bfloat16 itself."""
    return CPUINFO.exists() and bool(CPU_FLAGS & set(CPUINFO.read_text(errors="replace").split()))


def import_faiss() -> Any:  # noqa: ANN401 - a module without types
    """Import FAISS.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import faiss
    except ImportError as error:
        raise MissingExtraError("mining with FAISS", "cpu") from error
    return faiss


def rounding(src: NDArray[np.float32], tgt: NDArray[np.float32]) -> float:
    """Bound the error of a single-precision dot product: dim roundings of |a| |b|."""
    return float(src.shape[1] * FLOAT32 * _norm(src) * _norm(tgt))


def _torch_pays() -> bool:
    if find_spec("torch") is None:
        return False
    import torch

    return has_bfloat16() or bool(torch.cuda.is_available())


def _norm(rows: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.einsum("nd,nd->n", rows, rows).max(initial=0.0)))


def _norms(rows: NDArray[np.float32], rounded: Any) -> tuple[float, float]:  # noqa: ANN401
    """Give the largest norm of a row, and of what rounding did to one."""
    parts = range(0, len(rows), 4096)
    moved = [_norm(rows[n : n + 4096] - rounded[n : n + 4096].float().numpy()) for n in parts]
    return _norm(rows), max(moved, default=0.0)
