"""Shapes whose dimensions are numbers where they are known and symbols where they are not."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import onnx_ir as ir

Dim = int | str
Dims = tuple[Dim, ...]

_anonymous = itertools.count()


def unknown() -> Dim:
    """Return a symbol that equals no other."""
    return f"?{next(_anonymous)}"


def dims_of(value: ir.Value) -> Dims:
    """Return the dimensions of a value; a value without a shape is a bug of the caller."""
    if value.shape is None:
        raise ValueError(f"The shape of {value.name!r} is not known.")
    return tuple(dim if isinstance(dim, int) else (dim.value or unknown()) for dim in value.shape)


def is_static(dims: Sequence[Dim]) -> bool:
    """Tell whether every dimension is a number."""
    return all(isinstance(dim, int) for dim in dims)


def static(dims: Sequence[Dim]) -> tuple[int, ...] | None:
    """Return the dimensions if all are numbers, else None."""
    numbers = tuple(dim for dim in dims if isinstance(dim, int))
    return numbers if len(numbers) == len(dims) else None
