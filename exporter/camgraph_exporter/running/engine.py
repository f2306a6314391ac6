"""Loads models into onnxruntime, whole or with inner values as further outputs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir

from camgraph_core.errors import CamgraphError
from camgraph_exporter.errors import ModelFileError
from camgraph_exporter.graph.names import name_nodes
from camgraph_exporter.storage import weights_folder
from camgraph_runtime.run.engine import Device, Engine

# Height and width that a model is tried with where its image leaves them open.
DEFAULT_SIZE = 224
_LONGEST_REASON = 300  # characters
# The domains whose operators onnxruntime has itself.
_DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc", "com.ms.internal.nhwc"}
_WEIGHTS_FOLDER = "session.model_external_initializers_file_folder_path"


def load_engine(
    model: onnx.ModelProto,
    folder: Path | None,
    *,
    optimize: bool = True,
    exact_int8: bool = True,
    device: Device = "cpu",
) -> Engine:
    """Load a model into onnxruntime whose external weights, if any, lie in `folder`.

    Raises:
        InvalidGraphError: onnxruntime cannot load the model.

    """
    config = {_WEIGHTS_FOLDER: str(folder)} if folder is not None else {}
    return Engine(
        model.SerializeToString(), optimize=optimize, exact_int8=exact_int8, device=device, session_config=config
    )


def random_input(rng: np.random.Generator, shape: Sequence[int], dtype: ir.DataType) -> np.ndarray:
    """Return random values of an image tensor's element type."""
    if dtype.is_floating_point():
        return rng.standard_normal(shape).astype(dtype.numpy())
    return rng.integers(0, 100, size=shape).astype(dtype.numpy())


def engine_with_outputs(model: ir.Model, values: Sequence[ir.Value]) -> Engine:
    """Load the model with all values as outputs, without rewriting by the runtime."""
    proto = ir.to_proto(model)
    known = {output.name for output in proto.graph.output}
    for value in values:
        if value.name not in known:
            proto.graph.output.add(name=str(value.name))
    try:
        return load_engine(proto, weights_folder(model), optimize=False)
    except CamgraphError as error:
        reason = reason_of(error)
        raise ModelFileError(f"onnxruntime cannot load the model: {reason}{_advice(model, reason)}") from error


def reason_of(error: CamgraphError) -> str:
    """Return what onnxruntime itself said, in one line and without its error code."""
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", str(error.__cause__ or error)).strip()
    # Some of its messages begin with a place in its own C++ source.
    text = re.sub(r"^/\S+:\d+ [^(]*\([^)]*\)(?: const)? ", "", text)
    lines = [line.strip() for line in text.splitlines()] or ["it gave no reason"]
    # One that ends in a colon goes on with a list.
    line = " ".join(lines)[:_LONGEST_REASON] if lines[0].endswith(":") else lines[0]
    return line if line.endswith(".") else f"{line}."


def _advice(model: ir.Model, reason: str) -> str:
    """Return what helps, with a space before it; empty where onnxruntime's own words say it."""
    if "is not a registered function/op" in reason:
        foreign = [node for node in model.graph.all_nodes() if node.domain not in _DOMAINS]
        named = f" {name_nodes(foreign)} of a domain that it does not know." if foreign else ""
        return f"{named} Export the model again in standard operators."
    if "Could not find an implementation" in reason:
        return " It has no such kernel for this element type on the CPU. Export the model again in float32."
    if "two nodes with same node name" in reason:
        return " Give each node a name of its own."
    return ""
