"""How far the training of a static student is, kept so that a killed one goes on."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from corpus.files import write_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from distill.static import RowAdam

ADAM = ("parameters", "first", "second", "steps")  # what a checkpoint holds

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
