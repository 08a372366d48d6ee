"""The content-addressed vector store: a text is encoded once, ever.

A store belongs to one encoder identity (name, revision, pooling, maximum length,
prompt, dimensions, backend) and one precision. It is a folder of shards, each an
``.npy`` of (text_key, vector) records that is written whole and never changed:
readers need no lock; one writer at a time appends, others wait.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import numpy as np

from corpus import tables
from corpus.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from corpus.workspace import Workspace

log = logging.getLogger(__name__)

BATCH = 4096  # texts a shard: what a kill may lose
PRECISION = "float16"


class Encodes(Protocol):
    """What the store needs to know of an encoder."""

    name: str
    key: str

    @property
    def dim(self) -> int:
        """Dimensions of a vector."""
        ...

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode texts to unit rows [n, dim] in input order."""
        ...


class VectorStore:
    """The vectors of one encoder in one folder."""

    def __init__(self, folder: Path, dim: int) -> None:
        """Open a store, empty where the folder is not there yet."""
        self.folder = folder
        self.dim = dim
        self._dtype = np.dtype([("key", "<u8", 2), ("vector", "<f2", dim)])
        self._shards: dict[str, NDArray[np.void]] = {}
        self._index()

    def __len__(self) -> int:
        """Count the texts that have a vector."""
        return len(self._keys)

    def get(self, keys: Sequence[bytes]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Look vectors up.

        Args:
            keys: text_keys, 16 bytes each.

        Returns:
            Vectors [n, dim], zero where not found, and which were found [n].
        """
        wanted = _halves(keys)
        vectors = np.zeros((len(keys), self.dim), np.float32)
        at = self._find(wanted)
        found = at >= 0
        shard, row = self._places[at[found]].T
        rows = np.flatnonzero(found)
        for n, data in enumerate(self._shards.values()):
            mine = shard == n
            vectors[rows[mine]] = data["vector"][row[mine]]
        return vectors, found

    def add(self, keys: Sequence[bytes], vectors: NDArray[np.float32]) -> None:
        """Append vectors as one shard; those already there are left out.

        Raises:
            InputError: a vector is not finite or has another dimension.
            StorageError: the disk is full.
        """
        if vectors.shape != (len(keys), self.dim) or not np.isfinite(vectors).all():
            raise InputError(
                f"the encoder gave vectors of shape {vectors.shape} or not finite ones, "
                f"expected ({len(keys)}, {self.dim}); check the model"
            )
        with self._writing():
            self._index()
            halves = _halves(keys)
            _, first = np.unique(halves, axis=0, return_index=True)
            new = first[self._find(halves[first]) < 0]
            if not len(new):
                return
            shard = np.zeros(len(new), self._dtype)
            shard["key"], shard["vector"] = halves[new], vectors[new]
            number = max((int(name[:6]) for name in self._names()), default=0) + 1
            tables.write_whole(self.folder / f"{number:06}.npy", lambda path: _save(path, shard))
            self._index()

    def _names(self) -> list[str]:
        return sorted(p.name for p in self.folder.glob("[0-9]*.npy"))

    def _index(self) -> None:
        """Map the shards on disk that are not mapped yet, and sort all keys."""
        for name in self._names():
            if name not in self._shards and (shard := self._map(name)) is not None:
                self._shards[name] = shard
        keys = [np.asarray(s["key"]) for s in self._shards.values()]
        places = [
            np.stack([np.full(len(k), n), np.arange(len(k))], axis=1) for n, k in enumerate(keys)
        ]
        all_keys = np.concatenate(keys) if keys else np.zeros((0, 2), np.uint64)
        order = np.argsort(all_keys[:, 0], kind="stable")
        self._keys = all_keys[order]
        self._places = np.concatenate(places)[order] if places else np.zeros((0, 2), np.int64)

    def _map(self, name: str) -> NDArray[np.void] | None:
        try:
            shard = np.load(self.folder / name, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            log.warning("vector shard %s is damaged, its texts are encoded again: %s", name, error)
            return None
        if shard.dtype != self._dtype:
            log.warning("vector shard %s has another layout, its texts are encoded again", name)
            return None
        return shard  # type: ignore[no-any-return]

    def _find(self, wanted: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Give each key's place in the sorted index, or -1."""
        if not len(self._keys):
            return np.full(len(wanted), -1)
        at = np.searchsorted(self._keys[:, 0], wanted[:, 0])
        at = np.minimum(at, len(self._keys) - 1)
        return np.where((self._keys[at] == wanted).all(axis=1), at, -1)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def open_store(workspace: Workspace, encoder: Encodes) -> VectorStore:
    """Open the store of an encoder, and note in it whose vectors it holds."""
    identity = f"{encoder.key} {PRECISION}"
    digest = hashlib.sha256(identity.encode()).hexdigest()[:8]
    slug = re.sub(r"[^A-Za-z0-9]+", "-", encoder.name).strip("-")[-40:]
    folder = workspace.vectors(f"{slug}-{digest}")
    note = folder / "store.json"
    if not note.exists():
        tables.write_text(note, json.dumps({"encoder": encoder.name, "key": identity}, indent=1))
    return VectorStore(folder, encoder.dim)


def encode_once(
    store: VectorStore,
    encoder: Encodes,
    texts: Sequence[str],
    keys: Sequence[bytes],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[NDArray[np.float32], int]:
    """Give the vectors of texts, encoding only those that the store lacks.

    All vectors come back through the store's precision, so that a cold run and a
    warm one agree.

    Returns:
        Vectors [n, dim] in input order, and how many texts were encoded.
    """
    vectors, found = store.get(keys)
    missing = list(dict.fromkeys(keys[n] for n in np.flatnonzero(~found).tolist()))
    if not missing:
        return vectors, 0
    text_of = dict(zip(keys, texts, strict=True))
    for start in range(0, len(missing), BATCH):
        batch = missing[start : start + BATCH]
        store.add(batch, encoder.encode([text_of[key] for key in batch]))
        progress(min(start + BATCH, len(missing)), len(missing))
    vectors, found = store.get(keys)
    if not found.all():
        raise InputError(f"{store.folder} lost vectors while it was written; run again")
    return vectors, len(missing)


def _halves(keys: Sequence[bytes]) -> NDArray[np.uint64]:
    return np.frombuffer(b"".join(keys), "<u8").reshape(-1, 2)


def _save(path: Path, shard: NDArray[np.void]) -> None:
    with path.open("wb") as file:
        np.save(file, shard, allow_pickle=False)
