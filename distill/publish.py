"""What ``distill publish`` does: a model's folder to the Hub, in one commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corpus.errors import InputError
from corpus.release import hub

if TYPE_CHECKING:
    from pathlib import Path

MODEL_FILES = ("*.safetensors", "*.onnx")


def publish(folder: Path, name: str, *, private: bool) -> hub.Published:
    """Bring a model to the Hub; see `corpus.release.hub.publish`.

    Raises:
        InputError: the folder is no model, has pickled weights, or no card.
    """
    if not any(path for pattern in MODEL_FILES for path in folder.rglob(pattern)):
        raise InputError(f"{folder} holds no model ({' or '.join(MODEL_FILES)})")
    pickled = sorted(p.name for end in ("bin", "pt", "pkl") for p in folder.rglob(f"*.{end}"))
    if pickled:
        raise InputError(f"{folder} holds {pickled[0]}: pickled files are not published")
    if not (folder / "README.md").is_file():
        raise InputError(f"{folder} has no README.md; a model goes up with its card")
    return hub.publish(folder, name, private=private, kind="model")
