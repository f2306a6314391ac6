"""Shapes whose dimensions are numbers where they are known and symbols where they are not."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import onnx_ir as ir

Dim = int | str
Dims = tuple[Dim, ...]

# The symbol of the batch axis.
BATCH = "N"

_anonymous = itertools.count()


def unknown() -> Dim:
    """Return a symbol that equals no other."""
    return f"?{next(_anonymous)}"


def dims_of(value: ir.Value) -> Dims:
    """Return the dimensions of a value; a value without a shape is a bug of the caller."""
    if value.shape is None:
        raise ValueError(f"The shape of {value.name!r} is not known.")
    return tuple(dim if isinstance(dim, int) else (dim.value or unknown()) for dim in value.shape)


def known_dims(value: ir.Value) -> Dims:
    """Return the dimensions of a value, none where its shape is not known."""
    return dims_of(value) if value.shape is not None else ()


def name_of(dim: Dim) -> str:
    """Return one dimension as text: a question mark where it has no name."""
    return "?" if str(dim).startswith("?") else str(dim)


def text_of(dims: Sequence[Dim]) -> str:
    """Return dimensions for a sentence: `[N, 3, ?, ?]`."""
    return f"[{', '.join(map(name_of, dims))}]"


def shape_text(value: ir.Value) -> str:
    """Return the shape of a value for a sentence: `[N, 3, ?, ?]`, or `unknown`."""
    return text_of(dims_of(value)) if value.shape is not None else "unknown"


def static(dims: Sequence[Dim]) -> tuple[int, ...] | None:
    """Return the dimensions if all are numbers, else None."""
    numbers = tuple(dim for dim in dims if isinstance(dim, int))
    return numbers if len(numbers) == len(dims) else None


def matching_axes(y: Dims, x: Dims) -> list[tuple[list[int], list[int]]] | None:
    """Split the axes of two shapes of a tensor into the smallest groups of equal product; None if symbols forbid it."""
    groups: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(y) or j < len(x):
        if i < len(y) and j < len(x) and y[i] == x[j]:
            groups.append(([i], [j]))
            i, j = i + 1, j + 1
            continue
        group = _static_group(y, x, i, j)
        if group is None:
            return None
        groups.append(group)
        i, j = i + len(group[0]), j + len(group[1])
    return groups


def _static_group(y: Dims, x: Dims, i: int, j: int) -> tuple[list[int], list[int]] | None:
    axes_y: list[int] = []
    axes_x: list[int] = []
    left = right = 1
    while not (axes_y or axes_x) or left != right:
        take_left = (left <= right and i < len(y)) or j >= len(x)
        dim = y[i] if take_left and i < len(y) else x[j] if j < len(x) else None
        if not isinstance(dim, int) or dim == 0:
            return None
        if take_left:
            axes_y, left, i = [*axes_y, i], left * dim, i + 1
        else:
            axes_x, right, j = [*axes_x, j], right * dim, j + 1
    return axes_y, axes_x
