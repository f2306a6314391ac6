"""The class scores of a detector's output that holds more of each candidate than classes."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.score.added_score import append, constant, named
from camgraph_exporter.score.class_part import ClassPart
from camgraph_exporter.score.columns import Columns
from camgraph_exporter.score.odds import log_odds, moved_alike, of_product, sources_of
from camgraph_exporter.score.output_head import OutputHead
from camgraph_exporter.score.pieces import part_of


def head_of_rows(prepared: PreparedModel, output: ir.Value, columns: Columns) -> OutputHead:
    """Return the scores that an output shows whose candidates have the numbers `columns`."""
    ranges = [(columns.start, columns.stop)]
    ranges += [] if columns.objectness is None else [(columns.objectness, columns.objectness + 1)]
    pieces = [part_of(output, columns.axis, *each) for each in ranges]
    if columns.is_probability:
        numbers = log_odds(prepared, output, pieces)
    else:
        kept = {source.value for piece in pieces for source in sources_of(prepared, piece)}
        numbers = moved_alike(prepared, output, {value: value for value in kept})
    parts = [_part(prepared, numbers, columns.axis, *each) for each in ranges]
    kind, note = _kind(prepared, output, columns)
    if len(parts) == 1:
        [score] = parts
    elif kind == pb.HEAD_KIND_PROBABILITY:
        score = append(prepared, "Mul", parts, {}, dims_of(parts[0]), parts[0])
    else:
        score = of_product(prepared, *parts)
    named(prepared, score, output)
    return OutputHead(
        score,
        kind,
        class_axis=columns.axis,
        part=ClassPart(score, columns.axis, columns.start),
        is_listed=columns.is_probability and columns.objectness is None,
        note=" ".join(filter(None, (_account(output, columns, kind), note, columns.note))),
    )


def _part(prepared: PreparedModel, numbers: ir.Value, axis: int, start: int, stop: int) -> ir.Value:
    dims = [stop - start if i == axis else dim for i, dim in enumerate(dims_of(numbers))]
    bounds = [constant(prepared, np.array([number])) for number in (start, stop, axis)]
    return append(prepared, "Slice", [numbers, *bounds], {}, dims, numbers)


def _kind(prepared: PreparedModel, output: ir.Value, columns: Columns) -> tuple[pb.HeadKind, str]:
    """Return what makes probabilities of the scores, and what the user should know where that is not in the graph."""
    if columns.is_probability:
        return pb.HEAD_KIND_SIGMOID, ""
    sample = prepared.probe.outputs.get(str(output.name))
    if sample is not None and sample.dtype.kind == "f":
        numbers = np.moveaxis(sample, columns.axis, -1)[..., columns.start : columns.stop]
        if numbers.min(initial=1) >= 0 and numbers.max(initial=0) <= 1:
            return pb.HEAD_KIND_PROBABILITY, _BARE
    return (pb.HEAD_KIND_NONE, "") if columns.objectness is None else (pb.HEAD_KIND_SIGMOID, _LOGITS)


def _account(output: ir.Value, columns: Columns, kind: pb.HeadKind) -> str:
    classes = columns.stop - columns.start
    many = f"{classes} classes" if classes > 1 else "one class"
    if columns.objectness is None:
        return f"Output {output.name!r} holds a box and {many} for each candidate."
    score = "product" if kind == pb.HEAD_KIND_PROBABILITY else "log odds of the product"
    return (
        f"Output {output.name!r} holds a box, how likely it is an object, and {many} for each candidate. The score is "
        f"the {score} of the latter two, by which boxes are ranked."
    )


_BARE = (
    "Its numbers lie in 0..1, but no sigmoid was found that they come from: the gradients are those of the "
    "probabilities, which vanish where one is near to 0 or 1."
)
_LOGITS = "No sigmoid was found in the graph, so both are read as the numbers before one."
