"""The losses of a transformer: what a step minimises, as a weighted sum.

A batch holds pairs by number; translations and the teacher's vectors are looked up, so
that texts which translate each other elsewhere are no negatives here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Iterable

    from distill.recipe import Losses


def mse(student: Tensor, teacher: Tensor) -> Tensor:
    """Give the mean squared distance of rows [n, dim] (Reimers and Gurevych 2020).

    Summed over dimensions: of unit vectors it is 2 - 2 cosine, whatever their number.
    """
    return (student - teacher).square().sum(1).mean()


def cosine(student: Tensor, teacher: Tensor) -> Tensor:
    """Give the mean of 1 - cosine of unit rows [n, dim]."""
    return (1 - (student * teacher).sum(1)).mean()


def mnr(
    src: Tensor,
    tgt: Tensor,
    same: Tensor,
    scale: float,
    hard: Tensor | None = None,
    same_hard: Tensor | None = None,
) -> Tensor:
    """Give the symmetric multiple negatives ranking loss (Henderson et al. 2017; Feng et al. 2022).

    Args:
        src: unit rows [n, dim]; row i translates row i of ``tgt``.
        tgt: unit rows [n, dim].
        same: pairs that are no negatives [n, n]; the diagonal is ignored.
        scale: inverse temperature.
        hard: more negatives of the sources [n, dim].
        same_hard: those that are none, being a source's translation [n, n].
    """
    own = torch.arange(len(src), device=src.device)
    logits = scale * src @ tgt.T
    masked = same & ~torch.eye(len(src), dtype=torch.bool, device=src.device)
    logits = logits.masked_fill(masked, -torch.inf)
    there = logits
    if hard is not None:
        more = scale * src @ hard.T
        more = more if same_hard is None else more.masked_fill(same_hard, -torch.inf)
        there = torch.cat([logits, more], 1)
    return (functional.cross_entropy(there, own) + functional.cross_entropy(logits.T, own)) / 2


def contrastive(src: Tensor, tgt: Tensor, hard: Tensor, margin: float) -> Tensor:
    """Pull translations together, push hard negatives beyond a margin (Hadsell et al. 2006).

    Half the squared cosine distance of unit rows [n, dim] and their translations, and half
    the square of what the distance to their negatives lacks of the margin.
    """
    near, far = (1 - (src * other).sum(1) for other in (tgt, hard))
    return (near.square() + functional.relu(margin - far).square()).mean() / 2


FOLLOWING = {"mse": mse, "cosine": cosine}


class Mixed(nn.Module):
    """The weighted sum, in the form that sentence-transformers' trainer calls."""

    def __init__(
        self,
        model: nn.Module,
        losses: Losses,
        src: Tensor,
        tgt: Tensor,
        taught: Tensor | None,
        negatives: Tensor | None = None,
    ) -> None:
        """Keep what is looked up.

        Args:
            model: the student.
            losses: weights.
            src: row of each pair's source text [n_pairs].
            tgt: row of each pair's target text [n_pairs].
            taught: the teacher's vector of each text, zero where it has none [n_texts, dim].
            negatives: row of each pair's hard negative, where there are any [n_pairs].
        """
        super().__init__()
        self.model, self._losses = model, losses
        self._src, self._tgt, self._taught, self._negatives = src, tgt, taught, negatives

    def forward(self, features: Iterable[dict[str, Tensor]], labels: Tensor) -> dict[str, Tensor]:
        """Give each loss of a batch, weighted.

        Args:
            features: the tokens of sources, targets and, where mined, hard negatives.
            labels: the pairs' numbers [n].
        """
        rows = [self.model(dict(side))["sentence_embedding"] for side in features]
        src, tgt, hard = (*rows, None) if len(rows) == 2 else rows
        pairs, losses = labels.cpu(), self._losses
        found = self._follow(pairs, torch.cat([src, tgt])) if losses.follow else {}
        if losses.mnr:
            found["mnr"] = losses.mnr * self._rank(pairs, src, tgt, hard)
        if losses.contrastive and hard is not None:
            found["contrastive"] = losses.contrastive * contrastive(src, tgt, hard, losses.margin)
        return found

    def _follow(self, pairs: Tensor, student: Tensor) -> dict[str, Tensor]:
        """Compare sources and targets [2 n, dim] with the teacher's vectors; 0 without any."""
        if self._taught is None:
            return {}
        taught = self._taught[torch.cat([self._src[pairs], self._tgt[pairs]])].to(student.device)
        known = taught.any(1)
        weights = {name: getattr(self._losses, name) for name in FOLLOWING}
        wanted = {name: weight for name, weight in weights.items() if weight}
        if not known.any():  # the mean of nothing would be no number
            return dict.fromkeys(wanted, 0 * student.sum())
        student, taught = student[known], taught[known]
        return {name: w * FOLLOWING[name](student, taught) for name, w in wanted.items()}

    def _rank(self, pairs: Tensor, src: Tensor, tgt: Tensor, hard: Tensor | None) -> Tensor:
        """Give `mnr`, in which no translation is a negative."""
        sides, same_hard = (self._src[pairs], self._tgt[pairs]), None
        same = sum((side[:, None] == side for side in sides), torch.tensor(False))
        if self._negatives is not None:
            same_hard = (sides[1][:, None] == self._negatives[pairs]).to(src.device)
        return mnr(src, tgt, same.to(src.device), self._losses.scale, hard, same_hard)

    def get_config_dict(self) -> dict[str, Any]:
        """Tell the trainer's records the weights."""
        return self._losses.model_dump()
