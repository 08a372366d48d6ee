"""Train a transformer student with sentence-transformers' trainer (extra ``train``).

Mixed precision and several devices (``accelerate launch -m distill.cli run ...``) are the
trainer's own. A run that was killed goes on from its newest whole checkpoint.
"""

from __future__ import annotations

import logging
import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from align.margin import K
from align.neighbours import Embedded, nearest_targets
from corpus.errors import InputError, MissingExtraError
from distill import students
from distill.guards import Watch, measure_dev
from distill.keep import newest_checkpoint, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from distill.data import Texts
    from distill.guards import Dev
    from distill.recipe import Losses, TransformerRecipe

    Floats = NDArray[np.float32]
    Progress = Callable[[int, int], None]

KEPT = 2  # checkpoints: the best and the newest
EVALUATED = ("step", "eval_mean_cosine", "eval_uniformity", "eval_retrieval")
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


def start(recipe: TransformerRecipe, texts: Sequence[str], dim: int) -> Any:  # noqa: ANN401 - torch
    """Make the student that a run trains, a SentenceTransformer.

    Args:
        recipe: which.
        texts: training texts, for a tokenizer of its own.
        dim: dimensions of the teacher that it follows; 0 without one.

    Raises:
        InputError: its dimensions are not the teacher's; see `distill.students` for others.
        MissingExtraError: the extra ``train`` is not installed.
    """
    try:
        import sentence_transformers  # noqa: F401
        from transformers import set_seed
        from transformers.utils import logging as quiet
    except ImportError as error:
        raise MissingExtraError("a transformer student", "train") from error
    quiet.disable_progress_bar()  # type: ignore[no-untyped-call]
    quiet.set_verbosity_error()  # type: ignore[no-untyped-call]
    set_seed(recipe.training.seed)
    model = students.build(recipe.student, texts, dim)
    own = model.get_embedding_dimension()
    if dim not in (0, own):
        raise InputError(
            f"the student has {own} dimensions, the teacher {dim}; take a teacher of {own}, or a "
            "student without start and dim, which takes the teacher's"
        )
    return model


def fit(
    model: Any,  # noqa: ANN401 - a SentenceTransformer
    recipe: TransformerRecipe,
    texts: Texts,
    taught: Floats | None,
    negatives: NDArray[np.int64] | None,
    dev: Dev,
    checkpoints: Path,
    progress: Progress,
) -> dict[str, Any]:
    """Train a student; in the end it is the best on dev.

    Args:
        model: what `start` gave.
        recipe: how.
        texts: unique texts, and the pairs.
        taught: the teacher's vector of each text, zero where it has none [n_texts, dim].
        negatives: the row of each pair's hard negative among the texts.
        dev: what it is measured on.
        checkpoints: folder of this run's checkpoints, made where it is not there.
        progress: called with steps done and steps in all.

    Returns:
        What was measured.

    Raises:
        CollapseError: training goes nowhere.
        StorageError: a checkpoint could not be written; older ones are whole.
    """
    training = recipe.training
    n_steps = training.epochs * math.ceil(len(texts.src) / training.batch)
    evaluator = _evaluator(dev, Watch(n_steps, len(dev.src), training.may_fall))
    with writing(checkpoints):
        args = _arguments(recipe, checkpoints, n_steps)
        loss = _loss(model, recipe.losses, (texts.src, texts.tgt, taught, negatives))
        trainer = _trainer(model, args, _dataset(texts, negatives), loss, evaluator)
    trainer.add_callback(_reporter(progress, training.patience))
    begun = evaluator(model, steps=0)
    resumed = newest_checkpoint(checkpoints)
    with writing(checkpoints):
        trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)
    return {
        "start": begun,
        "health": measure_dev(dev, partial(encode, model))[0].values(),
        "n_steps": trainer.state.global_step,
        "history": _history(trainer.state.log_history),
    }


def _loss(
    model: Any,  # noqa: ANN401 - a SentenceTransformer
    losses: Losses,
    rows: Iterable[NDArray[Any] | None],
) -> Any:  # noqa: ANN401
    """Make the weighted sum of losses, with what it looks up: see `distill.losses.Mixed`."""
    import torch

    from distill.losses import Mixed

    looked_up: list[Any] = [None if each is None else torch.tensor(each) for each in rows]
    return Mixed(model, losses, *looked_up)


def _trainer(model: Any, args: Any, dataset: Any, loss: Any, evaluator: Any) -> Any:  # noqa: ANN401
    """Make sentence-transformers' trainer, without what it writes to stdout."""
    from sentence_transformers import SentenceTransformerTrainer
    from transformers import PrinterCallback

    trainer = SentenceTransformerTrainer(
        model=model, args=args, train_dataset=dataset, loss=loss, evaluator=evaluator
    )
    trainer.remove_callback(PrinterCallback)  # stdout is for results
    return trainer


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


def _reporter(progress: Progress, patience: int) -> Any:  # noqa: ANN401 - transformers
    from transformers import TrainerCallback

    class Reporter(TrainerCallback):
        """Tells how far training is, and stops it where it gains no more."""

        def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:  # noqa: ANN401
            progress(state.global_step, state.max_steps)

        def on_evaluate(self, args: Any, state: Any, control: Any, **more: Any) -> None:  # noqa: ANN401
            control.should_training_stop = is_spent(_history(state.log_history), patience)

        on_train_begin = on_evaluate  # one that was killed after its last evaluation

    return Reporter()


def is_spent(history: Sequence[dict[str, float]], patience: int) -> bool:
    """Tell whether so many evaluations have brought no better retrieval."""
    scores = [row["retrieval"] for row in history]
    return bool(scores) and len(scores) - 1 - int(np.argmax(scores)) >= patience
