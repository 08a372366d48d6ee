"""What a prefilter saves and loses: ``python -m benchmarks.speed.cascade TSV --pair lb-en``.

TSV holds aligned documents (doc, n, one column a language). A share of the target
sentences is kept and a share of the article pairs replaced by wrong ones. The strong
encoder is ``embedded``, the cheap one its first dimensions; a run without the prefilter
is what the other is compared with, at the default cut-offs.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from align import sentences
from align.decide import Cuts
from align.encoders import load_encoder
from align.prefilter import Prefilter
from corpus import dedup, segment, stages, tables
from corpus.importing import Source, import_articles
from corpus.pairs import MATCH_ARTICLES, sentence_pairs
from corpus.sample.documents import load_documents
from corpus.stages import Made
from corpus.vectors import open_store
from corpus.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from align.encoders import Encoder


class Shortened:
    """The first dimensions of an encoder."""

    def __init__(self, encoder: Encoder, dim: int) -> None:
        """Keep the encoder."""
        self._encoder, self.dim = encoder, dim
        self.name, self.key = f"{encoder.name}-{dim}", f"{encoder.key} first {dim}"
        self.revision, self.languages = encoder.revision, encoder.languages
        self.lexical, self.lexical_weight = encoder.lexical, encoder.lexical_weight

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode texts to unit rows [n, dim]."""
        rows = self._encoder.encode(texts)[:, : self.dim]
        shorter: NDArray[np.float32] = rows / np.maximum(
            np.linalg.norm(rows, axis=1, keepdims=True), 1e-9
        )
        return shorter


def build(root: Path, file: Path, args: argparse.Namespace, seed: int) -> Workspace:
    """Make a workspace of documents with a share of target lines and of wrong article pairs."""
    draw, workspace = random.Random(seed), Workspace.create(root, "benchmark@localhost")  # noqa: S311
    documents = load_documents(file)
    if args.split != "all":
        documents = documents[args.split == "test" :: 2]
    rows, ids, langs = [], [], args.pair.split("-")
    for n, document in enumerate(documents):
        urls = [f"https://example.org/{seed}/{lang}/{n}" for lang in langs]
        for url, lang, share in zip(urls, langs, (1.0, args.keep), strict=True):
            lines = [line for line in document.lines[lang].values() if draw.random() < share]
            row = {"url": url, "lang": lang, "title": "", "text": "\n\n".join(lines) or "–"}
            rows.append({**row, "date": f"2026-03-{1 + n // 8:02}"})
        ids.append([tables.article_id(url) for url in urls])
    wrong = draw.sample(range(len(ids)), round(args.wrong * len(ids)))
    moved = {n: ids[m][1] for n, m in zip(wrong, wrong[1:] + wrong[:1], strict=True)}
    (root / "articles.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    import_articles(workspace, Source(root / "articles.jsonl"))
    dedup.update(workspace)
    segment.update(workspace)
    known = set(dedup.load(workspace)["article_id"])
    pairs = [{"src_id": a, "tgt_id": moved.get(n, b)} for n, (a, b) in enumerate(ids)]
    made = tables.ARTICLE_PAIRS.frame(p for p in pairs if set(p.values()) <= known)
    states = {"article_pairs": made, "article_states": tables.ARTICLE_STATES.empty()}
    folder = workspace.pair_stage(args.pair, MATCH_ARTICLES.name)
    stages.run_fold(MATCH_ARTICLES, folder, [seed], None, lambda _: Made(states), dry=False)
    return workspace


def compare(file: Path, args: argparse.Namespace, seed: int) -> dict[str, float]:
    """Run with and without the prefilter; give what was encoded and what was lost."""
    strong = load_encoder("embedded")
    kept, strong_sentences = [], 0
    for weak in (None, Shortened(strong, args.dim)):
        with tempfile.TemporaryDirectory() as folder:
            workspace = build(Path(folder) / "w", file, args, seed)
            prefilter = Prefilter(workspace, weak, strong) if weak else None
            sentences.update(workspace, args.pair, strong, Cuts(), prefilter=prefilter)
            strong_sentences = len(open_store(workspace, strong))
            kept.append(sentence_pairs(workspace, args.pair).filter("kept"))
    full, ours = ({*p.select("src_text", "tgt_text").iter_rows()} for p in kept)
    in_pairs = len({src for src, _ in ours}) + len({tgt for _, tgt in ours})
    return {
        "kept": len(full),
        "found_again": len(full & ours) / len(full),
        "kept_by_cascade": len(ours),
        "encoded_of_kept": strong_sentences / in_pairs,
    }


def main() -> None:
    """Print the mean over the seeds as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--pair", default="lb-en")
    parser.add_argument("--split", choices=["dev", "test", "all"], default="test")
    parser.add_argument("--keep", type=float, default=0.2)
    parser.add_argument("--wrong", type=float, default=0.3)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    runs = [compare(args.file, args, seed) for seed in range(args.seeds)]
    means = {name: round(sum(run[name] for run in runs) / len(runs), 3) for name in runs[0]}
    sys.stdout.write(json.dumps({"pair": args.pair, "split": args.split, **means}) + "\n")


if __name__ == "__main__":
    main()
