"""From pairs to a model's folder, and the command that does it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

import distill
from align.encoders import load_encoder
from align.lexical import mix
from corpus.errors import EmptyError
from corpus.pairs import sentence_pairs
from corpus.workspace import Workspace
from distill import data, job, train
from distill.cli import main
from distill.data import Texts
from distill.export import quantise
from distill.recipe import load_recipe
from distill.teacher import principal, teach
from tests.hash_encoder import HashEncoder
from tests.test_align_stages import build, write_articles

RECIPE = """
name = "tiny"
summary = "A tiny one."
vocabulary = 400
dim = 16
licence = "CC0-1.0"
[training]
epochs = 10
batch = 16
rate = 0.02
scale = 10
temperature = 1
teacher_weight = 1
"""


def words(seed: int) -> pl.DataFrame:
    """Make pairs of sentences over 30 words; lbNN and enNN mean the same."""
    draw = np.random.default_rng(seed).integers(10, 40, size=(80, 5))
    rows = [
        (" ".join(f"lb{w}" for w in row), " ".join(f"en{w}" for w in row), "lb", "en", "made")
        for row in draw
    ]
    return pl.DataFrame(rows, schema=dict.fromkeys(data.COLUMNS, pl.String), orient="row")


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    path = tmp_path / "tiny.toml"
    path.write_text(RECIPE)
    return str(path)


def test_a_student_learns_what_the_pairs_say(tmp_path: Path, recipe: str) -> None:
    seen: list[tuple[str, int, int]] = []
    facts = distill.run(recipe, words(0), tmp_path / "m", progress=lambda *step: seen.append(step))
    assert (facts["n_read"], facts["n_pairs"], facts["by_langs"]) == (80, 80, {"en-lb": 80})
    assert seen[-1] == ("training", 50, 50)
    encoder = load_encoder(str(tmp_path / "m"))
    assert encoder.languages == {"lb", "en"}
    assert encoder.lexical_weight == 0.3
    new = words(1)
    src, tgt = (encoder.encode(new[side].to_list()) for side in ("src", "tgt"))
    assert ((src @ tgt.T).argmax(1) == np.arange(80)).mean() > 0.9


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path, recipe: str) -> None:
    for name in ("a", "b"):
        distill.run(recipe, words(0), tmp_path / name)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == [
        "README.md",
        "config.json",
        "distilled.json",
        "lexical.safetensors",
        "model.safetensors",
        "modules.json",
        "tokenizer.json",
    ]
    for name in names:
        a, b = ((tmp_path / out / name).read_text("latin-1") for out in "ab")
        seconds = r'(?<=It took )\S+|(?<="seconds": )\S+'  # the only thing that differs
        assert re.sub(seconds, "", a) == re.sub(seconds, "", b)


def test_model2vec_gives_the_same_vectors(tmp_path: Path, recipe: str) -> None:
    from model2vec import StaticModel

    distill.run(recipe, words(0), tmp_path / "m")
    texts = ["lb10 lb11", "EN39 ☃ en12", "unheard of"]
    theirs = StaticModel.from_pretrained(tmp_path / "m").encode(texts)
    np.testing.assert_allclose(load_encoder(str(tmp_path / "m")).encode(texts), theirs, atol=1e-6)


@pytest.mark.train
def test_sentence_transformers_gives_the_same_vectors(tmp_path: Path, recipe: str) -> None:
    from sentence_transformers import SentenceTransformer

    distill.run(recipe, words(0), tmp_path / "m")
    texts = ["lb10 lb11", "EN39 ☃ en12", "unheard of", ""]
    theirs = SentenceTransformer(str(tmp_path / "m"), device="cpu").encode(texts)
    np.testing.assert_allclose(load_encoder(str(tmp_path / "m")).encode(texts), theirs, atol=1e-6)


def test_the_card_tells_what_was_done(tmp_path: Path, recipe: str) -> None:
    teacher = HashEncoder()
    reserved = [words(0)["src"][3]]
    facts = distill.run(recipe, words(0), tmp_path / "m", reserved=reserved, teacher=teacher)
    assert facts["dropped"]["nearly an evaluation text"] >= 1
    card = (tmp_path / "m" / "README.md").read_text()
    assert card.startswith(
        "---\nlicense: cc0-1.0\nlanguage:\n- en\n- lb\nlibrary_name: model2vec\n"
    )
    assert f"| trained on | {facts['n_pairs']} |" in card
    assert f"| made | made | {facts['n_pairs']} |" in card
    assert "the teacher `hash (1)`" in card
    assert "distributed under CC0-1.0" in card


def test_the_card_tells_what_was_measured(tmp_path: Path, recipe: str) -> None:
    kept = {"kept_out": [], "teacher": None, "progress": lambda *step: None}
    out, card = tmp_path / "m", tmp_path / "m" / "README.md"
    seen = train.train(load_recipe(recipe), words(0), out, **kept)
    assert (seen["dev_is"], seen["test"]) == ("trained on", {})
    assert "No dev set was given" in card.read_text()
    assert "- dev:" not in card.read_text()
    sets = {"dev": words(1), "test": words(2).vstack(words(1)[:5])}
    facts = train.train(load_recipe(recipe), words(0), out, **kept, **sets)
    assert not facts["is_fresh"]
    text = card.read_text()
    assert facts["dev"]["lb-en"]["pairs"] <= 75  # no dev pair nearly stands in the test set
    assert facts["test"]["lb-en"]["pairs"] == 85
    for name in ("dev", "test"):
        f = facts[name]["lb-en"]
        assert 0.8 < f["low"] < f["retrieval"] <= f["high"] <= 1
        assert f["at_99"] is None
        row = f"{f['retrieval']:.3f} | {f['low']:.3f}–{f['high']:.3f} | none | {f['at_95']:.3f}"
        assert f"| lb-en | {f['pairs']} | {row} |" in text
        assert f"- {name}: `{facts['digests'][name]}`" in text
    assert f"- trained on: `{facts['digests']['trained on']}`" in text
    assert f"It took {facts['seconds']} s on {facts['hardware']}." in text
    again = train.train(load_recipe(recipe), words(0), out, **kept, **sets)
    assert again == facts | {"is_fresh": True}
    other = train.train(load_recipe(recipe), words(0), out, **kept, dev=sets["dev"])
    assert not other["is_fresh"]


def test_too_few_pairs_say_why(tmp_path: Path, recipe: str) -> None:
    few = words(0)[:25].with_columns(tgt=pl.when(pl.arange(25) > 9).then("src").otherwise("tgt"))
    with pytest.raises(EmptyError, match=r"10 of 25 pairs are left.*15 same text"):
        distill.run(recipe, few, tmp_path / "m")


def test_rows_are_rounded_in_their_own_scale() -> None:
    whole, scale = quantise(np.array([[1.27, -0.635], [0, 0], [127, 1]], np.float32))
    assert whole.tolist() == [[127, -64], [0, 0], [127, 1]]
    np.testing.assert_allclose(scale, [0.01, 0, 1])


def test_texts_are_taught_by_themselves_or_by_their_translations() -> None:
    teacher, langs = HashEncoder(), np.array(["en", "en", "lb", "fr"], object)
    src, tgt = np.array([2, 0, 3]), np.array([0, 2, 2])
    texts = Texts(["en1", "en2", "lb1", "fr9"], langs, src, tgt)
    own = teacher.encode(["en1", "en2"])
    taught = teach(texts, langs == "en", teacher, 64, None)
    np.testing.assert_allclose(taught[:2], own, atol=1e-6)
    np.testing.assert_allclose(taught[2], own[0], atol=1e-6)
    assert not taught[3].any()  # its only translation is not readable either


def test_principal_directions_keep_the_cosines_of_a_plane() -> None:
    axes = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 2)))[0]
    plane = (np.random.default_rng(1).normal(size=(9, 2)) @ axes.T).astype(np.float32)
    reduced = principal(plane, 2)
    np.testing.assert_allclose(reduced @ reduced.T, plane @ plane.T, atol=1e-5)
    np.testing.assert_array_equal(principal(plane, 6), plane)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    write_articles(tmp_path / "news.jsonl", 60)
    return build(tmp_path / "w", tmp_path / "news.jsonl", HashEncoder())


def test_a_tenth_of_a_workspace_is_held_out(workspace: Workspace) -> None:
    pairs, held = job.workspace_pairs(workspace, ["lb-en"])
    kept = sentence_pairs(workspace, "lb-en").filter("kept")
    rows = [line.split("\t") for line in workspace.held_out("lb-en").read_text().splitlines()]
    assert 0 < len(rows) < 0.3 * kept.height
    assert [list(row) for row in held.select("src", "tgt").rows()] == rows
    assert len(rows) + pairs.height == kept.height
    assert not {src for src, _ in rows} & set(pairs["src"])
    assert {tuple(row) for row in rows} | set(pairs.select("src", "tgt").rows()) == set(
        kept.select("src_text", "tgt_text").rows()
    )


@pytest.mark.slow
def test_run_without_a_recipe_trains_on_the_workspace(workspace: Workspace) -> None:
    done = CliRunner().invoke(main, ["run", "--no-reserved", "-w", str(workspace.root), "--json"])
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert facts["path"] == str(workspace.model("static"))
    encoder = load_encoder(facts["path"])
    held = [line.split("\t") for line in workspace.held_out("lb-en").read_text().splitlines()]
    assert encoder.encode([src for src, _ in held]).any(axis=1).all()
    assert facts["test"]["en-lb"]["pairs"] == len(held)
    assert list((workspace.root / "vectors").glob("embedded-*"))  # the teacher's, kept


class Counting(HashEncoder):
    """Counts the texts that it is asked for."""

    asked = 0

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode texts, and count them."""
        self.asked += len(texts)
        return super().encode(texts)


def test_a_second_student_asks_the_teacher_nothing(tmp_path: Path, recipe: str) -> None:
    workspace, teacher = Workspace.create(tmp_path / "w", "me@example.org"), Counting()
    asked = []
    for changes in ([], ["training.seed=1"]):
        facts = train.train(
            load_recipe(recipe, changes),
            words(0),
            tmp_path / "m",
            kept_out=[],
            teacher=teacher,
            workspace=workspace,
            progress=lambda *step: None,
        )
        assert not facts["is_fresh"]
        asked.append(teacher.asked)
    assert asked[0] == asked[1] > 0


def test_run_on_files(tmp_path: Path, recipe: str) -> None:
    words(0).select("src", "tgt").write_csv(
        tmp_path / "lb-en.tsv", separator="\t", include_header=False
    )
    arguments = ["run", recipe, "--data", str(tmp_path / "lb-en.tsv"), "--out", str(tmp_path / "m")]
    done = CliRunner().invoke(main, [*arguments, "-w", str(tmp_path)])
    assert (done.exit_code, "benchmarks reserve, or go on with" in done.output) == (1, True)
    arguments.append("--no-reserved")
    done = CliRunner().invoke(main, [*arguments, "-w", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "en-lb" in done.stdout
    assert load_encoder(str(tmp_path / "m")).dim == 16


def test_pairs_of_files_are_chosen_by_their_languages(tmp_path: Path, recipe: str) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for langs in ("lb-en", "fr-en"):
        table = words(0).select("src", "tgt")
        table.write_csv(folder / f"{langs}.tsv", separator="\t", include_header=False)
    arguments = [
        "run",
        recipe,
        "--data",
        str(folder),
        "--out",
        str(tmp_path / "m"),
        "--no-reserved",
    ]
    arguments += ["-w", str(tmp_path), "--json", "--pair"]
    done = CliRunner().invoke(main, [*arguments, "lb-en"])
    assert json.loads(done.stdout)["by_langs"] == {"en-lb": 80}
    done = CliRunner().invoke(main, [*arguments, "lb-fr"])
    assert (done.exit_code, "no pairs of lb-fr in" in done.output) == (1, True)
    assert "it has en-fr, en-lb" in done.output


def test_a_teacher_that_reads_none_of_the_languages_is_left_out(tmp_path: Path) -> None:
    pairs = words(0).with_columns(src_lang=pl.lit("fo"), tgt_lang=pl.lit("is"))
    facts = distill.run("static", pairs, tmp_path / "m")
    assert (facts["begun"], facts["teacher"]) == ("", "")
    assert facts["health"]["retrieval"] > 0.9
    assert "teacher" not in (tmp_path / "m" / "README.md").read_text()


def test_the_command_lists_recipes_and_names_mistakes(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["recipes", "--json"])
    rows = {row["recipe"]: row for row in json.loads(done.stdout)}
    assert rows["luxembedder"]["status"] == "written from the paper, not run at scale"
    assert "how negatives were made" in rows["luxembedder"]["unknown"]
    done = CliRunner().invoke(main, ["run", "statik", "-w", str(tmp_path)])
    assert (done.exit_code, "did you mean 'static'?" in done.output) == (1, True)
    done = CliRunner().invoke(main, ["run", "--no-reserved", "-w", str(tmp_path)])
    assert (done.exit_code, "no workspace in" in done.output) == (1, True)


def news(shared: Path) -> tuple[dict[str, list[str]], NDArray[np.bool_]]:
    """Read NTREX: the lines of each language, and which belong to odd documents."""
    text = (shared / "ntrex" / "ntrex.tsv").read_text(encoding="utf-8")
    lines = [line.split("\t") for line in text.splitlines()]
    columns = {name: list(cells) for name, *cells in zip(*lines, strict=True)}
    order = list(dict.fromkeys(columns["doc"]))
    return columns, np.array([order.index(doc) % 2 == 1 for doc in columns["doc"]])


def found(scores: NDArray[np.float32]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell of each row whether its own column is best, by score and by ratio margin."""
    near = [np.sort(s, axis=1)[:, -4:].mean(1) for s in (scores, scores.T)]
    margins = 2 * scores / (near[0][:, None] + near[1])
    own = np.arange(len(scores))
    return scores.argmax(1) == own, margins.argmax(1) == own


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("lang", "alone", "mixed"),
    [("lb", (0.80, 0.92), (0.86, 0.95)), ("bn", (0.57, 0.73), (0.57, 0.73))],
)
def test_the_embedded_model_finds_translations_of_news(
    shared: Path, lang: str, alone: tuple[float, float], mixed: tuple[float, float]
) -> None:
    columns, test = news(shared)
    encoder = load_encoder("embedded")
    src, tgt = columns[lang], columns["en"]
    sims = encoder.encode(src) @ encoder.encode(tgt).T
    overlap = (encoder.lexical.vectors(src) @ encoder.lexical.vectors(tgt).T).toarray()
    for scores, floors in ((sims, alone), (mix(sims, overlap, encoder.lexical_weight), mixed)):
        for right, floor in zip(found(scores), floors, strict=True):
            assert right[test].mean() >= floor


@pytest.mark.realdata
def test_a_student_goes_beyond_the_embedded_model(tmp_path: Path, shared: Path) -> None:
    columns, test = news(shared)
    pairs = pl.DataFrame({"src": columns["lb"], "tgt": columns["en"]}).filter(test)
    langs = {"src_lang": "lb", "tgt_lang": "en", "source": ""}
    facts = distill.run(
        "static", pairs.with_columns(pl.lit(v).alias(k) for k, v in langs.items()), tmp_path / "m"
    )
    assert facts["begun"].startswith("embedded (")
    right = {}
    for spec in ("embedded", str(tmp_path / "m")):
        encoder = load_encoder(spec)
        sims = encoder.encode(columns["lb"]) @ encoder.encode(columns["en"]).T
        right[spec] = [by[~test].mean() for by in found(sims)]
    cosine, margin = np.subtract(right[str(tmp_path / "m")], right["embedded"])
    assert cosine > 0.005
    assert margin > 0


def test_in_a_new_language_a_student_starts_anew(tmp_path: Path) -> None:
    pairs = words(0).with_columns(src_lang=pl.lit("fo"))
    facts = distill.run("static", pairs, tmp_path / "m")
    assert facts["begun"] == ""
    assert facts["teacher"].startswith("embedded (")
    encoder = load_encoder(str(tmp_path / "m"))
    assert encoder.languages == {"fo", "en"}
    src, tgt = (encoder.encode(words(0)[side].to_list()) for side in ("src", "tgt"))
    assert ((src @ tgt.T).argmax(1) == np.arange(80)).mean() > 0.9


def test_the_embedded_model_is_small() -> None:
    from align.encoders import EMBEDDED

    assert sum(path.stat().st_size for path in EMBEDDED.iterdir()) <= 16e6
