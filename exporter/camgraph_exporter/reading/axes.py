"""Follows what the axes of tensors mean, from the image to the score.

Every value on the path gets one `Axis` per dimension, or None where its meaning is lost (heads of an attention,
elements of a window). A residual sum brings the meaning back from its other operand, so that the maps after windowed
attention are maps again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import onnx_ir as ir

from camgraph_exporter.graph.constants import Constants
from camgraph_exporter.graph.dims import Dim, Dims, dims_of, static
from camgraph_exporter.graph.gradient_path import GradientPath
from camgraph_exporter.graph.traits import Trait, names
from camgraph_exporter.image.layout import channel_axis, frame_axis
from camgraph_exporter.reading.axes_reshape import reshaped_axes
from camgraph_exporter.reading.axis import (
    BATCH,
    CHANNELS,
    CHANNELS_FIRST,
    CHANNELS_LAST,
    FRAMES,
    HEIGHT,
    WIDTH,
    Axes,
    Axis,
    Role,
    TokenGrid,
    is_role,
)
from camgraph_exporter.reading.node_reading import NodeReading
from camgraph_exporter.reading.placement.rows_of_cells import RowOfCells

CellsOf = Callable[[ir.Value], RowOfCells | None]

# Where onnxruntime keeps blocks of channels together, the axes of a map are in no order of the standard.
_BLOCKED = "com.microsoft.nchwc"


def image_axes(image: ir.Value) -> Axes:
    """Return the axes of the image input."""
    dims = dims_of(image)
    frames = frame_axis(image)
    if frames is not None:
        one = CHANNELS_LAST if channel_axis(image) == 4 else CHANNELS_FIRST
        return (*one[:frames], FRAMES, *one[frames:])
    if len(dims) == 4:
        return CHANNELS_LAST if channel_axis(image) == 3 else CHANNELS_FIRST
    return (BATCH, HEIGHT, WIDTH) if len(dims) == 3 else (BATCH,) + (None,) * (len(dims) - 1)


def axes_on(
    path: GradientPath, image: ir.Value, constants: Constants, cells: CellsOf | None = None
) -> dict[ir.Value, Axes]:
    """Return the axes of every value on a path that starts at the image.

    `cells`: tells the map that a row of tokens holds where its axes do not.
    """
    known = {image: image_axes(image)}
    for node in path.nodes:
        reading = _AxesReading(node, constants, known, dims_of(image))
        read = _foreign if node.domain else _READERS.get(node.op_type, _broadcast)
        for index, value in enumerate(node.outputs):
            if value.shape is not None:
                axes = read(reading, index)
                known[value] = axes if cells is None else _completed(value, axes, dims_of(image), cells)
    return known


def _completed(value: ir.Value, axes: Axes, image: Dims, cells: CellsOf) -> Axes:
    """Return the axes of a row of tokens [N, S, K] with the map that it holds, where that was lost."""
    dims = dims_of(value)
    if len(dims) != 3 or axes[1] is not None or dims[0] != image[0] or not isinstance(dims[1], int):
        return axes
    row = cells(value)
    if row is None:
        return axes
    grid = TokenGrid(row.prefix, row.height, row.width, source=value, axes=(1, 1))
    return (BATCH, Axis(Role.TOKENS, grid), axes[2])


@dataclass(frozen=True)
class _AxesReading(NodeReading):
    """One node with the axes of the values before it."""

    known: Mapping[ir.Value, Axes]
    image: Dims

    @property
    def of_clips(self) -> bool:
        """Whether the model takes clips or volumes."""
        return len(self.image) == 5

    @property
    def x(self) -> Axes:
        """Axes of the first input that is known."""
        return next((self.known[value] for value in self.node.inputs if value is not None and value in self.known), ())

    def axes(self, index: int) -> Axes | None:
        value = self.node.inputs[index] if index < len(self.node.inputs) else None
        return self.known.get(value) if value is not None else None

    def dims(self, index: int) -> Dims:
        value = self.node.inputs[index]
        return dims_of(value) if value is not None and value.shape is not None else ()

    def out(self, index: int) -> Dims:
        return dims_of(self.node.outputs[index])


def _spatial(reading: _AxesReading, index: int) -> Axes:
    out = reading.out(index)
    if reading.of_clips:
        return _spatial_of_clips(reading, out)
    if len(out) == 4:
        return CHANNELS_FIRST
    # A convolution over a row of tokens.
    return _broadcast(reading, index) if len(out) == 3 else (None,) * len(out)


def _spatial_of_clips(reading: _AxesReading, out: Dims) -> Axes:
    """Keep what the axes mean over which a window slides: rows, columns, frames, or a whole map laid out in a row."""
    x = reading.x
    if len(x) != len(out):
        return (None,) * len(out)
    batch = x[0] if is_role(x[0], Role.MERGED) else BATCH if out[0] == reading.image[0] else None
    kept = [
        axis if not is_role(axis, Role.TOKENS) or size == before else None
        for axis, size, before in zip(x[2:], out[2:], reading.dims(0)[2:], strict=True)
    ]
    return (batch, CHANNELS, *kept)


def _broadcast(reading: _AxesReading, index: int) -> Axes:
    """Align the inputs to the right as NumPy does; an axis means what it means in the first input that knows it."""
    out = reading.out(index)
    result: list[Axis | None] = [None] * len(out)
    for i, value in enumerate(reading.node.inputs):
        axes = reading.axes(i)
        if value is None or axes is None:
            continue
        dims = dims_of(value)
        for back in range(1, min(len(out), len(dims)) + 1):
            if result[-back] is None and dims[-back] == out[-back]:
                result[-back] = axes[-back]
    return tuple(result)


def _foreign(reading: _AxesReading, index: int) -> Axes:
    """Take operators of other domains to be element by element, where shapes allow it; but not those on blocks."""
    return (None,) * len(reading.out(index)) if reading.node.domain == _BLOCKED else _broadcast(reading, index)


def _resize(reading: _AxesReading, index: int) -> Axes:
    out, dims = reading.out(index), reading.dims(0)
    keeps = [out[i] == dims[i] or not is_role(axis, Role.TOKENS) for i, axis in enumerate(reading.x)]
    return tuple(axis if kept else None for axis, kept in zip(reading.x, keeps, strict=True))


def _transpose(reading: _AxesReading, index: int) -> Axes:
    perm = reading.attribute("perm")
    order = list(perm) if isinstance(perm, Sequence) else list(reversed(range(len(reading.out(index)))))
    return tuple(reading.x[i] for i in order)


def _reshape(reading: _AxesReading, index: int) -> Axes:
    x, axes = reading.node.inputs[0], reading.axes(0)
    if x is None or axes is None:
        return (None,) * len(reading.out(index))
    return reshaped_axes(x, axes, reading.node.outputs[index])


def _concat(reading: _AxesReading, index: int) -> Axes:
    axis = reading.number("axis", 0) % len(reading.out(index))
    result = list(_broadcast(reading, index))
    result[axis] = None
    before: list[Dim] = []
    for i in range(len(reading.node.inputs)):
        joined = (reading.axes(i) or (None,) * (axis + 1))[axis]
        if is_role(joined, Role.CHANNELS, Role.FRAMES):
            result[axis] = joined
        elif is_role(joined, Role.TOKENS):
            # Two rows of tokens in one have no single map.
            result[axis] = _shifted(joined, _sum_of(before)) if result[axis] is None else None
        before.append(reading.dims(i)[axis])
    return tuple(result)


def _sum_of(sizes: Sequence[Dim]) -> int | None:
    """Return the sum of sizes, or None where one is dynamic."""
    numbers = [size for size in sizes if isinstance(size, int)]
    return sum(numbers) if len(numbers) == len(sizes) else None


def _shifted(axis: Axis | None, by: int | None) -> Axis | None:
    """Return an axis of tokens with more tokens before its map."""
    if axis is None or axis.grid is None or by is None or axis.grid.prefix + by < 0:
        return None
    return Axis(Role.TOKENS, replace(axis.grid, prefix=axis.grid.prefix + by))


def _cut(axis: Axis | None, start: int | None, size: Dim) -> Axis | None:
    """Return what is left of an axis of tokens from `start` on: its whole map, no cell of it, or nothing known."""
    if axis is None or axis.grid is None or start is None:
        return None
    if isinstance(size, int) and start + size <= axis.grid.prefix:
        return Axis(Role.PREFIX)
    sizes = static(axis.grid.sizes)
    if sizes is not None:
        end = axis.grid.prefix + math.prod(sizes)
        if start >= end:
            # Tokens after the map, such as a detector's queries, belong to no cell either.
            return Axis(Role.PREFIX)
        if isinstance(size, int) and start + size < end:
            return None
    return _shifted(axis, -start)


def _slice(reading: _AxesReading, index: int) -> Axes:
    out, dims = reading.out(index), reading.dims(0)
    starts, axes, steps = reading.constant(1), reading.constant(3), reading.constant(4)
    given = list(range(len(starts))) if axes is None and starts is not None else [] if axes is None else axes.tolist()
    start_of = {int(a) % len(dims): int(s) for a, s in zip(given, [] if starts is None else starts, strict=False)}
    plain = steps is None or bool((steps == 1).all())
    result = []
    for i, axis in enumerate(reading.x):
        if out[i] == dims[i] or not is_role(axis, Role.TOKENS):
            result.append(axis)
            continue
        start, size = start_of.get(i), dims[i]
        if start is not None and start < 0:
            start = start + size if isinstance(size, int) else None
        result.append(_cut(axis, start if plain else None, out[i]))
    return tuple(result)


def _split(reading: _AxesReading, index: int) -> Axes:
    axis = reading.number("axis", 0) % len(reading.out(index))
    result = list(reading.x)
    if is_role(result[axis], Role.TOKENS):
        start = _sum_of([reading.out(i)[axis] for i in range(index)])
        result[axis] = _cut(result[axis], start, reading.out(index)[axis])
    elif is_role(result[axis], Role.HEIGHT, Role.WIDTH):
        result[axis] = None
    return tuple(result)


def _gather(reading: _AxesReading, index: int) -> Axes:
    x = reading.axes(0)
    indices = reading.node.inputs[1]
    if x is None or indices is None or indices.shape is None:
        return (None,) * len(reading.out(index))
    axis = reading.number("axis", 0) % len(x)
    rank = len(indices.shape)
    # All tokens in another order still are the cells of a map; where they lie, `reading.placement` follows.
    same = rank == 1 and (
        is_role(x[axis], Role.CHANNELS, Role.FRAMES)
        or (is_role(x[axis], Role.TOKENS) and reading.out(index)[axis] == reading.dims(0)[axis])
    )
    picked: Axes = (x[axis],) if same else (None,) * rank
    return x[:axis] + picked + x[axis + 1 :]


def _reduce(reading: _AxesReading, index: int) -> Axes:
    axes = reading.ints("axes", 1)
    rank = len(reading.x)
    reduced = set(range(rank)) if axes is None else {axis % rank for axis in axes}
    if len(reading.out(index)) == rank:
        return tuple(None if i in reduced else axis for i, axis in enumerate(reading.x))
    return tuple(axis for i, axis in enumerate(reading.x) if i not in reduced)


def _matmul(reading: _AxesReading, index: int) -> Axes:
    """A product keeps the rows of its left operand; a constant right operand maps channels to channels."""
    rank = len(reading.out(index))
    # QLinearMatMul has the scale and zero point of the left operand between the two.
    left, right = reading.axes(0), reading.axes(3 if reading.node.op_type == "QLinearMatMul" else 1)
    result: list[Axis | None] = [None] * rank
    for axes in (left, right):
        for back in range(3, len(axes or ()) + 1):
            result[-back] = result[-back] or (axes or ())[-back]
    if left is not None and len(left) >= 2 and rank >= 2:
        result[-2] = left[-2]
    if right is not None:
        result[-1] = right[-1] if not is_role(right[-1], Role.CHANNELS) or left is None else None
    elif left is not None and (left[-1] is None or is_role(left[-1], Role.CHANNELS)):
        result[-1] = CHANNELS
    return tuple(result)


def _gemm(reading: _AxesReading, _index: int) -> Axes:
    left = reading.axes(0)
    row = left[0] if left is not None and not reading.number("transA", 0) else None
    return (row, CHANNELS)


Reader = Callable[[_AxesReading, int], Axes]
_READERS: dict[str, Reader] = {
    **dict.fromkeys(names(Trait.CHANNELS_SECOND), _spatial),
    **dict.fromkeys(names(Trait.RESHAPES), _reshape),
    **dict.fromkeys(names(Trait.REDUCES, without=Trait.INDEXES), _reduce),
    "Transpose": _transpose,
    "Concat": _concat, "Slice": _slice, "Split": _split, "Gather": _gather,
    "Resize": _resize, "Upsample": _resize, "Pad": _resize,
    "MatMul": _matmul, "MatMulInteger": _matmul, "QLinearMatMul": _matmul, "Gemm": _gemm,
    "Einsum": lambda reading, index: (None,) * len(reading.out(index)),
}  # fmt: skip  # a table, in rows of its own
