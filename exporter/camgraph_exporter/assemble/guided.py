"""Guided backpropagation (Springenberg et al. 2015), the gradient in Guided Grad-CAM (Selvaraju et al. 2017, 3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnx_ir as ir

from camgraph_exporter.errors import GradientError
from camgraph_exporter.graph.gradient_path import GradientPath
from camgraph_exporter.graph.node import NodeView
from camgraph_exporter.quantised.forms import clips
from camgraph_exporter.vjp.backward import Backward
from camgraph_exporter.vjp.registry import Cotangents, Rule
from camgraph_exporter.vjp.rules.activation import clip, relu


def _guided(exact: Rule) -> Rule:
    """Let only positive cotangents through, on top of the operator's own rule."""

    def rule(op: Backward, node: NodeView, *cotangents: Any) -> Cotangents:
        g = exact(op, node, *cotangents)
        assert isinstance(g, ir.Value)
        return op.Relu(g)

    return rule


# Rectifiers whose backward signal is rectified too; every other operator keeps its own rule.
GUIDED_RULES: Mapping[str, Rule] = {"Relu": _guided(relu), "Clip": _guided(clip)}


def check_guided(path: GradientPath) -> None:
    """Raise for a quantised model, whose quantisers have taken the place of some of its rectifiers.

    Raises:
        GradientError: naming a node that clips.

    """
    clipping = next((node for node in path.nodes if clips(node)), None)
    if clipping is not None:
        raise GradientError(
            "Guided Grad-CAM needs every ReLU of the model, and quantisation has put ReLUs into its rounding, as "
            f"perhaps at node {clipping.name or clipping.outputs[0].name!r}. Leave --guided out, or export the float "
            "model."
        )
