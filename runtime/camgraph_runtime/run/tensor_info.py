"""A graph's inputs and outputs, and whether arrays fit them. Knows no onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from camgraph_core.errors import InvalidInputError

# Name, element type and shape of an array that is fed.
Signature = tuple[str, np.dtype[Any], tuple[int, ...]]


@dataclass(frozen=True)
class TensorInfo:
    """A graph's input or output: name, NumPy name of the element type, and shape.

    An axis is a number, a symbol such as "N" where it varies, or None where the graph says nothing.
    """

    name: str
    dtype: str
    shape: tuple[int | str | None, ...]


def check_feeds(inputs: Mapping[str, TensorInfo], feeds: tuple[Signature, ...]) -> None:
    """Checks names, element types and shapes of a run's inputs, and that equal symbols have equal lengths.

    Raises:
        InvalidInputError: An input is missing, unknown, or of the wrong type or shape.

    """
    given = [name for name, _, _ in feeds]
    for name in inputs:
        if name not in given:
            raise InvalidInputError(f"The input {name!r} is missing; the graph takes {', '.join(inputs)}.")
    lengths: dict[str, tuple[int, str]] = {}
    for name, dtype, shape in feeds:
        if name not in inputs:
            raise InvalidInputError(f"The graph has no input {name!r}; it takes {', '.join(inputs)}.")
        _check_feed(inputs[name], dtype, shape)
        for axis, length in zip(inputs[name].shape, shape, strict=True):
            if not isinstance(axis, str):
                continue
            seen, where = lengths.setdefault(axis, (length, name))
            if seen != length:
                raise InvalidInputError(
                    f"The axis {axis} is {seen} long in the input {where!r} but {length} long in {name!r}; "
                    "give both the same length."
                )


def _check_feed(info: TensorInfo, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    name = "str" if dtype.kind in "USO" else dtype.name
    if name != info.dtype:
        raise InvalidInputError(f"The input {info.name!r} is {name}, but the graph wants {info.dtype}.")
    fits = len(info.shape) == len(shape) and all(
        not isinstance(axis, int) or axis == length for axis, length in zip(info.shape, shape, strict=True)
    )
    if not fits:
        raise InvalidInputError(
            f"The input {info.name!r} has the shape {_shape(shape)}, but the graph wants {_shape(info.shape)}."
        )


def _shape(shape: Sequence[int | str | None]) -> str:
    return "[" + ", ".join("?" if axis is None else str(axis) for axis in shape) + "]"
