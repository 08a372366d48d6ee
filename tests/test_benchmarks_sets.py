"""Sets: what ships, how rows are read, and what `benchmarks run` does with them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray

import benchmarks.cli
from benchmarks import mteb, results, sets
from benchmarks.kinds import KINDS
from benchmarks.models import Once, RandomEncoder
from benchmarks.tasks.bitext import bitexts
from corpus.errors import EmptyError, InputError, MissingExtraError
from corpus.vectors import VectorStore
from corpus.workspace import Workspace
from tests.hub_server import TOKEN, HubServer, Repo

SPEC = """
name = "own"
kind = "{kind}"
summary = "s"
licence = "MIT"
citation = "c"
languages = ["lb"]
size = "s"
items = 3
{more}
[files]
test = "{files}"
[columns]
{columns}
"""


def write(path: Path, *rows: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(row + "\n" for row in rows), encoding="utf-8")
    return path


def spec(tmp_path: Path, kind: str, columns: str, files: str = "own.tsv", more: str = "") -> Path:
    named = "\n".join(f'{pair.split("=")[0]} = "{pair.split("=")[1]}"' for pair in columns.split())
    text = SPEC.format(kind=kind, columns=named, files=files, more=more)
    return write(tmp_path / "own.toml", text)


@pytest.mark.parametrize("name", sorted(path.stem for path in sets.FOLDER.glob("*.toml")))
def test_sets_that_ship_say_all_that_is_listed(name: str) -> None:
    each = sets.catalogue()[name]
    assert each.name == name
    assert each.kind in {*KINDS, "efficiency"}
    assert all((each.summary, each.licence, each.citation, each.languages, each.size))
    assert each.files or each.hub or each.kind == "efficiency"
    assert not each.configs or set(each.configs) == set(each.languages)


def test_list_says_what_a_difference_must_be() -> None:
    shown = CliRunner().invoke(benchmarks.cli.main, ["list", "--json"])
    found = {task["task"]: task for task in json.loads(shown.stdout)}
    assert len(found) == len(sets.catalogue())
    # 156 pairs of twins: 1.96 √(¼ / 156).
    assert found["paralux"]["differ by"] == 0.078
    assert found["paralux"]["licence"] == "CC-BY-NC-4.0"
    assert "paralux" in CliRunner().invoke(benchmarks.cli.main, ["list"]).stdout


@pytest.mark.parametrize("suffix", ["tsv", "csv", "jsonl", "json", "parquet"])
def test_rows_are_the_same_from_every_format(tmp_path: Path, suffix: str) -> None:
    frame = pl.DataFrame({"sentence": ["a b", 'c "d"'], "score": [1, 0], "split": ["val", "test"]})
    path = tmp_path / f"own.{suffix}"
    if suffix == "tsv":
        write(path, "sentence\tscore\tsplit", "a b\t1\tval", 'c "d"\t0\ttest')
    else:
        saved = {"csv": "csv", "jsonl": "ndjson", "json": "json", "parquet": "parquet"}[suffix]
        getattr(frame, f"write_{saved}")(path)
    path = spec(tmp_path, "classification", "text=sentence label=score split=split", path.name)
    found = sets.load(*sets.find(str(path), None))
    assert found.rows.select("text", "label", "split").rows() == [
        ("a b", "1", "dev"), ('c "d"', "0", "test"),
    ]  # fmt: skip
    assert found.part("dev")["text"].to_list() == ["a b"]
    assert len(found.part("all")) == 2
    with pytest.raises(EmptyError, match="own has no rows in train, but dev, test"):
        found.part("train")


def test_even_clusters_are_dev_and_languages_become_pairs(tmp_path: Path) -> None:
    write(tmp_path / "own.tsv", "doc\ten\tlb", "a\tx0\ty0", "b\tx1\ty1", "a\tx2\t", "c\tx3\ty3")
    more = 'pairs = ["lb-en"]\nparity = true'
    path = spec(tmp_path, "bitext", "cluster=doc en=en lb=lb", more=more)
    found = sets.load(*sets.find(str(path), None))
    assert found.rows["split"].to_list() == ["dev", "test", "dev", "dev"]
    [pair] = bitexts(found)
    assert (pair.src, pair.tgt) == (("y0", "y1", "y3"), ("x0", "x1", "x3"))
    assert pair.splits == ("dev", "test", "dev")
    assert pair.clusters == ("a", "b", "c")


TOPIC_ROW = "text\tlabel\tlang\tcluster"
LABELLED = "text=text label=label"
TOPICS = f"{LABELLED} lang=lang cluster=cluster"


@pytest.mark.parametrize(
    ("rows", "kind", "columns", "words"),
    [
        (["text\tlabel", "a\tx", "b\t"], "classification", LABELLED, r"row 2 has no label"),
        (["text\tlabel", "a\tx\tz"], "classification", LABELLED, "row 2: 3 columns"),
        (["text\tlabel"], "classification", LABELLED, "no rows in test"),
        ([], "classification", LABELLED, "no rows"),
        (["text\tlabel", "a\tx"], "classification", "text=texte label=label", "no column .texte."),
        ([TOPIC_ROW, "a\tsports\tzzz\t1"], "topics", TOPICS, "'zzz' is no language"),
        ([TOPIC_ROW, "a\tcooking\ten\t1"], "topics", TOPICS, "no label word for 'cooking'"),
    ],
)  # fmt: skip
def test_bad_sets_get_one_line_and_others_still_run(
    tmp_path: Path, rows: list[str], kind: str, columns: str, words: str
) -> None:
    write(tmp_path / "own.tsv", *rows)
    good = write(tmp_path / "lb-en.tsv", *(f"a{n}\tb{n}" for n in range(6)))
    bad = spec(tmp_path, kind, columns)
    done = run(tmp_path, "random", "--task", str(bad), "--task", "paraluxe", "--tsv", str(good))
    assert done.exit_code == 1
    [line] = [line for line in done.stderr.splitlines() if "own" in line]
    assert re.search(words, line)
    assert "no task 'paraluxe' (did you mean 'paralux'?)" in done.stderr
    assert "lb→en margin" in done.stdout


def run(root: Path, *args: str) -> Result:
    return CliRunner().invoke(benchmarks.cli.main, ["run", *args, "-w", str(root)])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name = 'x", "cannot read the task"),
        ("name = 'x'", "kind Field required"),
        ("hub = 'a/b'\nname = 'x'\nkind = 'sts'\nsummary = 's'\nlicence = 'l'\ncitation = 'c'\n"
         "languages = []\nsize = 's'\nitems = 1", "a/b needs the revision"),
    ],
)  # fmt: skip
def test_broken_task_files_name_the_key(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        sets.read_spec(write(tmp_path / "t.toml", text))
    assert "\n" not in str(caught.value)


class Broken(RandomEncoder):
    """Answers what no encoder should."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer = answer

    def encode(self, texts: Any) -> NDArray[np.float32]:
        bad = any("bad" in text for text in texts)
        return self.answer(super().encode(texts)) if bad else super().encode(texts)


@pytest.mark.parametrize("answer", [lambda rows: rows * np.nan, lambda rows: rows[1:]])
def test_a_model_that_answers_nonsense_fails_that_task_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    monkeypatch.setattr("benchmarks.models.load_encoder", lambda spec: Broken(answer))
    good = write(tmp_path / "lb-en.tsv", *(f"a{n}\tb{n}" for n in range(6)))
    bad = write(tmp_path / "lb-fr.tsv", *(f"bad a{n}\tb{n}" for n in range(6)))
    done = run(tmp_path, "m=m", "random", "--tsv", str(bad), "--tsv", str(good))
    assert done.exit_code == 1
    [line] = [line for line in done.stderr.splitlines() if "not scored" in line]
    assert "lb-fr, m: the encoder gave vectors" in line
    assert "lb-en" in done.stdout


def test_two_models_of_one_name_are_told_apart_first(tmp_path: Path) -> None:
    done = run(tmp_path, "random", "random", "--tsv", "absent.tsv")
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert "two models are called random; say how to call them: NAME=random" in done.stderr


def test_all_that_a_folder_has_is_run_and_each_text_encoded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, folder = tmp_path / "w", tmp_path / "data"
    Workspace.create(root, "you@example.org")
    rows = [f"{n}\t{s}\t{t}\t{lang}\t{lang} {n}" for n, (s, t) in enumerate(
        [("train", "sports"), ("train", "travel"), ("test", "sports"), ("test", "travel")] * 3
    ) for lang in ("en", "lb")]  # fmt: skip
    write(folder / "sib200" / "sib200.tsv", "index_id\tsplit\tcategory\tlang\ttext", *rows)
    monkeypatch.setattr("benchmarks.tasks.efficiency.run", lambda encoders: {
        each.name: [results.Score("size", {"disk_mb": 1.0})] for each in encoders
    })  # fmt: skip
    seen: list[str] = []

    class Counting(RandomEncoder):
        def encode(self, texts: Any) -> NDArray[np.float32]:
            seen.extend(texts)
            return super().encode(texts)

    monkeypatch.setattr("benchmarks.models.load_encoder", lambda spec: Counting())
    for _ in range(2):
        done = run(root, "mine=some", "--data", str(folder))
        assert done.exit_code == 0, done.output
    assert len(seen) == len(set(seen))
    assert {text for text in seen if text[3:].isdigit()} == {r.rpartition("\t")[2] for r in rows}
    found = {record.data: record for record in results.load(Workspace.open(root).results)}
    assert set(found) == {
        "efficiency",
        "flores",
        "sib200-spaces",
        "sib200-topics",
        "sib200-transfer",
    }
    assert {record.model for record in found.values()} == {"mine"}
    drawn = found["sib200-transfer"].scores[0].draws, found["sib200-transfer"].scores[-1].draws
    assert drawn[0] is None
    assert drawn[1] is not None
    assert drawn[1].shape == (2000,)
    [path] = (root / "benchmarks" / "mteb").rglob("Bitextile-sib200-topics.json")
    assert path.parts[-3:-1] == ("mine", "1")


def test_records_in_the_layout_of_mteb() -> None:
    scores = [results.Score("bn→en margin", {"accuracy": 1 / 3, "low": None})]
    scores += [results.Score("size", {"disk_mb": 3.0}), results.Score("x", {"accuracy": np.nan})]
    record = results.Record("bitext", "x", "test", ["bn", "en"], "m", "r", "d", 3, scores)
    assert mteb.as_mteb(record) == {
        "task_name": "Bitextile-x", "dataset_revision": "d", "mteb_version": None,
        "evaluation_time": None, "kg_co2_emissions": None,
        "scores": {"test": [{"accuracy": 0.333333, "main_score": 0.333333,
                             "hf_subset": "bn→en margin", "languages": ["ben-Beng", "eng-Latn"]}]},
    }  # fmt: skip
    assert mteb.languages_of("lb (en labels)", record) == ["ben-Beng", "eng-Latn"]
    own = results.Record("spaces", "x", "all", ["lb", "bn"], "m", "r", "d", 3, scores)
    assert mteb.languages_of("bn·others", own) == ["ben-Beng"]


def test_splits_of_a_task_share_mtebs_file(tmp_path: Path) -> None:
    scores = [results.Score("lb", {"accuracy": 0.5})]
    for split, digest in (("dev", "old"), ("dev", "d"), ("test", "d")):
        record = results.Record("topics", "x", split, ["lb"], "m", "r", digest, 3, scores)
        mteb.save(tmp_path, [record])
    [path] = tmp_path.rglob("*.json")
    assert set(json.loads(path.read_text())["scores"]) == {"dev", "test"}


def test_tasks_of_mteb_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = Once("m", "random", RandomEncoder(), VectorStore(tmp_path, 256))
    monkeypatch.setitem(sys.modules, "mteb", None)
    with pytest.raises(MissingExtraError, match=r"bitextile\[mteb\]"):
        mteb.run("mteb:NTREXBitextMining", encoder)

    class Fake:
        class models:  # noqa: N801
            class ModelMeta:
                create_empty = staticmethod(lambda overwrites: overwrites)

        @staticmethod
        def get_task(name: str) -> str:
            if name != "NTREXBitextMining":
                raise KeyError(name)
            return name

        @staticmethod
        def evaluate(model: mteb.Model, task: str, **_: object) -> list[Any]:
            assert model.mteb_model_meta == {"name": "bitextile/m", "revision": "1"}
            rows = model.encode([{"text": ["a", "b"]}, {"text": ["c"]}])
            assert rows.shape == (3, 256)
            assert model.similarity(rows, rows[:2]).shape == (3, 2)
            np.testing.assert_allclose(model.similarity_pairwise(rows, rows), 1, atol=1e-3)
            score = {"f1": 0.5, "main_score": 0.5, "hf_subset": "bn-en", "languages": ["ben-Beng"]}

            class TaskResult:
                task_name, dataset_revision, scores = task, "abc", {"test": [score]}

            return [TaskResult()]

    monkeypatch.setitem(sys.modules, "mteb", Fake)  # type: ignore[arg-type]
    [record] = mteb.run("mteb:NTREXBitextMining", encoder)
    assert (record.data, record.main, record.digest) == ("NTREXBitextMining", "main_score", "abc")
    assert record.scores[0].values == {"f1": 0.5, "main_score": 0.5}
    with pytest.raises(InputError, match="KeyError: 'Nothing'"):
        mteb.run("mteb:Nothing", encoder)


FROM_HUB = """
from benchmarks import sets
print(sets.load(sets.find({path!r}, None)[0], None).rows.rows())
"""


@pytest.mark.train
def test_sets_come_from_the_hub_at_a_pinned_revision(tmp_path: Path) -> None:
    rows = pl.DataFrame({"anchor": ["a"], "paraphrase": ["b"], "not_paraphrase": ["c"]})
    rows.write_parquet(tmp_path / "test.parquet")
    revision = "e" * 40
    text = SPEC.format(kind="triples", files="no/such", columns="anchor = 'anchor'\nparaphrase = "
                       "'paraphrase'\nnot_paraphrase = 'not_paraphrase'",
                       more=f'hub = "org/set"\nrevision = "{revision}"')  # fmt: skip
    path = write(tmp_path / "own.toml", text)
    with HubServer() as server:
        server.repos["org/set"] = Repo(
            private=False,
            files={"data/test-00000-of-00001.parquet": (tmp_path / "test.parquet").read_bytes()},
            commits=[revision],
        )
        hub = {"HF_ENDPOINT": server.url, "HF_HUB_DISABLE_XET": "1", "HF_HOME": str(tmp_path / "h")}
        hub["HF_TOKEN"] = TOKEN
        done = subprocess.run(
            [sys.executable, "-c", FROM_HUB.format(path=str(path))],
            env=os.environ | hub, capture_output=True, text=True, check=False,
        )  # fmt: skip
        asked = {path for _, path in server.log}
    assert done.stdout.strip().endswith("[('a', 'b', 'c', 'test')]"), done.stderr[-2000:]
    assert any(revision in path for path in asked)
