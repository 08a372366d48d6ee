from __future__ import annotations

from benchmarks.settings import comparable, halves, third
from benchmarks.tasks.newsroom import Gold
from corpus.sample.documents import Document


def documents(n: int) -> list[Document]:
    rows = {line: f"line {line}" for line in range(7)}
    return [Document(f"d{i}", {"lb": rows, "en": rows}) for i in range(n)]


def test_halves_follow_each_other_and_stay_in_their_split() -> None:
    parts = halves([*documents(2), Document("short", {"lb": {0: "a", 1: "b"}, "en": {0: "c"}})], "")
    lines = [(d.name, {lang: list(rows) for lang, rows in d.lines.items()}) for d in parts]
    assert lines == [
        ("d0 #1", {"lb": [0, 1, 2], "en": [0, 1, 2]}),
        ("d0 #2", {"lb": [3, 4, 5, 6], "en": [3, 4, 5, 6]}),
        ("d1 #1", {"lb": [0, 1, 2], "en": [0, 1, 2]}),
        ("d1 #2", {"lb": [3, 4, 5, 6], "en": [3, 4, 5, 6]}),
        ("short #1", {"lb": [0], "en": [0]}),
        ("short #2", {"lb": [1]}),
    ]
    assert Gold.of(parts).split("test") == {"d1 #1", "d1 #2"}


def test_a_third_is_cut_from_the_target_alone() -> None:
    (document,) = third(documents(1), "en")
    assert (len(document.lines["lb"]), list(document.lines["en"])) == (7, [0, 1, 2])


def test_comparable_text_has_half_of_the_lines_and_of_the_articles() -> None:
    found = comparable(documents(20), "en")
    assert found == comparable(documents(20), "en")
    here, later = found[:20], found[20:]
    assert [sorted(d.lines) for d in here].count(["en", "lb"]) == 10
    assert [list(d.lines) for d in later] == [["en"]] * 10
    assert {len(d.lines["en"]) for d in found if "en" in d.lines} == {4}
    assert {len(d.lines["lb"]) for d in here} == {7}
    gold = Gold.of(found)
    assert len(gold.lines(("lb", "en"))) == 40  # those left in the window
    assert all(gold.documents[name].lines.get("lb") for name, _ in gold.lines(("lb", "en")))
