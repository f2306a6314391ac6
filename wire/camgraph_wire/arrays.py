"""Arrays and `camgraph.v1.Tensor`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from camgraph.v1 import explanation_pb2 as pb
from camgraph_core.errors import InvalidInputError
from camgraph_core.types import AnyArray

_ELEMENT_TYPES = {name: np.dtype(name) for name in ("float16", "float32", "float64", "int8", "uint8", "int32", "int64")}
_NAMES = {dtype: name for name, dtype in _ELEMENT_TYPES.items()}  # NumPy works a name out anew at each look at it
_MOST_AXES = 8


def tensor_message(array: AnyArray) -> pb.Tensor:
    """The message of an array, little-endian and row-major.

    Raises:
        InvalidInputError: The element type does not travel.

    """
    message, data = tensor_parts(array)
    message.data = data.tobytes()
    return message


def tensor_parts(array: AnyArray) -> tuple[pb.Tensor, memoryview]:
    """The message of an array without its data, and these: bytes of the array itself where it lies as it travels.

    Raises:
        InvalidInputError: The element type does not travel.

    """
    name = _NAMES.get(array.dtype) or array.dtype.name
    little = np.asarray(array, _element_type(name).newbyteorder("<"), order="C")
    return pb.Tensor(dtype=name, shape=array.shape), little.reshape(-1).view(np.uint8).data


def array_from(message: pb.Tensor, data: bytes | bytearray | None = None) -> AnyArray:
    """The array of a tensor message, or of one whose data came apart from it.

    Raises:
        InvalidInputError: Unknown element type, an unusable shape, or data of another size than it says.

    """
    dtype = _element_type(message.dtype)
    if len(message.shape) > _MOST_AXES or any(length < 1 for length in message.shape):
        raise InvalidInputError(f"A tensor has at most {_MOST_AXES} axes, each at least 1 long.")
    shape, data = tuple(message.shape), message.data if data is None else data  # each look at the field copies it
    expected = math.prod(shape) * dtype.itemsize
    if expected != len(data):
        raise InvalidInputError(
            f"A {message.dtype} tensor of shape {list(shape)} takes {expected} bytes, but {len(data)} came."
        )
    return np.frombuffer(data, dtype.newbyteorder("<")).reshape(shape).astype(dtype, copy=False)


def _element_type(name: str) -> np.dtype[Any]:
    dtype = _ELEMENT_TYPES.get(name)
    if dtype is None:
        raise InvalidInputError(
            f"The tensor has the dtype {name[:40]!r}; use one of {', '.join(sorted(_ELEMENT_TYPES))}."
        )
    return dtype
