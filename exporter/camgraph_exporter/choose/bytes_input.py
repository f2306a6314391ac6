"""Puts the normalisation of pixels into the graph: it takes bytes, a quarter of what it takes as float32."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import UsageError
from camgraph_exporter.errors import ModelFileError
from camgraph_exporter.frontends.onnx_file import LoadedModel
from camgraph_exporter.graph.constants import add_constant
from camgraph_exporter.image.options import Input
from camgraph_runtime.preprocess.layout import channel_axis, rank_of

_NAME = "camgraph/prepared/pixels"
_LOWEST_OPSET = 7  # before it, a constant per channel needs an attribute of the node
_COLOURS = {pb.CHANNEL_ORDER_RGB, pb.CHANNEL_ORDER_BGR, pb.CHANNEL_ORDER_GRAY}


def take_bytes(loaded: LoadedModel, spec: pb.InputSpec) -> LoadedModel:
    """Return the model with an input of uint8 pixels, which it normalises first: (x - m) * f per channel, in float32.

    Args:
        loaded: A model whose image has floating-point values.
        spec: How pixels become these values.

    Raises:
        UsageError: It is not known for sure how, or pixels of these images are not bytes.
        ModelFileError: The model's opset is too old.

    """
    model = loaded.model.clone()
    place, image = next(
        (place, value) for place, value in enumerate(model.graph.inputs) if value.name == spec.tensor.name
    )
    assert image.dtype is not None, "The model was prepared once, which needs the type of its input."
    _check(loaded, spec, image.dtype)
    pixels = ir.Value(name=image.name, shape=image.shape, type=ir.TensorType(ir.DataType.UINT8))
    nodes = _normalisation(model.graph, pixels, spec, image.dtype)
    image.replace_all_uses_with(nodes[-1].outputs[0], replace_graph_outputs=True)
    model.graph.inputs[place] = pixels
    model.graph.insert_before(model.graph[0], nodes)
    note = f"The graph takes pixels 0..255 as uint8, and computes {_formula(spec)} of them itself."
    stated = None if loaded.stated is None else replace(loaded.stated, input=Input())
    return replace(loaded, model=model, notes=(*loaded.notes, note), stated=stated, file=None)


def spec_of_bytes(spec: pb.InputSpec) -> pb.InputSpec:
    """Return how pixels become the input of the model that `take_bytes` makes: as they are."""
    changed = pb.InputSpec()
    changed.CopyFrom(spec)
    changed.tensor.dtype = "uint8"
    changed.divisor = 1
    changed.mean[:] = [0.0] * len(spec.mean)
    changed.std[:] = [1.0] * len(spec.std)
    changed.told_by_graph = True
    return changed


def _check(loaded: LoadedModel, spec: pb.InputSpec, dtype: ir.DataType) -> None:
    if not dtype.is_floating_point():
        raise UsageError(f"The model's input is {spec.tensor.dtype} already; leave --uint8-input out.")
    if not (spec.stated or spec.told_by_graph):
        raise UsageError(
            "With --uint8-input the graph itself prepares pixels, so how is not guessed: state it, as by --preset."
        )
    if spec.channel_order not in _COLOURS:
        raise UsageError(
            "With --uint8-input pixels are 0..255, but this model's images go in as they are stored, with any values. "
            "Leave the option out."
        )
    opset = loaded.model.opset_imports.get("", 0)
    if opset < _LOWEST_OPSET:
        raise ModelFileError(
            f"The model has opset {opset}, and --uint8-input needs {_LOWEST_OPSET} at least. Export the model again "
            "with a newer one."
        )


def _normalisation(graph: ir.Graph, pixels: ir.Value, spec: pb.InputSpec, wanted: ir.DataType) -> list[ir.Node]:
    """Return the nodes from pixels to the values that the model takes; those that change nothing are left out."""
    means = spec.divisor * np.array(spec.mean or [0.0])
    factors = 1 / (spec.divisor * np.array(spec.std or [1.0]))
    nodes = [_cast(pixels, ir.DataType.FLOAT, "as_float")]
    if means.any():
        nodes.append(_step("Sub", nodes[-1], add_constant(graph, "pixel_mean", _per_channel(means, spec.layout))))
    if (factors != 1).any():
        nodes.append(_step("Mul", nodes[-1], add_constant(graph, "pixel_factor", _per_channel(factors, spec.layout))))
    return nodes if wanted == ir.DataType.FLOAT else [*nodes, _cast(nodes[-1].outputs[0], wanted, "as_stored")]


def _cast(value: ir.Value, wanted: ir.DataType, name: str) -> ir.Node:
    return _named(ir.node("Cast", [value], {"to": int(wanted)}), name)


def _step(kind: str, before: ir.Node, constant: ir.Value) -> ir.Node:
    return _named(ir.node(kind, [before.outputs[0], constant]), kind.lower())


def _named(node: ir.Node, name: str) -> ir.Node:
    node.name = f"{_NAME}/{name}"
    node.outputs[0].name = f"{_NAME}/{name}_output"
    return node


def _per_channel(numbers: np.ndarray, layout: pb.Layout) -> np.ndarray:
    """Return one float32 for all channels, or one for each that is broadcast along the channels' axis."""
    values = numbers.astype(np.float32)
    if (values == values[0]).all():
        return np.array(values[0])
    axis = channel_axis(layout) or 0
    return values.reshape(-1, *[1] * (rank_of(layout) - axis - 1))


def _formula(spec: pb.InputSpec) -> str:
    """Return the arithmetic as users state it."""
    top = "x" if spec.divisor == 1 else f"x / {spec.divisor:g}"
    if any(spec.mean):
        top = f"({top} - {_numbers(spec.mean)})"
    return top if all(value == 1 for value in spec.std) else f"{top} / {_numbers(spec.std)}"


def _numbers(values: Sequence[float]) -> str:
    short = [f"{value:.6g}" for value in values]
    return short[0] if len(set(short)) == 1 else f"[{', '.join(short)}]"
