"""Appends the explanation to the source graph: targets in, activations and channel weights out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated

import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import UsageError
from camgraph_core.settings import Setting
from camgraph_exporter.assemble.guided import add_image_gradient, check_guided
from camgraph_exporter.assemble.layer_outputs import add_layer_outputs
from camgraph_exporter.assemble.skippable import make_skippable
from camgraph_exporter.errors import LayerError
from camgraph_exporter.graph.dims import BATCH
from camgraph_exporter.graph.gradient_path import GradientPath
from camgraph_exporter.graph.node_gradient import NodeGradient
from camgraph_exporter.layers.layers import TargetLayer, spatial_layers
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.quantised.forms import is_quantiser, real_form
from camgraph_exporter.targets.interface import AttachedTargets, Interface
from camgraph_exporter.tasks import Score
from camgraph_exporter.vjp.backward import Backward
from camgraph_exporter.vjp.driver import check_rules, differentiate, without_rule


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """What to add beside activations and weights.

    Raises:
        UsageError: both `skippable` and `portable`.

    """

    gradients: Annotated[
        bool | None,
        Setting(
            "Also output the full gradients, for the element-wise methods. "
            "Default: for scores of pixels and boxes, whose default method is hires-cam then."
        ),
    ] = None
    guided: Annotated[bool, Setting("Also output the guided image gradient, for Guided Grad-CAM.")] = False
    skippable: Annotated[bool, Setting("Add a boolean input that turns the gradients off.")] = False
    portable: Annotated[
        bool, Setting("Use only operators that every runtime is known to accept (docs/portability.md).")
    ] = False

    def __post_init__(self) -> None:
        if self.skippable and self.portable:
            raise UsageError("A graph is either skippable, which takes an If, or portable, which has none: choose one.")


@dataclass
class Built:
    """The explainable graph in memory, with the names of what was added, and notes for the user."""

    prepared: PreparedModel
    score: Score
    layers: list[TargetLayer]
    op: Backward
    target: pb.TargetTensors
    source_outputs: list[ir.Value]
    layer_tensors: list[pb.Layer] = field(default_factory=list)
    trace: list[NodeGradient] = field(default_factory=list)
    boxes: pb.Boxes | None = None
    image_gradient_tensor: str = ""
    explain_switch: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def is_quantised(self) -> bool:
        """Tell whether a gradient passes through quantised integers."""
        return any(is_quantiser(step.node) or real_form(step.node) is not None for step in self.trace)

    def gradient_outputs(self) -> list[str]:
        """Return the names of the outputs that need the backward part."""
        names = [name for layer in self.layer_tensors for name in (layer.weights_tensor, layer.gradients_tensor)]
        return [name for name in [*names, self.image_gradient_tensor] if name]


def build(
    prepared: PreparedModel, score: Score, layers: Sequence[TargetLayer], options: BuildOptions | None = None
) -> Built:
    """Append targets, the backward part and the outputs to the prepared graph, in place.

    Raises:
        GradientError: operators on the path have no rule, and all of them are named; or a guided gradient is asked for,
            and no gradient comes to the image.
        LayerError: the score does not depend on a layer.

    """
    options = options or BuildOptions()
    graph = prepared.graph
    path = GradientPath(graph, [layer.value for layer in layers], [score.value])
    _check_connected(path, layers, score)
    others = [layer.value for layer in spatial_layers(prepared, score.value)] if without_rule(path) else []
    check_rules(path, layer=layers[0].name, score=score.name, others=others)
    image_path = GradientPath(graph, [prepared.image], [score.value])
    if options.guided:
        check_guided(image_path, layers, score)
        check_rules(image_path, layer=str(prepared.image.name), score=score.name)

    place, note = score.task.place(prepared, score)
    interface = Interface(prepared)
    op = Backward(graph, portable=options.portable)
    if prepared.probe.batch_is_symbolic:
        op.read_size(BATCH, prepared.image, axis=0)
    for name, array in prepared.probe.constants.items():
        value = prepared.value(name)
        if value is not None:
            op.know(value, array)
    head = _attach_head(op, interface, score)
    head.tensors.MergeFrom(place)
    seeds = {score.value: head.seed}
    trace: list[NodeGradient] = []
    cotangents = differentiate(op, path, seeds, [layer.value for layer in layers], trace=trace)
    built = Built(prepared, score, list(layers), op, head.tensors, interface.source_outputs, trace=trace)
    built.boxes = head.boxes
    built.notes += [note] if note else []
    gradients = score.task.is_dense if options.gradients is None else options.gradients
    for i, layer in enumerate(layers):
        g = cotangents[layer.value]
        built.layer_tensors.append(add_layer_outputs(op, interface, layer, g, i, gradients=gradients))
    if options.guided:
        built.image_gradient_tensor = add_image_gradient(op, interface, image_path, seeds)
    prepared.take_back()
    if options.skippable:
        between = {node for part in ([path, image_path] if options.guided else [path]) for node in part.nodes}
        between -= {node for layer in layers if (node := layer.value.producer()) is not None}
        built.explain_switch = make_skippable(interface, built.gradient_outputs(), _repeatable(built, between))
    return built


def _attach_head(op: Backward, interface: Interface, score: Score) -> AttachedTargets:
    """Add the inputs and outputs of the score's task, and return the cotangent that its targets mean."""
    with op.scope("target"):
        ranked_by = None if score.ranked_by is None else op.residual(score.ranked_by)
        return score.task.attach(op, interface, replace(score, value=op.residual(score.value), ranked_by=ranked_by))


def _repeatable(built: Built, nodes: Collection[ir.Node]) -> set[ir.Node]:
    """Return the nodes that give the same values when they are computed twice, however a runtime fuses them.

    Integers and half-precision values may round to a neighbour, and gates follow them: no node of a path with some.
    """
    plain = {ir.DataType.FLOAT, ir.DataType.DOUBLE}
    if built.is_quantised or any(value.dtype not in plain for node in nodes for value in node.outputs if value.uses()):
        return set()
    return {node for node in nodes if not any(a.type == ir.AttributeType.GRAPH for a in node.attributes.values())}


def _check_connected(path: GradientPath, layers: Sequence[TargetLayer], score: Score) -> None:
    for layer in layers:
        if layer.value not in path.values or score.value not in path.values:
            raise LayerError(
                f"No gradient flows from score {score.name!r} to layer {layer.name!r}: the score does not depend on "
                "the layer, or only through integers and comparisons. `camgraph inspect` lists the layers that it "
                "depends on."
            )
