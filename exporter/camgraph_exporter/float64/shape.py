"""Operators that move elements around, which `onnx.reference` does slowly or in part."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from camgraph_exporter.float64.op import Float64Op
from camgraph_exporter.float64.windows import Array


class Pad(Float64Op):
    """Padding of every mode and opset; negative amounts, which `onnx.reference` refuses, cut off."""

    def _run(
        self,
        x: Array,
        amounts: Array | None = None,
        constant: Array | None = None,
        axes: Array | None = None,
        *,
        mode: str,
        pads: Sequence[int] | None = None,
        paddings: Sequence[int] | None = None,
        value: float = 0.0,
    ) -> tuple[Array]:
        given = next(a for a in (amounts, pads, paddings) if a is not None)
        chosen = range(x.ndim) if axes is None else [int(a) % x.ndim for a in axes]
        before, after = [0] * x.ndim, [0] * x.ndim
        for place, axis in enumerate(chosen):
            before[axis], after[axis] = int(given[place]), int(given[place + len(given) // 2])
        x = x[tuple(slice(max(0, -b), n - max(0, -a)) for b, a, n in zip(before, after, x.shape, strict=True))]
        widths = [(max(0, b), max(0, a)) for b, a in zip(before, after, strict=True)]
        if mode != "constant":
            return (np.pad(x, widths, mode=mode),)  # type: ignore[call-overload]  # a mode by its name
        fill = value if constant is None else constant.reshape(())
        return (np.pad(x, widths, constant_values=x.dtype.type(fill)),)


_COMBINE: dict[str, np.ufunc] = {"add": np.add, "mul": np.multiply, "min": np.minimum, "max": np.maximum}


def _scatter(x: Array, index: tuple[Any, ...], updates: Array, reduction: str) -> Array:
    y = x.copy()
    if reduction == "none":
        y[index] = updates
    else:
        _COMBINE[reduction].at(y, index, updates)
    return y


def _along(indices: Array, size: int, axis: int) -> tuple[Array, ...]:
    """Index arrays that pick `indices` on one axis and the own position on all others."""
    index: list[Array] = list(np.indices(indices.shape, sparse=True))
    index[axis] = np.where(indices < 0, indices + size, indices)
    return tuple(index)


class GatherElements(Float64Op):
    """Picks elements along one axis; `onnx.reference` wants indices as large as the data on the others."""

    def _run(self, x: Array, indices: Array, *, axis: int) -> tuple[Array]:
        return (x[_along(indices, x.shape[axis], axis)],)


class OneHot(Float64Op):
    """One value at each index and another elsewhere; `onnx.reference` takes no depth of shape [1]."""

    def _run(self, indices: Array, depth: Array, values: Array, *, axis: int) -> tuple[Array]:
        count = int(depth.reshape(()))
        place = axis % (indices.ndim + 1)
        hot = np.expand_dims(indices % count, place) == _ramp(count, place, indices.ndim + 1)
        inside = np.expand_dims((indices >= -count) & (indices < count), place)
        return (np.where(hot & inside, values[1], values[0]),)


def _ramp(count: int, axis: int, rank: int) -> Array:
    return np.arange(count).reshape([count if a == axis else 1 for a in range(rank)])


class ScatterElements(Float64Op):
    """Writes updates along one axis; with a reduction, repeated indices accumulate."""

    def _run(self, x: Array, indices: Array, updates: Array, *, axis: int, reduction: str = "none") -> tuple[Array]:
        return (_scatter(x, _along(indices, x.shape[axis], axis), updates, reduction),)


class Scatter(ScatterElements):
    """The name of ScatterElements before opset 11."""


class ScatterND(Float64Op):
    """Writes slices at index tuples; with a reduction, repeated tuples accumulate."""

    def _run(self, x: Array, indices: Array, updates: Array, *, reduction: str = "none") -> tuple[Array]:
        return (_scatter(x, tuple(np.moveaxis(indices, -1, 0)), updates, reduction),)
