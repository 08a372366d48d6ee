"""Train a static student: a vocabulary and one vector per token, in numpy and scipy.

A sentence's vector is the normalised sum of its tokens' vectors. Three signals shape
them: translations attract each other and repel the batch's other rows (the in-batch
softmax of LaBSE, Feng et al. 2022, both ways); both sides follow a teacher's vector of
the English side (Reimers and Gurevych 2020); and two random pairs are at times read as
one, so that short training rows teach long sentences too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from distill.recipe import Training

    Floats = NDArray[np.float32]
    Progress = Callable[[int, int, float], None]

UNK = "<unk>"
EPSILON = 1e-8


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
        [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace(Regex("[’‘´`]"), "'")]
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
    return tokenizer


def unit_rows(rows: Floats) -> tuple[Floats, Floats]:
    """Divide rows by their norms; give the unit rows and 1/norm (0 for a zero row)."""
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    inverse = np.where(norms > EPSILON, 1 / np.maximum(norms, EPSILON), 0).astype(np.float32)
    return rows * inverse[:, None], inverse


def unit_gradient(unit: Floats, inverse: Floats, gradient: Floats) -> Floats:
    """Carry a loss's gradient through `unit_rows`."""
    along = np.einsum("ij,ij->i", unit, gradient)
    return (gradient - unit * along[:, None]) * inverse[:, None]


def contrastive(
    src: Floats, tgt: Floats, scale: float, masked: NDArray[np.bool_]
) -> tuple[float, Floats, Floats]:
    """Compute the symmetric in-batch softmax loss and its gradients.

    Args:
        src: unit vectors, [n, dim]; row i translates row i of ``tgt``.
        tgt: unit vectors, [n, dim].
        scale: inverse temperature of the cosines.
        masked: pairs that are no negatives, [n, n]; the diagonal is ignored.

    Returns:
        Mean loss, gradient by ``src``, gradient by ``tgt``.
    """
    n = len(src)
    logits = (src @ tgt.T) * np.float32(scale)
    own = logits.diagonal().copy()
    weights = np.exp(logits - np.float32(scale), out=logits)
    diagonal = weights.diagonal().copy()
    weights[masked] = 0
    np.fill_diagonal(weights, diagonal)
    rows, columns = weights.sum(1), weights.sum(0)
    loss = np.mean(np.log(rows) + np.log(columns) + 2 * (scale - own)) / 2
    weights *= (1 / rows)[:, None] + 1 / columns
    np.fill_diagonal(weights, weights.diagonal() - 2)
    weights *= np.float32(scale / (2 * n))
    return float(loss), weights @ tgt, weights.T @ src


def follow(unit: Floats, teacher: Floats) -> tuple[float, Floats]:
    """Compute the mean of 1 - cosine to the teacher over the rows that have one.

    Args:
        unit: unit vectors, [n, dim].
        teacher: unit or zero vectors, [n, at most dim]; compared with the first columns.
    """
    taught = max(int(np.any(teacher, axis=1).sum()), 1)
    gradient = np.zeros_like(unit)
    width = teacher.shape[1]
    gradient[:, :width] = -teacher / taught
    loss = 1 + float(np.einsum("ij,ij->", unit[:, :width], gradient[:, :width]))
    return loss, gradient


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


def _selection(n: int, joined: float, random: np.random.Generator) -> csr_array:
    """Make the matrix [n, n] that adds a random second row to a share of the rows."""
    partner = random.permutation(n)
    twice = (random.random(n) < joined) & (partner != np.arange(n))
    rows = np.concatenate([np.arange(n), np.flatnonzero(twice)])
    columns = np.concatenate([np.arange(n), partner[twice]])
    return csr_array((np.ones(len(rows), np.float32), (rows, columns)), shape=(n, n))


def _thin(counts: csr_array, dropout: float, random: np.random.Generator) -> csr_array:
    """Forget a share of the tokens, so that no single one carries a sentence."""
    kept = counts.copy()
    kept.data *= random.random(len(kept.data)) >= dropout
    return kept
