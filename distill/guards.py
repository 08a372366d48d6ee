"""What a healthy training looks like, and the alarms for one that is not.

Students collapse without a word: a loss may look fine while all texts get one vector
(Reimers and Gurevych's script for multilingual models does so for some seeds). So a run
looks at its vectors every so many steps and stops with the reason.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from corpus.errors import CollapseError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

MOST = 500  # pairs of each language pair looked at
ONE_VECTOR = 0.95  # mean cosine between texts that have nothing in common
ONE_TARGET = 0.98  # the same of a teacher: some spread over a narrow cone by nature
STILL = 1e-6  # a change of vectors that is rounding
UNIT = 0.01
GRACE = 1 / 3  # of all steps: a healthy student too begins with all texts in one place
REPEATS = 2  # evaluations in a row that must look alike
FEWEST = 50  # pairs: with fewer, chance finds some


@dataclass(frozen=True, slots=True)
class Health:
    """What the vectors of translations look like.

    Attributes:
        retrieval: share of texts whose translation is their nearest, mean of both ways
            and of the language pairs.
        mean_cosine: mean cosine between two texts of one side.
        uniformity: log of the mean of exp(-2 d^2) over their distances d (Wang and Isola
            2020): 0 where all vectors are one, about -3.9 where they fill the sphere.
    """

    retrieval: float
    mean_cosine: float
    uniformity: float

    def values(self) -> dict[str, float]:
        """Give the values by name."""
        return {name: round(float(value), 6) for name, value in asdict(self).items()}


class Dev(NamedTuple):
    """Translations that a run measures itself on, and the languages of each."""

    src: list[str]
    tgt: list[str]
    langs: list[str]

    def rows(self) -> dict[str, NDArray[np.int64]]:
        """Number the first pairs of each language pair."""
        langs = np.array(self.langs, object)
        return {name: np.flatnonzero(langs == name)[:MOST] for name in sorted(set(self.langs))}


def retrieval(src: Floats, tgt: Floats) -> float:
    """Give the share of unit rows [n, dim] whose nearest row on the other side is their own.

    A tie is a miss: where all vectors are one, none is found.
    """
    sims = src @ tgt.T
    own = sims.diagonal().copy()
    np.fill_diagonal(sims, -np.inf)
    return float(np.mean([(own > sims.max(axis, initial=-1)).mean() for axis in (0, 1)]))


def measure(src: Floats, tgt: Floats) -> Health:
    """Measure the unit rows [n, dim] of translations."""
    sims = tgt @ tgt.T
    others = sims[~np.eye(len(sims), dtype=bool)]
    spread = np.exp(-4 * (1 - others), dtype=np.float64).mean() if others.size else 1.0
    mean = float(others.mean()) if others.size else 1.0
    return Health(retrieval(src, tgt), mean, float(np.log(spread)))


def measure_dev(dev: Dev, encode: Callable[[Sequence[str]], Floats]) -> tuple[Health, Floats]:
    """Measure an encoder on dev: health over all language pairs, and the targets' vectors."""
    found, vectors = [], []
    for rows in dev.rows().values():
        src, tgt = (encode([side[n] for n in rows.tolist()]) for side in (dev.src, dev.tgt))
        found.append(measure(src, tgt))
        vectors.append(tgt)
    means = np.array([tuple(asdict(health).values()) for health in found]).mean(0)
    return Health(*means.tolist()), np.concatenate(vectors)


def check_targets(targets: Floats) -> None:
    """Refuse a teacher's vectors [n, dim] that nothing can be learned from.

    Raises:
        CollapseError: they are not of norm 1, all zero, or all one.
    """
    some = targets[:: max(1, len(targets) // MOST)]
    norms = np.linalg.norm(some, axis=1)
    if not norms.any():
        raise CollapseError(
            "zero learning signal: the teacher gives no text a vector; "
            "check teacher_languages and the teacher"
        )
    given = norms[norms > 0]
    if np.abs(given - 1).max() > UNIT:
        raise CollapseError(
            f"norm mismatch: the teacher's vectors have norms from {given.min():.3g} to "
            f"{given.max():.3g}, the student's have 1; give a teacher of unit vectors"
        )
    if len(given) > 1 and (mean := _mean_cosine(some[norms > 0])) > ONE_TARGET:
        raise CollapseError(
            f"one repeated target: the teacher's vectors have a mean cosine of {mean:.3f} "
            "between any two texts; check the teacher"
        )


class Watch:
    """Looks at each evaluation of a run, and stops one that goes nowhere."""

    def __init__(self, n_steps: int, n_pairs: int, may_fall: float | None = None) -> None:
        """Watch a run.

        Args:
            n_steps: of the whole run.
            n_pairs: that retrieval is measured on.
            may_fall: how far it may fall below the first evaluation; None for any.
        """
        self._n_steps, self._n_pairs, self._may_fall = n_steps, n_pairs, may_fall
        self._last: Floats | None = None
        self._first = 0.0
        self._seen: list[str] = []

    def see(self, step: int, health: Health, vectors: Floats) -> None:
        """Take an evaluation: after which step, and the vectors it saw.

        Raises:
            CollapseError: names what is wrong.
        """
        if self._last is None:
            self._first = health.retrieval
        elif np.abs(vectors - self._last).max() < STILL:
            raise CollapseError(
                f"zero learning signal: no vector has moved up to step {step}; the pairs "
                "repeat one text, or the losses have nothing to compare"
            )
        self._last = vectors.copy()
        alarm = self._alarm(health) if step >= GRACE * self._n_steps else ""
        self._seen = [*self._seen, alarm] if alarm else []
        if len(self._seen) >= REPEATS:
            raise CollapseError(
                f"{alarm} at step {step} of {self._n_steps} (mean cosine "
                f"{health.mean_cosine:.3f}, uniformity {health.uniformity:.2f}, retrieval "
                f"{health.retrieval:.3f}); lower the rate, raise the batch or add the loss mnr"
            )
        if self._may_fall is not None and health.retrieval < self._first - self._may_fall:
            raise CollapseError(
                f"retrieval fell from {self._first:.3f} to {health.retrieval:.3f} by step {step}; "
                f"the recipe allows {self._may_fall}; lower the rate or the epochs"
            )

    def _alarm(self, health: Health) -> str:
        if health.mean_cosine > ONE_VECTOR and health.retrieval <= self._first:
            return "collapse: all texts get nearly one vector"
        if self._n_pairs >= FEWEST and health.retrieval <= 1 / self._n_pairs:
            return "collapse: translations are found no more often than by chance"
        return ""


def _mean_cosine(rows: Floats) -> float:
    n = len(rows)
    total = np.linalg.norm(rows.sum(0, dtype=np.float64)) ** 2
    return float((total - np.sum(rows.astype(np.float64) ** 2)) / (n * (n - 1)))
