"""Every kind of task: by hand, by a perfect encoder, and by one that knows nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from benchmarks import sets
from benchmarks.kinds import KINDS
from benchmarks.models import RandomEncoder
from benchmarks.results import Score
from benchmarks.tasks import classification, efficiency, monotone, similarity, spaces, topics
from corpus.errors import EmptyError, InputError

TOPICS = ["health", "politics", "sports", "travel"]
FACTS = {"summary": "s", "licence": "MIT", "citation": "c", "size": "s", "items": 4}


class Meaning:
    """Knows what texts mean: the direction that a function gives to a text's meaning."""

    dim = 64

    def __init__(self, meaning: Any) -> None:
        self.meaning, self.inner = meaning, RandomEncoder()

    def encode(self, texts: list[str]) -> NDArray[np.float32]:
        return self.inner.encode([self.meaning(text) for text in texts])


class Given:
    """Gives texts the rows of a table, made unit rows."""

    def __init__(self, rows: dict[str, tuple[float, ...]]) -> None:
        self.rows = rows
        self.dim = len(next(iter(rows.values())))

    def encode(self, texts: list[str]) -> NDArray[np.float32]:
        rows = np.array([self.rows[text] for text in texts], np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def data(kind: str, rows: dict[str, list[str]], **more: Any) -> sets.Data:
    spec = sets.Set(name="set", kind=kind, languages=["en"], **FACTS | more)  # type: ignore[arg-type]
    frame = pl.DataFrame(rows)
    if "split" not in frame.columns:
        frame = frame.with_columns(split=pl.lit("all"))
    return sets.Data(spec, frame, Path())


def value(scores: list[Score], name: str, of: str) -> float:
    found = {score.name: score.values for score in scores}[name][of]
    assert found is not None
    return found


def topic_rows(n: int, langs: tuple[str, ...] = ("en", "lb")) -> dict[str, list[str]]:
    rows = [(lang, at) for lang in langs for at in range(n)]
    return {
        "text": [f"{lang} text {at} on {TOPICS[at % 4]}" for lang, at in rows],
        "label": [TOPICS[at % 4] for _, at in rows],
        "lang": [lang for lang, _ in rows],
        "cluster": [str(at) for _, at in rows],
        "split": [("train", "test", "dev")[at // 4 % 3] for _, at in rows],
    }


def label_of(text: str) -> str:
    """Find the topic that a text or a filled template names."""
    for lang in ("en", "lb"):
        for topic, word in zip(TOPICS, _words(lang), strict=True):
            if word in text or text.endswith(f" on {topic}"):
                return topic
    return text


def _words(lang: str) -> list[str]:
    return topics.prompts(lang, TOPICS)[0][3]  # the template that is nothing but the label


def test_topics_perfect_and_random() -> None:
    given = data("topics", topic_rows(600))
    perfect = topics.run(given, Meaning(label_of), "test")  # type: ignore[arg-type]
    assert [score.name for score in perfect] == ["en", "lb"]
    assert {score.values[v] for score in perfect for v in ("accuracy", "low", "ensemble")} == {1.0}
    chance = topics.run(given, RandomEncoder(), "all")  # type: ignore[arg-type]
    for score in chance:
        assert score.values["accuracy"] == pytest.approx(0.25, abs=0.05)


def test_topics_by_hand() -> None:
    """Two templates of five name the topic; by the mean vector all five do."""
    (filled, own) = topics.prompts("en", ["sports", "travel"])
    assert own == "en"
    rows = {"a": (1.0, 0.2), "b": (0.2, 1.0)}
    for n, (sports, travel) in enumerate(filled):
        right = n < 2
        rows[sports] = (5.0, 0.0) if right else (0.0, 1.0)
        rows[travel] = (0.0, 5.0) if right else (1.0, 0.0)
    given = data(
        "topics",
        {
            "text": ["a", "b"],
            "label": ["sports", "travel"],
            "lang": ["en"] * 2,
            "cluster": ["1", "2"],
        },
    )
    [score] = topics.run(given, Given(rows), "all")  # type: ignore[arg-type]
    assert score.values["accuracy"] == pytest.approx(0.4)
    assert (score.values["worst"], score.values["best"]) == (0, 1)
    assert score.values["ensemble"] == 0


def test_topics_in_a_language_without_labels_say_so() -> None:
    given = data("topics", topic_rows(12, ("fo",)))
    [score] = topics.run(given, Meaning(label_of), "test")  # type: ignore[arg-type]
    assert score.name == "fo (en labels)"
    assert score.values["accuracy"] == 1
    with pytest.raises(InputError, match="no label word for 'cooking' in en; add it to labels/en"):
        topics.prompts("fo", ["cooking"])


@pytest.mark.parametrize("lang", sorted(path.stem for path in topics.LABELS.glob("*.toml")))
def test_label_files_name_every_topic_in_every_template(lang: str) -> None:
    names = ["entertainment", "geography", "health", "politics", "science/technology"]
    filled, own = topics.prompts(lang, [*names, "sports", "travel"])
    assert own == lang
    assert len(filled) >= 3
    assert all(len(set(row)) == 7 and not any("{" in text for text in row) for row in filled)


def test_transfer_perfect_and_random() -> None:
    given = data("transfer", topic_rows(720))
    perfect = classification.run_transfer(given, Meaning(label_of), "test")  # type: ignore[arg-type]
    assert {score.name: score.values["accuracy"] for score in perfect} == dict.fromkeys(
        ("en→en", "en→lb", "en→others", "lb→en", "lb→lb", "lb→others"), 1.0
    )
    assert [score.name for score in perfect if score.draws is not None] == [
        "en→others",
        "lb→others",
    ]
    chance = classification.run_transfer(given, RandomEncoder(), "test")  # type: ignore[arg-type]
    assert value(chance, "en→others", "accuracy") == pytest.approx(0.25, abs=0.09)


@pytest.mark.train  # scikit-learn comes with it
def test_logistic_regression_agrees_with_scikit_learn() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    random = np.random.default_rng(0)
    x, y = random.normal(size=(120, 6)), random.integers(0, 4, 120)
    ours = classification.Logistic(x, y, 0.3)
    theirs = linear.LogisticRegression(C=0.3, tol=1e-10, max_iter=1000).fit(x, y)
    np.testing.assert_allclose(
        ours.weights[:-1] - ours.weights[:-1].mean(axis=1, keepdims=True), theirs.coef_.T, atol=1e-4
    )
    assert (ours.predict(x) == theirs.predict(x)).all()


def test_classification_by_folds_and_by_given_splits() -> None:
    rows = topic_rows(80, ("en",))
    whole = {name: rows[name] for name in ("text", "label")}
    for given in (data("classification", whole), data("classification", rows)):
        [score] = classification.run(given, Meaning(label_of), "test")  # type: ignore[arg-type]
        assert (score.name, score.values["macro_f1"], score.values["accuracy"]) == ("en", 1, 1)
    large = topic_rows(2000, ("en",))
    given = data("classification", {name: large[name] for name in ("text", "label")})
    [score] = classification.run(given, RandomEncoder(), "test")  # type: ignore[arg-type]
    assert score.values["macro_f1"] == pytest.approx(0.25, abs=0.05)
    few = {"text": ["a", "b", "c", "c"], "label": ["x", "y", "x", "x"]}
    with pytest.raises(EmptyError, match="3 different texts, at least 5"):
        classification.run(data("classification", few), RandomEncoder(), "test")  # type: ignore[arg-type]


def test_folds_keep_equal_texts_together_and_classes_balanced() -> None:
    clusters = [f"t{n // 2}" for n in range(100)]
    y = np.array([n // 2 % 2 for n in range(100)])
    fold = classification.folds(y, clusters)
    assert (fold[::2] == fold[1::2]).all()
    assert [int(((fold == n) & (y == 0)).sum()) for n in range(5)] == [10] * 5


def test_features_of_two_texts_by_hand() -> None:
    rows = pl.DataFrame({"text": ["a"], "text2": ["b"]})
    found = classification.features(Given({"a": (1, 0), "b": (0.6, 0.8)}), rows)  # type: ignore[arg-type]
    np.testing.assert_allclose(found, np.sqrt(2) * np.array([[0.4, 0.8, 0.6, 0]]), atol=1e-6)


def test_triples_by_hand() -> None:
    # a is nearer its paraphrase, b is not, a tie is wrong.
    rows = {"a": (1, 0), "b": (0, 1), "near": (1, 0.5), "far": (0.1, 1)}
    given = data(
        "triples",
        {
            "anchor": ["a", "b", "a"],
            "paraphrase": ["near", "near", "near"],
            "not_paraphrase": ["far", "far", "near"],
            "proposer": ["chat", "rule", "rule"],
        },
    )
    scores = similarity.run_triples(given, Given(rows), "test")  # type: ignore[arg-type]
    assert [score.name for score in scores] == ["en", "by chat", "by rule"]
    assert value(scores, "en", "accuracy") == pytest.approx(1 / 3)
    assert (value(scores, "by chat", "accuracy"), value(scores, "by rule", "accuracy")) == (1, 0)
    assert scores[1].draws is None  # encoders are compared by the whole alone


def test_twins_are_one_cluster() -> None:
    # Each text is an anchor and its twin's paraphrase; twins are right or wrong together.
    anchors = [f"{side}{n}" for n in range(50) for side in "ab"]
    twins = [f"{side}{n}" for n in range(50) for side in "ba"]
    given = {"anchor": anchors, "paraphrase": twins, "not_paraphrase": ["x"] * 100}
    rows: dict[str, tuple[float, ...]] = {
        text: (1.0, 0.0) if int(text[1:]) % 2 else (0.0, 1.0) for text in anchors
    }
    rows |= {f"b{n}": (0.5, 0.5) for n in range(25)} | {"x": (0.8, 0.2)}
    [score] = similarity.run_triples(data("triples", given), Given(rows), "all")  # type: ignore[arg-type]
    accuracy, low, high = (score.values[name] for name in ("accuracy", "low", "high"))
    assert accuracy is not None
    assert low is not None
    assert high is not None
    by_pair = 1.96 * np.sqrt(accuracy * (1 - accuracy) / 50)
    assert high - low == pytest.approx(2 * by_pair, rel=0.35)


def test_detection_by_hand_and_by_made_negatives() -> None:
    rows = {"a": (1, 0), "b": (0.9, np.sqrt(0.19)), "c": (0.6, 0.8), "d": (0, 1)}
    given = {"text": ["a"] * 3, "text2": ["b", "c", "d"], "label": ["1", "0", "True"]}
    [score] = similarity.run_detection(data("detection", given), Given(rows), "test")  # type: ignore[arg-type]
    # Cosines .9 yes, .6 no, 0 yes.
    assert score.values == {
        "average_precision": pytest.approx(0.5 + 0.5 * 2 / 3),
        "low": pytest.approx(np.nan, nan_ok=True),  # one text alone is on the left
        "high": pytest.approx(np.nan, nan_ok=True),
        "accuracy@0.8": pytest.approx(2 / 3),
        "best_accuracy": pytest.approx(2 / 3),
        "best_threshold": pytest.approx(0.9),
        "paraphrases": pytest.approx(0.45),
        "negatives": pytest.approx(0.6),
    }
    pairs = {"text": [f"a{n}" for n in range(400)], "text2": [f"b{n}" for n in range(400)]}
    made = data("detection", pairs, negatives="next")
    [perfect] = similarity.run_detection(made, Meaning(lambda t: t[1:]), "test")  # type: ignore[arg-type]
    assert perfect.values["average_precision"] == perfect.values["accuracy@0.8"] == 1
    [chance] = similarity.run_detection(made, RandomEncoder(), "test")  # type: ignore[arg-type]
    assert chance.values["average_precision"] == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize(
    ("labels", "words"), [(["1", "2"], "label '2' is neither"), (["1", "1"], "all 2 labels are 1")]
)
def test_detection_needs_both_labels(labels: list[str], words: str) -> None:
    given = data("detection", {"text": ["a", "b"], "text2": ["c", "d"], "label": labels})
    with pytest.raises(InputError, match=words):
        similarity.run_detection(given, RandomEncoder(), "test")  # type: ignore[arg-type]


def test_similarity_by_hand_and_bad_scores() -> None:
    rows = {"a": (1, 0), "b": (0.8, 0.6), "c": (0.6, 0.8), "d": (0, 1)}
    given = {"text": ["a"] * 3, "text2": ["b", "c", "d"], "score": ["5", "1", "2"]}
    [score] = similarity.run_sts(data("sts", given), Given(rows), "test")  # type: ignore[arg-type]
    assert score.values["spearman"] == pytest.approx(0.5)  # ranks 3 1 2 against 3 2 1
    expected = np.corrcoef([5, 1, 2], [0.8, 0.6, 0])[0, 1]
    assert score.values["pearson"] == pytest.approx(expected)
    bad = data("sts", given | {"score": ["5", "high", "2"]})
    with pytest.raises(InputError, match="score 'high' is no number"):
        similarity.run_sts(bad, Given(rows), "test")  # type: ignore[arg-type]


def test_kernel_alignment_by_hand() -> None:
    # Centred x = (-1, 0, 1), y = (-1, 1, 0): <xx', yy'> = (x·y)² = 1, |xx'| = |yy'| = 2.
    x, y = (np.array([v], np.float32).T for v in ([1, 2, 3], [0, 2, 1]))
    assert spaces.cka(spaces.gram(x), spaces.gram(y)) == pytest.approx(0.25)
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(8, 8)))[0].astype(np.float32)
    rows = np.random.default_rng(1).normal(size=(40, 8)).astype(np.float32)
    k, turned = spaces.gram(rows), spaces.gram(3 * rows @ rotation + 1)
    assert spaces.cka(k, turned) == pytest.approx(1)
    assert spaces.debiased_cka(k, turned) == pytest.approx(1)


def test_weighted_kernels_are_those_of_repeated_items() -> None:
    random = np.random.default_rng(0)
    a, b = (random.normal(size=(12, 5)).astype(np.float32) for _ in "ab")
    weights = np.array([[0, 1, 2, 3] * 3, [1] * 12, [2, 0, 0, 2] * 3], np.float64)
    grams = {"a": spaces.gram(a), "b": spaces.gram(b)}
    found = spaces.align_all(grams, weights)["a", "b"]
    repeated = [
        spaces.cka(*(spaces.gram(np.repeat(v, w.astype(int), axis=0)) for v in (a, b)))
        for w in weights
    ]
    np.testing.assert_allclose(np.diff(found.draws), np.diff(repeated), atol=1e-5)
    assert found.draws.mean() == pytest.approx(found.value) == pytest.approx(repeated[1])


def test_spaces_perfect_and_random() -> None:
    rows = topic_rows(300, ("en", "fr", "lb"))
    rows["text"] = [f"{lang}:{at}" for lang, at in zip(rows["lang"], rows["cluster"], strict=True)]
    given = data("spaces", rows)
    given = sets.Data(given.spec.model_copy(update={"languages": ["en", "lb"]}), given.rows, Path())
    perfect = spaces.run(given, Meaning(lambda t: t[3:]), "test")  # type: ignore[arg-type]
    assert [score.name for score in perfect] == ["en·lb", "en·others", "lb·others"]
    assert [score.values["cka"] for score in perfect] == pytest.approx([1, 1, 1])
    [pair, *_] = spaces.run(given, RandomEncoder(), "test")  # type: ignore[arg-type]
    assert pair.values["cka"] == pytest.approx(256 / (300 + 256), abs=0.05)
    assert pair.values["debiased"] == pytest.approx(0, abs=0.05)


def test_beads_are_scored_by_document(tmp_path: Path) -> None:
    for n, gold in enumerate(("[0]:[0]\n[1]:[1]\n", "[0]:[0]\n[1]:[]\n[]:[1]\n")):
        (tmp_path / f"test{n}.de").write_text("Eins zwei.\nDrei vier.\n")
        (tmp_path / f"test{n}.fr").write_text("Eins zwei.\nDrei vier.\n")
        (tmp_path / f"test{n}.defr").write_text(gold)
    spec = sets.Set(
        name="set", kind="beads", languages=["de", "fr"], files={"test": "test*.defr"},
        **FACTS,  # type: ignore[arg-type]
    )  # fmt: skip
    given = sets.load(spec, tmp_path)
    # Found [0]:[0], [1]:[1] in both: precision 3 of 4, recall 3 of 3.
    encoder = Meaning(str)
    encoder.lexical_weight = 0  # type: ignore[attr-defined]
    scores = monotone.run(given, encoder, "test")  # type: ignore[arg-type]
    assert value(scores, "de-fr strict", "f1") == pytest.approx(2 * 0.75 / 1.75)
    assert scores[0].draws is not None
    assert set(np.round(scores[0].draws, 3)) == {1.0, 0.857, 0.667}
    with pytest.raises(EmptyError, match="no rows in dev"):
        monotone.run(given, encoder, "dev")  # type: ignore[arg-type]


def test_efficiency_measures_every_model_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    class Timed:
        def __init__(self, name: str, spec: str) -> None:
            self.name, self.spec, self.inner = name, spec, self

        def encode(self, texts: list[str]) -> None:
            calls.append(self.name)

    monkeypatch.setattr(efficiency, "BATCHES", {1: 2, 4: 4})
    monkeypatch.setattr(efficiency, "_apart", lambda code: "123.4")
    found = efficiency.run([Timed("a", "embedded"), Timed("b", "random")])  # type: ignore[list-item]
    # For each of 3 lengths: 1 warm-up and 2 batches of one, then 1 and 1 of four, in turn.
    assert "".join(calls) == ("aaabbb" * 3 + "aabb" * 3) * 3
    names = [score.name for score in found["a"]]
    assert names[:2] == ["short, batch 1", "short, batch 4"]
    size = found["a"][-1].values
    assert size["memory_mb"] == 123.4
    assert 12 < size["parameters_m"] < 15  # type: ignore[operator]
    assert 10 < size["disk_mb"] < 20  # type: ignore[operator]
    assert found["b"][-1].values["parameters_m"] == 0
    assert [len(text.split()) for text in efficiency.texts("long", 2)] == [100, 100]


def test_peak_memory_is_of_a_process_of_its_own() -> None:
    held = bytearray(b"x" * 500_000_000)  # the parent's
    code = efficiency.PEAK.format(spec="random")
    assert 20 < float(efficiency._apart(code)) < len(held) / 1e6
    with pytest.raises(InputError, match=r"memory failed: .*no encoder 'nothing'"):
        efficiency._apart(efficiency.PEAK.format(spec="nothing"))


def test_every_kind_has_its_test_here() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    for kind in KINDS:
        assert f'"{kind}"' in text or kind == "bitext", kind
