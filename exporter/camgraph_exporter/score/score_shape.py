"""Reads the shape of a tensor as the scores of a task: where its classes are, and how many there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.errors import ScoreError
from camgraph_exporter.graph.dims import Dims, dims_of
from camgraph_exporter.prepare.prepare import Prepared
from camgraph_exporter.reading.layouts import layout_of


@dataclass(frozen=True)
class ScoreShape:
    """How a tensor of scores is laid out.

    `num_classes`: how many a target may name; two for a single logit and for a single number. For an embedding it is
    the length of the vector. `num_anchors`: candidate boxes of a detector, zero where the image decides.
    """

    num_classes: int
    class_axis: int = 1
    single_logit: bool = False
    num_anchors: int = 0


def read_shape(prepared: Prepared, value: ir.Value, task: pb.Task, class_axis: int | None = None) -> ScoreShape:
    """Read a tensor as the scores of a task. `class_axis` says where its classes are; None where the shape tells.

    Raises:
        ScoreError: the tensor is not one of scores of the task.

    """
    return _READ[task](prepared, value, score_dims(prepared, value), class_axis)


def suggested_task(dims: Dims) -> pb.Task:
    """Return the task that the shape of a tensor of scores suggests."""
    wide = [axis for axis in range(1, len(dims)) if dims[axis] != 1]
    if len(dims) == 4 and len(wide) > 1:
        return pb.TASK_SEGMENTATION
    return pb.TASK_DETECTION if len(dims) == 3 and len(wide) == 2 else pb.TASK_CLASSIFICATION


def score_dims(prepared: Prepared, value: ir.Value) -> Dims:
    """Return the dimensions of a tensor of scores.

    Raises:
        ScoreError: it has no real elements, or the batch is not in front.

    """
    if value.dtype is None or not value.dtype.is_floating_point():
        raise ScoreError(
            f"Tensor {value.name!r} is not a score: its elements are {value.dtype}. Name the scores with --score."
        )
    if value.shape is None:
        raise ScoreError(f"The shape of tensor {value.name!r} is not known. Name the class scores with --score.")
    dims = dims_of(value)
    if dims[:1] != dims_of(prepared.image)[:1]:
        raise ScoreError(
            f"Tensor {value.name!r} has the shape {list(dims)}, whose first axis does not count the images of the "
            "batch. Name scores that have the batch first with --score, or export the model with its batch first."
        )
    return dims


def is_one_number(dims: Dims) -> bool:
    """Tell whether a tensor has one element per image."""
    return all(dim == 1 for dim in dims[1:])


def _classes(_: Prepared, value: ir.Value, dims: Dims, __: int | None) -> ScoreShape:
    wide = [axis for axis in range(1, len(dims)) if dims[axis] != 1]
    if len(wide) > 1 or (wide and not isinstance(dims[wide[0]], int)):
        raise _misfit(value, dims, "one score for each class, [N, C]")
    if not wide:
        return ScoreShape(2, single_logit=True)
    return ScoreShape(_number(dims[wide[0]]), wide[0])


def _numbers(_: Prepared, value: ir.Value, dims: Dims, __: int | None) -> ScoreShape:
    wide = [axis for axis in range(1, len(dims)) if dims[axis] != 1]
    if len(wide) > 1 or (wide and not isinstance(dims[wide[0]], int)):
        raise _misfit(value, dims, "one number for each image, [N, 1], or several, [N, K]")
    return ScoreShape(_number(dims[wide[0]]), wide[0]) if wide else ScoreShape(2, single_logit=True)


def _vector(_: Prepared, value: ir.Value, dims: Dims, __: int | None) -> ScoreShape:
    if len(dims) != 2 or not isinstance(dims[1], int):
        raise _misfit(value, dims, "an embedding [N, D]")
    return ScoreShape(_number(dims[1]))


def _pixels(prepared: Prepared, value: ir.Value, dims: Dims, class_axis: int | None) -> ScoreShape:
    last = layout_of(prepared, value) == pb.LAYER_LAYOUT_CHANNELS_LAST
    axis = class_axis or (3 if last else 1)
    if len(dims) != 4 or not isinstance(dims[axis], int):
        raise _misfit(value, dims, "one score for each class and pixel, [N, C, H, W]")
    single = dims[axis] == 1
    return ScoreShape(2 if single else _number(dims[axis]), axis, single_logit=single)


def _boxes(_: Prepared, value: ir.Value, dims: Dims, class_axis: int | None) -> ScoreShape:
    if len(dims) != 3 or not any(isinstance(dim, int) for dim in dims[1:]):
        raise _misfit(value, dims, "one score for each box and class, [N, boxes, C] or [N, C, boxes]")
    sizes = [dim if isinstance(dim, int) else float("inf") for dim in dims]
    axis = class_axis or (2 if sizes[2] <= sizes[1] else 1)
    boxes = dims[3 - axis]
    return ScoreShape(_number(dims[axis]), axis, num_anchors=boxes if isinstance(boxes, int) else 0)


_READ: dict[pb.Task, Callable[[Prepared, ir.Value, Dims, int | None], ScoreShape]] = {
    pb.TASK_CLASSIFICATION: _classes,
    pb.TASK_SEGMENTATION: _pixels,
    pb.TASK_DETECTION: _boxes,
    pb.TASK_EMBEDDING: _vector,
    pb.TASK_REGRESSION: _numbers,
}


def _number(dim: int | str) -> int:
    if not isinstance(dim, int):
        raise ScoreError("The number of classes depends on the image. Name the class axis with --class-axis.")
    return dim


def _misfit(value: ir.Value, dims: Dims, wanted: str) -> ScoreError:
    return ScoreError(
        f"Tensor {value.name!r} has the shape {list(dims)}, not {wanted}. "
        "Name the class scores with --score, and their kind with --task."
    )
