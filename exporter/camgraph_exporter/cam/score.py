"""Finds the class score y_c: the tensor before a softmax, log-softmax or sigmoid at the end."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.errors import ScoreError, closest
from camgraph_exporter.graph.dims import Dims, dims_of
from camgraph_exporter.prepare.prepare import Prepared

_HEADS = {"Softmax": pb.HEAD_KIND_SOFTMAX, "LogSoftmax": pb.HEAD_KIND_LOG_SOFTMAX, "Sigmoid": pb.HEAD_KIND_SIGMOID}
_PASS_THROUGH = {"Identity", "Dropout", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose"}


@dataclass(frozen=True)
class Score:
    """The tensor y of class scores.

    `value`: the tensor in the source, [N, C] or with further axes of size 1. `class_axis`: where its classes are.
    """

    value: ir.Value
    kind: pb.HeadKind
    output: ir.Value
    num_classes: int
    class_axis: int
    single_logit: bool

    def head(self) -> pb.Head:
        """Return the manifest's account of the head."""
        return pb.Head(
            score_tensor=str(self.value.name),
            kind=self.kind,
            num_classes=self.num_classes,
            single_logit=self.single_logit,
            output_name=str(self.output.name),
        )


def find_score(prepared: Prepared, name: str | None = None) -> Score:
    """Find the score behind the first output that has classes, or take the tensor that the user named.

    Raises:
        ScoreError: there is no such tensor, or it is not a score a class.

    """
    if name is not None:
        value = prepared.value(name)
        if value is None:
            raise ScoreError(
                f"There is no tensor {name!r} to take as the score.{closest(name, prepared.values())} Without --score it is found automatically."
            )
        output = next(
            (out for out in prepared.graph.outputs if out is value or _strip(out)[0] is value),
            prepared.graph.outputs[0],
        )
        kind = _strip(output)[1] if _strip(output)[0] is value else pb.HEAD_KIND_NONE
        return _classes(value, kind, output)
    problems = []
    for output in prepared.graph.outputs:
        value, kind = _strip(output)
        try:
            return _classes(value, kind, output)
        except ScoreError as error:
            problems.append(str(error))
    raise ScoreError(" ".join(problems))


def _strip(output: ir.Value) -> tuple[ir.Value, pb.HeadKind]:
    """Walk back from an output to the input of its last softmax or sigmoid; the output itself if there is none."""
    value = output
    while (node := value.producer()) is not None and node.domain == "":
        source = node.inputs[0] if node.inputs else None
        if source is None:
            break
        if node.op_type in _HEADS:
            return source, _HEADS[node.op_type]
        if node.op_type not in _PASS_THROUGH:
            break
        value = source
    return output, pb.HEAD_KIND_NONE


def _classes(value: ir.Value, kind: pb.HeadKind, output: ir.Value) -> Score:
    dims = _shape_of(value)
    if value.dtype is None or not value.dtype.is_floating_point():
        raise ScoreError(
            f"Tensor {value.name!r} is not a score: its elements are {value.dtype}. Name the class scores with --score."
        )
    wide = [axis for axis in range(1, len(dims)) if dims[axis] != 1]
    if len(dims) < 2 or len(wide) > 1 or (wide and not isinstance(dims[wide[0]], int)):
        raise ScoreError(
            f"Tensor {value.name!r} has the shape {list(dims)}, not one score a class [N, C]. Name the class scores with --score."
        )
    axis = wide[0] if wide else 1
    size = dims[axis]
    assert isinstance(size, int)
    return Score(value, kind, output, num_classes=2 if not wide else size, class_axis=axis, single_logit=not wide)


def _shape_of(value: ir.Value) -> Dims:
    if value.shape is None:
        raise ScoreError(f"The shape of tensor {value.name!r} is not known. Name the class scores with --score.")
    return dims_of(value)
