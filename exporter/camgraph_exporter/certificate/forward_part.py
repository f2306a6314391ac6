"""Tells the trained model's own part of an explainable graph from what was added."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

import onnx
import onnx_ir as ir

from camgraph_exporter.graph.protos import names_read_by
from camgraph_exporter.graph.walk import leading_to


def split_forward(
    graph: onnx.GraphProto, outputs: Iterable[str], *, also: str = ""
) -> tuple[list[onnx.NodeProto], list[onnx.NodeProto]]:
    """Return the nodes that lead to the source's outputs, and those that were added, in their order.

    `also`: nodes whose name begins like this count as forward, too.
    """
    wanted = set(outputs)
    forward, added = [], []
    for node in reversed(graph.node):
        if wanted.intersection(node.output) or (also and node.name.startswith(also)):
            wanted.update(names_read_by(node))
            forward.append(node)
        else:
            added.append(node)
    return forward[::-1], added[::-1]


def is_rewritten(source: ir.Model, model: onnx.ModelProto, outputs: Collection[str]) -> bool:
    """Tell whether the forward part of a graph has other operators than the source, as lifting an opset may give."""
    kept = [value for value in source.graph.outputs if value.name in outputs]
    before = Counter(node.op_type for node in leading_to(source.graph, kept))
    after = Counter(node.op_type for node in split_forward(model.graph, outputs)[0])
    # A Constant and an Identity compute nothing.
    return any(before[name] != after[name] for name in (before | after).keys() - {"Constant", "Identity"})
