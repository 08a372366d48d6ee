"""Where parts run: in this process or in a pool of processes."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

In = TypeVar("In")
Out = TypeVar("Out")


class Engine(Protocol):
    """Runs one function over many parts; results come in the parts' order."""

    def map(self, function: Callable[[In], Out], items: Iterable[In]) -> Iterator[Out]:
        """Apply a picklable function to each item."""
        ...


class Here:
    """Runs parts one after the other in this process."""

    def map(self, function: Callable[[In], Out], items: Iterable[In]) -> Iterator[Out]:
        """Apply the function to each item."""
        return map(function, items)


class Pool:
    """Runs parts in a pool of processes on this machine."""

    def __init__(self, n_workers: int | None = None) -> None:
        """Take one worker a core where no number is given."""
        self.n_workers = n_workers or len(os.sched_getaffinity(0))

    def map(self, function: Callable[[In], Out], items: Iterable[In]) -> Iterator[Out]:
        """Apply the function to each item; a single item runs in this process."""
        todo = list(items)
        n_workers = min(self.n_workers, len(todo))
        if n_workers <= 1:
            yield from map(function, todo)
            return
        # A fork of a process with threads (polars, BLAS) can hang; a spawn cannot.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(n_workers, mp_context=context) as pool:
            yield from pool.map(function, todo)
