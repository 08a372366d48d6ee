from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from corpus.errors import InputError
from corpus.tables import text_key
from corpus.vectors import VectorStore, encode_once, open_store
from corpus.workspace import Workspace


class Letters:
    """Encodes a text by its letters' counts; remembers what it was asked."""

    name, key, dim = "letters", "letters v1", 26

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.asked += texts
        rows = np.array([[t.count(chr(97 + n)) for n in range(26)] for t in texts], np.float32)
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1)


def test_a_text_is_encoded_once_ever(tmp_path: Path) -> None:
    encoder = Letters()
    texts = ["abc", "b", "abc", ""]
    keys = [text_key(t) for t in texts]
    first, n_first = encode_once(VectorStore(tmp_path, 26), encoder, texts, keys)
    again, n_again = encode_once(VectorStore(tmp_path, 26), encoder, texts, keys)
    assert (n_first, n_again, encoder.asked) == (3, 0, ["abc", "b", ""])
    assert np.array_equal(first, again)  # a cold and a warm run agree to the bit
    expected = encoder.encode(texts).astype(np.float16).astype(np.float32)
    assert np.array_equal(first, expected)


def test_stores_of_two_encoders_are_apart(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path, "me@example.org")
    a, b = Letters(), Letters()
    b.key = "letters v2"
    open_store(workspace, a).add([text_key("x")], a.encode(["x"]))
    assert len(open_store(workspace, a)) == 1
    assert len(open_store(workspace, b)) == 0


@pytest.mark.parametrize("harm", ["cut", "empty", "text"])
def test_a_damaged_shard_is_encoded_again(tmp_path: Path, harm: str) -> None:
    encoder = Letters()
    keys = [text_key("abc")]
    encode_once(VectorStore(tmp_path, 26), encoder, ["abc"], keys)
    [shard] = tmp_path.glob("*.safetensors")
    whole = shard.read_bytes()
    shard.write_bytes({"cut": whole[:-5], "empty": b"", "text": b"hello"}[harm])
    vectors, n_encoded = encode_once(VectorStore(tmp_path, 26), encoder, ["abc"], keys)
    assert n_encoded == 1
    assert vectors[0, :4].round(3).tolist() == pytest.approx([0.577, 0.577, 0.577, 0], abs=1e-3)


def test_bad_vectors_are_refused(tmp_path: Path) -> None:
    store = VectorStore(tmp_path, 2)
    with pytest.raises(InputError, match="not finite"):
        store.add([text_key("a")], np.array([[np.nan, 0]], np.float32))
    with pytest.raises(InputError, match=r"shape \(1, 3\)"):
        store.add([text_key("a")], np.zeros((1, 3), np.float32))
    assert len(store) == 0


def test_two_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    script = textwrap.dedent("""
        import sys
        from pathlib import Path
        import numpy as np
        from corpus.tables import text_key
        from corpus.vectors import VectorStore
        store = VectorStore(Path(sys.argv[1]), 2)
        for n in range(40):
            words = [f"{sys.argv[2]}-{n}", f"both-{n}"]
            store.add([text_key(w) for w in words], np.ones((2, 2), np.float32))
    """)
    command = [sys.executable, "-c", script, str(tmp_path)]
    writers = [subprocess.Popen([*command, name]) for name in ("a", "b")]
    assert [w.wait() for w in writers] == [0, 0]
    store = VectorStore(tmp_path, 2)
    assert len(store) == 120
    words = [f"{w}-{n}" for w in ("a", "b", "both") for n in range(40)]
    assert store.get([text_key(w) for w in words])[1].all()
