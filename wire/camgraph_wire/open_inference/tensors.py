"""Tensors of the Open Inference Protocol and arrays, each way once.

A tensor of texts (`BYTES`) is an array of Python's `bytes`, with dtype object.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from camgraph_core.errors import InvalidInputError
from camgraph_core.types import AnyArray
from camgraph_wire.open_inference.messages import message_class

_Response = message_class("ModelInferResponse")

_PORTION = 65_536  # numbers of typed contents, which take a few milliseconds
_LENGTH = struct.Struct("<I")  # stands before each text of a raw tensor


@dataclass(frozen=True)
class Datatype:
    """An element type.

    Attributes:
        name: Its name in the protocol.
        dtype: NumPy's name of it; "object" for texts.
        contents: The field of typed contents; empty where the protocol has only raw contents.
    """

    name: str
    dtype: str
    contents: str = ""


DATATYPES = (
    Datatype("BOOL", "bool", "bool_contents"),
    Datatype("UINT8", "uint8", "uint_contents"),
    Datatype("UINT16", "uint16", "uint_contents"),
    Datatype("UINT32", "uint32", "uint_contents"),
    Datatype("UINT64", "uint64", "uint64_contents"),
    Datatype("INT8", "int8", "int_contents"),
    Datatype("INT16", "int16", "int_contents"),
    Datatype("INT32", "int32", "int_contents"),
    Datatype("INT64", "int64", "int64_contents"),
    Datatype("FP16", "float16"),
    Datatype("FP32", "float32", "fp32_contents"),
    Datatype("FP64", "float64", "fp64_contents"),
    Datatype("BYTES", "object", "bytes_contents"),
)
_BY_NAME = {datatype.name: datatype for datatype in DATATYPES}
_BY_DTYPE = {datatype.dtype: datatype for datatype in DATATYPES}


def datatype_of(dtype: str) -> str:
    """The protocol's name of NumPy's element type; NumPy's own name where the protocol has none."""
    return _BY_DTYPE[dtype].name if dtype in _BY_DTYPE else dtype.upper()


def arrays_from(message: Any, most_texts: int) -> dict[str, AnyArray]:
    """The inputs of a `ModelInferRequest` by name.

    Args:
        message: The request.
        most_texts: Largest number of elements of a tensor of texts.

    Raises:
        InvalidInputError: An input comes twice, its datatype is not known, or its contents do not fit its shape; or raw
            and typed contents are mixed.
    """
    raws: Sequence[bytes | None] = list(message.raw_input_contents)
    if raws and any(tensor.HasField("contents") for tensor in message.inputs):
        raise InvalidInputError("The request has raw and typed contents; send all inputs in one of the two ways.")
    if raws and len(raws) != len(message.inputs):
        raise InvalidInputError(f"The request has {len(message.inputs)} inputs and {len(raws)} raw contents.")
    arrays: dict[str, AnyArray] = {}
    for tensor, raw in zip(message.inputs, raws or [None] * len(message.inputs), strict=True):
        if tensor.name in arrays:
            raise InvalidInputError(f"The input {tensor.name!r} comes twice.")
        arrays[tensor.name] = array_of(tensor, raw, most_texts)
    return arrays


def parameters_of(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a request by name, as Python's bool, int, float or str; None for one without a value."""
    kinds = {name: parameter.WhichOneof("parameter_choice") for name, parameter in parameters.items()}
    return {name: getattr(parameters[name], kind) if kind else None for name, kind in kinds.items()}


def response_message(
    model: tuple[str, str], request_id: str, outputs: Mapping[str, AnyArray], parameters: Mapping[str, str]
) -> Any:
    """The `ModelInferResponse` with these outputs, as raw contents.

    Args:
        model: Name and version of the model, the name as it was asked for.
        request_id: Echo of the request.
        outputs: The arrays by name.
        parameters: Texts that go with the answer.
    """
    name, version = model
    response = _Response(model_name=name, model_version=version, id=request_id)
    for key, text in parameters.items():
        response.parameters[key].string_param = text
    for output, array in outputs.items():
        response.outputs.add(name=output, datatype=datatype_of(array.dtype.name), shape=array.shape)
        response.raw_output_contents.append(raw_of(array))
    return response


def dtype_of(tensor: Any) -> np.dtype[Any]:
    """NumPy's element type of a tensor; object for texts.

    Raises:
        InvalidInputError: Its datatype is not known.
    """
    return np.dtype(_datatype(tensor).dtype)


def raw_of(array: AnyArray) -> bytes:
    """An array as raw contents."""
    if array.dtype == object:
        return b"".join(part for text in array.ravel() for part in (_LENGTH.pack(len(text)), text))
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()


def array_of(tensor: Any, raw: bytes | None, most_texts: int) -> AnyArray:
    """The array of a tensor's raw contents, or of its typed ones where there are none.

    Args:
        tensor: An input or an output.
        raw: Its raw contents.
        most_texts: Largest number of elements of a tensor of texts.

    Raises:
        InvalidInputError: Its datatype is not known, or its contents do not fit its shape.
    """
    datatype = _datatype(tensor)
    shape = tuple(tensor.shape)
    if any(length < 0 for length in shape):
        raise InvalidInputError(f"The input {tensor.name!r} has the shape {list(shape)}; a length is not negative.")
    count = math.prod(shape)
    if datatype.dtype == "object":
        if count > most_texts:
            raise InvalidInputError(f"The input {tensor.name!r} has {count} texts; the limit is {most_texts}.")
        texts = list(tensor.contents.bytes_contents) if raw is None else _texts(tensor.name, raw, count)
        _check_count(tensor, len(texts), count, "texts")
        return texts_array(texts).reshape(shape)
    flat = _typed(tensor, datatype, count) if raw is None else _numbers(tensor, datatype, raw, count)
    return flat.reshape(shape)


def texts_array(texts: Sequence[bytes]) -> AnyArray:
    """Texts, or files, as a tensor has them: an array [N] of objects, which has no length of its elements."""
    array = np.empty(len(texts), object)
    array[:] = texts
    return array


def _datatype(tensor: Any) -> Datatype:
    if tensor.datatype not in _BY_NAME:
        known = ", ".join(_BY_NAME)
        raise InvalidInputError(f"The input {tensor.name!r} has the datatype {tensor.datatype!r}; known are {known}.")
    return _BY_NAME[tensor.datatype]


def _numbers(tensor: Any, datatype: Datatype, raw: bytes, count: int) -> AnyArray:
    dtype = np.dtype(datatype.dtype).newbyteorder("<")
    _check_count(tensor, len(raw), count * dtype.itemsize, "bytes")
    if dtype == np.bool_:
        return np.frombuffer(raw, np.uint8).astype(np.bool_)
    return np.frombuffer(raw, dtype).astype(dtype.newbyteorder("="), copy=False)


def _typed(tensor: Any, datatype: Datatype, count: int) -> AnyArray:
    if not datatype.contents:
        raise InvalidInputError(f"The input {tensor.name!r} is {datatype.name}, which has raw contents only.")
    values = getattr(tensor.contents, datatype.contents)
    _check_count(tensor, len(values), count, f"values in {datatype.contents}")
    dtype = np.dtype(datatype.dtype)
    if datatype.contents not in ("int_contents", "uint_contents"):
        return _array(values, dtype)
    wide = _array(values, np.dtype(np.int64))
    bounds = np.iinfo(dtype)
    if count and (wide.min() < bounds.min or wide.max() > bounds.max):
        raise InvalidInputError(f"The input {tensor.name!r} has values that {datatype.name} does not hold.")
    return wide.astype(dtype)


def _array(values: Any, dtype: np.dtype[Any]) -> AnyArray:
    """Numbers of a message as an array, made portion by portion: between two of them other threads may run."""
    array = np.empty(len(values), dtype)
    for at in range(0, len(values), _PORTION):
        array[at : at + _PORTION] = values[at : at + _PORTION]
    return array


def _texts(name: str, raw: bytes, count: int) -> list[bytes]:
    """The texts of raw contents, each with its length before it."""
    texts, at = [], 0
    for _ in range(count):
        begin = at + _LENGTH.size
        end = begin + _LENGTH.unpack_from(raw, at)[0] if begin <= len(raw) else begin
        if end > len(raw):
            raise InvalidInputError(f"The raw contents of the input {name!r} end within a text.")
        texts.append(raw[begin:end])
        at = end
    if at != len(raw):
        raise InvalidInputError(f"The raw contents of the input {name!r} are longer than its {count} texts.")
    return texts


def _check_count(tensor: Any, found: int, wanted: int, what: str) -> None:
    if found != wanted:
        raise InvalidInputError(
            f"The input {tensor.name!r} has {found} {what}, but {tensor.datatype} of the shape {list(tensor.shape)} "
            f"takes {wanted}."
        )
