"""The content-addressed vector store: a text is encoded once, ever.

A store belongs to one encoder identity (name, revision, pooling, maximum length,
prompt, dimensions, backend) and one precision. It is a folder of shards, each a
safetensors file of text_keys and their vectors that is written whole and never
changed: readers need no lock; one writer at a time appends, others wait.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import re
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from corpus import tables
from corpus.errors import InputError
from corpus.ids import text_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from corpus.workspace import Workspace

    Keys = NDArray[np.uint64]  # [n, 2]: a text_key is two halves

log = logging.getLogger(__name__)

RUN = 6  # most sentences in a row that one vector stands for
BATCH = 4096  # texts a shard: what a kill may lose
NOTE = "store.json"  # whose vectors a store holds


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


@runtime_checkable
class Foresees(Protocol):
    """What an encoder offers whose work costs money."""

    def foresee(self, texts: Iterable[str]) -> None:
        """Say what encoding texts will cost, or refuse it."""
        ...


class VectorStore:
    """The vectors of one encoder in one folder.

    Attributes:
        keys: the texts that have a vector, sorted by their first halves.
        places: shard and row of each key [n, 2].
    """

    def __init__(self, folder: Path, dim: int = 0, precision: str = "float16") -> None:
        """Open a store, empty where the folder is not there yet.

        Args:
            folder: where its shards stand.
            dim: dimensions of a vector; 0 where the first vectors will tell.
            precision: ``float16`` or ``float32``.
        """
        self.folder, self.dim = folder, dim
        self.dtype = np.dtype(precision)
        self.index(anew=True)

    def __len__(self) -> int:
        """Count the texts that have a vector."""
        return len(self.keys)

    def get(self, keys: Sequence[bytes]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Look vectors up.

        Args:
            keys: text_keys, 16 bytes each.

        Returns:
            Vectors [n, dim], zero where not found, and which were found [n].
        """
        while True:
            at = self.find(halves(keys))
            try:
                return self._read(at), at >= 0
            except (OSError, SafetensorError):  # gone or damaged since it was indexed
                self.index(anew=True)

    def add(self, keys: Sequence[bytes], vectors: NDArray[np.float32]) -> None:
        """Append vectors as one shard; those already there are left out.

        Raises:
            InputError: a vector is not finite or has another dimension.
            StorageError: the disk is full.
        """
        dim = self.dim or vectors.shape[-1]
        stored = vectors.astype(self.dtype)
        if vectors.shape != (len(keys), dim) or not np.isfinite(stored).all():
            raise InputError(
                f"the encoder gave vectors of shape {vectors.shape} or not finite ones, "
                f"expected ({len(keys)}, {dim}); check the model"
            )
        with self.writing():
            self.index()
            wanted = halves(keys)
            _, first = np.unique(wanted, axis=0, return_index=True)
            new = first[self.find(wanted[first]) < 0]
            if len(new):
                self.append(wanted[new], stored[new])
                self.index()

    def append(self, keys: Keys, vectors: NDArray[np.floating]) -> None:
        """Write a shard; the caller is the writer."""
        note = {"sha256": digest(keys, vectors)}
        path = self.path(max(self.numbers(), default=0) + 1)
        tensors = {"keys": keys, "vectors": vectors}
        tables.write_whole(path, lambda part: save_file(tensors, part, note))

    def rewrite(self, old: Sequence[int], keep: NDArray[np.bool_]) -> None:
        """Write what to keep [n] of old shards to new ones, and remove those; for the writer."""
        rows = np.flatnonzero(keep & np.isin(self.places[:, 0], old))
        rows = rows[np.lexsort(self.places[rows].T[::-1])]  # as they were written
        for begin in range(0, len(rows), BATCH):
            block = rows[begin : begin + BATCH]
            shards, places = self.places[block].T
            vectors = [self.rows(n)[places[shards == n]] for n in np.unique(shards).tolist()]
            self.append(self.keys[block], np.concatenate(vectors))
        for number in old:
            self.path(number).unlink()
        self.index(anew=True)

    def index(self, *, anew: bool = False) -> None:
        """Learn the keys of the shards that are not known yet."""
        if anew:
            self._known: set[int] = set()
            self.keys, self.places = np.zeros((0, 2), np.uint64), np.zeros((0, 2), np.int64)
        shards = {n: self._keys_of(n) for n in self.numbers() if n not in self._known}
        self._known |= shards.keys()
        if shards:
            keys = np.concatenate(list(shards.values()))
            sizes = [len(own) for own in shards.values()]
            rows = np.concatenate([np.arange(size) for size in sizes])
            places = np.column_stack([np.repeat(list(shards), sizes), rows])
            order = np.argsort(keys[:, 0], kind="stable")
            at = np.searchsorted(self.keys[:, 0], keys[order, 0])
            self.keys = np.insert(self.keys, at, keys[order], axis=0)
            self.places = np.insert(self.places, at, places[order], axis=0)

    def numbers(self) -> list[int]:
        """List the shards on disk."""
        return sorted(int(path.stem) for path in self.folder.glob("[0-9]*.safetensors"))

    def path(self, number: int) -> Path:
        """Say where a shard stands."""
        return self.folder / f"{number:06}.safetensors"

    def rows(self, number: int, rows: slice = slice(None)) -> NDArray[np.floating]:
        """Read vectors of a shard."""
        with safe_open(self.path(number), "np") as file:
            vectors: NDArray[np.floating] = file.get_slice("vectors")[rows]
        return vectors

    def _keys_of(self, number: int) -> Keys:
        """Read a shard's keys; none where it is damaged."""
        try:
            with safe_open(self.path(number), "np") as file:
                keys: Keys = file.get_tensor("keys")
            first = self.rows(number, slice(0, 1))
        except (OSError, SafetensorError) as error:
            log.warning(
                "vector shard %s is damaged, its texts are encoded again: %s", number, error
            )
            return np.zeros((0, 2), np.uint64)
        self.dim = self.dim or first.shape[1]
        if first.dtype != self.dtype or first.shape[1] != self.dim:
            log.warning("vector shard %s has another layout, its texts are encoded again", number)
            return np.zeros((0, 2), np.uint64)
        return keys

    def _read(self, at: NDArray[np.int64]) -> NDArray[np.float32]:
        """Read the vectors at places of the index; zero rows where that is -1."""
        vectors = np.zeros((len(at), self.dim), np.float32)
        found = np.flatnonzero(at >= 0)
        shards, rows = self.places[at[found]].T
        for number in np.unique(shards).tolist():
            mine = rows[shards == number]
            block = self.rows(number, slice(int(mine.min()), int(mine.max()) + 1))
            vectors[found[shards == number]] = block[mine - mine.min()]
        return vectors

    def find(self, wanted: Keys) -> NDArray[np.int64]:
        """Give each key's place in the sorted index, or -1."""
        if not len(self.keys):
            return np.full(len(wanted), -1)
        at = np.searchsorted(self.keys[:, 0], wanted[:, 0])
        at = np.minimum(at, len(self.keys) - 1)
        return np.where((self.keys[at] == wanted).all(axis=1), at, -1)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the store's one writer; wait for another to end."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def identity(workspace: Workspace, encoder: Encodes) -> str:
    """Name all that decides the vectors that a workspace takes of an encoder."""
    return f"{encoder.key} {workspace.precision}"


def open_store(workspace: Workspace, encoder: Encodes) -> VectorStore:
    """Open the store of an encoder, and note in it whose vectors it holds."""
    named = identity(workspace, encoder)
    slug = re.sub(r"[^A-Za-z0-9]+", "-", encoder.name).strip("-")[-40:]
    folder = workspace.vectors / f"{slug}-{hashlib.sha256(named.encode()).hexdigest()[:8]}"
    note = folder / NOTE
    if not note.exists():
        about = {"encoder": encoder.name, "key": named, "precision": workspace.precision}
        with VectorStore(folder).writing():
            tables.write_text(note, json.dumps(about, indent=1))
    made = note.stat()
    store = _opened(folder.resolve(), workspace.precision, (made.st_ino, made.st_mtime_ns))
    store.index()
    return store


@lru_cache(maxsize=8)
def _opened(folder: Path, precision: str, made: tuple[int, int]) -> VectorStore:
    """Keep a store open: its keys are read once, not for each part of a stage."""
    return VectorStore(folder, precision=precision)


def encode_once(
    store: VectorStore,
    encoder: Encodes,
    texts: Sequence[str],
    keys: Sequence[bytes] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[NDArray[np.float32], int]:
    """Give the vectors of texts, encoding only those that the store lacks.

    All vectors come back through the store's precision, so that a cold run and a
    warm one agree. ``keys`` are the texts' own where they are not known yet.

    Returns:
        Vectors [n, dim] in input order, and how many texts were encoded.
    """
    if not texts:
        return np.zeros((0, store.dim or encoder.dim), np.float32), 0
    keys = [text_key(text) for text in texts] if keys is None else keys
    vectors, found = store.get(keys)
    missing = {keys[n]: texts[n] for n in np.flatnonzero(~found).tolist()}
    if missing and isinstance(encoder, Foresees):
        encoder.foresee(list(missing.values()))
    new = list(missing)
    for start in range(0, len(new), BATCH):
        batch = new[start : start + BATCH]
        store.add(batch, encoder.encode([missing[key] for key in batch]))
        progress(min(start + BATCH, len(missing)), len(missing))
    if missing:
        vectors, found = store.get(keys)
        if not found.all():
            raise InputError(f"{store.folder} lost vectors while it was written; run again")
    return vectors, len(missing)


def halves(keys: Sequence[bytes]) -> Keys:
    """Give text_keys as numbers."""
    return np.frombuffer(b"".join(keys), "<u8").reshape(-1, 2)


def digest(keys: Keys, vectors: NDArray[np.floating]) -> str:
    """Digest what a shard holds."""
    return hashlib.sha256(keys.tobytes() + vectors.tobytes()).hexdigest()
