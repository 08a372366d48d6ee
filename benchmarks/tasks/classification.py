"""Classification on frozen vectors: logistic regression, and its transfer across languages.

With train rows the rest is predicted from them; without, five folds that keep equal texts
together and classes balanced. Of two texts u and v the features are abs(u - v) and u * v
(Conneau et al. 2017, InferSent).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax

from benchmarks.metrics import Floats, estimate, macro_f1, mean
from benchmarks.results import Score, scored
from corpus.errors import EmptyError
from corpus.tables import text_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl
    from numpy.typing import NDArray

    from benchmarks.models import Once
    from benchmarks.sets import Data

MAIN = "macro_f1"
TRANSFER_MAIN = "accuracy"
N_FOLDS = 5
STRENGTH = 0.1  # inverse regularisation (scikit-learn's C) of features of about unit variance


class Logistic:
    """Multinomial logistic regression with an L2 penalty, as scikit-learn's."""

    def __init__(self, x: Floats, y: NDArray[np.intp], strength: float = STRENGTH) -> None:
        """Fit classes y [n] to features x [n, d] by L-BFGS; the intercept has no penalty."""
        self.classes, at = np.unique(y, return_inverse=True)
        (n, d), k = x.shape, len(self.classes)
        gold = np.eye(k)[at]

        def loss(flat: Floats) -> tuple[float, Floats]:
            weights = flat.reshape(d + 1, k)
            logs = log_softmax(x @ weights[:-1] + weights[-1], axis=1)
            penalty = (weights[:-1] ** 2).sum() / (2 * strength * n)
            wrong = (np.exp(logs) - gold) / n
            slope = np.vstack([x.T @ wrong + weights[:-1] / (strength * n), wrong.sum(axis=0)])
            return float(-(gold * logs).sum() / n + penalty), slope.ravel()

        found = minimize(loss, np.zeros((d + 1) * k), jac=True, method="L-BFGS-B", tol=1e-8)
        self.weights = found.x.reshape(d + 1, k)

    def predict(self, x: Floats) -> NDArray[np.intp]:
        """Give the likeliest class of each row [n]."""
        logits = x @ self.weights[:-1] + self.weights[-1]
        return np.asarray(self.classes[logits.argmax(axis=1)])


def run(data: Data, encoder: Once, split: str) -> list[Score]:
    """Score a set with text, label, and perhaps text2."""
    has_train = "train" in data.rows["split"].to_list()
    rows = data.part(split, trains=has_train)
    names = sorted(data.rows["label"].unique())
    gold = np.searchsorted(names, rows["label"].to_list())
    clusters = rows["text"].to_list()
    if has_train and split != "all":
        train = data.part("train")
        labels = np.searchsorted(names, train["label"].to_list())
        model = Logistic(features(encoder, train), labels)
        predicted = model.predict(features(encoder, rows))
    else:
        predicted = cross_validated(features(encoder, rows), gold, clusters)
    found = estimate(macro_f1(gold, predicted), clusters)
    accuracy = float((gold == predicted).mean())
    return [scored("-".join(data.spec.languages), MAIN, found, {"accuracy": accuracy})]


def features(encoder: Once, rows: pl.DataFrame) -> Floats:
    """Give features of about unit variance [n, d]."""
    first = encoder.encode(rows["text"].to_list()).astype(np.float64)
    if "text2" in rows.columns:
        second = encoder.encode(rows["text2"].to_list()).astype(np.float64)
        first = np.hstack([np.abs(first - second), first * second])
    return np.asarray(first * np.sqrt(encoder.dim))


def cross_validated(x: Floats, y: NDArray[np.intp], clusters: Sequence[str]) -> NDArray[np.intp]:
    """Predict each of five folds from the other four [n].

    Raises:
        EmptyError: there are fewer than five different texts.
    """
    fold = folds(y, clusters)
    if fold.max() < N_FOLDS - 1:
        raise EmptyError(f"{len(set(clusters))} different texts, at least {N_FOLDS} are needed")
    predicted = np.empty_like(y)
    for n in range(N_FOLDS):
        predicted[fold == n] = Logistic(x[fold != n], y[fold != n]).predict(x[fold == n])
    return predicted


def folds(y: NDArray[np.intp], clusters: Sequence[str]) -> NDArray[np.intp]:
    """Deal clusters to folds, class by class, in an order that only their text decides [n]."""
    of_cluster = dict(zip(clusters, y.tolist(), strict=True))
    order = sorted(of_cluster, key=lambda c: (of_cluster[c], text_key(c)))
    fold = {cluster: n % N_FOLDS for n, cluster in enumerate(order)}
    return np.asarray([fold[cluster] for cluster in clusters])


def run_transfer(data: Data, encoder: Once, split: str) -> list[Score]:
    """Train on each language's train rows, predict all languages' rows of a split.

    The scores ``en→others`` compare encoders; the others fill a heat map.
    """
    names = sorted(data.rows["label"].unique())
    train = _by_language(data.part("train"), encoder, names)
    rows = data.part(split, trains=True)
    tests = _by_language(rows, encoder, names)
    clusters = {lang: rows.filter(lang=lang)["cluster"].to_list() for lang in tests}
    scores = []
    for src, (x, y) in train.items():
        model, others = Logistic(x, y), []
        for tgt, (features_, gold) in tests.items():
            right = model.predict(features_) == gold
            found = estimate(mean(right), clusters[tgt])
            scores.append(scored(f"{src}→{tgt}", TRANSFER_MAIN, found, paired=False))
            if src != tgt:
                others.append((right, clusters[tgt]))
        if others:
            right = np.concatenate([r for r, _ in others])
            found = estimate(mean(right), [c for _, ids in others for c in ids])
            scores.append(scored(f"{src}→others", TRANSFER_MAIN, found))
    return scores


def _by_language(
    rows: pl.DataFrame, encoder: Once, names: Sequence[str]
) -> dict[str, tuple[Floats, NDArray[np.intp]]]:
    parts = sorted(rows.partition_by("lang", as_dict=True).items())
    return {
        str(lang): (features(encoder, part), np.searchsorted(names, part["label"].to_list()))
        for (lang,), part in parts
    }
