"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from corpus.errors import StorageError, write_advice

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def write_whole(path: Path, save: Callable[[Path], None]) -> None:
    """Let ``save`` fill a temporary file, sync it to disk and put it in place.

    Args:
        path: where the file shall stand; its folder is made.
        save: called with the temporary path.

    Raises:
        StorageError: the disk is full or refuses.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StorageError(
            f"cannot write {path}: {error.strerror or error}; "
            f"{write_advice(error)} and run the command again"
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write a small text file whole or not at all.

    Raises:
        StorageError: the disk is full or refuses.
    """

    def save(temporary: Path) -> None:
        temporary.write_text(text, encoding="utf-8")

    write_whole(path, save)
