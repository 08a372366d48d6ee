"""Is a q-value true? Corpora of known errors, aligned many times.

Documents are rendered, crawled and segmented once. For each draw target sentences are
deleted and article pairs made wrong; everything from article pairs on is the real stage.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from align import articles, decide, sentences
from align.encoders import load_encoder
from benchmarks import newsroom as benchmark
from benchmarks.tasks.newsroom import Gold
from corpus import chain, segment, stages, tables
from corpus.console import Console
from corpus.pairs import MATCH_ARTICLES, article_pairs, sentence_pairs
from corpus.sample.documents import load_documents
from corpus.stages import Made, Part
from corpus.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from align.encoders import Encoder
    from benchmarks.tasks.newsroom import Coverage
    from corpus.sample.render import Article

RATES = (0.05, 0.10)
SLACK = 1.4  # times the rate asked for that a draw may have


@dataclass(frozen=True, slots=True)
class Setting:
    """How a corpus is spoiled: shares of target sentences kept, of article pairs wrong."""

    name: str
    kept: float
    wrong: float


SETTINGS = (
    Setting("half kept", 0.5, 0.0),
    Setting("half kept, 30 % wrong", 0.5, 0.3),
    Setting("a fifth kept, 30 % wrong", 0.2, 0.3),
)


class Draw(NamedTuple):
    """What one draw gave: whether each accepted pair is right, best first, and its q."""

    right: NDArray[np.bool_]
    q: NDArray[np.float64] | None


@dataclass(frozen=True, slots=True)
class Result:
    """What a rate kept over all draws of a setting.

    Attributes:
        n_refused: draws with too few accepted pairs to estimate a rate.
        fdr: true share of false pairs among those kept, by draw [n].
        recall: right pairs kept, of those that the best cut-off within the rate keeps [n].
        fdr_of_all: mean true share of false pairs where all accepted pairs are kept.
    """

    langs: str
    setting: str
    rate: float
    n_pairs: float
    n_refused: int
    fdr: NDArray[np.float64]
    recall: NDArray[np.float64]
    fdr_of_all: float

    @property
    def n_within(self) -> int:
        """Count the draws whose true rate is at most 1.4 times the one asked for."""
        return int(np.sum(self.fdr <= SLACK * self.rate))


def run(
    console: Console,
    documents: Path,
    pairs: Sequence[str],
    seeds: int,
    split: str = "all",
    method: str = "margin",
) -> list[Result]:
    """Measure ``--fdr`` over many draws of each setting.

    Args:
        console: shows how far it is.
        documents: a TSV with the columns doc, n and one per language.
        pairs: language pairs such as ``lb-en``.
        seeds: draws of each setting.
        split: all, dev (even) or test (odd) documents.
        method: how sentences are paired, see `align.sentences`.
    """
    every = load_documents(documents)
    mine = Gold.of(every).split(split)
    stories = [story for story in every if story.name in mine]
    encoder = load_encoder("embedded")
    with tempfile.TemporaryDirectory() as folder:
        inner = Console(Path(folder) / "base")
        rendered = benchmark.read(console, inner, stories, pairs)
        base, places = inner.workspace, benchmark.places_of(rendered)
        results: list[Result] = []
        for langs in chain.language_pairs(base, pairs):
            articles.update(base, langs, encoder, articles.Settings())
            with console.progress(langs) as progress:
                trial = _Trial(base, Path(folder), langs, encoder, places, method)
                for n, setting in enumerate(SETTINGS, 1):
                    results += _results(langs, setting, [trial(setting, s) for s in range(seeds)])
                    progress(n, len(SETTINGS))
    return results


def show(console: Console, results: Sequence[Result]) -> None:
    """Show one row a language pair, setting and rate."""
    columns = ("pair", "setting", "rate", "pairs", f"within {SLACK} x", "not estimated",
               "mean FDR", "worst FDR", "mean recall", "worst recall", "FDR of all")  # fmt: skip
    rows = [
        (r.langs, r.setting, r.rate, round(r.n_pairs), f"{r.n_within}/{len(r.fdr)}", r.n_refused,
         _or_none(r.fdr, np.mean), _or_none(r.fdr, np.max), _or_none(r.recall, np.mean),
         _or_none(r.recall, np.min), r.fdr_of_all)
        for r in results
    ]  # fmt: skip
    console.table("Estimated and true false discovery rates", columns, rows)
    console.emit([dict(zip(columns, row, strict=True)) for row in rows])


def _or_none(
    values: NDArray[np.float64], summary: Callable[[NDArray[np.float64]], np.floating]
) -> float | None:
    return float(summary(values)) if len(values) else None


class _Trial:
    """Makes a spoiled copy of a workspace, aligns its sentences, and tells what is right."""

    def __init__(
        self,
        base: Workspace,
        folder: Path,
        langs: str,
        encoder: Encoder,
        places: Mapping[str, Article],
        method: str,
    ) -> None:
        self.base, self.folder, self.langs, self.encoder = base, folder, langs, encoder
        self.places, self.method = places, method
        self.sentences = {
            lang: stages.scan(segment.STAGE, base.sentences / lang, tables.SENTENCES)
            for lang in langs.split("-")
        }
        self.covered: dict[str, dict[str, Coverage]] = {
            lang: benchmark.coverages(base, lang, places) for lang in langs.split("-")
        }
        self.pairs = article_pairs(base, langs)

    def __call__(self, setting: Setting, seed: int) -> Draw:
        draw = np.random.default_rng(seed)
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            workspace = Workspace.create(folder, benchmark.CONTACT)
            for name in ("articles", "vectors"):  # no copy: nothing in them changes
                (workspace.root / name).symlink_to(self.base.root / name)
            self._write(workspace, setting, draw)
            sentences.update(workspace, self.langs, self.encoder, decide.Cuts(), method=self.method)
            found = sentence_pairs(workspace, self.langs)
        accepted = found.filter(pl.col("reason").is_null() | (pl.col("reason") == "fdr"))
        score = pl.col("margin").fill_null(pl.col("sim"))
        ranked = accepted.sort(score, "pair_id", descending=[True, False])
        right = [p.right for p in benchmark.predicted(self.places, self.covered, ranked)]
        q = ranked["q"].to_numpy() if ranked["q"].count() else None
        return Draw(np.array(right, bool), q)

    def _write(self, workspace: Workspace, setting: Setting, draw: np.random.Generator) -> None:
        """Write the sentences that are left, and the article pairs, some of them wrong."""
        _, tgt = self.langs.split("-")
        parts = []
        for lang, rows in self.sentences.items():
            n = len(rows)
            kept = draw.random(n) < setting.kept if lang == tgt else np.ones(n, bool)
            parts += list(_parts(self.base, lang, rows.filter(kept)))
        stages.run(segment.STAGE, workspace.sentences, parts, _sentences)
        spoiled = _spoiled(self.pairs, setting.wrong, draw)
        folder = workspace.pair_stage(self.langs, MATCH_ARTICLES.name)
        stages.run_fold(MATCH_ARTICLES, folder, [], spoiled, _article_pairs, dry=False)


def _parts(base: Workspace, lang: str, rows: pl.DataFrame) -> Iterator[Part[pl.DataFrame]]:
    """Cut sentences by the parts that they stood in."""
    for path, _ in stages.manifests(base.sentences / lang):
        own = tables.read(segment.STAGE.path(path.parent, path.stem, tables.SENTENCES),
                          tables.SENTENCES)  # fmt: skip
        yield Part(f"{lang}/{path.stem}", [], rows.join(own, "sentence_id", "semi"))


def _sentences(rows: pl.DataFrame) -> Made:
    return Made({"sentences": rows})


def _article_pairs(rows: pl.DataFrame) -> Made:
    return Made({"article_pairs": rows, "article_states": tables.ARTICLE_STATES.empty()})


def _spoiled(pairs: pl.DataFrame, share: float, draw: np.random.Generator) -> pl.DataFrame:
    """Let a share of article pairs change targets among themselves."""
    chosen = np.sort(draw.choice(len(pairs), round(share * len(pairs)), replace=False))
    targets = pairs["tgt_id"].to_numpy().copy()
    targets[chosen] = np.roll(targets[chosen], 1)
    return pairs.with_columns(tgt_id=pl.Series(targets))


def _results(langs: str, setting: Setting, draws: Sequence[Draw]) -> Iterator[Result]:
    known = [draw for draw in draws if draw.q is not None]
    every = float(np.mean([1 - draw.right.mean() for draw in draws]))
    base = Result(
        langs, setting.name, 0.0, float(np.mean([len(draw.right) for draw in draws])),
        len(draws) - len(known), np.zeros(0), np.zeros(0), every,
    )  # fmt: skip
    for rate in RATES:
        outcomes = np.array([_outcome(draw, rate) for draw in known]).reshape(-1, 2)
        yield replace(base, rate=rate, fdr=outcomes[:, 0], recall=outcomes[:, 1])


def _outcome(draw: Draw, rate: float) -> tuple[float, float]:
    """Give the true false discovery rate of what a rate keeps, and its recall of the best."""
    kept = np.zeros(0, bool) if draw.q is None else draw.right[draw.q <= rate]
    n_right = np.cumsum(draw.right)
    within = 1 - n_right / np.arange(1, len(n_right) + 1) <= rate
    best = int(n_right[within].max(initial=0))
    fdr = float(1 - kept.mean()) if len(kept) else 0.0
    return fdr, float(kept.sum() / best) if best else 1.0
