"""Train a transformer student with sentence-transformers' trainer (extra ``train``).

Mixed precision, several devices (``accelerate launch -m distill.cli run ...``) and tracking are
the trainer's own. A run that was killed goes on from its newest whole checkpoint.
"""

from __future__ import annotations

import json
import logging
import math
import re
import shutil
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError

from align.margin import K
from align.neighbours import Embedded, nearest_targets
from corpus.errors import InputError, MissingExtraError, StorageError
from distill import students
from distill.guards import Watch, measure_dev

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from distill.data import Texts
    from distill.guards import Dev
    from distill.recipe import TransformerRecipe

    Floats = NDArray[np.float32]
    Progress = Callable[[int, int], None]

KEPT = 2  # checkpoints: the best and the newest
# What a whole checkpoint holds; the last is written last.
WHOLE = ("model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json")
EVALUATED = ("step", "eval_mean_cosine", "eval_uniformity", "eval_retrieval")
TORCH_WRITES = "iostream|inline_container|StreamWriter"  # where it has failed to write a file
ALIKE = 0.95  # of the translation's score: what is nearer may be a translation too

log = logging.getLogger(__name__)


def hard_negatives(texts: Texts, vectors: Floats) -> NDArray[np.int64]:
    """Mine each pair's hard negative: the nearest target text that is no translation.

    Args:
        texts: unique texts, and the pairs.
        vectors: unit rows of all texts [n_texts, dim].

    Returns:
        The row of a text for each pair; where all near ones may be translations, the
        farthest of them.
    """
    rows = np.unique(texts.tgt)
    near = nearest_targets(Embedded(vectors[texts.src]), Embedded(vectors[rows]), 4 * K)
    own = np.einsum("nd,nd->n", vectors[texts.src], vectors[texts.tgt])
    pairs = {*zip(texts.src.tolist(), texts.tgt.tolist(), strict=True)}
    chosen = rows[near.at[:, -1]]
    for n, (score, at) in enumerate(zip(near.score, rows[near.at], strict=True)):
        far = at[(score < ALIKE * own[n])].tolist()
        chosen[n] = next((t for t in far if (int(texts.src[n]), t) not in pairs), chosen[n])
    return chosen


def fit(
    recipe: TransformerRecipe,
    texts: Texts,
    taught: Floats | None,
    negatives: NDArray[np.int64] | None,
    dev: Dev,
    checkpoints: Path,
    progress: Progress,
) -> tuple[Any, dict[str, Any]]:
    """Train a student.

    Args:
        recipe: which, and how.
        texts: unique texts, and the pairs.
        taught: the teacher's vector of each text, zero where it has none [n_texts, dim].
        negatives: the row of each pair's hard negative among the texts.
        dev: what it is measured on.
        checkpoints: folder of this run's checkpoints, made where it is not there.
        progress: called with steps done and steps in all.

    Returns:
        The best student on dev, and what was measured.

    Raises:
        CollapseError: training goes nowhere.
        StorageError: a checkpoint could not be written; older ones are whole.
    """
    try:
        import torch
        from sentence_transformers import SentenceTransformerTrainer
        from transformers import EarlyStoppingCallback, PrinterCallback, set_seed
        from transformers.utils.logging import disable_progress_bar
    except ImportError as error:
        raise MissingExtraError("a transformer student", "train") from error
    from distill.losses import Mixed

    training = recipe.training
    set_seed(training.seed)
    with _writing(checkpoints):
        dim = 0 if taught is None else taught.shape[1]
        model = students.build(recipe.student, texts.texts, dim)
    _check_dim(model, taught, recipe)
    n_steps = training.epochs * math.ceil(len(texts.src) / training.batch)
    evaluator = _evaluator(dev, Watch(n_steps, len(dev.src), training.may_fall))
    loss = Mixed(
        model,
        recipe.losses,
        torch.tensor(texts.src),
        torch.tensor(texts.tgt),
        None if taught is None else torch.tensor(taught),
    )
    trainer = SentenceTransformerTrainer(
        model=model,
        args=_arguments(recipe, checkpoints, n_steps),
        train_dataset=_dataset(texts, negatives),
        loss=loss,
        evaluator=evaluator,
        callbacks=[_reporter(progress), EarlyStoppingCallback(training.patience)],
    )
    trainer.remove_callback(PrinterCallback)  # it writes to stdout, which is for results
    disable_progress_bar()  # type: ignore[no-untyped-call]
    start = evaluator(model, steps=0)
    resumed = newest_checkpoint(checkpoints)
    with _writing(checkpoints):
        trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)
    health, _ = measure_dev(dev, partial(encode, model))
    return model, {
        "start": start,
        "health": health.values(),
        "n_steps": trainer.state.global_step,
        "history": _history(trainer.state.log_history),
    }


def encode(model: Any, texts: Sequence[str]) -> Floats:  # noqa: ANN401 - a SentenceTransformer
    """Encode texts to unit rows [n, dim]."""
    rows = model.encode(list(texts), show_progress_bar=False, batch_size=128)
    return np.asarray(rows, np.float32)


def _history(logged: Sequence[dict[str, float]]) -> list[dict[str, float]]:
    """Take the evaluations out of the trainer's log."""
    return [
        {name.removeprefix("eval_"): row[name] for name in EVALUATED}
        for row in logged
        if EVALUATED[-1] in row
    ]


@contextmanager
def _writing(checkpoints: Path) -> Iterator[None]:
    """Tell of a disk that is full in one line, whichever library met it."""
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        if isinstance(error, RuntimeError) and not re.search(TORCH_WRITES, str(error)):
            raise
        raise StorageError(
            f"cannot write a checkpoint in {checkpoints}: {error}; make room and run again: "
            "it goes on from the newest whole one"
        ) from error


def _check_dim(model: Any, taught: Floats | None, recipe: TransformerRecipe) -> None:  # noqa: ANN401
    dim = model.get_embedding_dimension()
    if recipe.losses.follow and taught is None:
        raise InputError(f"the recipe {recipe.name} has the loss mse or cosine but no teacher")
    if recipe.losses.follow and taught is not None and taught.shape[1] != dim:
        raise InputError(
            f"the student has {dim} dimensions, the teacher {taught.shape[1]}; take a teacher of "
            f"{dim}, or a student without start, which takes the teacher's"
        )


def _arguments(recipe: TransformerRecipe, checkpoints: Path, n_steps: int) -> Any:  # noqa: ANN401
    from sentence_transformers import SentenceTransformerTrainingArguments

    training = recipe.training
    every = max(1, n_steps // training.evaluations)
    return SentenceTransformerTrainingArguments(
        output_dir=str(checkpoints),
        num_train_epochs=training.epochs,
        per_device_train_batch_size=training.batch,
        learning_rate=training.rate,
        warmup_steps=int(training.warm_up * n_steps),
        seed=training.seed,
        bf16=training.precision == "bf16",
        fp16=training.precision == "fp16",
        eval_strategy="steps",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=KEPT,
        logging_steps=every,
        load_best_model_at_end=True,
        metric_for_best_model="eval_retrieval",
        greater_is_better=True,
        disable_tqdm=True,
        report_to="none",
    )


def _dataset(texts: Texts, negatives: NDArray[np.int64] | None) -> Any:  # noqa: ANN401 - datasets
    from datasets import Dataset

    columns: dict[str, Sequence[object]] = {
        "src": [texts.texts[n] for n in texts.src.tolist()],
        "tgt": [texts.texts[n] for n in texts.tgt.tolist()],
    }
    if negatives is not None:
        columns["negative"] = [texts.texts[n] for n in negatives.tolist()]
    return Dataset.from_dict(columns | {"label": list(range(len(texts.src)))})


def _evaluator(dev: Dev, watch: Watch) -> Any:  # noqa: ANN401 - sentence-transformers
    from sentence_transformers.sentence_transformer.evaluation import SentenceEvaluator

    class Retrieval(SentenceEvaluator):
        """Bitext retrieval on dev, and the guards."""

        def __init__(self) -> None:
            super().__init__()  # type: ignore[no-untyped-call]
            self.primary_metric = "retrieval"

        def __call__(
            self,
            model: Any,  # noqa: ANN401
            output_path: str | None = None,
            epoch: float = -1,
            steps: int = -1,
        ) -> dict[str, float]:
            health, vectors = measure_dev(dev, partial(encode, model))
            watch.see(steps, health, vectors)
            log.info("step %d: %s", steps, health.values())
            return health.values()

    return Retrieval()


def _reporter(progress: Progress) -> Any:  # noqa: ANN401 - transformers
    from transformers import TrainerCallback

    class Reporter(TrainerCallback):
        """Tells how far training is."""

        def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:  # noqa: ANN401
            progress(state.global_step, state.max_steps)

    return Reporter()


def newest_checkpoint(folder: Path) -> Path | None:
    """Find the newest whole checkpoint, and remove the others that are not whole."""
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: -int(path.name.split("-")[-1]))
    for path in found:
        if _is_whole(path):
            return path
        log.warning("%s was not written to its end; it is left out", path)
        shutil.rmtree(path)
    return None


def _is_whole(checkpoint: Path) -> bool:
    try:
        state = json.loads((checkpoint / WHOLE[-1]).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(state, dict) and all((checkpoint / name).is_file() for name in WHOLE)
