"""Refuses models of which no layer can be explained: in training mode, random, or with broken weights."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx_ir as ir
from onnx_ir.passes import InPlacePass, PassResult

from camgraph_exporter.errors import ModelFileError
from camgraph_exporter.graph.names import name_nodes
from camgraph_exporter.graph.traits import Trait, has
from camgraph_exporter.graph.walk import leading_to, reached_from, reads

_ADVICE = "Export the model again in evaluation mode."


class ScreenPass(InPlacePass):
    """Looks at what the outputs depend on, and changes nothing."""

    def call(self, model: ir.Model) -> PassResult:
        """Look at the nodes and the weights.

        Raises:
            ModelFileError: nodes are in training mode or random, or weights are NaN; all of them are named.

        """
        nodes = leading_to(model.graph, model.graph.outputs)
        # Standardised weights are often written as a normalisation in training mode: of weights, the same in every run.
        images = {value for value in model.graph.inputs if not value.is_initializer()}
        dependent = reached_from(model.graph, images)
        training = [node for node in nodes if _is_training(node) and not dependent.isdisjoint(node.outputs)]
        random = [node for node in nodes if has(node, Trait.RANDOM)]
        broken = [value for value in _weights(nodes) if _has_nan(value)]
        problems = []
        if training:
            problems.append(f"{name_nodes(training)} in training mode. {_ADVICE}")
        if random:
            problems.append(f"{name_nodes(random)} random, so the same image gives different results. {_ADVICE}")
        if broken:
            named = ", ".join(repr(str(value.name)) for value in broken)
            problems.append(
                f"The weights {named} contain NaN, so no result is a number. Export or train the model again."
            )
        if problems:
            raise ModelFileError(" ".join(problems))
        return PassResult(model, modified=False)


def _is_training(node: ir.Node) -> bool:
    if node.domain != "":
        return False
    if node.op_type == "BatchNormalization":
        # Up to opset 13 it was the further outputs that asked for training mode.
        return _attribute(node, "training_mode") == 1 or any(value.uses() for value in node.outputs[1:])
    if node.op_type == "Dropout" and len(node.inputs) > 2 and node.inputs[2] is not None:
        mode = node.inputs[2].const_value
        return mode is not None and bool(mode.numpy())
    return False


def _attribute(node: ir.Node, name: str) -> object:
    return node.attributes[name].value if name in node.attributes else None


def _weights(nodes: Iterable[ir.Node]) -> list[ir.Value]:
    inputs = dict.fromkeys(value for node in nodes for value in reads(node))
    return [value for value in inputs if value.const_value is not None]


def _has_nan(value: ir.Value) -> bool:
    # Infinities are left alone: attention masks are made of them.
    assert value.const_value is not None
    if not value.const_value.dtype.is_floating_point():
        return False
    return bool(np.isnan(value.const_value.numpy()).any())
