"""Train a static student: a vocabulary and one vector per token, in numpy and scipy.

A sentence's vector is the normalised sum of its tokens' vectors. Three signals shape
them: translations attract each other and repel the batch's other rows (the in-batch
softmax of LaBSE, Feng et al. 2022, both ways), the same again for the first dimensions
alone (Kusupati et al. 2022, "Matryoshka Representation Learning"), and both sides follow a
teacher's vector of the side that it reads (Reimers and Gurevych 2020), which is also where
they start.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

from align.static import count_tokens
from distill.gradients import EPSILON, contrastive, follow, unit_gradient, unit_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray
    from scipy.sparse import csr_array

    from distill.keep import Keeper
    from distill.recipe import Training

    Floats = NDArray[np.float32]
    Progress = Callable[[int, int], None]

UNK = "<unk>"
SIF = 1e-4
SMOOTHING = 5.0  # texts: a token of few texts starts near zero
NOISE = 0.3
WARM_UP = 0.05  # of all steps


@dataclass(frozen=True, slots=True)
class Corpus:
    """Pairs as the trainer sees them.

    Attributes:
        counts: tokens of each unique text, [n_texts, n_tokens].
        src: row of each pair's source text, [n_pairs].
        tgt: row of each pair's target text, [n_pairs].
        group: language pair of each pair, [n_pairs]; a batch holds one only.
        teacher: the teacher's unit vector of each text, zero where there is none,
            [n_texts, at most dim]; None to train without a teacher.
    """

    counts: csr_array
    src: NDArray[np.int64]
    tgt: NDArray[np.int64]
    group: NDArray[np.int64]
    teacher: Floats | None = None


def train_vocabulary(texts: Iterable[str], size: int) -> Tokenizer:
    """Train a Unigram vocabulary (Kudo 2018) that knows no whitespace but word starts.

    Args:
        texts: training texts, in a fixed order.
        size: tokens, ``<unk>`` (id 0) included.
    """
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Replace(Regex("[’‘´`]"), "'"), normalizers.NFKC(), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Punctuation(),
            pre_tokenizers.Metaspace(prepend_scheme="always"),
        ]
    )
    trainer = trainers.UnigramTrainer(
        vocab_size=size, special_tokens=[UNK], unk_token=UNK, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.model = models.Unigram(_settled(tokenizer), unk_id=0)
    return tokenizer


def _settled(tokenizer: Tokenizer) -> list[tuple[str, float]]:
    """Give the pieces in an order that the trainer's hash maps do not shake.

    Scores move by rounding errors from run to run, and characters that no text needs are
    added at the end in chance order, each a hair over the least score: these become equal.
    """
    (unk, *pieces) = json.loads(tokenizer.to_str())["model"]["vocab"]
    least = min(score for _, score in pieces)
    settled = [
        (piece, round(least if len(piece) == 1 and score < least + 0.1 else score, 6))
        for piece, score in pieces
    ]
    return [(unk[0], unk[1]), *sorted(settled, key=lambda item: (-item[1], item[0]))]


class RowAdam:
    """Adam (Kingma and Ba 2015) that moves only the rows a batch has touched."""

    def __init__(self, parameters: Floats) -> None:
        """Start with zero moments for ``parameters`` [n, dim], updated in place."""
        self.parameters = parameters
        self.first = np.zeros_like(parameters)
        self.second = np.zeros_like(parameters)
        self.steps = np.zeros(len(parameters), np.int64)

    def step(self, rows: NDArray[np.int64], gradient: Floats, rate: float) -> None:
        """Move ``rows`` against ``gradient`` [len(rows), dim]."""
        self.steps[rows] += 1
        n = self.steps[rows][:, None]
        first = self.first[rows] * np.float32(0.9) + gradient * np.float32(0.1)
        second = self.second[rows] * np.float32(0.98) + gradient**2 * np.float32(0.02)
        self.first[rows], self.second[rows] = first, second
        size = rate / (1 - 0.9**n) * np.sqrt(1 - 0.98**n)
        self.parameters[rows] -= size.astype(np.float32) * first / (np.sqrt(second) + EPSILON)


def batches(
    group: NDArray[np.int64], size: int, temperature: float, random: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """Draw an epoch's batches, each of one language pair, in random order.

    Args:
        group: language pair of each pair, [n_pairs].
        size: pairs in a batch.
        temperature: a language pair with n pairs is drawn in proportion to n to this
            power; the epoch's total stays n_pairs.
        random: the source of all chance.
    """
    names, n_each = np.unique(group, return_counts=True)
    share = n_each**temperature
    n_drawn = np.ceil(len(group) * share / share.sum()).astype(int)
    drawn = []
    for name, n in zip(names, n_drawn, strict=True):
        members = np.flatnonzero(group == name)
        rounds = [random.permutation(members) for _ in range(-(-n // len(members)))]
        drawn += np.array_split(np.concatenate(rounds)[:n], -(-n // size))
    for i in random.permutation(len(drawn)):
        yield drawn[i]


def start(corpus: Corpus, dim: int, seed: int) -> Floats:
    """Give first token vectors [n_tokens, dim]: what the teacher says of a token's texts.

    Frequent tokens get less (the weights of SIF, Arora et al. 2017); a little noise
    keeps tokens apart that stand in the same texts, and is all there is without a teacher.
    """
    n_tokens = corpus.counts.shape[1]
    random = np.random.default_rng(seed)
    noise = random.normal(0, 1 / np.sqrt(dim), (n_tokens, dim)).astype(np.float32)
    noise[0] = 0  # <unk>
    if corpus.teacher is None:
        return noise
    texts_with = np.bincount(corpus.counts.indices, minlength=n_tokens)
    said = corpus.counts.T @ (corpus.teacher - corpus.teacher.mean(0))
    said /= (texts_with + SMOOTHING)[:, None]
    frequency = np.asarray(corpus.counts.sum(0)) / corpus.counts.sum()
    said *= (SIF / (SIF + frequency))[:, None]
    typical = np.median(np.linalg.norm(said, axis=1))
    noise *= np.float32(NOISE)
    said[0] = 0
    noise[:, : said.shape[1]] += said / max(typical, EPSILON)
    return noise


def encode(tokenizer: Tokenizer, rows: Floats, texts: Sequence[str]) -> Floats:
    """Encode texts to unit rows [n, dim]."""
    return unit_rows(np.asarray(count_tokens(tokenizer, texts) @ rows))[0]


def fit(
    corpus: Corpus,
    rows: Floats,
    training: Training,
    progress: Progress,
    see: Callable[[int, Floats], None] = lambda epoch, rows: None,
    keep: Keeper | None = None,
) -> Floats:
    """Train token vectors [n_tokens, dim]; one that starts as zero, as <unk> does, stays so.

    Args:
        corpus: the pairs.
        rows: the vectors to start from, which are changed in place.
        training: how.
        progress: called after each batch with steps done and steps in all.
        see: called after each epoch with its number and the vectors.
        keep: keeps the state after each epoch, and gives that of a killed run.
    """
    random = np.random.default_rng(training.seed)
    adam = RowAdam(rows)
    epochs = [
        list(batches(corpus.group, training.batch, training.temperature, random))
        for _ in range(training.epochs)
    ]
    n_steps, step, done = sum(map(len, epochs)), 0, keep.load(adam) if keep else 0
    for epoch, drawn in enumerate(epochs, 1):
        if step >= done:
            for batch in drawn:
                part = step / n_steps
                rate = training.rate * min(1, (part + 1 / n_steps) / WARM_UP) * (1 - part)
                _step(corpus, batch, adam, rate, training)
                step += 1
                progress(step, n_steps)
            see(epoch, rows)
            if keep and epoch < len(epochs):
                keep.save(step, adam)
        else:
            step += len(drawn)
    return rows


def _step(
    corpus: Corpus,
    batch: NDArray[np.int64],
    adam: RowAdam,
    rate: float,
    training: Training,
) -> None:
    src, tgt = corpus.src[batch], corpus.tgt[batch]
    sides = np.concatenate([src, tgt])
    counts = corpus.counts[sides]
    tokens = np.unique(counts.indices).astype(np.int64)
    tokens = tokens[adam.parameters[tokens].any(axis=1)]
    counts = counts[:, tokens]
    sums = counts @ adam.parameters[tokens]
    same = (src[:, None] == src) | (tgt[:, None] == tgt)
    unit, inverse = unit_rows(sums)
    by_unit = _contrast(unit, training.scale, same)
    if corpus.teacher is not None and training.teacher_weight:
        by_unit += np.float32(training.teacher_weight) * follow(unit, corpus.teacher[sides])[1]
    gradient = unit_gradient(unit, inverse, by_unit)
    if training.head and training.head_weight:
        unit, inverse = unit_rows(sums[:, : training.head])
        by_unit = np.float32(training.head_weight) * _contrast(unit, training.scale, same)
        gradient[:, : training.head] += unit_gradient(unit, inverse, by_unit)
    adam.step(tokens, counts.T @ gradient, rate)


def _contrast(unit: Floats, scale: float, same: NDArray[np.bool_]) -> Floats:
    """Give the gradient of `contrastive` by the unit rows of both sides, [2 n, dim]."""
    src, tgt = np.split(unit, 2)
    _, *gradients = contrastive(src, tgt, scale, same)
    return np.concatenate(gradients)
