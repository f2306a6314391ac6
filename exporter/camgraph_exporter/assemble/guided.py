"""Guided backpropagation (Springenberg et al. 2015), the gradient in Guided Grad-CAM (Selvaraju et al. 2017, 3.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx_ir as ir

from camgraph_exporter.errors import GradientError
from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.graph.gradient_path import GradientPath
from camgraph_exporter.graph.node import NodeView
from camgraph_exporter.layers.layers import TargetLayer
from camgraph_exporter.quantised.forms import clips
from camgraph_exporter.targets.interface import Interface
from camgraph_exporter.tasks import Score
from camgraph_exporter.vjp.backward import Backward
from camgraph_exporter.vjp.driver import differentiate
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


def check_guided(path: GradientPath, layers: Sequence[TargetLayer], score: Score) -> None:
    """Refuse models of which there is no guided gradient; `path`: from the image to the score.

    Raises:
        GradientError: the model takes clips, no gradient comes to the image, or quantisers have taken the place of some
            of its rectifiers.

    """
    if any(layer.frames for layer in layers):
        raise GradientError("Guided Grad-CAM is for models of single images. Leave --guided out.")
    if score.value not in path.values:
        raise GradientError(
            f"Guided Grad-CAM needs the gradient of score {score.name!r} at the image, and the model rounds or "
            "compares its pixels, or what it makes of them, on every way there. Leave --guided out."
        )
    clipping = next((node for node in path.nodes if clips(node)), None)
    if clipping is not None:
        raise GradientError(
            "Guided Grad-CAM needs every ReLU of the model, and quantisation has put ReLUs into its rounding, as "
            f"perhaps at node {clipping.name or clipping.outputs[0].name!r}. Leave --guided out, or export the float "
            "model."
        )


def add_image_gradient(
    op: Backward, interface: Interface, path: GradientPath, seeds: Mapping[ir.Value, ir.Value]
) -> str:
    """Add the output `image_gradient` float32 [N, T, ...] with the axes of the image after the first; return its name.

    `path`: from the image to the score. `seeds`: the cotangent of the score.
    """
    image = interface.image
    with op.scope("guided"):
        g = differentiate(op, path, seeds, [image], rules=GUIDED_RULES)[image]
        rest = range(2, len(dims_of(image)) + 1)
        by_image = op.Transpose(op.cast(op.full(g, image), ir.DataType.FLOAT), perm=[1, 0, *rest])
        return interface.add_output("image_gradient", by_image)
