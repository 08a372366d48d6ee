"""Zero-shot topics: is the nearest label, put into a sentence, a text's own?

Label words and templates of a language stand in ``labels/LANG.toml``; a language without
them takes English ones, and its score says so. The accuracy is the mean over templates;
``ensemble`` is that of each label's mean vector over templates.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.metrics import estimate, mean
from benchmarks.results import Score, scored
from corpus.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.models import Once
    from benchmarks.sets import Data

LABELS = Path(__file__).parent / "labels"
MAIN = "accuracy"
FALLBACK = "en"


def prompts(lang: str, topics: Sequence[str]) -> tuple[list[list[str]], str]:
    """Give the sentences of each template, one a topic, and the language they are in.

    Raises:
        InputError: there is no label word for a topic.
    """
    own = lang if (LABELS / f"{lang}.toml").exists() else FALLBACK
    words = tomllib.loads((LABELS / f"{own}.toml").read_text(encoding="utf-8"))
    for topic in topics:
        if topic not in words["labels"]:
            raise InputError(
                f"no label word for '{topic}' in {own}; add it to labels/{own}.toml beside "
                f"{', '.join(words['labels'])}"
            )
    names = [words["labels"][topic] for topic in topics]
    return [[template.format(name) for name in names] for template in words["templates"]], own


def run(data: Data, encoder: Once, split: str) -> list[Score]:
    """Score every language of a set with text, label, lang and cluster."""
    rows = data.part(split)
    topics = sorted(data.rows["label"].unique())
    scores = []
    for (lang,), part in sorted(rows.partition_by("lang", as_dict=True).items()):
        filled, own = prompts(str(lang), topics)
        labels = np.stack([encoder.encode(sentences) for sentences in filled])  # [t, k, dim]
        texts = encoder.encode(part["text"].to_list())
        gold = np.searchsorted(topics, part["label"].to_list())
        right = (texts @ labels.transpose(0, 2, 1)).argmax(axis=2) == gold  # [t, n]
        ensemble = (texts @ labels.mean(axis=0).T).argmax(axis=1) == gold
        each = right.mean(axis=1)
        found = estimate(mean(right.mean(axis=0)), part["cluster"].to_list())
        name = str(lang) if own == lang else f"{lang} ({own} labels)"
        others = {"ensemble": ensemble.mean(), "worst": each.min(), "best": each.max()}
        scores.append(scored(name, MAIN, found, {k: float(v) for k, v in others.items()}))
    return scores
