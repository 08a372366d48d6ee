"""The report: what stands in it, that it is safe and the same, and how it looks in a browser."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import benchmarks.cli
from benchmarks import board, report, results
from benchmarks.metrics import Estimate, interval
from benchmarks.results import Record, Score, scored
from corpus.workspace import Workspace

HOSTILE = "<script>alert(1)</script>$x$"


def score(name: str, value: float, shift: float = 0.0, *, paired: bool = True) -> Score:
    draws = np.random.default_rng(0).normal(value, 0.01, 2000) + shift
    return scored(name, "accuracy", Estimate(value, *interval(draws), draws), paired=paired)


def records() -> list[Record]:
    found = []
    for model, value, shift in (("good", 0.8, 0.0), ("as good", 0.8, -1e-9), (HOSTILE, 0.5, 0.0)):
        # "as good" differs by nothing but noise of its own.
        wobble = np.random.default_rng(1).normal(0, 0.01, 2000) if model == "as good" else shift
        topics = [score("lb", value, wobble), score("bn", value / 2)]  # type: ignore[arg-type]
        maps = [score("lb·bn", value, paired=False), score("lb·others", value)]
        speeds = {"per_second": 1000 * value, "milliseconds": 2.0}
        timed = [Score(f"ordinary, batch {n}", speeds) for n in (1, 256)]
        timed.append(Score("size", {"parameters_m": 12.8, "disk_mb": 14.0, "memory_mb": 200.0}))
        for task, data, split, scores, main in (
            ("topics", "sib200-topics", "test", topics, "accuracy"),
            ("spaces", "sib200-spaces", "all", maps, "accuracy"),
            ("efficiency", "efficiency", "all", timed, "per_second"),
            ("newsroom", "n lb-en", "test", [Score("articles", {"f1": 1.0})], "f1"),
        ):
            found.append(Record(task, data, split, ["lb", "bn"], model, "r", "d", 3, scores, main))
    return found


def test_boards_mark_all_that_may_be_best_and_rank_models() -> None:
    found = board.boards(records())
    assert [each.name for each in found] == ["sib200-topics", "sib200-spaces (all)"]
    assert {m: cell.is_best for m, cell in found[0].overall.items()} == {
        "good": True, "as good": True, HOSTILE: False,
    }  # fmt: skip
    assert found[0].overall["good"].value == pytest.approx(0.6)
    assert set(found[0].parts) == {"lb", "bn"}
    assert found[1].parts == {}  # one score alone
    assert board.models_of(found)[-1] == HOSTILE


def test_records_on_other_data_are_not_compared() -> None:
    one, two = records()[0], records()[4]
    other = Record(*(getattr(two, n) if n != "digest" else "other" for n in two.__slots__))
    assert [len(each.overall) for each in board.boards([one, other])] == [1, 1]


def test_markdown_has_a_row_a_task_and_bold_what_may_be_best() -> None:
    lines = board.markdown(board.boards(records())).splitlines()
    assert lines[0].startswith("| task | score | ")
    assert len({line.count("|") for line in lines}) == 1
    assert lines[2].startswith("| sib200-topics | accuracy | **0.600** <sub>")
    assert lines[2].count("**") == 4


def test_the_page_is_whole_safe_and_the_same_again(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "w", "you@example.org")
    for record in records():
        results.save(workspace.results, record)
    pages = []
    for _ in range(2):
        done = CliRunner().invoke(benchmarks.cli.main, ["report", "-w", str(workspace.root)])
        assert done.exit_code == 0, done.output
        pages.append(workspace.results_report.read_bytes())
    assert pages[0] == pages[1]
    page = pages[0].decode()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;$x$" in page
    assert not re.search(r"""(?:src|href)=["'](?!#|data:)""", page.replace("xlink:href", "href"))
    assert "@import" not in page
    for text in ("sib200-topics", "0.143", "Speed and size", "newsroom · n lb-en"):
        assert text.lower() in page.lower()
    assert page.count("<svg") == 1 + 2 + 3  # speed, two tasks, a map for each model
    assert workspace.results_report.with_suffix(".md").read_text().startswith("| task |")


def test_a_report_of_nothing_says_what_to_do(tmp_path: Path) -> None:
    Workspace.create(tmp_path, "you@example.org")
    done = CliRunner().invoke(benchmarks.cli.main, ["report", "-w", str(tmp_path)])
    assert done.exit_code == 1
    assert "first benchmarks run MODEL" in done.stderr
    results_folder = Workspace.open(tmp_path).results
    results_folder.mkdir(parents=True)
    (results_folder / "x.json").write_text('{"task": 1}')
    done = CliRunner().invoke(benchmarks.cli.main, ["report", "-w", str(tmp_path)])
    assert done.exit_code == 1
    assert "x.json is no record of benchmarks" in done.stderr


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_opens_offline_without_a_word_on_the_console(
    browser: Any, tmp_path: Path, width: int
) -> None:
    path = tmp_path / "report.html"
    report.build(records(), "a name", path)
    said: list[str] = []
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url))
    page.goto(path.as_uri())
    page.get_by_text("All scores").first.click()
    assert page.get_by_role("columnheader", name="ensemble").count() == 0
    assert page.locator("svg").count() == 6
    # Nothing is wider than the window: what is wide scrolls by itself.
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()
    assert [each for each in said if not each.startswith("data:")] == [path.as_uri()]
