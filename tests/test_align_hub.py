"""Encoders of the Hub: the real client against a loopback server, pins, and no network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from align.encoders import HUB_ID, PINNED
from tests.hub_server import TOKEN, HubServer
from tests.test_align_encoders import ROWS, write_model

LOAD = """
import sys
from align.encoders import load_encoder
for spec in sys.argv[1:]:
    encoder = load_encoder(spec)
    print(encoder.name, *(f"{x:.2f}" for x in encoder.encode(["a b"])[0]))
"""


def load(hub: HubServer | None, home: Path, *specs: str) -> subprocess.CompletedProcess[str]:
    """Load encoders in a process of their own, as the client reads its settings once."""
    endpoint = hub.url if hub else "http://127.0.0.1:9"
    settings = {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_TOKEN": TOKEN}
    return subprocess.run(
        [sys.executable, "-c", LOAD, *specs],
        env=os.environ | settings | {"HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"},
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
    )


def files(folder: Path, factor: int) -> dict[str, bytes]:
    rows = ROWS * np.array([[1, factor]], np.float32)
    write_model(folder, {"embeddings": rows})
    unwanted = {"pytorch_model.bin": b"a pickle", "onnx/model.onnx": b"", "run.py": b"raise"}
    return {path.name: path.read_bytes() for path in folder.iterdir()} | unwanted


@pytest.mark.slow  # the client asks a broken server five times
def test_models_are_fetched_once_and_pins_hold(tmp_path: Path) -> None:
    with HubServer() as hub:
        first = hub.put("me/model", files(tmp_path / "m", 1))
        done = load(hub, tmp_path / "hf", "me/model")
        assert done.stdout == "me/model 0.71 0.71\n", done.stderr
        asked = {path for _, path in hub.log}
        assert not [path for path in asked if path.endswith((".bin", ".onnx", ".py"))]
        second = hub.put("me/model", files(tmp_path / "m", 3))
        specs = ("me/model", f"me/model@{second}", f"me/model@{first}")
        done = load(hub, tmp_path / "hf", *specs)
        assert [line.split()[1:] for line in done.stdout.splitlines()] == [
            ["0.71", "0.71"],  # what is here stays as it is
            ["0.32", "0.95"],
            ["0.71", "0.71"],
        ], done.stderr
        hub.failures = {"model.safetensors": 503}
        lost = load(hub, tmp_path / "other", "me/model")
        assert "OfflineError: the encoder 'me/model' is not on this machine" in lost.stderr
        hub.failures = {}
        assert load(hub, tmp_path / "other", "me/model").returncode == 0
    offline = load(None, tmp_path / "hf", *specs)
    assert offline.stdout == done.stdout
    missing = load(None, tmp_path / "hf", "me/model@" + "0" * 40)
    assert f"hf download me/model --revision {'0' * 40}" in missing.stderr


def test_specs_of_revisions() -> None:
    for spec, parts in (
        ("me/model", ("me/model", None)),
        ("me/model@v1.0", ("me/model", "v1.0")),
    ):
        found = HUB_ID.fullmatch(spec)
        assert found
        assert found.groups() == parts
    assert all(HUB_ID.fullmatch(f"{name}@{revision}") for name, revision in PINNED.items())
