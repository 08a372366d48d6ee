from __future__ import annotations

import json
import multiprocessing
from functools import partial
from pathlib import Path

import polars as pl
import pytest

from corpus import stages
from corpus.engine import Here, Pool
from corpus.stages import Made, Part, Stage
from corpus.tables import REJECTS

STAGE = Stage("toy", 1, (REJECTS,))


def make(log: Path, work: str) -> Made:
    """One row a letter; every call leaves a mark."""
    with log.open("a") as file:
        file.write(work + "\n")
    rows = [{"id": c, "stage": "toy", "reason": "r", "value": work} for c in work]
    return Made({"rejects": REJECTS.frame(rows)}, {"rows": len(work)})


def run(folder: Path, inputs: dict[str, str], stage: Stage = STAGE) -> stages.StageRun:
    parts = [Part(name, [text], text) for name, text in inputs.items()]
    return stages.run(stage, folder / "toy", parts, partial(make, folder / "log"))


def test_only_changed_parts_are_made(tmp_path: Path) -> None:
    first = run(tmp_path, {"x/1": "abc", "x/2": "de"})
    assert (first.n_made, first.n_fresh, first.counts) == (2, 0, {"rows": 5})
    again = run(tmp_path, {"x/1": "abc", "x/2": "de"})
    assert (again.n_made, again.n_fresh, again.changed) == (0, 2, False)
    changed = run(tmp_path, {"x/1": "abc", "x/2": "fgh"})
    assert (changed.n_made, changed.counts) == (1, {"rows": 6})
    assert (tmp_path / "log").read_text().split() == ["abc", "de", "fgh"]
    rows = stages.scan(STAGE, tmp_path / "toy", REJECTS)
    assert rows["id"].to_list() == list("abcfgh")


def test_a_new_version_makes_all_parts_again(tmp_path: Path) -> None:
    run(tmp_path, {"1": "a"})
    assert run(tmp_path, {"1": "a"}, Stage("toy", 2, (REJECTS,))).n_made == 1


def test_parts_without_input_go(tmp_path: Path) -> None:
    run(tmp_path, {"x/1": "a", "x/2": "b"})
    gone = run(tmp_path, {"x/2": "b"})
    assert (gone.n_removed, gone.changed) == (1, True)
    assert sorted(p.name for p in (tmp_path / "toy/x").iterdir()) == ["2.json", "2.parquet"]


@pytest.mark.parametrize("harm", ["flip", "cut", "remove", "manifest"])
def test_a_damaged_part_is_made_again(tmp_path: Path, harm: str) -> None:
    run(tmp_path, {"1": "abc"})
    path = tmp_path / "toy/1.parquet"
    whole = path.read_bytes()
    if harm == "flip":
        path.write_bytes(whole[:40] + bytes([whole[40] ^ 1]) + whole[41:])
    elif harm == "cut":
        path.write_bytes(whole[:-9])
    elif harm == "remove":
        path.unlink()
    else:
        (tmp_path / "toy/1.json").write_text("{")
    assert run(tmp_path, {"1": "abc"}).n_made == 1
    assert path.read_bytes() == whole


def test_dry_makes_nothing(tmp_path: Path) -> None:
    parts = [Part("1", ["a"], "a")]
    result = stages.run(STAGE, tmp_path / "toy", parts, partial(make, tmp_path / "log"), dry=True)
    assert result.n_made == 1
    assert list(tmp_path.iterdir()) == []


def test_a_pool_gives_what_this_process_gives(tmp_path: Path) -> None:
    parts = [Part(str(n), [n], "ab" * n) for n in range(1, 5)]
    for name, engine in (("here", Here()), ("pool", Pool(2))):
        stages.run(STAGE, tmp_path / name, parts, partial(make, tmp_path / "log"), engine=engine)
    here, pool = (
        {p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in ("here", "pool")
    )
    assert here == pool
    assert multiprocessing.active_children() == []


def test_row_digest_ignores_order_and_sees_values() -> None:
    a = pl.DataFrame({"id": ["x", "y"], "v": [1, 2]})
    assert stages.row_digest(a, ["id", "v"]) == stages.row_digest(a.reverse(), ["id", "v"])
    assert stages.row_digest(a, ["id", "v"]) != stages.row_digest(
        pl.DataFrame({"id": ["x", "y"], "v": [2, 1]}), ["id", "v"]
    )


def test_outputs_digest_names_every_file(tmp_path: Path) -> None:
    run(tmp_path, {"x/1": "a"})
    digests = stages.outputs_digest(tmp_path / "toy")
    assert list(digests) == ["x/1.parquet"]
    manifest = json.loads((tmp_path / "toy/x/1.json").read_text())
    assert digests["x/1.parquet"] == manifest["files"]["1.parquet"]
