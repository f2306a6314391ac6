"""How a tensor of scores is laid out, and what all kinds of scores have in common."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from camgraph_exporter.errors import ScoreError
from camgraph_exporter.graph.dims import Dims, dims_of, shape_text, text_of
from camgraph_exporter.prepare.prepare import PreparedModel


@dataclass(frozen=True)
class ScoreShape:
    """How a tensor of scores is laid out.

    `num_classes`: how many a target may name; two for a single logit and for a single number. For an embedding it is
    the length of the vector. `num_anchors`: candidate boxes of a detector, zero where the image decides.
    `background`: the class that stands for "no object", None if there is none. `are_steps`: the candidates are no
    boxes but steps along the image, as those of a text recogniser.
    """

    num_classes: int
    class_axis: int = 1
    single_logit: bool = False
    num_anchors: int = 0
    background: int | None = None
    are_steps: bool = False

    @property
    def logits(self) -> int:
        """Number of scores along the class axis."""
        return 1 if self.single_logit else self.num_classes


def score_dims(prepared: PreparedModel, value: ir.Value) -> Dims:
    """Return the dimensions of a tensor of scores.

    Raises:
        ScoreError: it has no real elements, or its first axis does not count the images of the batch.

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
            f"Tensor {value.name!r} has the shape {text_of(dims)}, whose first axis does not count the images of the "
            "batch. Name scores that have the batch first with --score, or export the model with its batch first."
        )
    return dims


def read_row(value: ir.Value, wanted: str) -> ScoreShape:
    """Read a tensor as a row of scores for each image, where a single score counts as two; other axes have size 1.

    Raises:
        ScoreError: it is not `wanted`, say "one score for each class, [N, C]".

    """
    dims = dims_of(value)
    wide = [axis for axis in range(1, len(dims)) if dims[axis] != 1]
    if len(wide) > 1 or (wide and not isinstance(dims[wide[0]], int)):
        raise misfit(value, wanted)
    return ScoreShape(count_of(dims[wide[0]]), wide[0]) if wide else ScoreShape(2, single_logit=True)


def count_of(dim: int | str) -> int:
    """Return the number of classes along an axis.

    Raises:
        ScoreError: it depends on the image.

    """
    if not isinstance(dim, int):
        raise ScoreError("The number of classes depends on the image. Name the class axis with --class-axis.")
    return dim


def misfit(value: ir.Value, wanted: str) -> ScoreError:
    """Return the error for a tensor that has another shape than its task wants."""
    return ScoreError(
        f"Tensor {value.name!r} has the shape {shape_text(value)}, not {wanted}. "
        "Name the class scores with --score, and their kind with --task."
    )
