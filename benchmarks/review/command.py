"""What ``benchmarks review`` does and prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.build.items import PAIR
from corpus.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.review.store import Store
    from corpus.console import Console


def open_store(console: Console, name: str) -> Store:
    """Open what was judged of a set.

    Raises:
        InputError: there is no such set.
    """
    from benchmarks.build import items
    from benchmarks.review.store import Store

    rows = items.load(console.workspace, name)
    return Store(console.workspace.judgements(name), rows)


def serve(console: Console, name: str, judges: Sequence[str], port: int) -> None:
    """Serve a set to one judge until the command is interrupted.

    Raises:
        InputError: more than one judge, no such set, or the port is taken.
    """
    from benchmarks.review.server import Server

    if len(judges) != 1 or not judges[0].strip():
        raise InputError("one judge at a time: give one name with --judge")
    with Server(open_store(console, name), judges[0].strip(), port) as server:
        console.show(f"open {server.url}")
        console.say("every judgement is on disk at once; end with Ctrl-C, and go on any time")
        server.serve_forever(0.2)


def finish(console: Console, name: str, judges: Sequence[str]) -> None:
    """Make a set of what two judges kept, and show it; of aligned pairs, their calibration."""
    from benchmarks.review import calibration
    from benchmarks.review import finish as sets

    facts = sets.finish(console.workspace, name, judges)
    if facts.kind == PAIR:
        store = open_store(console, name)
        steps = calibration.calibrate(store.items, sets.agreed(store, judges))
        path = console.workspace.finished_set(name) / calibration.FILE
        calibration.show(console, steps)
        if steps:
            calibration.save(path, facts, steps)
            console.say(f"next: align sentences --pair {facts.langs} --calibration {path}")
    sets.show(console, facts)


def exchange(console: Console, name: str, read: Path | None, write: Path | None) -> None:
    """Read judgements from a file of Label Studio's layout, and write all to one."""
    from benchmarks.review import labelstudio

    store = open_store(console, name)
    record: dict[str, object] = {"set": name}
    if read:
        record["n_read"] = n_new = labelstudio.read(store, read)
        console.show(f"{n_new} new judgements from {read}")
    if write:
        record["n_written"] = n_items = labelstudio.export(store, write)
        console.show(f"{n_items} items to {write}, the labelling interface beside it")
    console.emit(record)


def progress(console: Console, name: str) -> None:
    """Show how far each judge is, and how well two of them agree so far."""
    from benchmarks.review.finish import agreement, first_verdicts

    store = open_store(console, name)
    verdicts = {judge: list(first_verdicts(store, judge).values()) for judge in store.judges()}
    kinds = ("accept", "edit", "reject")
    rows = [[judge, len(said), *map(said.count, kinds)] for judge, said in verdicts.items()]
    console.table(f"{name}: {len(store.items)} items", ["judge", "judged", *kinds], rows)
    kappas = agreement(store)
    for (a, b), kappa in kappas.items():
        console.show(f"Cohen's kappa of {a} and {b}: {'–' if kappa is None else f'{kappa:.2f}'}")
    console.emit(
        {
            "set": name,
            "n_items": len(store.items),
            "judges": {judge: len(said) for judge, said in verdicts.items()},
            "kappa": {f"{a}, {b}": kappa for (a, b), kappa in kappas.items()},
        }
    )
