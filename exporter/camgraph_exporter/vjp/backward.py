"""The emitter of the backward part: what every vjp rule needs to handle cotangents.

A cotangent of a value with the shape `[N, ...]` has the axes `[T, N, ...]`: one leading axis of targets. It may have
size 1 on an axis where the value is larger; it then stands for a tensor that is constant along that axis
("un-expanded"). NumPy broadcasting makes element-wise arithmetic with the forward values right without expanding;
`full` expands where an operator needs all elements, and `flat` also merges the targets into the batch, the form that
Conv and pooling take.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from camgraph_exporter.graph.dims import dims_of, matching_axes
from camgraph_exporter.graph.emitter import Emitter
from camgraph_exporter.graph.standard_operators import Argument
from camgraph_exporter.quantised.forms import Quantisation
from camgraph_exporter.quantised.residuals import Residuals

# The symbol of the axis of targets.
TARGETS = "T"


@dataclass(frozen=True)
class OneHotCotangent:
    """A cotangent that is one at the target class and zero elsewhere: a linear layer may gather instead of multiply."""

    index: ir.Value  # int64 [T, N]


class Backward(Emitter):
    """Emits the backward part.

    `portable`: rules leave out what some runtimes refuse (MaxPool's Indices output, scatters with a reduction, control
    flow), at some cost.
    """

    def __init__(self, graph: ir.Graph, *, prefix: str = "camgraph", portable: bool = False) -> None:
        super().__init__(graph, prefix=prefix)
        self.portable = portable
        self.one_hots: dict[ir.Value, OneHotCotangent] = {}
        # Integers of the score itself: that they end somewhere must not end its gradient.
        self.score_integers: set[ir.Value] = set()
        self._targets: ir.Value | None = None
        self._sizes: dict[str, ir.Value] = {}
        self._residuals = Residuals(graph)
        self._sources: dict[ir.Value, ir.Value] = {}

    @property
    def targets(self) -> ir.Value:
        """The number T of targets as int64 [1]."""
        assert self._targets is not None, "The head says how many targets there are before anything is differentiated."
        return self._targets

    def count_targets_by(self, value: ir.Value, *, axis: int) -> None:
        """Let the size of one axis of a value be the number of targets."""
        self._targets = self.size_vector(value, axis)

    # --- forward values ------------------------------------------------------------------------------------------

    def residual(self, value: ir.Value) -> ir.Value:
        """Return a forward value as the backward part reads it: not in half precision, and after its quantiser."""
        found = self._residuals.read(self, value)
        self._sources[found] = value
        return found

    def real(self, q: ir.Value, quantisation: Quantisation | None = None) -> ir.Value:
        """Return the real numbers that an integer value stands for; by default as the graph itself understands it."""
        found = self._residuals.real(self, q, quantisation)
        self._sources[found] = q
        return found

    def emit(
        self, op_type: str, inputs: Sequence[Argument], attributes: dict[str, Any] | None = None, *, outputs: int = 1
    ) -> tuple[ir.Value, ...]:
        """Append one node; a shape is read off the forward value, not off what the backward part makes of it."""
        if op_type == "Shape":
            inputs = [self._sources.get(x, x) if isinstance(x, ir.Value) else x for x in inputs]
        return super().emit(op_type, inputs, attributes, outputs=outputs)

    # --- un-expanded cotangents ----------------------------------------------------------------------------------

    def is_full(self, g: ir.Value, x: ir.Value, axes: Sequence[int] | None = None) -> bool:
        """Tell whether the cotangent has all elements of `x` along `axes` of x (default: all)."""
        have, want = dims_of(g)[1:], dims_of(x)
        picked = range(len(want)) if axes is None else [axis % len(want) for axis in axes]
        return all(have[axis] != 1 or want[axis] == 1 for axis in picked)

    def full(self, g: ir.Value, x: ir.Value, axes: Sequence[int] | None = None) -> ir.Value:
        """Expand the cotangent to all elements of `x` along `axes` of x (default: all); targets stay as they are."""
        if self.is_full(g, x, axes):
            return g
        want = dims_of(x)
        picked = range(len(want)) if axes is None else [axis % len(want) for axis in axes]
        pieces = [self.ints(1)] + [
            self.size_vector(x, axis) if axis in picked else self.ints(1) for axis in range(len(want))
        ]
        result = self.Expand(g, self.join(pieces))
        result.shape = ir.Shape(
            [dims_of(g)[0], *(want[axis] if axis in picked else dims_of(g)[axis + 1] for axis in range(len(want)))]
        )
        return result

    def flat(self, g: ir.Value, x: ir.Value, *, lazy: Sequence[int] = ()) -> ir.Value:
        """Expand the cotangent, but for the axes `lazy` of x, and merge targets and batch: `[T * N, ...]`."""
        rank = len(dims_of(x))
        g = self.full(g, x, [axis for axis in range(rank) if axis not in lazy])
        sizes = [self.ints(1) if dims_of(g)[axis + 1] == 1 else self.size_vector(x, axis) for axis in range(1, rank)]
        return self.Reshape(g, self.join([self.ints(-1), *sizes]))

    def unflat(self, flat: ir.Value, x: ir.Value) -> ir.Value:
        """Split targets and batch again: `[T * N, ...]` to a cotangent of `x`."""
        have = dims_of(flat)
        lazy = [axis for axis in range(1, len(have)) if have[axis] == 1]
        return self._reshape_to(flat, x, lazy)

    def shaped(self, rows: ir.Value, x: ir.Value) -> ir.Value:
        """Reshape something with all elements of targets and `x` to `[T, *x]`."""
        return self._reshape_to(rows, x, [])

    def _reshape_to(self, rows: ir.Value, x: ir.Value, lazy: Sequence[int]) -> ir.Value:
        """Reshape to `[T, *x]`, with size 1 on the axes `lazy` of x; its shape is noted; inference may not see it."""
        want = dims_of(x)
        sizes = [self.ints(1) if axis in lazy else self.size_vector(x, axis) for axis in range(len(want))]
        result = self.Reshape(rows, self.join([self.targets, *sizes]))
        result.shape = ir.Shape([TARGETS, *(1 if axis in lazy else dim for axis, dim in enumerate(want))])
        return result

    def reshaped(self, g: ir.Value, y: ir.Value, x: ir.Value) -> ir.Value:
        """Turn a cotangent of `y`, a reshaped `x`, into one of `x`; axes that stay un-expanded keep size 1.

        The shape is a constant wherever only the batch is dynamic: a zero copies the size of the axis in front.
        """
        groups = matching_axes(dims_of(y), dims_of(x))
        if groups is None:
            return self.shaped(self.full(g, y), x)
        have = dims_of(g)[1:]
        sizes = [self.ints(0)]
        for axes_y, axes_x in groups:
            lazy = any(have[axis] == 1 and dims_of(y)[axis] != 1 for axis in axes_y)
            if lazy and all(have[axis] == 1 for axis in axes_y):
                sizes += [self.ints(1)] * len(axes_x)
                continue
            g = self.full(g, y, axes_y)
            copied = axes_y == axes_x and len(axes_y) == 1
            sizes += [self.ints(0)] if copied else [self.size_vector(x, axis) for axis in axes_x]
        return self.Reshape(g, self.join(sizes))

    def zeros_like(self, x: ir.Value, g: ir.Value) -> ir.Value:
        """Return an all-zero cotangent of `x` in the element type of `g`."""
        shape = self.join([self.targets, *(self.size_vector(x, axis) for axis in range(len(dims_of(x))))])
        zeros = self.ConstantOfShape(shape, value=ir.tensor(np.zeros(1, dtype=dtype_of(g).numpy())))
        zeros.shape = ir.Shape([TARGETS, *dims_of(x)])
        return zeros

    def pad_axis(self, g: ir.Value, axis: int, before: ir.Value, after: ir.Value) -> ir.Value:
        """Pad one axis with zeros (int64 [1] counts; negative counts cut)."""
        known = [self.known(count) for count in (before, after)]
        counts = [int(count[0]) if count is not None else None for count in known]
        if any(count is not None and count < 0 for count in counts):
            # Not every runtime takes negative pads.
            g = self._cut_axis(g, axis, *(-min(count or 0, 0) for count in counts))
            before, after = (
                self.ints(0) if count is not None and count < 0 else pad
                for count, pad in zip(counts, (before, after), strict=True)
            )
            counts = [count if count is None else max(count, 0) for count in counts]
        if counts == [0, 0]:
            return g
        rank = len(dims_of(g))
        front, back = self.ints(*[0] * axis), self.ints(*[0] * (rank - axis - 1))
        pieces = [front, before, back, front, after, back]
        result = self.Pad(g, self.join([piece for piece in pieces if dims_of(piece) != (0,)]))
        padded = dims_of(result)[axis]
        result.shape = ir.Shape([padded if i == axis else dim for i, dim in enumerate(dims_of(g))])
        return result

    def _cut_axis(self, g: ir.Value, axis: int, before: int, after: int) -> ir.Value:
        end = -after if after else 2**31 - 1
        result = self.Slice(g, self.ints(before), self.ints(end), self.ints(axis))
        left = dims_of(result)[axis]
        result.shape = ir.Shape([left if i == axis else dim for i, dim in enumerate(dims_of(g))])
        return result

    def unbroadcast(self, g: ir.Value, y: ir.Value, x: ir.Value) -> ir.Value:
        """Turn a cotangent of the broadcast result `y` into one of the operand `x`: sums over the broadcast axes."""
        want, out = dims_of(x), dims_of(y)
        extra = len(out) - len(want)
        summed = [axis for axis in range(len(out)) if axis < extra or (want[axis - extra] == 1 and out[axis] != 1)]
        g = self.sum_over(g, y, summed)
        return self.Squeeze(g, self.ints(*(axis + 1 for axis in range(extra)))) if extra else g

    def sum_over(self, g: ir.Value, x: ir.Value, axes: Sequence[int]) -> ir.Value:
        """Sum the cotangent over axes of `x`, keeping them with size 1; un-expanded axes are multiplied instead."""
        have, want = dims_of(g)[1:], dims_of(x)
        lazy = [axis for axis in axes if have[axis] == 1 and want[axis] != 1]
        real = [axis + 1 for axis in axes if have[axis] != 1]
        g = self.sum(g, real, keepdims=True)
        return self.Mul(g, self.number(self.size_of(x, lazy), g)) if lazy else g

    # --- small helpers -------------------------------------------------------------------------------------------

    def number(self, size: ir.Value | int, like: ir.Value) -> ir.Value | float:
        """Return a size as a scalar in the element type of `like`."""
        assert like.dtype is not None
        return self.cast(size, like.dtype) if isinstance(size, ir.Value) else float(size)

    def join(self, pieces: Sequence[ir.Value]) -> ir.Value:
        """Concatenate int64 vectors to a shape; constant if all pieces are."""
        return self.Concat(*_merge_constants(self, pieces), axis=0) if len(pieces) > 1 else pieces[0]

    def arange(self, stop: ir.Value) -> ir.Value:
        """Return 0, 1, ... up to but without `stop` (int64 [1])."""
        zero, one = (self.constant(np.asarray(i, dtype=np.int64)) for i in (0, 1))
        return self.Range(zero, self.Squeeze(stop, self.ints(0)), one)

    def size_vector(self, x: ir.Value, axis: int) -> ir.Value:
        """Return one dimension of `x` as int64 [1]; a constant where it is static."""
        dim = dims_of(x)[axis]
        if isinstance(dim, int):
            return self.ints(dim)
        return self._sizes[dim] if dim in self._sizes else self.Gather(self.Shape(x), self.ints(axis), axis=0)

    def read_size(self, symbol: str, value: ir.Value, axis: int) -> None:
        """Read a dynamic size off one value for the whole graph.

        A Shape on an inner value is one more consumer of it, which keeps runtimes from fusing the node that made it.
        """
        self._sizes[symbol] = self.Gather(self.Shape(value), self.ints(axis), axis=0)


def _merge_constants(op: Backward, pieces: Sequence[ir.Value]) -> list[ir.Value]:
    """Join neighbouring constant pieces, so that the emitted Concat is as short as it can be."""
    merged: list[ir.Value] = []
    for piece in pieces:
        known = op.known(piece)
        before = op.known(merged[-1]) if merged else None
        if known is not None and before is not None:
            merged[-1] = op.ints(*(int(i) for i in before), *(int(i) for i in known))
        else:
            merged.append(piece)
    return merged


def dtype_of(value: ir.Value) -> ir.DataType:
    """Return the element type of a value, which the probe or the emitter has set."""
    assert value.dtype is not None, f"The element type of {value.name!r} is not known."
    return value.dtype
