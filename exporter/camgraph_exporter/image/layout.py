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
_SAME_AXES = (
    Trait.ELEMENTWISE | Trait.QUANTISES | Trait.CUTS | Trait.JOINS | Trait.REPEATS | Trait.PADS | Trait.RESAMPLES
)


def channel_axis(image: ir.Value) -> int | None:
    """Return the axis of the channels of an image [N, ?, ?, ?]; None for [N, H, W], whose one channel has no axis."""
    dims = dims_of(image)
    if len(dims) != 4:
        return None
    told = [axis for axis, _ in _tellers(image)]
    return told[0] if told else 3 if _looks_channels_last(dims) else 1


def possible_shapes(image: ir.Value) -> list[Dims]:
    """Return the shapes that an image [N, ?, ?, ?] whose channels are open may have, the likeliest first.

    Of an image whose channels are known that is its own shape.
    """
    dims = dims_of(image)
    axis = channel_axis(image)
    if axis is None or isinstance(dims[axis], int):
        return [dims]
    told = list(dict.fromkeys(_tellers(image)))
    counts = [count for _, count in told if count is not None]
    axes = [axis] if told else [axis, 4 - axis]
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


def axes_of_first_layer(image: ir.Value) -> Origins | None:
    """Return for each axis of what the first convolution or pooling takes the axis of the image that it comes from.

    None where there is none before another layer, or the way to it is not known; an axis that the graph adds is None.
    """
    return next((origins for node, index, origins in _readers(image) if has(node, Trait.SLIDES) and index == 0), None)


def _tellers(image: ir.Value) -> Iterator[tuple[int, int | None]]:
    """Yield the channels' axis of the image, and their number, as the operators after it tell them; nearest first."""
    for node, index, origins in _readers(image):
        if _is_spatial(node, index):
            if len(origins) == 4 and origins[1] in (1, 3) and origins[0] == 0:
                yield origins[1], _count(node)
        elif has(node, Trait.AFFINE) and has(node, Trait.ARITHMETIC):
            yield from _told_by_constant(node, index, origins)


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


def _told_by_constant(node: ir.Node, index: int, origins: Origins) -> Iterator[tuple[int, int]]:
    """Yield what a constant per channel tells, such as a mean of shape [3, 1, 1]."""
    others = [x for i, x in enumerate(node.inputs) if i != index]
    if len(others) != 1 or others[0] is None or others[0].const_value is None:
        return
    shape = others[0].const_value.shape
    wide = [i for i, dim in enumerate(shape) if dim != 1]
    if len(wide) != 1 or len(shape) > len(origins):
        return
    origin, count = origins[wide[0] - len(shape)], shape[wide[0]]
    if origin in (1, 3) and isinstance(count, int) and count <= _MOST_CONSTANTS:
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
    """Return where the axes come from where a reshape only adds axes of one element."""
    source, sizes = node.inputs[0], elements_of(node.inputs[1])
    if source is None or source.shape is None or sizes is None:
        return None
    rest = list(zip(dims_of(source), origins, strict=True))
    after: list[int | None] = []
    for size in sizes.reshape(-1).tolist():
        if rest and (size == rest[0][0] or (size < 1 and isinstance(rest[0][0], str))):
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
