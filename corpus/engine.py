"""Where work runs: in this process or in processes of its own, within limits."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from multiprocessing.connection import Connection

In = TypeVar("In")
Out = TypeVar("Out")

TICK = 0.1  # seconds between two looks at what the workers use


@dataclass(frozen=True, slots=True)
class Limits:
    """What one item may use.

    Attributes:
        seconds: of processor time; of the clock ten times as much.
        memory: bytes that the item's process may hold, its libraries among them.
    """

    seconds: float = 20.0
    memory: int = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Lost:
    """An item that gave nothing: the limit that it broke, ``failed`` or ``crashed``."""

    reason: str
    value: str


class Engine(Protocol):
    """Runs one function over many parts, or over the many items of one part."""

    def map(self, function: Callable[[In], Out], items: Iterable[In]) -> Iterator[Out]:
        """Apply a picklable function to each item; results come in the items' order."""
        ...

    def each(self, function: Callable[[In], Out], items: Iterable[In]) -> list[Out | Lost]:
        """Apply a picklable function to each item within limits, in the items' order."""
        ...


class Here:
    """Runs everything one after the other in this process, without limits."""

    def map(self, function: Callable[[In], Out], items: Iterable[In]) -> Iterator[Out]:
        """Apply the function to each item."""
        return map(function, items)

    def each(self, function: Callable[[In], Out], items: Iterable[In]) -> list[Out | Lost]:
        """Apply the function to each item."""
        return [_guarded(function, item) for item in items]


class Pool:
    """Runs work in a pool of processes on this machine."""

    def __init__(self, n_workers: int | None = None, limits: Limits | None = None) -> None:
        """Take one worker a core where no number is given."""
        self.n_workers = n_workers or len(os.sched_getaffinity(0))
        self.limits = limits or Limits()

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

    def each(self, function: Callable[[In], Out], items: Iterable[In]) -> list[Out | Lost]:
        """Apply the function to each item; one that breaks a limit ends with its process.

        Memory that earlier items left behind does not count: such an item gets a
        process of its own, whose word is final.
        """
        results: dict[int, Out | Lost] = {}
        idle: list[_Worker[In, Out]] = []
        busy: list[_Worker[In, Out]] = []
        todo = enumerate(items)
        upcoming = next(todo, None)
        try:
            while upcoming or busy:
                while upcoming and len(busy) < self.n_workers:
                    worker = idle.pop() if idle else _Worker(function)
                    worker.start(*upcoming)
                    busy.append(worker)
                    upcoming = next(todo, None)
                wait([worker.results for worker in busy], TICK)
                for worker in list(busy):
                    found = worker.look(self.limits)
                    if found is None:
                        continue
                    [result] = found
                    busy.remove(worker)
                    if not isinstance(result, Lost):
                        idle.append(worker)
                    elif worker.n_done and result.reason == "memory":
                        busy.append(_Worker(function))
                        busy[-1].start(worker.number, worker.item)
                        continue
                    results[worker.number] = result
        finally:
            for worker in (*idle, *busy):
                worker.kill()
        return [results[n] for n in sorted(results)]


class _Worker(Generic[In, Out]):
    """A process that applies a function to one item at a time."""

    item: In

    def __init__(self, function: Callable[[In], Out]) -> None:
        # Its processes come from a clean one without threads, which has done what all need.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["corpus.warm"])
        self.results, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, function), daemon=True)
        self.process.start()
        theirs.close()
        self.number, self.n_done = -1, -1

    def start(self, number: int, item: In) -> None:
        self.number, self.item = number, item
        self.n_done += 1
        self.started, self.used = time.monotonic(), self._usage()[0]
        try:
            self.results.send(item)
        except OSError:
            self.process.kill()  # it died while it waited; `look` will tell

    def look(self, limits: Limits) -> tuple[Out | Lost] | None:
        """Give the item's result, or how it was lost; None while it is at work."""
        if self.results.poll():
            try:
                return (self.results.recv(),)
            except (EOFError, OSError):
                self.kill()
                return (Lost("crashed", f"exit code {self.process.exitcode}"),)
        seconds, memory = self._usage()
        late = time.monotonic() - self.started > 10 * limits.seconds
        if late or seconds - self.used > limits.seconds:
            self.kill()
            return (Lost("timeout", f"{limits.seconds:g} s"),)
        if memory > limits.memory:
            self.kill()
            return (Lost("memory", f"over {limits.memory} bytes"),)
        return None

    def kill(self) -> None:
        self.process.kill()
        self.process.join()
        self.results.close()

    def _usage(self) -> tuple[float, int]:
        """Read what the process used: seconds of processor time, bytes of memory."""
        try:
            stat = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii")
        except OSError:
            return 0.0, 0  # it is gone
        fields = stat.rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK"), int(fields[21]) * resource.getpagesize()


def _serve(connection: Connection, function: Callable[[Any], Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while True:
        try:
            item = connection.recv()
        except EOFError:
            return
        connection.send(_guarded(function, item))


def _guarded(function: Callable[[In], Out], item: In) -> Out | Lost:
    """Apply the function: one item must not end the run, whatever it raises."""
    try:
        return function(item)
    except Exception as error:
        return Lost("failed", type(error).__name__)
