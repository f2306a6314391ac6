"""The surrogate of a quantised model: the same network on real numbers, linear in every quantiser, at a deployed run.

Where the model rounds a value x to the integers q, which stand for the real numbers r, the surrogate has

    r(x) = r0 + mask * (x - x0)

with r0, and the mask of what was not clipped, taken from the integers of the deployed run, and x0 what the surrogate
itself computes when every integer stands for its r0. Its derivative is the straight-through gradient by definition.
Finite differences of it need no rule for any operator.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
import onnx_ir as ir

from camgraph_exporter.certificate.quantised.integers import (
    Array,
    QuantisedValue,
    absorbed,
    describe_integers,
    spread,
)
from camgraph_exporter.graph.constants import elements_of
from camgraph_exporter.graph.element_types import SMALL_INTEGERS
from camgraph_exporter.graph.traits import is_stop
from camgraph_exporter.graph.walk import leading_to, reached_from, required
from camgraph_exporter.quantised.forms import (
    Quantisation,
    RealForm,
    is_dequantiser,
    is_quantiser,
    real_form,
)


@dataclass
class Surrogate:
    """The rewritten model. `moving`: integers that depend on the layer; `fixed`: all others.

    `observed`: further values of the deployed run that it takes as they are. `layer`: the name under which the layer is
    fed.
    """

    model: onnx.ModelProto
    moving: list[QuantisedValue]
    fixed: list[QuantisedValue]
    observed: list[str]
    layer: str
    layer_integers: str | None


@dataclass
class _Rewriter:
    """State of the rewriting: what the integers of the model are, and which real value stands for which of them."""

    graph: ir.Graph
    path: set[ir.Value]
    integers: dict[ir.Value, QuantisedValue]
    real: dict[ir.Value, ir.Value] = field(default_factory=dict)


def make_surrogate(model: onnx.ModelProto, layer: str, score: str) -> Surrogate:
    """Rewrite an explainable graph for one layer. `layer` and `score` are names of tensors of the trained model."""
    copy = ir.from_proto(model)
    graph = copy.graph
    values = {str(value.name): value for node in graph for value in node.outputs}
    start, end = values[layer], values[score]
    forward = leading_to(graph, [end, start])
    described = describe_integers(forward, end)
    producer = start.producer()
    layer_integers = producer.inputs[0] if producer is not None and is_dequantiser(producer) else None
    path = _between(forward, layer_integers or start)
    rewriter = _Rewriter(graph, path, described)
    observed = [
        str(value.name) for node in forward if node.op_type == "DynamicQuantizeLinear" for value in node.outputs
    ]
    for value in rewriter.integers:
        rewriter.real[value] = ir.Value(name=rewriter.integers[value].real)
    for node in forward:
        _rewrite(rewriter, node)
    moving = [integer for value, integer in rewriter.integers.items() if value in path and value is not layer_integers]
    fixed = [integer for value, integer in rewriter.integers.items() if value not in path or value is layer_integers]
    name = rewriter.integers[layer_integers].real if layer_integers is not None else layer
    return Surrogate(
        ir.to_proto(copy), moving, fixed, observed, name, None if layer_integers is None else str(layer_integers.name)
    )


def _between(forward: list[ir.Node], start: ir.Value) -> set[ir.Value]:
    """Return the values that depend on the layer as real numbers do: scales that follow a range count as constants."""

    def passed_on(node: ir.Node) -> Collection[ir.Value]:
        outputs = node.outputs[:1] if node.op_type == "DynamicQuantizeLinear" else node.outputs
        return () if is_stop(node) else outputs

    return reached_from(forward, [start], passed_on)


def _rewrite(rewriter: _Rewriter, node: ir.Node) -> None:
    """Put the real form of one node beside it."""
    form = real_form(node)
    y = node.outputs[0]
    if is_dequantiser(node):
        if node.inputs[0] in rewriter.real:
            y.replace_all_uses_with(rewriter.real[node.inputs[0]], replace_graph_outputs=True)
        return
    if form is not None and not rewriter.path.isdisjoint(node.outputs):
        operands = [_operand(rewriter, node, form, i) for i in range(len(form.operands))]
        attributes = {name: attribute.value for name, attribute in form.attributes.items()}
        result = _insert(rewriter, node, form.op_type, operands, attributes)
        if y in rewriter.integers:
            _linearise(rewriter, node, y, result)
        else:
            y.replace_all_uses_with(result, replace_graph_outputs=True)
    elif y in rewriter.integers and y in rewriter.path:
        _linearise(rewriter, node, y, _rounded(rewriter, node))


def _rounded(rewriter: _Rewriter, node: ir.Node) -> ir.Value:
    """Return the real numbers that a quantiser rounds, or the real form of what moves or chooses integers."""
    source = required(node, 0)
    if is_quantiser(node):
        activation, integer = absorbed(node), rewriter.integers.get(node.outputs[0])
        is_absorbed = activation is not None and integer is not None and integer.between is not None
        inner = required(activation, 0) if activation is not None and is_absorbed else source
        return _insert(rewriter, node, "Identity", [inner])
    inputs = [_in_place(rewriter, x, rewriter.integers.get(source)) for x in node.inputs]
    if node.op_type == "Relu":
        return _insert(
            rewriter, node, "Max", [inputs[0], _real_constant(np.zeros(()), rewriter.integers[source].quantisation)]
        )
    return _insert(
        rewriter, node, node.op_type, inputs, {name: attribute.value for name, attribute in node.attributes.items()}
    )


def _in_place(rewriter: _Rewriter, x: ir.Value | None, source: QuantisedValue | None) -> ir.Value | None:
    """Return the real form of an input of an operator on integers; indices and shapes are what they are."""
    if x is None or x in rewriter.real:
        return rewriter.real[x] if x is not None else None
    array = elements_of(x)
    if array is not None and source is not None and x.dtype in SMALL_INTEGERS:
        return _real_constant(array, source.quantisation)
    return x


def _linearise(rewriter: _Rewriter, node: ir.Node, value: ir.Value, rounded: ir.Value) -> None:
    """Emit r = base + mask * (rounded - origin)."""
    integer = rewriter.integers[value]
    rounded.name = integer.rounded
    base, mask, origin = (ir.Value(name=name) for name in (integer.base, integer.mask, integer.origin))
    change = _insert(rewriter, node, "Mul", [mask, _insert(rewriter, node, "Sub", [rounded, origin])])
    _insert(rewriter, node, "Add", [base, change], output=rewriter.real[value])


def _operand(rewriter: _Rewriter, node: ir.Node, form: RealForm, index: int) -> ir.Value:
    operand = form.operands[index]
    array = elements_of(operand.value)
    if array is not None:
        return _real_constant(array, operand.quantisation)
    real = rewriter.real[operand.value]
    if operand.quantisation.scales:
        return real
    # The integers themselves, less their zero point.
    return _insert(rewriter, node, "Div", [real, ir.Value(name=rewriter.integers[operand.value].step)])


def _real_constant(array: Array, quantisation: Quantisation) -> ir.Value:
    """Return constant integers as real numbers, in float64."""
    scales = [elements_of(scale) for scale in quantisation.scales]
    zero_point = elements_of(quantisation.zero_point)
    real = array.astype(np.float64)
    if zero_point is not None:
        real -= spread(zero_point, real.ndim, quantisation.axis)
    for scale in scales:
        assert scale is not None, "The scales of constant integers are constants."
        real = real * spread(scale, real.ndim, quantisation.axis)
    tensor = ir.tensor(real * quantisation.factor)
    node = ir.node("Constant", [], {"value": tensor})
    return node.outputs[0]


def _insert(
    rewriter: _Rewriter,
    place: ir.Node,
    op_type: str,
    inputs: Sequence[ir.Value | None],
    attributes: Mapping[str, object] | None = None,
    output: ir.Value | None = None,
) -> ir.Value:
    """Put a new node, and constants among its inputs, before a node of the graph."""
    makers = [x.producer() for x in inputs if x is not None]
    constants = [maker for maker in makers if maker is not None and maker.graph is None]
    for number, constant in enumerate(constants):
        constant.outputs[0].name = f"{place.outputs[0].name}/{op_type}/constant{number}"
    results = (
        [output] if output is not None else [ir.Value(name=f"{place.outputs[0].name}/{op_type}/{len(rewriter.graph)}")]
    )
    node = ir.node(op_type, inputs, dict(attributes or {}), outputs=results)  # type: ignore[arg-type]  # any attribute
    rewriter.graph.insert_before(place, [*constants, node])
    return results[0]
