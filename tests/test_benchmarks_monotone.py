from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.tasks import monotone
from benchmarks.tasks.monotone import Bead
from corpus.errors import BitextileError
from tests import floors

GOLD: list[Bead] = [((0,), (0,)), ((1,), (1, 2)), ((2, 3), (3,)), ((4,), ()), ((5,), (4,))]
FOUND: list[Bead] = [
    ((0,), (0,)), ((1,), (1,)), ((), (2,)), ((2, 3), (3,)), ((4,), ()), ((5,), (5,)),
]  # fmt: skip


def test_counts_by_hand() -> None:
    # Found against gold: 0-0, 2,3-3 and the skip of 4 are the same; 1-1 overlaps; the skip
    # of target 2 and 5-5 are wrong.
    assert monotone.right(FOUND, GOLD) == {"all": 6, "strict": 3, "lax": 4}
    # Gold against found, without skips: 0-0 and 2,3-3 are found; 1-1,2 overlaps; 5-4 does not.
    gold, found = (filter(all, beads) for beads in (GOLD, FOUND))
    assert monotone.right(gold, found) == {"all": 4, "strict": 2, "lax": 3}


def test_documents_are_pooled() -> None:
    one, two = monotone.count(GOLD, FOUND), monotone.count(GOLD, GOLD)
    assert monotone.pooled([one], "strict") == {"precision": 3 / 6, "recall": 2 / 4}
    assert monotone.pooled([one], "lax") == {"precision": 4 / 6, "recall": 3 / 4}
    # Counts add up, not scores: 3 + 5 of 6 + 5, and 2 + 4 of 4 + 4.
    assert monotone.pooled([one, two], "strict") == {"precision": 8 / 11, "recall": 6 / 8}
    nothing = monotone.count(GOLD, [])
    assert monotone.pooled([nothing], "strict") == {"precision": 0, "recall": 0}


def write(folder: Path, name: str, *lines: str) -> None:
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def make(folder: Path) -> None:
    write(folder, "dev.de", "Eine neue Brücke über den Fluss", "Morgen regnet es in Berlin")
    write(folder, "dev.fr", "Un nouveau pont sur la rivière", "Demain il pleut à Berlin")
    write(folder, "dev.defr", "[0]:[0]", "[1]:[1]")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("dev.defr", "[0]:[0]\n0-1\n", "line 2: '0-1' is no bead"),
        ("dev.defr", "[0]:[2]\n", "has 2 lines, its gold names line 2"),
        ("dev.fr", None, "cannot read"),
    ],
)
def test_bad_folders_get_one_clear_line(
    tmp_path: Path, name: str, text: str | None, words: str
) -> None:
    make(tmp_path)
    (tmp_path / name).unlink()
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(BitextileError, match=words) as caught:
        monotone.load(tmp_path / "dev.defr", ("de", "fr"))
    assert "\n" not in str(caught.value)


@pytest.mark.realdata
def test_text_and_berg_stays_above_its_floors(shared: Path) -> None:
    stated = json.loads(floors.FLOORS.read_text())
    found = floors.measure_beads(shared)
    assert len(found) == 2
    assert {name: v for name, v in found.items() if v < stated[name]} == {}
