"""The way from the image to the score, on which the layers lie.

A layer needs a gradient from the score, but none on to the image: where pixels are rounded or compared before the first
layer, what is made of them is followed all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import onnx_ir as ir

from camgraph_exporter.graph.gradient_path import GradientPath
from camgraph_exporter.graph.traits import Trait, has
from camgraph_exporter.graph.walk import reached_from
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.reading.pixels import pixels_of

# Their results do not depend on the values of their input.
_OF_NO_VALUES = Trait.OF_SHAPE | Trait.FILLS


def image_path(prepared: PreparedModel, score: ir.Value, nodes: Sequence[ir.Node] | None = None) -> GradientPath:
    """Return the nodes and values between the image and a score.

    Of what no gradient passes, only steps on single pixels are on it: a mask or an index that is made from the image is
    no way of its own. Where the score depends on the image only through such steps, as after signs of features, all
    that depends on the image is on the path.

    Args:
        prepared: the model.
        score: the value at the end.
        nodes: the nodes to look at, in topological order; all of the model's by default.

    """
    nodes = list(prepared.graph) if nodes is None else nodes
    path = GradientPath(nodes, pixels_of(prepared), [score])
    return path if score in path.values else GradientPath(nodes, _depending(nodes, prepared.image), [score])


def _depending(nodes: Iterable[ir.Node], image: ir.Value) -> set[ir.Value]:
    """Return the values that depend on what the image shows."""
    return reached_from(nodes, [image], lambda node: () if has(node, _OF_NO_VALUES) else node.outputs)
