"""A transformer as one ONNX graph: tokens in, unit vectors out; in int8 where wanted."""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from align.onnx import OUTPUT
from corpus.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def write_graph(model: Any, path: Path) -> None:  # noqa: ANN401 - a SentenceTransformer
    """Write a model's graph in float32, pooling and normalisation in it.

    Raises:
        MissingExtraError: the extra ``onnx`` is not installed.
    """
    import torch

    class Graph(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model.eval()

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:  # noqa: ANN401 - tensors
            found = self.model({"input_ids": input_ids, "attention_mask": attention_mask})
            return torch.nn.functional.normalize(found[OUTPUT], dim=1)

    batch, length = torch.export.Dim("batch"), torch.export.Dim("length")
    example = torch.ones((2, 8), dtype=torch.int64)
    try:
        with _quiet(), torch.no_grad():
            torch.onnx.export(
                Graph(),
                (example, example.clone()),
                path,
                input_names=["input_ids", "attention_mask"],
                output_names=[OUTPUT],
                dynamic_shapes=({0: batch, 1: length}, {0: batch, 1: length}),
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except ImportError as error:
        raise MissingExtraError("an ONNX export", "onnx") from error


def quantise_graph(path: Path, out: Path) -> None:
    """Write a graph whose weights are int8, each output channel in its own scale.

    Matrices that narrow, the second of each feed-forward, stay in float32: their inputs have
    outliers, and rounding them costs most.

    Raises:
        MissingExtraError: the extra ``onnx`` is not installed.
    """
    try:
        import onnx
        from onnxruntime.quantization import (  # type: ignore[import-untyped]
            QuantType,
            quantize_dynamic,
        )
    except ImportError as error:
        raise MissingExtraError("an ONNX export", "onnx") from error
    with _quiet():
        kept = _narrowing(onnx.load(str(path)))
        quantize_dynamic(
            path, out, per_channel=True, weight_type=QuantType.QInt8, nodes_to_exclude=kept
        )


def _narrowing(model: Any) -> list[str]:  # noqa: ANN401 - an ONNX model
    """Name the products with a weight [n, m] of n > m."""
    shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    return [
        node.name
        for node in model.graph.node
        if node.op_type == "MatMul"
        for shape in [shapes.get(node.input[1])]
        if shape and len(shape) == 2 and shape[0] > shape[1]
    ]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep to themselves what exporters say of their own insides."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
