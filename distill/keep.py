"""How far a training is, kept so that a killed one goes on."""

from __future__ import annotations

import json
import logging
import re
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from corpus.errors import StorageError
from corpus.files import write_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from distill.static import RowAdam

ADAM = ("parameters", "first", "second", "steps")  # what a checkpoint holds
# What a transformer's whole checkpoint holds; the last is written last.
WHOLE = ("model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json")
TORCH_WRITES = "iostream|inline_container|StreamWriter"  # where it has failed to write a file

log = logging.getLogger(__name__)


class Keeper:
    """Keeps how far a training is, so that one that was killed goes on from there."""

    def __init__(self, path: Path, made_from: str) -> None:
        """Say where, and digest all that decides the training."""
        self.path, self._made_from = path, made_from

    def save(self, step: int, adam: RowAdam) -> None:
        """Write the state after a step, whole or not at all."""
        tensors = {name: getattr(adam, name) for name in ADAM}
        facts = {"step": str(step), "made_from": self._made_from}
        write_bytes(self.path, save(tensors, facts))

    def load(self, adam: RowAdam) -> int:
        """Fill a state from the file; give the steps done, 0 where there is none to go on from."""
        if not self.path.is_file():
            return 0
        try:
            with safe_open(self.path, "numpy") as file:
                facts = file.metadata() or {}
                if facts.get("made_from") != self._made_from:
                    return 0
                for name in ADAM:
                    getattr(adam, name)[:] = file.get_tensor(name)
        except (SafetensorError, OSError, ValueError) as error:
            log.warning("%s is damaged, training starts anew: %s", self.path, error)
            return 0
        return int(facts["step"])

    def forget(self) -> None:
        """Remove the file: the training is over."""
        self.path.unlink(missing_ok=True)


@contextmanager
def writing(checkpoints: Path) -> Iterator[None]:
    """Tell of a full disk in one line, whichever library met it."""
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        if isinstance(error, RuntimeError) and not re.search(TORCH_WRITES, str(error)):
            raise
        raise StorageError(
            f"cannot write a checkpoint in {checkpoints}: {error}; make room and run again: "
            "it goes on from the newest whole one"
        ) from error


def newest_checkpoint(folder: Path) -> Path | None:
    """Find the newest whole checkpoint, and remove the others that are not whole."""
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: -int(path.name.split("-")[-1]))
    for path in found:
        if _is_whole(path):
            return path
        log.warning("%s was not written to its end; it is left out", path)
        shutil.rmtree(path)
    return None


def _is_whole(checkpoint: Path) -> bool:
    try:
        state = json.loads((checkpoint / WHOLE[-1]).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(state, dict) and all((checkpoint / name).is_file() for name in WHOLE)
