"""Finds the image among a model's inputs, and says which axes are missing or too many where none is an image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import onnx_ir as ir

from camgraph_exporter.errors import ModelFileError
from camgraph_exporter.graph.dims import Dims, dims_of, known_dims, name_of, text_of
from camgraph_exporter.image.layout import axes_of_first_layer

_LEAST_AXES, _IMAGE_AXES, _MOST_AXES = 3, 4, 5
_OURS = (
    "camgraph explains images, whose inputs have the axes [N, C, H, W], [N, H, W, C] or [N, H, W], and clips and "
    "volumes, which have frames or slices T beside them: [N, C, T, H, W], [N, T, C, H, W] or [N, T, H, W, C]."
)


def image_input(model: ir.Model) -> ir.Value:
    """Return the one input of a model, which takes a batch of images.

    Raises:
        ModelFileError: there are other inputs, or it takes no images; all problems are told together.

    """
    inputs = list(model.graph.inputs)
    wide = [value for value in inputs if len(known_dims(value)) >= _LEAST_AXES]
    images = [value for value in wide if len(known_dims(value)) <= _MOST_AXES]
    problems = list(_problems((images or wide)[0])) if images or wide else []
    if len(wide) != 1 or len(inputs) != 1:
        problems.append(_other_inputs(inputs, advise=bool(images) and not problems))
    if problems:
        raise ModelFileError(" ".join(problems))
    return wide[0]


def _problems(image: ir.Value) -> Iterator[str]:
    """Yield what keeps an input from taking a batch of images."""
    dims = dims_of(image)
    if 0 in dims:
        yield (
            f"The image input {image.name!r} has the shape {text_of(dims)}, so an image has no elements. "
            "Export the model again with the size of its images."
        )
    if len(dims) > _MOST_AXES:
        yield (f"The input {image.name!r} has {len(dims)} axes, {text_of(dims)}. {_OURS}")
    if len(dims) == _LEAST_AXES:
        yield from _problems_of_three_axes(image, dims)


def _problems_of_three_axes(image: ir.Value, dims: Dims) -> Iterator[str]:
    """[N, H, W] are grey images; signals and single images have three axes as well."""
    first = axes_of_first_layer(image)
    if first is None:
        return
    if len(first) == _LEAST_AXES:
        yield (
            f"The input {image.name!r} has the axes {text_of(dims)}, and the model's first layer slides along one of "
            f"them only, as over a signal [N, C, L]. {_OURS}"
        )
    elif len(first) == _IMAGE_AXES and first[0] is None and dims[0] != 1:
        order = ["channels" if axis == first[1] else "height" if axis == first[2] else "width" for axis in range(3)]
        yield (
            f"The input {image.name!r} has the axes {text_of(dims)}, which are {order[0]}, {order[1]} and {order[2]}, "
            "and none for the batch. Export the model with a batch of images in front: "
            f"[N, {', '.join(map(name_of, dims))}]."
        )


def _other_inputs(inputs: Sequence[ir.Value], *, advise: bool) -> str:
    listed = ", ".join(f"{value.name} {'[?]' if value.shape is None else text_of(dims_of(value))}" for value in inputs)
    advice = " Give the others numbers with --set NAME=NUMBERS. Arrays go in with --set NAME=FILE.npy."
    images = [value for value in inputs if len(known_dims(value)) in (_IMAGE_AXES, _MOST_AXES)]
    images = [
        value for value in images if (value.dtype, *dims_of(value)[2:]) == (images[0].dtype, *dims_of(images[0])[2:])
    ]
    if len(images) > 1:
        advice += f" Images of one size, such as colours and flow, become one input with {_joins(images)}."
    return (
        f"The model must have one image input and no other, but its inputs are: {listed or 'none'}."
        f"{advice if advise else ''}"
    )


def _joins(images: Sequence[ir.Value]) -> str:
    return " ".join(f"--join {value.name}" for value in images)
