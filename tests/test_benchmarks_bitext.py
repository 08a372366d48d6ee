from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import benchmarks.cli
import corpus
from align.lexical import Lexical
from align.neighbours import Embedded, nearest
from benchmarks import results, sets
from benchmarks.tasks import bitext
from corpus.errors import BitextileError, EmptyError, InputError
from corpus.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray


class Lookup:
    """An encoder whose vectors are given."""

    name, revision, key, dim, languages = "lookup", "r1", "lookup r1", 3, None
    lexical, lexical_weight = Lexical(), 0.0

    def __init__(self, rows: dict[str, tuple[float, ...]]) -> None:
        self.rows, self.n_encoded = rows, 0

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.n_encoded += len(texts)
        return np.array([self.rows[text] for text in texts], np.float32)


def write(path: Path, *rows: str) -> Path:
    path.write_text("".join(row + "\n" for row in rows), encoding="utf-8")
    return path


def load(path: Path, *columns: str) -> sets.Data:
    return sets.load(sets.of_file(path, columns), path.parent)


def score(encoder: Lookup, data: sets.Data, split: str = "all") -> dict[str, Any]:
    return {each.name: each.values for each in bitext.run(data, encoder, split)}  # type: ignore[arg-type]


def test_margin_undoes_a_hub_that_cosine_falls_for(tmp_path: Path) -> None:
    # Row by column: x1 is nearest to the hub y0 (.8) though y1 (.7) is its own.
    #        y0   y1   y2
    #   x0   .9   .1   .1     mean .3667
    #   x1   .8   .7   .1     mean .5333
    #   x2   .8   .1   .7     mean .5333   column means .8333 .3 .3
    # margins of x1: y0 .8/((.5333+.8333)/2) = 1.171, y1 .7/((.5333+.3)/2) = 1.68
    rows = np.array([[0.9, 0.1, 0.1], [0.8, 0.7, 0.1], [0.8, 0.1, 0.7]])
    texts = {f"x{n}": tuple(row) for n, row in enumerate(rows)}
    texts |= {f"y{n}": tuple(np.eye(3)[n]) for n in range(3)}
    data = load(write(tmp_path / "lb-en.tsv", "x0\ty0", "x1\ty1", "x2\ty2"))
    assert data.spec.languages == ["lb", "en"]
    scores = score(Lookup(texts), data)
    cosine, margin = scores["lb→en cosine"], scores["lb→en margin"]
    # Found: y0 three times. F1 of y0 is 2 / (1 + 3), of the others 0.
    assert cosine == {"accuracy": 1 / 3, "low": 0, "high": 1,
                      "f1": pytest.approx(0.5 / 3), "xsim": pytest.approx(200 / 3)}  # fmt: skip
    assert margin["accuracy"] == margin["f1"] == 1
    assert margin["xsim"] == 0
    assert scores["en→lb cosine"]["accuracy"] == 1
    assert list(scores) == ["lb→en cosine", "lb→en margin", "en→lb cosine", "en→lb margin"]


def test_margins_by_hand() -> None:
    score = np.array([[0.9, 0.1, 0.1], [0.8, 0.7, 0.1], [0.8, 0.1, 0.7]], np.float32)
    own, other = nearest(Embedded(score), Embedded(np.eye(3, dtype=np.float32)), 3)
    assert bitext.best_by_margin(own, other).tolist() == [0, 1, 2]
    assert own.at[:, 0].tolist() == [0, 0, 0]


def test_the_lexical_score_is_mixed_in_by_the_encoders_weight(tmp_path: Path) -> None:
    names = ["Esch 1932", "Wiltz 1845", "Vianden 1417", "Diekirch 2001"]
    texts = {f"{name} {side}": (1.0, 0.0, 0.0) for name in names for side in "ab"}
    path = write(tmp_path / "p.tsv", *(f"{name} a\t{name} b" for name in names))
    encoder = Lookup(texts)
    encoder.lexical_weight = 0.5
    scores = score(encoder, load(path))
    assert scores["src→tgt cosine"]["accuracy"] == 0.25
    assert scores["src→tgt cosine+lexical"]["accuracy"] == 1
    assert scores["tgt→src margin+lexical"]["accuracy"] == 1


def test_queries_are_a_split_and_candidates_all_lines(tmp_path: Path) -> None:
    path = write(tmp_path / "set.tsv", "doc\tlb\ten", *(f"d{n // 2}\tx{n}\ty{n}" for n in range(6)))
    data = load(path, "lb", "en")
    assert data.part("dev")["text"].to_list() == ["x0", "x1", "x4", "x5"]
    assert data.part("test")["text"].to_list() == ["x2", "x3"]
    # x2's vector is that of y0: wrong only if y0, of another split, is a candidate.
    axes = np.eye(6)[[0, 1, 0, 3, 4, 5]]
    texts = {f"x{n}": tuple(axes[n]) for n in range(6)}
    encoder = Lookup(texts | {f"y{n}": tuple(np.eye(6)[n]) for n in range(6)})
    assert score(encoder, data, "dev")["lb→en cosine"]["accuracy"] == 1
    test = score(encoder, data, "test")["lb→en cosine"]
    assert test["accuracy"] == 0.5
    assert np.isnan(test["low"])  # of one document


def test_a_document_keeps_its_parity_where_rows_are_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "set.tsv", "doc\tlb\ten", "a\tx\ty", "b\tx\t", "c\tx\ty", "d\tx\ty")
    [data] = bitext.bitexts(load(path, "lb", "en"))
    assert data.clusters == ("a", "c", "d")
    assert data.splits == ("dev", "dev", "test")


@given(st.lists(st.integers(0, 7), min_size=1, max_size=30), st.randoms())
def test_weighted_f1_agrees_with_its_definition(predicted: list[int], random: object) -> None:
    gold = np.array(sorted(set(predicted))[: len(predicted)])
    found = np.array(predicted[: len(gold)])
    expected = []
    for n, label in enumerate(gold):
        precision = (found[n] == label) / max((found == label).sum(), 1)
        recall = float(found[n] == label)
        expected.append(2 * precision * recall / (precision + recall) if recall else 0.0)
    assert bitext.f1_weighted(gold, found) == pytest.approx(np.mean(expected))


@pytest.mark.parametrize(
    ("rows", "columns", "words"),
    [
        (["a\tb", "a"], (), "row 2: 1 columns where the first row has 2"),
        (["doc\tlb\ten", "d\tx\ty"], (), "--columns lb,en"),
        (["doc\tlb\ten", "d\tx\ty"], ("lb", "eng"), "did you mean 'en'"),
        (["doc\tlb\ten", "d\tx\ty"], ("lb",), "two names"),
        (["\tb", "a\t"], (), "no row with both sides"),
        ([], (), "no rows"),
    ],
)
def test_bad_files_get_one_clear_line(
    tmp_path: Path, rows: list[str], columns: tuple[str, ...], words: str
) -> None:
    with pytest.raises(BitextileError, match=words) as caught:
        bitext.bitexts(load(write(tmp_path / "bad.tsv", *rows), *columns))
    assert "\n" not in str(caught.value)


def test_splits_that_cannot_be(tmp_path: Path) -> None:
    plain = load(write(tmp_path / "lb-en.tsv", "a\tb"))
    with pytest.raises(EmptyError, match="no rows in dev, but all"):
        score(Lookup({}), plain, "dev")
    one = load(write(tmp_path / "x.tsv", "doc\tlb\ten", "d\ta\tb"), "lb", "en")
    with pytest.raises(EmptyError, match="no rows in test, but dev"):
        score(Lookup({}), one, "test")
    (tmp_path / "latin.tsv").write_bytes(b"caf\xe9\tb\n")
    with pytest.raises(InputError, match="UTF-8"):
        load(tmp_path / "latin.tsv")


def test_records_are_files_that_differ_where_measurements_do(tmp_path: Path) -> None:
    scores = [results.Score("lb→en cosine", {"accuracy": 1 / 3, "low": None})]
    record = results.Record("bitext", "x", "test", ["lb", "en"], "a/b", "r", "d", 3, scores)
    path = results.save(tmp_path, record)
    assert json.loads(path.read_text()) == {
        "task": "bitext", "data": "x", "split": "test", "languages": ["lb", "en"], "model": "a/b",
        "revision": "r", "digest": "d", "n": 3, "main": "accuracy", "bitextile": corpus.__version__,
        "scores": [{"name": "lb→en cosine", "values": {"accuracy": 0.333333, "low": None}}],
    }  # fmt: skip
    assert results.save(tmp_path, replace(record, n=4)) == path  # measured again
    others = [replace(record, revision="s"), replace(record, split="dev")]
    assert len({results.save(tmp_path, other) for other in [record, *others]}) == 3


def test_run_writes_records_and_encodes_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace.create(tmp_path, "you@example.org")
    held_out = workspace.held_out("lb-en")
    held_out.parent.mkdir(parents=True)
    write(held_out, "x0\ty0", "x1\ty1")
    axes = {"x0": (1.0, 0, 0), "y0": (1.0, 0, 0), "x1": (0, 1.0, 0), "y1": (0, 1.0, 0)}
    encoder = Lookup(axes)
    monkeypatch.setattr("benchmarks.models.load_encoder", lambda spec: encoder)
    for _ in range(2):
        result = CliRunner().invoke(benchmarks.cli.main, ["run", "m", "-w", str(tmp_path)])
        assert result.exit_code == 0, result.output
    assert encoder.n_encoded == 4
    [path] = workspace.results.glob("*.json")
    record = json.loads(path.read_text())
    assert (record["data"], record["n"], record["languages"]) == ("lb-en", 2, ["lb", "en"])
    assert record["scores"][0]["values"]["accuracy"] == 1
    assert "lb→en margin" in result.output


def test_run_without_anything_to_score(tmp_path: Path) -> None:
    Workspace.create(tmp_path, "you@example.org")
    result = CliRunner().invoke(benchmarks.cli.main, ["run", "embedded", "-w", str(tmp_path)])
    assert result.exit_code == 1
    assert "no held-out pairs" in result.output
