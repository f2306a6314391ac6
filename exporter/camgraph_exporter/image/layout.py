"""Which axis of the image holds the channels: told by the first operator that works on them, else by the sizes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

import onnx_ir as ir

from camgraph_exporter.graph.constants import elements_of
from camgraph_exporter.graph.dims import Dims, dims_of
from camgraph_exporter.graph.traits import Trait, has, of

# For each dimension of a value on the image's way the axis of the image that it comes from; None for a new one.
Origins = tuple[int | None, ...]

_MOST_CONSTANTS = 64  # of a constant per channel; more are one per pixel
_USUAL_COUNTS = (3, 1, 4, 2)
_CLIP_CHANNELS = (1, 2, 4)  # axes that a clip of five axes may have its channels at
_SAME_AXES = (
    Trait.ELEMENTWISE | Trait.QUANTISES | Trait.CUTS | Trait.JOINS | Trait.REPEATS | Trait.PADS | Trait.RESAMPLES
)


def channel_axis(image: ir.Value) -> int | None:
    """Return the axis of the channels of an image [N, ?, ?, ?]; None for [N, H, W], whose one channel has no axis."""
    dims = dims_of(image)
    if len(dims) not in (4, 5):
        return None
    told = [axis for axis, _ in _tellers(image)]
    if told:
        return told[0]
    if len(dims) == 5:
        return _looks_like_channels_of_clips(dims)
    return 3 if _looks_channels_last(dims) else 1


def frame_axis(image: ir.Value) -> int | None:
    """Return the axis of the frames of a clip, or of the slices of a volume; None for single images."""
    return {1: 2, 2: 1, 4: 1}[channel_axis(image) or 1] if len(dims_of(image)) == 5 else None


def side_axes(image: ir.Value) -> list[int]:
    """Return the axes of height and width of an image or a clip."""
    others = (0, channel_axis(image), frame_axis(image))
    return [axis for axis in range(len(dims_of(image))) if axis not in others]


def sides_of(image: ir.Value) -> list[int | str]:
    """Return height and width of an image, or of each of a clip's frames; names where they are open."""
    return [dims_of(image)[axis] for axis in side_axes(image)]


def possible_shapes(image: ir.Value) -> list[Dims]:
    """Return the shapes that an image [N, ?, ?, ?] or a clip whose channels are open may have, the likeliest first.

    Of an image whose channels are known that is its own shape.
    """
    dims = dims_of(image)
    axis = channel_axis(image)
    if axis is None or isinstance(dims[axis], int):
        return [dims]
    told = list(dict.fromkeys(_tellers(image)))
    counts = [count for _, count in told if count is not None]
    axes = [axis] if told else [axis, 4 - axis] if len(dims) == 4 else [axis]
    return [
        (*dims[:axis], count, *dims[axis + 1 :])
        for axis in axes
        for count in dict.fromkeys((*counts, *_USUAL_COUNTS))
        if isinstance(dims[axis], str)
    ]


def _names_channels(dim: int | str) -> bool:
    return isinstance(dim, str) and (dim.lower() in {"c", "ch"} or "chan" in dim.lower())


def _looks_channels_last(dims: Sequence[int | str]) -> bool:
    return (dims[-1] in (1, 3, 4) and dims[1] not in (1, 3, 4)) or (
        _names_channels(dims[-1]) and not _names_channels(dims[1])
    )


def _looks_like_channels_of_clips(dims: Sequence[int | str]) -> int:
    """Return the axis of the channels of [N, ?, ?, ?, ?] by names and sizes: clips have more frames than colours."""
    named = [axis for axis in _CLIP_CHANNELS if _names_channels(dims[axis])]
    few = [axis for axis in _CLIP_CHANNELS if dims[axis] in (1, 3)]
    return next(iter([*named, *few, *(axis for axis in _CLIP_CHANNELS if dims[axis] in (2, 4))]), 1)


def axes_of_first_layer(image: ir.Value) -> Origins | None:
    """Return for each axis of what the first convolution or pooling takes the axis of the image that it comes from.

    None where there is none before another layer, or the way to it is not known; an axis that the graph adds is None.
    """
    return next((origins for node, index, origins in _readers(image) if has(node, Trait.SLIDES) and index == 0), None)


def _tellers(image: ir.Value) -> Iterator[tuple[int, int | None]]:
    """Yield the channels' axis of the image, and their number, as the operators after it tell them; nearest first."""
    for node, index, origins in _readers(image):
        if _is_spatial(node, index):
            if len(origins) > 3 and origins[0] == 0 and origins[1] in _channel_axes(image):
                yield origins[1], _count(node)
        elif has(node, Trait.AFFINE) and has(node, Trait.ARITHMETIC):
            yield from _told_by_constant(node, index, origins, _channel_axes(image))


def _channel_axes(image: ir.Value) -> tuple[int, ...]:
    """Return the axes that may be the channels'."""
    return _CLIP_CHANNELS if len(dims_of(image)) == 5 else (1, 3)


def _is_spatial(node: ir.Node, index: int) -> bool:
    """Tell whether a node takes its input `index` as [N, C, ...]."""
    return has(node, Trait.CHANNELS_SECOND) and index == 0


def _readers(image: ir.Value) -> Iterator[tuple[ir.Node, int, Origins]]:
    """Yield the nodes up to the first spatial ones, the input of each that comes from the image, and its axes."""
    seen = {image}
    queue: deque[tuple[ir.Value, Origins]] = deque([(image, tuple(range(len(dims_of(image)))))])
    while queue:
        value, origins = queue.popleft()
        for node, index in value.uses():
            yield node, index, origins
            if _is_spatial(node, index):
                continue
            after = _after(node, index, origins)
            for output in node.outputs:
                if after is not None and output not in seen:
                    seen.add(output)
                    queue.append((output, after))


def _told_by_constant(
    node: ir.Node, index: int, origins: Origins, possible: Sequence[int]
) -> Iterator[tuple[int, int]]:
    """Yield what a constant per channel tells, such as a mean of shape [3, 1, 1]."""
    others = [x for i, x in enumerate(node.inputs) if i != index]
    if len(others) != 1 or others[0] is None or others[0].const_value is None:
        return
    shape = others[0].const_value.shape
    wide = [i for i, dim in enumerate(shape) if dim != 1]
    if len(wide) != 1 or len(shape) > len(origins):
        return
    origin, count = origins[wide[0] - len(shape)], shape[wide[0]]
    if origin is not None and origin in possible and isinstance(count, int) and count <= _MOST_CONSTANTS:
        yield origin, count


def _count(node: ir.Node) -> int | None:
    """Return the number of channels that a node's weights take; None where it takes any."""
    if node.op_type == "BatchNormalization":
        return _size(node, 1, 0)
    index = of(node).weights
    if index is None:
        return None
    if node.op_type == "ConvTranspose":
        return _size(node, index, 0)
    per_group = _size(node, index, 1)
    return None if per_group is None else per_group * node.attributes.get_int("group", 1)


def _size(node: ir.Node, index: int, axis: int) -> int | None:
    value = node.inputs[index] if index < len(node.inputs) else None
    if value is None or value.const_value is None:
        return None
    shape = value.const_value.shape.numpy()
    return int(shape[axis]) if len(shape) > axis else None


def _after(node: ir.Node, index: int, origins: Origins) -> Origins | None:
    """Return where the axes of a node's outputs come from; None where that is lost."""
    if has(node, _SAME_AXES):
        return origins
    kind = node.op_type if not node.domain else ""
    if kind == "Transpose":
        order = node.attributes["perm"].as_ints() if "perm" in node.attributes else range(len(origins))[::-1]
        return tuple(origins[i] for i in order) if len(order) == len(origins) else None
    if kind == "Gather" and index == 0:
        # One index for each element keeps the axis, as where channels are exchanged.
        indices = node.inputs[1]
        rank = len(indices.shape) if indices is not None and indices.shape is not None else None
        return origins if rank == 1 else None
    if kind in ("Unsqueeze", "Squeeze") and index == 0:
        axes = _axes(node)
        if axes is None:
            return None
        if kind == "Squeeze":
            dropped = {axis % len(origins) for axis in axes}
            return tuple(origin for i, origin in enumerate(origins) if i not in dropped)
        rest = iter(origins)
        rank = len(origins) + len(axes)
        added = {axis % rank for axis in axes}
        return tuple(None if i in added else next(rest) for i in range(rank))
    return _after_reshape(node, origins) if kind == "Reshape" and index == 0 else None


def _after_reshape(node: ir.Node, origins: Origins) -> Origins | None:
    """Return where the axes come from where a reshape adds axes of one element, or counts frames in with the batch."""
    source, sizes, result = node.inputs[0], elements_of(node.inputs[1]), node.outputs[0]
    if source is None or source.shape is None or (sizes is None and result.shape is None):
        return None
    have = dims_of(source)
    want: Sequence[int | str] = dims_of(result) if sizes is None else sizes.reshape(-1).tolist()
    if len(have) == 5 and len(want) == 4 and all(a in (b, -1, 0) for a, b in zip(want[1:], have[2:], strict=True)):
        return (origins[0], *origins[2:])
    rest = list(zip(have, origins, strict=True))
    after: list[int | None] = []
    for size in [] if sizes is None else want:
        if rest and (size == rest[0][0] or (size in (0, -1) and isinstance(rest[0][0], str))):
            after.append(rest.pop(0)[1])
        elif size == 1:
            after.append(None)
        else:
            return None
    return None if rest else tuple(after)


def _axes(node: ir.Node) -> Sequence[int] | None:
    if "axes" in node.attributes:
        return node.attributes["axes"].as_ints()
    axes = elements_of(node.inputs[1] if len(node.inputs) > 1 else None)
    return None if axes is None else [int(axis) for axis in axes.reshape(-1)]
