from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import extraction_quality, floors, language_quality


@pytest.mark.realdata
@pytest.mark.slow
def test_quality_stays_above_its_floors(shared: Path) -> None:
    stated = json.loads(floors.FLOORS.read_text())
    found = floors.measure(shared / "ntrex" / "ntrex.tsv")
    assert found.keys() == {name for name in stated if name.startswith(("newsroom", "embedded"))}
    assert {name: v for name, v in found.items() if v < stated[name]} == {}


@pytest.mark.realdata
def test_languages_and_sentences_stay_above_their_floors(shared: Path) -> None:
    stated = json.loads(floors.FLOORS.read_text())
    found = language_quality.measure(data=shared)
    kinds = ("language ", "headlines ", "sentences ")
    assert found.keys() == {name for name in stated if name.startswith(kinds)}
    assert {name: v for name, v in found.items() if v < stated[name]} == {}


@pytest.mark.realdata
@pytest.mark.slow
def test_extraction_stays_above_plain_trafilatura_and_its_floors(shared: Path) -> None:
    stated = json.loads(floors.FLOORS.read_text())
    found = extraction_quality.measure(data=shared)
    assert found["extraction body F1"] >= found.pop("extraction body F1 plain") + 0.01
    assert found.keys() == {name for name in stated if name.startswith("extraction ")}
    assert {name: v for name, v in found.items() if v < stated[name]} == {}


@pytest.mark.realdata
def test_hints_written_from_one_page_hold_on_another(shared: Path) -> None:
    others = [
        (s.publisher, found)
        for s, is_source, found in extraction_quality.hinted(shared)
        if not is_source
    ]
    assert len({name for name, _ in others}) == 5
    assert {name: found.body for name, found in others if found.body < 0.97} == {}


def test_floors_rise_and_never_fall() -> None:
    assert floors.raised({"a": 0.9}, {"a": 0.95, "b": 0.5}) == {"a": 0.947, "b": 0.497}
    assert floors.raised({"a": 0.9}, {"a": 0.901}) == {"a": 0.9}
    with pytest.raises(ValueError, match="not lowered"):
        floors.raised({"a": 0.9}, {"a": 0.899})
    with pytest.raises(ValueError, match="not lowered"):
        floors.raised({"a": 0.9}, {"b": 1.0})
