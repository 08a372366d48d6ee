"""Distillation beside sentence-transformers' own way: ``python -m tests.distill_speed TSV``.

Same pairs, student, epochs and teacher, by the mean squared error to the teacher. The usual
script encodes the English side with the teacher, then trains with MSELoss; ours does so in a
workspace, and a second run takes the vectors from the store. Prints processor seconds, which do
not count what else runs on the machine.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from align.encoders import load_encoder
from corpus.workspace import Workspace
from distill import data, students, train
from distill.recipe import TransformerRecipe, load_recipe


def usual(recipe: TransformerRecipe, pairs: Any, teacher: Any, out: Path) -> None:
    """Train as the documentation of sentence-transformers' MSELoss does."""
    import torch
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import MSELoss

    torch.manual_seed(0)
    texts = data.unique_texts(pairs)
    student = students.build(recipe.student, texts.texts, teacher.dim)
    label = teacher.encode(pairs["tgt"].to_list())
    columns = {"src": pairs["src"].to_list(), "tgt": pairs["tgt"].to_list(), "label": label}
    SentenceTransformerTrainer(
        model=student,
        args=SentenceTransformerTrainingArguments(
            output_dir=str(out),
            num_train_epochs=recipe.training.epochs,
            per_device_train_batch_size=recipe.training.batch,
            learning_rate=recipe.training.rate,
            save_strategy="epoch",
            disable_tqdm=True,
            report_to="none",
        ),
        train_dataset=Dataset.from_dict(columns),
        loss=MSELoss(student),
    ).train()
    student.save(str(out / "final"))


def main() -> None:
    """Train by turns, and print the least of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tsv", type=Path)
    parser.add_argument("--teacher", default="sentence-transformers/all-MiniLM-L6-v2")
    parser.add_argument("--pairs", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    loaded = load_recipe(
        "bangla-small", ["losses.mnr=0", "training.epochs=2", "training.evaluations=2"]
    )
    if not isinstance(loaded, TransformerRecipe):
        raise TypeError("bangla-small is no transformer")
    teacher = load_encoder(options.teacher)
    pairs = data.select(data.read_pairs(options.tsv), loaded.data, loaded.languages)[0]
    pairs = data.draw(pairs, options.pairs).drop("licence")
    taken: dict[str, list[float]] = {"usual": [], "ours, first": [], "ours, second": []}
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            workspace = Workspace.create(folder + "/w", "you@example.org")

            def ours(seed: int, folder: str = folder, workspace: Workspace = workspace) -> None:
                change = {"training": loaded.training.model_copy(update={"seed": seed})}
                train.train(
                    loaded.model_copy(update=change),
                    pairs,
                    Path(folder) / f"m{seed}",
                    kept_out=[],
                    teacher=teacher,
                    workspace=workspace,
                    progress=lambda *_: None,
                )

            for name in taken:
                start = time.process_time()
                if name == "usual":
                    usual(loaded, pairs, teacher, Path(folder) / "u")
                else:
                    ours(int(name == "ours, second"))
                taken[name].append(time.process_time() - start)
                sys.stdout.write(f"{name}: {taken[name][-1]:.1f} s\n")
                sys.stdout.flush()
    least = {name: float(np.min(seconds)) for name, seconds in taken.items()}
    for name in ("ours, first", "ours, second"):
        sys.stdout.write(f"{name}: {least[name] / least['usual']:.2f} of the usual\n")


if __name__ == "__main__":
    main()
