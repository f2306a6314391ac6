"""Writes out what onnxruntime's optimisers fused or packed, where a model was saved after them.

Such files hold operators of onnxruntime's own, which have no derivative here and which no other runtime knows. Each of
those below is by its definition a few standard operators. Sums may round otherwise, so that a run of both must agree.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence

import numpy as np
import onnx_ir as ir
from onnx_ir.passes import InPlacePass, PassResult

from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.graph.measures import relative_to_largest
from camgraph_exporter.graph.passes import become, notes_of
from camgraph_exporter.graph.traits import MICROSOFT
from camgraph_exporter.prepare.fused_attention import attention, multi_head_attention
from camgraph_exporter.prepare.packed_weights import mat_mul_of_packed
from camgraph_exporter.prepare.probing import probe_of, remember
from camgraph_exporter.prepare.writer import Writer
from camgraph_exporter.running.engine import load_engine, random_input
from camgraph_exporter.running.probe import Probe
from camgraph_exporter.storage import weights_folder

# Relative to the largest element of an output.
_ROUNDING = 1e-4
_LAYER_NORMALIZATION, _GELU = 17, 20  # opsets with these operators
_ACTIVATION_PARAMETERS: dict[str, tuple[str, ...]] = {
    "Relu": (),
    "Sigmoid": (),
    "Tanh": (),
    "LeakyRelu": ("alpha",),
    "HardSigmoid": ("alpha", "beta"),
    "Clip": ("min", "max"),
}


class WriteOutFusionsPass(InPlacePass):
    """Puts standard operators in the place of fused nodes, and notes what it changes.

    Where the two models disagree by more than rounding, the model stays as it is, without a note.

    `names`: first outputs of the nodes to replace; the others are carried over as they are.
    """

    def __init__(self, names: Collection[str]) -> None:
        self._names = names

    def requires(self, model: ir.Model) -> None:
        """Ask for a probe."""
        probe_of(model)

    def call(self, model: ir.Model) -> PassResult:
        """Replace the nodes in a copy, and let the model be the copy where both agree."""
        plain, replaced = model.clone(), []
        for node in list(plain.graph):
            if can_be_written_out(node) and node.outputs[0].name in self._names:
                results = _FUSIONS[node.op_type](Writer(plain, node))
                if results is not None:
                    _replace(plain.graph, node, results)
                    replaced.append(node.op_type)
        change = _largest_change(model, plain, probe_of(model)) if replaced else math.inf
        if change > _ROUNDING:
            return PassResult(model, modified=False)
        become(model, plain)
        remember(model, None)
        operators = ", ".join(sorted(set(replaced)))
        notes_of(model).append(
            f"The model was saved after onnxruntime's optimiser. Its operators of onnxruntime's own ({operators}) are "
            f"written out in standard ones, which changes its outputs by {change:.1g} of the largest element."
        )
        return PassResult(model, modified=True)


def _largest_change(model: ir.Model, plain: ir.Model, known: Probe) -> float:
    """Run both models on random images; return the largest change of an output, relative to its largest element."""
    image = model.graph.inputs[0]
    shape = [known.example(dim) for dim in dims_of(image)]
    if image.dtype is None or not all(isinstance(size, int) for size in shape):
        return math.inf
    feeds = {str(image.name): random_input(np.random.default_rng(0), [int(size or 0) for size in shape], image.dtype)}
    engines = (load_engine(ir.to_proto(each), weights_folder(each), optimize=False) for each in (model, plain))
    before, after = (engine.run(feeds) for engine in engines)
    return max(_change(array, after[name]) for name, array in before.items())


def _change(before: np.ndarray, after: np.ndarray) -> float:
    if not np.issubdtype(before.dtype, np.floating):
        return 0.0 if np.array_equal(before, after) else math.inf
    return relative_to_largest(after, before)


def can_be_written_out(node: ir.Node) -> bool:
    """Tell whether a node is a fused one that is known here."""
    return node.domain == MICROSOFT and node.op_type in _FUSIONS


def _replace(graph: ir.Graph, node: ir.Node, results: Sequence[ir.Value | None]) -> None:
    """Let what reads the node's outputs read the results, under the outputs' names."""
    for output, result in zip(node.outputs, results, strict=False):
        if result is None:
            continue
        name, output.name = output.name, f"{output.name}/fused"
        output.replace_all_uses_with(result, replace_graph_outputs=True)
        result.name, result.type, result.shape = name, output.type, output.shape
    graph.remove(node, safe=True)


# --- one function per fused operator: the values of its outputs, or None where it cannot be written out ------------


def _conv(op: Writer) -> list[ir.Value] | None:
    own = {"activation", "activation_params"}
    attributes = {key: attribute.value for key, attribute in op.node.attributes.items() if key not in own}
    name = op.attribute("activation", "")
    if name and name not in _ACTIVATION_PARAMETERS:
        return None
    bias = [op.input(2)] if op.input(2) is not None else []
    y = op("Conv", op.input(0), op.input(1), *bias, **attributes)
    if op.input(3) is not None:
        y = op("Add", y, op.input(3))
    return [_activated(op, y, name, op.attribute("activation_params", ()))]


def _gemm(op: Writer) -> list[ir.Value] | None:
    attributes = {key: op.attribute(key, None) for key in ("alpha", "beta", "transA", "transB")}
    attributes = {key: value for key, value in attributes.items() if value is not None}
    name = op.attribute("activation", "")
    if name and name not in _ACTIVATION_PARAMETERS:
        return None
    inputs = [value for value in op.node.inputs if value is not None]
    given = [op.attribute(f"activation_{key}", None) for key in ("alpha", "beta")]
    return [_activated(op, op("Gemm", *inputs, **attributes), name, [value for value in given if value is not None])]


def _activated(op: Writer, y: ir.Value, name: str, parameters: Sequence[float]) -> ir.Value:
    if not name:
        return y
    if name == "Clip":
        return op("Clip", y, *(op.number(value) for value in parameters))
    return op(name, y, **dict(zip(_ACTIVATION_PARAMETERS[name], parameters, strict=False)))


def _mat_mul(op: Writer) -> list[ir.Value] | None:
    if op.attribute("transBatchA", 0) or op.attribute("transBatchB", 0):
        return None
    sides = []
    for index, key in enumerate(("transA", "transB")):
        x = op.input(index)
        if x is None or x.shape is None:
            return None
        rank = len(dims_of(x))
        turned = op.attribute(key, 0) and rank > 1
        sides.append(op("Transpose", x, perm=[*range(rank - 2), rank - 1, rank - 2]) if turned else x)
    alpha, y = float(op.attribute("alpha", 1.0)), op("MatMul", *sides)
    return [y if alpha == 1 else op("Mul", y, op.number(alpha))]


def _gelu(op: Writer) -> list[ir.Value]:
    return [_by_erf(op, _with_bias(op))]


def _fast_gelu(op: Writer) -> list[ir.Value]:
    x = _with_bias(op)
    cube = op("Mul", op("Mul", x, x), op("Mul", x, op.number(0.044715)))
    inner = op("Mul", op("Add", x, cube), op.number(math.sqrt(2 / math.pi)))
    return [op("Mul", op("Mul", x, op.number(0.5)), op("Add", op("Tanh", inner), op.number(1)))]


def _quick_gelu(op: Writer) -> list[ir.Value]:
    x, alpha = op.input(0), float(op.attribute("alpha", 1.702))
    inner = x if alpha == 1 else op("Mul", x, op.number(alpha))
    return [op("Mul", x, op("Sigmoid", inner))]


def _by_erf(op: Writer, x: ir.Value) -> ir.Value:
    if op.opset >= _GELU:
        return op("Gelu", x)
    error = op("Erf", op("Div", x, op.number(math.sqrt(2))))
    return op("Mul", op("Mul", x, op.number(0.5)), op("Add", error, op.number(1)))


def _with_bias(op: Writer) -> ir.Value:
    x, bias = op.input(0), op.input(1)
    assert x is not None
    return x if bias is None else op("Add", x, bias)


def _skip_normalisation(op: Writer) -> list[ir.Value | None] | None:
    statistics = [value for value in op.node.outputs[1:3] if value.name and value.uses()]
    if op.opset < _LAYER_NORMALIZATION or statistics:
        return None
    total = op("Add", op.input(0), op.input(1))
    if op.input(4) is not None:
        total = op("Add", total, op.input(4))
    scale = [op.input(2)] + ([op.input(3)] if op.input(3) is not None else [])
    epsilon = float(op.attribute("epsilon", 1e-12))
    return [op("LayerNormalization", total, *scale, axis=-1, epsilon=epsilon), None, None, total]


_FUSIONS: dict[str, Callable[[Writer], Sequence[ir.Value | None] | None]] = {
    "FusedConv": _conv,
    "FusedGemm": _gemm,
    "FusedMatMul": _mat_mul,
    "Gelu": _gelu,
    "BiasGelu": _gelu,
    "FastGelu": _fast_gelu,
    "QuickGelu": _quick_gelu,
    "SkipLayerNormalization": _skip_normalisation,
    "Attention": attention,
    "MultiHeadAttention": multi_head_attention,
    "MatMulNBits": mat_mul_of_packed,
}
