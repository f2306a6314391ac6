"""Evaluates one node on known inputs, by the reference implementation of the standard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from onnx.reference import ReferenceEvaluator


def evaluate_node(node: ir.Node, arrays: Sequence[np.ndarray[Any, Any] | None], opset: int) -> list[Any]:
    """Return the outputs of a node of the standard domain, None where one is left out.

    Args:
        node: the node.
        arrays: its inputs, None where one is left out.
        opset: the version of ai.onnx that says what it means.

    Raises:
        Exception: whatever the reference implementation raises, which differs by operator.

    """
    proto = ir.to_proto(node)
    proto.input[:] = [f"x{i}" if array is not None else "" for i, array in enumerate(arrays)]
    proto.output[:] = [f"y{i}" if value.name != "" else "" for i, value in enumerate(node.outputs)]
    inputs, outputs = ([_untyped(name) for name in names if name] for names in (proto.input, proto.output))
    graph = onnx.helper.make_graph([proto], "node", inputs, outputs)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
    feeds = {f"x{i}": array for i, array in enumerate(arrays) if array is not None}
    results = dict(zip(filter(None, proto.output), ReferenceEvaluator(model).run(None, feeds), strict=True))
    return [results.get(name) for name in proto.output]


def _untyped(name: str) -> onnx.ValueInfoProto:
    return onnx.helper.make_value_info(name, onnx.TypeProto())
