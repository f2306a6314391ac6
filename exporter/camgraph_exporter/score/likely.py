"""Says which tensor may hold a detector's class scores where no output is one.

Torchvision's detectors, among others, cut the scores of all boxes up by scale, keep the best and suppress the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import onnx_ir as ir

from camgraph_exporter.graph.dims import dims_of, shape_text
from camgraph_exporter.graph.traits import Trait, has
from camgraph_exporter.graph.walk import leading_to, reached_from
from camgraph_exporter.prepare.prepare import PreparedModel

_MOVES = Trait.COPIES | Trait.RESHAPES | Trait.PERMUTES | Trait.CUTS | Trait.JOINS | Trait.PICKS


def hint_on_scores(prepared: PreparedModel) -> str:
    """Return a sentence that says which scores to name, or why there are none to name; empty where nothing is known."""
    nodes = leading_to(prepared.graph, prepared.graph.outputs)
    dependent = reached_from(nodes, [prepared.image])
    regions = next((node for node in nodes if _proposes(node, dependent)), None)
    if regions is not None:
        return (
            f"The model scores regions that it proposes itself ({regions.op_type} node {regions.name!r}), as Faster "
            "R-CNN does. Their number and order depend on the image, so they cannot be explained: take a detector that "
            "scores the cells of its maps."
        )
    likely = max(_likely(prepared, nodes, dependent), key=_boxes, default=None)
    if likely is None:
        return ""
    return (
        "No output of the model holds the class scores of all its boxes. They may be those of "
        f"{likely.name!r} {shape_text(likely)}: name them with --score."
    )


def _proposes(node: ir.Node, dependent: Collection[ir.Value]) -> bool:
    """Tell whether a node cuts out regions that depend on the image."""
    return node.op_type in ("RoiAlign", "MaxRoiPool") and not node.domain and node.inputs[1] in dependent


def _likely(prepared: PreparedModel, nodes: list[ir.Node], dependent: Collection[ir.Value]) -> Iterator[ir.Value]:
    """Yield the tensors [N, boxes, C] that softmaxes and sigmoids of a few moves later are taken of."""
    for node in nodes:
        if node.domain or node.op_type not in ("Softmax", "Sigmoid"):
            continue
        value = node.inputs[0]
        while value is not None and value in dependent:
            if _is_of_boxes(prepared, value):
                yield value
            maker = value.producer()
            value = maker.inputs[0] if maker is not None and has(maker, _MOVES) else None


def _is_of_boxes(prepared: PreparedModel, value: ir.Value) -> bool:
    if value.shape is None or len(dims_of(value)) != 3:
        return False
    batch, boxes, classes = dims_of(value)
    return batch == dims_of(prepared.image)[0] and isinstance(classes, int) and classes > 1 and boxes != 1


def _boxes(value: ir.Value) -> int:
    boxes = dims_of(value)[1]
    return boxes if isinstance(boxes, int) else 0
