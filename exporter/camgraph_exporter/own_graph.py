"""What is said where the explainable graph itself cannot be used, though the model could be read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx

from camgraph_core.errors import InferenceError, InvalidGraphError, InvalidInputError
from camgraph_exporter.errors import ExportError, ModelFileError
from camgraph_exporter.running.engine import reason_of
from camgraph_runtime.run.engine import Engine

_ADVICE = "Nothing was written. Choose another layer with --layer, or other scores with --score."


@contextmanager
def explainable_graph() -> Iterator[None]:
    """Say of errors in the block that they are about the explainable graph, which no user has as a file.

    Raises:
        ExportError: the graph is not valid, or onnxruntime does not load or run it.

    """
    try:
        yield
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise ExportError(f"The explainable graph of this model is not valid ONNX: {reason}. {_ADVICE}") from error
    except (InvalidGraphError, InferenceError, InvalidInputError) as error:
        raise ExportError(
            f"onnxruntime cannot run the explainable graph of this model: {reason_of(error)} {_ADVICE}"
        ) from error


def load_trained(source: Path, *, optimize: bool, exact_int8: bool) -> Engine:
    """Load the trained model's own file.

    Raises:
        ModelFileError: onnxruntime cannot load it.

    """
    try:
        return Engine(source, optimize=optimize, exact_int8=exact_int8)
    except InvalidGraphError as error:
        raise ModelFileError(f"onnxruntime cannot load {str(source)!r}: {reason_of(error)}") from error
