"""Vector stores: listed, verified, pruned; written by two, killed, and read meanwhile."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from align import stores
from align.cli import main as align
from align.encoders import load_encoder
from corpus.cli import main as corpus
from corpus.tables import text_key
from corpus.vectors import BATCH, VectorStore, encode_once, open_store
from corpus.workspace import Workspace
from tests.equal import assert_equal
from tests.kill_store import ROOT, Slow, prove

WORDS = [f"word {n}" for n in range(40)]
KEYS = [text_key(word) for word in WORDS]


def run(root: Path, *args: str) -> Any:
    done = CliRunner().invoke(align, ["vectors", *args, "--json", "-w", str(root)])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def filled(folder: Path, n_shards: int = 4) -> VectorStore:
    """Make a store of small shards."""
    store, encoder = VectorStore(folder / "store"), Slow(folder / "asked")
    for n in range(n_shards):
        encode_once(store, encoder, WORDS[n::n_shards], KEYS[n::n_shards])
    return store


def test_small_shards_are_joined_while_readers_go_on(tmp_path: Path) -> None:
    store, reader = filled(tmp_path), VectorStore(tmp_path / "store")
    before = reader.get(KEYS)[0]
    (store.folder / ".000009.safetensors.part").touch()
    assert stores.prune(store) == 0
    assert (len(store.numbers()), len(store)) == (1, 40)
    assert not list(store.folder.glob(".*.part"))
    np.testing.assert_array_equal(reader.get(KEYS)[0], before)
    shard = store.numbers()
    assert (stores.prune(store), store.numbers()) == (0, shard)  # nothing is left to do
    assert [stores.damage(store, n) for n in shard] == [""]


def test_full_shards_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "BATCH", 16)
    store = filled(tmp_path)
    assert (stores.prune(store), store.numbers()) == (0, [1, 2, 3, 4])  # ten each: over a half
    store.add([text_key("a")], np.ones((1, 32), np.float32))
    store.add([text_key("b")], np.ones((1, 32), np.float32))
    stores.prune(store)
    assert store.numbers() == [1, 2, 3, 4, 7]


def test_unwanted_texts_go(tmp_path: Path) -> None:
    store = filled(tmp_path)
    expected = store.get(KEYS[:7])[0]
    kept = set(KEYS[:7])
    assert stores.prune(store, lambda keys: np.array([k.tobytes() in kept for k in keys])) == 33
    vectors, found = VectorStore(store.folder).get(KEYS)
    assert found.tolist() == [True] * 7 + [False] * 33
    np.testing.assert_array_equal(vectors[:7], expected)
    stores.prune(store, lambda keys: np.zeros(len(keys), bool))
    assert (len(store), store.numbers()) == (0, [])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def test_damage_is_found_and_taken_away(tmp_path: Path) -> None:
    store = filled(tmp_path)
    flip(store.path(1))
    store.path(2).write_bytes(store.path(2).read_bytes()[:-5])
    VectorStore(store.folder, precision="float32").append(
        np.ones((1, 2), np.uint64), np.ones((1, 32), np.float32)
    )
    reasons = [stores.damage(store, n) for n in store.numbers()]
    assert reasons[0] == "not what was written"
    assert reasons[1].startswith("unreadable")
    assert reasons[4] == "float32 (1, 32), not float16 (1, 32)"
    assert (stores.prune(store), len(store)) == (10, 20)  # the cut shard was not indexed
    encode_once(store, Slow(tmp_path / "asked"), WORDS, KEYS)
    assert len(store) == 40
    assert not any(stores.damage(store, n) for n in store.numbers())


def test_a_reader_notices_what_went_bad_meanwhile(tmp_path: Path) -> None:
    store = filled(tmp_path)
    store.path(3).write_bytes(b"")
    vectors, found = store.get(KEYS)
    assert found.tolist() == [n % 4 != 2 for n in range(40)]
    assert not vectors[2::4].any()


@pytest.mark.parametrize("precision", ["float16", "float32"])
def test_a_workspace_names_its_precision(tmp_path: Path, precision: str) -> None:
    Workspace.create(tmp_path, "me@example.org")
    file = tmp_path / "bitextile.toml"
    file.write_text(f'precision = "{precision}"\n' + file.read_text())
    encoder = load_encoder("embedded")
    vectors, _ = encode_once(open_store(Workspace.open(tmp_path), encoder), encoder, WORDS, KEYS)
    expected = encoder.encode(WORDS).astype(precision).astype(np.float32)
    np.testing.assert_array_equal(vectors, expected)
    [listed] = run(tmp_path, "list")
    assert (listed["precision"], listed["texts"], listed["dimensions"]) == (precision, 40, 256)
    assert listed["bytes"] > 40 * (16 + 256 * np.dtype(precision).itemsize)


def test_the_commands(tmp_path: Path) -> None:
    assert CliRunner().invoke(corpus, ["init", "--contact", "me@x.org", "-w", str(tmp_path)])
    assert run(tmp_path, "list") == []
    encoder = load_encoder("embedded")
    store = open_store(Workspace.open(tmp_path), encoder)
    encode_once(store, encoder, WORDS, KEYS)
    assert run(tmp_path, "verify") == []
    flip(store.path(1))
    done = CliRunner().invoke(align, ["vectors", "verify", "-w", str(tmp_path)])
    assert done.exit_code == 1
    assert "1 shards, 1 damaged" in done.output
    assert "align vectors prune" in done.output
    assert [r["texts"] for r in run(tmp_path, "prune")] == [40]
    encode_once(store, encoder, WORDS, KEYS)
    assert [r["texts"] for r in run(tmp_path, "prune", "--unused")] == [40]  # no sentence is here
    encode_once(store, encoder, WORDS, KEYS)
    assert [r["texts"] for r in run(tmp_path, "prune", "--all", store.folder.name)] == [40]
    for args, message in ((["--all"], "needs the names"), (["nothing"], "no vector store")):
        done = CliRunner().invoke(align, ["vectors", "prune", *args, "-w", str(tmp_path)])
        assert message in done.output


@pytest.mark.slow
def test_kills_lose_at_most_a_shard(tmp_path: Path) -> None:
    assert prove(tmp_path, 3)["most_lost"] <= BATCH


@pytest.mark.slow
def test_two_commands_share_one_store(tmp_path: Path) -> None:
    """They align two language pairs of one workspace at once; it ends as if one by one."""
    quiet, shared = tmp_path / "quiet", tmp_path / "shared"
    for args in (("init", "--contact", "me@example.org"), ("crawl", "sample"), ("segment",)):
        assert CliRunner().invoke(corpus, [*args, "-w", str(quiet)]).exit_code == 0
    shutil.copytree(quiet, shared)
    pairs = ("lb-en", "lb-fr")
    for pair in pairs:
        assert align_process(quiet, pair).wait() == 0
    both = [align_process(shared, pair) for pair in pairs]
    assert [process.wait() for process in both] == [0, 0]
    assert_equal(quiet, shared)
    store = open_store(Workspace.open(shared), load_encoder("embedded"))
    assert [stores.damage(store, n) for n in store.numbers()] == [""] * len(store.numbers())
    assert len(store) == len(open_store(Workspace.open(quiet), load_encoder("embedded")))


def align_process(root: Path, pair: str) -> subprocess.Popen[bytes]:
    code = "from align.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, "sentences", "--pair", pair, "-w", str(root)], cwd=ROOT
    )
