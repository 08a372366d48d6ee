"""From the web to clean text, and what all four packages share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from corpus.workspace import Workspace

__version__ = "0.1.0"
__all__ = ["__version__", "open"]


def open(path: str | Path = ".") -> Workspace:  # noqa: A001 - reads as corpus.open
    """Open the workspace at ``path``.

    Raises:
        InputError: ``path`` holds no ``bitextile.toml``, or one of a newer version.
    """
    from corpus.workspace import Workspace

    return Workspace.open(path)
