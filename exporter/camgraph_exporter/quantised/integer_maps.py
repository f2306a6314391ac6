"""Gives the integers between operators such as QLinearConv their real numbers, to find and name layers and scores.

A model of such operators holds real numbers at its ends only. While it is studied and differentiated, each integer map
is turned to real numbers and back (which changes no integer); before the file is written, the operators read their
integers directly again.
"""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes import InPlacePass, PassResult, common

from camgraph_exporter.graph.element_types import SMALL_INTEGERS
from camgraph_exporter.graph.walk import depends_on_no_input
from camgraph_exporter.quantised.forms import (
    Quantisation,
    dequantised,
    is_dequantiser,
    is_quantiser,
    quantisation_of,
)

# Marks the nodes that are taken out again.
_PREFIX = "camgraph/view/"
# Names that quantising tools give to integers; the rest is the name that the float model has.
_SUFFIX = "_quantized"
# The standard operators take 16-bit integers from this version on.
_WIDE = 21


class ShowIntegerMapsPass(InPlacePass):
    """Puts a DequantizeLinear and a QuantizeLinear between every integer value and the operators that read it."""

    def call(self, model: ir.Model) -> PassResult:
        """Show the integers of all nodes."""
        graph, opset, changed = model.graph, int(model.opset_imports[""]), False
        taken = {str(value.name) for node in graph for value in node.outputs} | set(graph.initializers)
        for node in list(graph):
            for value in node.outputs:
                found = _shown_by(value, opset)
                if found is not None:
                    _show(graph, value, found, taken)
                    changed = True
        # A dequantiser that the model has itself may come after other readers of its integers.
        common.TopologicalSortPass()(model)
        return PassResult(model, changed)


class HideIntegerMapsPass(InPlacePass):
    """Undoes `ShowIntegerMapsPass`: lets operators read their integers directly again."""

    def call(self, model: ir.Model) -> PassResult:
        """Take out the quantisers that were put in; what nothing reads then is left for a later pass."""
        found = [node for node in model.graph if (node.name or "").startswith(_PREFIX) and is_quantiser(node)]
        for node in found:
            real = node.inputs[0]
            dequantiser = real.producer() if real is not None else None
            assert dequantiser is not None
            assert dequantiser.inputs[0] is not None
            node.outputs[0].replace_all_uses_with(dequantiser.inputs[0], replace_graph_outputs=True)
            model.graph.remove(node, safe=True)
        return PassResult(model, bool(found))


def _shown_by(value: ir.Value, opset: int) -> Quantisation | None:
    """Return how a value is to be shown; None if it is not an integer map or real numbers follow it anyway."""
    node = value.producer()
    if (
        value.dtype not in SMALL_INTEGERS
        or value.shape is None
        or len(value.shape) < 2
        or node is None
        or is_quantiser(node)
    ):
        return None
    if (_readers(value) or (value.is_graph_output() and dequantised(value) is None)) and not depends_on_no_input(value):
        found = quantisation_of(value)
        narrow = value.dtype in {ir.DataType.INT8, ir.DataType.UINT8}
        return found if found is not None and len(found.scales) == 1 and (narrow or opset >= _WIDE) else None
    return None


def _readers(value: ir.Value) -> list[tuple[ir.Node, int]]:
    """Return the operators that compute with integers, each with the index of its input."""
    return [(use.node, use.idx) for use in value.uses() if not is_dequantiser(use.node)]


def _show(graph: ir.Graph, value: ir.Value, quantisation: Quantisation, taken: set[str]) -> None:
    producer = value.producer()
    assert producer is not None
    readers, parameters = _readers(value), (quantisation.scales[0], quantisation.zero_point)
    real, added = dequantised(value), list[ir.Node]()
    if real is None:
        name = f"{_PREFIX}{value.name}/DequantizeLinear"
        real = ir.Value(
            name=_real_name(str(value.name), taken), shape=value.shape, type=ir.TensorType(ir.DataType.FLOAT)
        )
        added.append(ir.node("DequantizeLinear", [value, *parameters], outputs=[real], name=name))
    if readers:
        again = ir.Value(name=f"{_PREFIX}{value.name}", shape=value.shape, type=value.type)
        name = f"{_PREFIX}{value.name}/QuantizeLinear"
        added.append(ir.node("QuantizeLinear", [real, *parameters], outputs=[again], name=name))
        for reader, index in readers:
            reader.replace_input_with(index, again)
    after = real.producer() if not added or added[0].outputs[0] is not real else producer
    assert after is not None
    graph.insert_after(after, added)


def _real_name(name: str, taken: set[str]) -> str:
    """Return the float model's name of an integer value where it is free."""
    base = name.removesuffix(_SUFFIX)
    real = base if base not in taken else f"{name}_dequantized"
    taken.add(real)
    return real
