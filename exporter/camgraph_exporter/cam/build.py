"""Appends the explanation to the source graph: targets in, activations and channel weights out (contract, section 1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.cam.layers import TargetLayer
from camgraph_exporter.cam.score import Score
from camgraph_exporter.errors import LayerError
from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.prepare.prepare import Prepared
from camgraph_exporter.prepare.probe import BATCH
from camgraph_exporter.vjp.backward import TARGETS, Backward, OneHot
from camgraph_exporter.vjp.driver import Path, check_rules, differentiate


@dataclass
class Built:
    """The explainable graph in memory, with the names of what was added."""

    prepared: Prepared
    score: Score
    layers: list[TargetLayer]
    op: Backward
    target: pb.TargetTensors
    source_outputs: list[ir.Value]
    layer_tensors: list[pb.Layer] = field(default_factory=list)


def build(prepared: Prepared, score: Score, layers: Sequence[TargetLayer], *, gradients: bool = False) -> Built:
    """Append targets, the backward part and the outputs to the prepared graph, in place.

    Raises:
        GradientError: operators on the path have no rule; all of them are named.
        LayerError: the score does not depend on a layer.

    """
    graph = prepared.graph
    path = Path(graph, [layer.value for layer in layers], [score.value])
    _check_connected(path, layers, score)
    check_rules(path, layer=layers[0].name, score=str(score.value.name))

    names = _Names(prepared)
    source_outputs = list(graph.outputs)
    target = ir.Value(
        name=names.free("target"), shape=ir.Shape([_batch(prepared), TARGETS]), type=ir.TensorType(ir.DataType.INT64)
    )
    graph.inputs.append(target)
    op = Backward(graph, target)
    for name, array in prepared.probe.constants.items():
        value = prepared.value(name)
        if value is not None:
            op.know(value, array)
    op.targets = op.size_vector(target, 1)

    index, target_score, seed = _seed(op, score, target)
    cotangents = differentiate(op, path, {score.value: seed}, [layer.value for layer in layers])
    built = Built(prepared, score, list(layers), op, pb.TargetTensors(target_input=str(target.name)), source_outputs)
    built.target.target_index_output = _output(op, graph, index, names.free("target_index"))
    built.target.target_score_output = _output(op, graph, target_score, names.free("target_score"))
    for i, layer in enumerate(layers):
        suffix = f"_{i}" if i else ""
        built.layer_tensors.append(
            _layer_outputs(op, graph, layer, cotangents[layer.value], names, suffix, gradients=gradients)
        )
    return built


class _Names:
    """Output names of the contract; a source that uses one of them gets it prefixed."""

    def __init__(self, prepared: Prepared) -> None:
        self._taken = set(prepared.values()) | set(prepared.graph.initializers)

    def free(self, name: str) -> str:
        return name if name not in self._taken else f"camgraph_{name}"


def _batch(prepared: Prepared) -> int | str:
    return BATCH if prepared.probe.batch_is_symbolic else int(dims_of(prepared.image)[0])


def _check_connected(path: Path, layers: Sequence[TargetLayer], score: Score) -> None:
    for layer in layers:
        if layer.value not in path.values or score.value not in path.values:
            raise LayerError(
                f"No gradient flows from score {score.value.name!r} to layer {layer.name!r}: the score does not depend on the layer, or only through integers "
                "and comparisons. `camgraph inspect` lists the layers that it depends on."
            )


def _seed(op: Backward, score: Score, target: ir.Value) -> tuple[ir.Value, ir.Value, ir.Value]:
    """Resolve the targets and return (target_index [N, T], target_score [N, T], the cotangent of the score tensor)."""
    with op.scope("target"):
        dims = dims_of(score.value)
        width = 1 if score.single_logit else score.num_classes
        scores = score.value if len(dims) == 2 else op.Reshape(score.value, op.ints(-1, width))
        if score.single_logit:
            scores = op.Concat(op.Neg(scores), scores, axis=1)
        index = _resolve_ranks(op, scores, target, score.num_classes)
        target_score = op.GatherElements(scores, index, axis=1)
        by_target = op.Transpose(index, perm=[1, 0])
        assert score.value.dtype is not None
        classes = op.constant(np.arange(score.num_classes, dtype=np.int64))
        seed = op.cast(op.Equal(op.Unsqueeze(by_target, op.ints(2)), classes), score.value.dtype)
        if score.single_logit:
            # The score of class 1 is the logit, that of class 0 its negative.
            sign = op.cast(op.Sub(op.Mul(by_target, op.ints(2)), op.ints(1)), score.value.dtype)
            seed = op.Unsqueeze(sign, op.ints(2))
        if len(dims) > 2:
            seed = op.Reshape(seed, op.ints(0, 0, *(int(dim) for dim in dims[1:])))
        elif not score.single_logit:
            op.one_hots[seed] = OneHot(by_target)
        return index, op.cast(target_score, ir.DataType.FLOAT), seed


def _resolve_ranks(op: Backward, scores: ir.Value, target: ir.Value, num_classes: int) -> ir.Value:
    """Turn -r into the class of rank r; only as many ranks are sorted as the lowest target asks for."""
    zero = op.constant(np.asarray(0, dtype=np.int64))
    lowest = op.Neg(op.reduce_all("ReduceMin", op.Concat(op.Reshape(target, op.ints(-1)), op.ints(-1), axis=0)))
    count = op.Reshape(op.Min(lowest, op.constant(np.asarray(num_classes, dtype=np.int64))), op.ints(1))
    ranked = op.emit("TopK", (scores, count), {"axis": 1}, outputs=2)[1]
    rank = op.Max(op.Sub(op.Neg(target), op.ints(1)), zero)
    return op.Where(op.Less(target, zero), op.GatherElements(ranked, rank, axis=1), target)


def _layer_outputs(
    op: Backward, graph: ir.Graph, layer: TargetLayer, g: ir.Value, names: _Names, suffix: str, *, gradients: bool
) -> pb.Layer:
    channels_last = layer.layout == pb.LAYER_LAYOUT_CHANNELS_LAST
    with op.scope(f"layer{suffix}"):
        activations = op.Transpose(layer.value, perm=[0, 3, 1, 2]) if channels_last else layer.value
        activations = op.cast(activations, ir.DataType.FLOAT)
        g = op.full(g, layer.value, [0, 3 if channels_last else 1])
        g = op.Transpose(g, perm=[0, 1, 4, 2, 3]) if channels_last else g
        mean = op.mean(g, [axis for axis in (3, 4) if dims_of(g)[axis] != 1], keepdims=True)
        weights = op.Transpose(op.cast(op.Squeeze(mean, op.ints(3, 4)), ir.DataType.FLOAT), perm=[1, 0, 2])
        result = pb.Layer(
            name=layer.name,
            channels=layer.channels,
            height=layer.height or 0,
            width=layer.width or 0,
            stride_height=layer.stride[0] if layer.stride else 0,
            stride_width=layer.stride[1] if layer.stride else 0,
            layout=layer.layout,
            activations_tensor=_output(op, graph, activations, names.free(f"activations{suffix}")),
            weights_tensor=_output(op, graph, weights, names.free(f"weights{suffix}")),
        )
        if gradients:
            full = op.full(g, activations)
            by_image = op.Transpose(op.cast(full, ir.DataType.FLOAT), perm=[1, 0, 2, 3, 4])
            result.gradients_tensor = _output(op, graph, by_image, names.free(f"gradients{suffix}"))
    return result


def _output(op: Backward, graph: ir.Graph, value: ir.Value, name: str) -> str:
    """Make a value an output of the graph under `name`."""
    node = ir.node("Identity", [value], name=f"camgraph/{name}")
    output = node.outputs[0]
    output.name, output.type, output.shape = name, value.type, value.shape
    graph.append(node)
    graph.outputs.append(output)
    return name
