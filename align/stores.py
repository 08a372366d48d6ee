"""The vector stores of a workspace: what they hold, whether they are whole, what can go."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from safetensors import SafetensorError, safe_open

from corpus import segment, stages
from corpus.errors import InputError, choices
from corpus.tables import SENTENCES
from corpus.vectors import BATCH, NOTE, VectorStore, digest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from corpus.vectors import Keys
    from corpus.workspace import Workspace

    Wanted = Callable[[Keys], NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class Listed:
    """A store and what its note says of it."""

    name: str
    encoder: str
    precision: str
    store: VectorStore

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(self.store.path(n).stat().st_size for n in self.store.numbers())


def find(workspace: Workspace, names: Sequence[str] = ()) -> list[Listed]:
    """Open the stores of a workspace, all or some by name.

    Raises:
        InputError: there is no store of a name.
    """
    found = {}
    for note in sorted(workspace.vectors.glob(f"*/{NOTE}")):
        about = json.loads(note.read_text(encoding="utf-8"))
        precision, folder = about["precision"], note.parent
        store = VectorStore(folder, precision=precision)
        found[folder.name] = Listed(folder.name, about["encoder"], precision, store)
    for name in names:
        if name not in found:
            raise InputError(f"no vector store {choices(name, found)}; see align vectors list")
    return [found[name] for name in names or found]


def damage(store: VectorStore, number: int) -> str:
    """Say what is wrong with a shard; nothing where it is whole."""
    try:
        with safe_open(store.path(number), "np") as file:
            keys, vectors = file.get_tensor("keys"), file.get_tensor("vectors")
            noted = (file.metadata() or {}).get("sha256")
    except (OSError, SafetensorError) as error:
        return f"unreadable ({error})"
    if noted != digest(keys, vectors):
        return "not what was written"
    if (vectors.dtype, vectors.shape) != (store.dtype, (len(keys), store.dim)):
        return f"{vectors.dtype} {vectors.shape}, not {store.dtype} {(len(keys), store.dim)}"
    return ""


def prune(store: VectorStore, wanted: Wanted | None = None) -> int:
    """Take away damaged shards and unwanted texts, and join small shards.

    Readers go on meanwhile; a kill loses nothing that was wanted.

    Args:
        store: the store.
        wanted: which keys to keep; all where None.

    Returns:
        How many texts are gone.
    """
    with store.writing():
        store.index(anew=True)
        n_texts = len(store)
        for part in store.folder.glob(".*.part"):  # its writer was killed
            part.unlink()
        for number in [n for n in store.numbers() if damage(store, n)]:
            store.path(number).unlink()
        store.index(anew=True)
        keep = np.ones(len(store), bool) if wanted is None else wanted(store.keys)
        kept = np.bincount(store.places[keep, 0], minlength=max(store.numbers(), default=0) + 1)
        all_ = np.bincount(store.places[:, 0], minlength=len(kept))
        old = [n for n in store.numbers() if kept[n] < BATCH // 2 or kept[n] < all_[n]]
        if len(old) > 1 or not keep.all():
            store.rewrite(old, keep)
        return n_texts - len(store)


def in_sentences(workspace: Workspace) -> Wanted:
    """Want the texts that are sentences of a workspace."""
    known = set(stages.scan(segment.STAGE, workspace.sentences, SENTENCES)["text_key"].to_list())
    return lambda keys: np.array([key.tobytes() in known for key in keys], bool)
