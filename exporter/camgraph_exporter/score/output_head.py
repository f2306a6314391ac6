"""How an output shows scores, and the plain case of it: one softmax or sigmoid, with moves and casts after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.graph.traits import Trait, has, named
from camgraph_exporter.quantised.forms import maker, real_form, shown
from camgraph_exporter.score.class_part import ClassPart

# The operators that end a head, and what they make of it.
HEAD_KINDS = {
    "Softmax": pb.HEAD_KIND_SOFTMAX,
    "LogSoftmax": pb.HEAD_KIND_LOG_SOFTMAX,
    "Sigmoid": pb.HEAD_KIND_SIGMOID,
}
_PASS_THROUGH = Trait.COPIES | Trait.RESHAPES | Trait.PERMUTES


@dataclass(frozen=True)
class OutputHead:
    """A tensor of scores, and what the model makes of it: scale * F(scores), where `kind` says what F is.

    `is_logarithm`: it is the logarithm of F that is scaled. `class_axis`: the axis of the scores that a softmax or an
    ArgMax runs over. `ranked_by`: what classes are ranked by, if not by the scores: probabilities in the same layout.
    `part`: where the output holds the classes, if it holds more than them. `is_listed`: the output holds what F gives
    of all scores. `is_ranked`: it holds only the best of them, sorted, and `sorted_from` says what of, if the graph
    tells. `is_quantity`: the numbers are known to be no scores of classes. `note`: what the user should know of it.
    """

    value: ir.Value
    kind: pb.HeadKind = pb.HEAD_KIND_NONE
    class_axis: int | None = None
    part: ClassPart | None = None
    scale: float = 1.0
    is_logarithm: bool = False
    is_listed: bool = True
    is_ranked: bool = False
    sorted_from: Literal["boxes", "classes"] | None = None
    ranked_by: ir.Value | None = None
    is_quantity: bool = False
    note: str = ""


def no_head(output: ir.Value) -> OutputHead:
    """Return an output as the scores themselves, as the real numbers that it stands for where it is quantised."""
    return OutputHead(shown(output) or output)


def plain_head(output: ir.Value) -> OutputHead:
    """Return the scores before the last softmax or sigmoid, if nothing but moves follows it; else the output itself.

    Of an output that holds the index of the best class, these are the scores that it is the best of. Integers count as
    the real numbers that they stand for.
    """
    value = output
    while (node := maker(value)) is not None:
        form = real_form(node)
        operator = form.op_type if form is not None else node.op_type if node.domain == "" else ""
        source = node.inputs[0] if node.inputs else None
        if source is not None and operator == "ArgMax":
            found = plain_head(source)
            return found if found.kind != pb.HEAD_KIND_NONE else OutputHead(source, class_axis=_axis(node, source, 0))
        if source is None or not (operator in HEAD_KINDS or named(operator).traits & _PASS_THROUGH):
            break
        if operator in HEAD_KINDS:
            before = shown(source) or source
            value = _unflattened(before, output)
            axis = None if operator == "Sigmoid" else _softmax_axis(node, before, value)
            if axis is not None and _is_taken_apart(value, axis, output):
                break
            return OutputHead(value, HEAD_KINDS[operator], axis)
        value = source
    return no_head(output)


def _softmax_axis(node: ir.Node, source: ir.Value, value: ir.Value) -> int | None:
    """Return the axis of `value` that a softmax of `source`, which is `value` or a flattened one, runs over."""
    axis = _axis(node, source, -1)
    if axis is None or source.shape is None or value.shape is None or value is source:
        return axis
    return len(value.shape) - 1 if axis == len(source.shape) - 1 and source.shape[-1] == value.shape[-1] else None


def _is_taken_apart(value: ir.Value, axis: int, output: ir.Value) -> bool:
    """Tell whether the output has an axis of a softmax as several, as that over all places of a map."""
    if value.shape is None or output.shape is None:
        return False
    have, shown_as = dims_of(value), dims_of(output)
    return len(shown_as) > len(have) and have[axis] not in shown_as


def _axis(node: ir.Node, source: ir.Value, default: int) -> int | None:
    axis = node.attributes.get_int("axis", default)
    return axis % len(source.shape) if source.shape is not None else None


def _unflattened(source: ir.Value, output: ir.Value) -> ir.Value:
    """Step back over reshapes before a softmax that count other axes in with the batch, as old opsets did."""
    value = source
    while value.shape is not None and output.shape is not None and dims_of(value)[:1] != dims_of(output)[:1]:
        node = maker(value)
        if node is None or not has(node, Trait.RESHAPES) or node.inputs[0] is None:
            return source
        value = node.inputs[0]
    return value
