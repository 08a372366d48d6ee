"""Transformer students: one that exists, or a small one of given sizes (extra ``train``)."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any

from align.encoders import model_folder
from align.transformer import open_transformer
from corpus.errors import InputError
from distill.static import train_vocabulary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from distill.recipe import Student

ENDS = ("sep_token", "cls_token")
SPECIAL = {
    "pad_token": "<pad>",
    "cls_token": "<s>",
    "sep_token": "</s>",
    "mask_token": "<mask>",
    "unk_token": "<unk>",
}


def build(student: Student, texts: Sequence[str], dim: int) -> Any:  # noqa: ANN401 - torch
    """Give a student as a SentenceTransformer whose vectors have norm 1.

    Args:
        student: which.
        texts: training texts, for a tokenizer of its own.
        dim: dimensions of its vectors where it is made anew; 0 for its hidden size.

    Raises:
        InputError: there is no such model or tokenizer, or its weights are pickled.
    """
    from sentence_transformers.sentence_transformer import modules

    if student.start:
        model = open_transformer(student.start, model_folder(student.start))
        model.max_seq_length = student.max_length
        if not isinstance(model[-1], modules.Normalize):
            model.append(modules.Normalize())
        return model
    return _anew(student, texts, dim)


def _anew(student: Student, texts: Sequence[str], dim: int) -> Any:  # noqa: ANN401 - torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules
    from torch import nn
    from transformers import BertConfig, BertModel

    if student.hidden % student.heads:
        raise InputError(
            f"student.hidden is {student.hidden}, which {student.heads} heads do not divide"
        )
    tokenizer = _tokenizer(student, texts)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=student.hidden,
        num_hidden_layers=student.layers,
        num_attention_heads=student.heads,
        intermediate_size=2 * student.hidden,
        max_position_embeddings=student.max_length,
        pad_token_id=tokenizer.pad_token_id,
    )
    with tempfile.TemporaryDirectory() as folder:
        BertModel(config, add_pooling_layer=False).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        layers: list[Any] = [modules.Transformer(folder, max_seq_length=student.max_length)]
    layers.append(modules.Pooling(student.hidden, "mean"))
    dim = student.dim or dim
    if dim and dim != student.hidden:
        layers.append(modules.Dense(student.hidden, dim, activation_function=nn.Identity()))
    return SentenceTransformer(modules=[*layers, modules.Normalize()])


def _tokenizer(student: Student, texts: Sequence[str]) -> Any:  # noqa: ANN401 - transformers
    from tokenizers import processors
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    if student.tokenizer != "own":
        folder = model_folder(student.tokenizer)
        try:
            return AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{folder} has no tokenizer: {error}") from error
    own = train_vocabulary(texts, student.vocabulary)
    wrapped: Any = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=own, model_max_length=student.max_length, **SPECIAL
    )
    ends = [(SPECIAL[k], wrapped.convert_tokens_to_ids(SPECIAL[k])) for k in ENDS]
    wrapped.backend_tokenizer.post_processor = processors.BertProcessing(*ends)
    return wrapped
