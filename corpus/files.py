"""Files: written whole or not at all, listed, digested."""

from __future__ import annotations

import hashlib
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


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file of bytes whole or not at all.

    Raises:
        StorageError: the disk is full or refuses.
    """

    def save(temporary: Path) -> None:
        temporary.write_bytes(content)

    write_whole(path, save)


def file_digest(path: Path) -> str:
    """Digest a file's bytes (sha256), in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def list_files(folder: Path) -> list[Path]:
    """List all files below a folder, sorted."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def folder_size(folder: Path) -> int:
    """Add up the bytes of all files below a folder."""
    return sum(path.stat().st_size for path in list_files(folder))
