"""The Open Inference Protocol over HTTP: its JSON and its binary data, as the messages that gRPC has for the same.

https://github.com/kserve/open-inference-protocol, with Triton's extension of binary tensor data: the bytes of tensors
that say ``binary_data_size`` follow the JSON.
"""

from __future__ import annotations

import json
import math
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from camgraph_core.errors import InvalidInputError, TooLargeError
from camgraph_core.types import AnyArray
from camgraph_wire.json_text import bytes_from, number_texts, utf8
from camgraph_wire.open_inference.messages import message_class
from camgraph_wire.open_inference.not_offered import check_parameters
from camgraph_wire.open_inference.tensors import array_of, dtype_of, parameters_of, raw_of, texts_array

_Request = message_class("ModelInferRequest")

_MOST_ENTRIES = 100  # inputs, outputs, axes, parameters
_LONGEST_TEXT = 4096  # bytes of a name or a parameter
_LARGEST = 2**63 - 1
_FIELDS = {bool: "bool_param", int: "int64_param", float: "double_param", str: "string_param"}  # of a parameter
_BINARY = "binary_data"


class RestRequest:
    """An inference request as it came over HTTP.

    Args:
        model: Name and version of the model, of the address.
        header: The value of the JSON.
        binary: The bytes behind it.

    Attributes:
        message: The `ModelInferRequest`, with raw contents.

    Raises:
        InvalidInputError: Something is missing or of the wrong type, or the bytes do not fit what the JSON says.
        TooLargeError: It has too many inputs, outputs or parameters, or a text that is too long.
    """

    def __init__(self, model: tuple[str, str], header: Any, binary: memoryview) -> None:
        given = _object(header, "The body of the request")
        self.message = _Request(model_name=model[0], model_version=model[1], id=_text(given, "id", ""))
        _add_parameters(self.message.parameters, given)
        rest = binary
        for entry in _entries(given, "inputs"):
            rest = self._add_input(_object(entry, "An input"), rest)
        if len(rest):
            raise InvalidInputError(f"The body has {len(rest)} bytes more than its inputs say.")
        self._all_binary = bool(self.message.parameters["binary_data_output"].bool_param)
        self._binary: dict[str, bool] = {}
        for entry in _entries(given, "outputs"):
            self._add_output(_object(entry, "An output"))

    def is_binary(self, output: str) -> bool:
        """Whether an output is wanted as bytes behind the JSON."""
        return self._binary.get(output, self._all_binary)

    def _add_input(self, given: Mapping[str, Any], rest: memoryview) -> memoryview:
        name, datatype = _text(given, "name"), _text(given, "datatype")
        shape = _entries(given, "shape", required=True)
        if not all(type(length) is int and 0 <= length <= _LARGEST for length in shape):
            raise InvalidInputError(f"The shape of the input {name!r} is not a list of lengths.")
        tensor = self.message.inputs.add(name=name, datatype=datatype, shape=shape)
        parameters = _object(given.get("parameters", {}), f"The field parameters of the input {name!r}")
        check_parameters(f"The input {name!r}", parameters)
        size = parameters.get("binary_data_size")
        if size is None:
            self.message.raw_input_contents.append(_raw(tensor, given, parameters))
            return rest
        if type(size) is not int or not 0 <= size <= len(rest):
            raise InvalidInputError(
                f"The input {name!r} has the binary_data_size {size!r}, and {len(rest)} bytes are left of the body."
            )
        if "data" in given:
            raise InvalidInputError(f"The input {name!r} has data and a binary_data_size; send one of them.")
        self.message.raw_input_contents.append(bytes(rest[:size]))
        return rest[size:]

    def _add_output(self, given: Mapping[str, Any]) -> None:
        output = self.message.outputs.add(name=_text(given, "name"))
        _add_parameters(output.parameters, given)
        if _BINARY in output.parameters:
            self._binary[output.name] = output.parameters[_BINARY].bool_param


def response_parts(request: RestRequest, response: Any) -> tuple[list[bytes], list[bytes]]:
    """A `ModelInferResponse` over HTTP: the pieces of the JSON, and the bytes that follow it.

    Raises:
        TooLargeError: An output has more numbers than JSON takes.
    """
    binary: list[bytes] = []
    known = {"model_name": response.model_name, "model_version": response.model_version}
    if response.id:
        known["id"] = response.id
    if response.parameters:
        known["parameters"] = parameters_of(response.parameters)
    text = [json.dumps(known).removesuffix("}").encode(), b',"outputs":[']
    for number, (output, raw) in enumerate(zip(response.outputs, response.raw_output_contents, strict=True)):
        said: dict[str, Any] = {"name": output.name, "datatype": output.datatype, "shape": list(output.shape)}
        if number:
            text.append(b",")
        if request.is_binary(output.name):
            text.append(json.dumps({**said, "parameters": {"binary_data_size": len(raw)}}).encode())
            binary.append(raw)
        else:
            text.extend(_with_data(said, array_of(output, raw, most_texts=math.prod(output.shape))))
    text.append(b"]}")
    return text, binary


def plain(message: Any) -> Any:
    """A message as values for JSON: numbers stay numbers, enums become names, and what is not set has its default.

    An inner message that is not set is left out: clients ask whether a configuration has `dynamic_batching`.
    """
    fields = message.DESCRIPTOR.fields
    return {field.name: _plain_field(message, field) for field in fields if _is_there(message, field)}


def _is_there(message: Any, field: Any) -> bool:
    return field.message_type is None or field.is_repeated or message.HasField(field.name)


def _plain_field(message: Any, field: Any) -> Any:
    value = getattr(message, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        is_message = field.message_type.fields_by_name["value"].message_type is not None
        return {key: plain(value[key]) if is_message else value[key] for key in value}
    if field.message_type is not None:
        return [plain(item) for item in value] if field.is_repeated else plain(value)
    if field.enum_type is not None:
        return field.enum_type.values_by_number[value].name
    return list(value) if field.is_repeated else value


def _with_data(said: dict[str, Any], array: AnyArray) -> Iterator[bytes]:
    """An output with its values in the JSON. Texts are what they say, and pictures in base64."""
    if array.dtype == object:
        texts, is_base64 = _strings(array)
        if is_base64:
            said["parameters"] = {"content_type": "base64"}
        yield json.dumps({**said, "data": texts}).encode()
        return
    yield json.dumps(said).removesuffix("}").encode() + b',"data":'
    yield from number_texts(array)
    yield b"}"


def _strings(array: AnyArray) -> tuple[list[str], bool]:
    try:
        return [data.decode() for data in array.ravel()], False
    except UnicodeDecodeError:
        return [b64encode(data).decode() for data in array.ravel()], True


def _raw(tensor: Any, given: Mapping[str, Any], parameters: Mapping[str, Any]) -> bytes:
    """The raw contents of an input whose values stand in the JSON, nested or not."""
    values, count = _flat(given.get("data"), tensor.name), math.prod(tensor.shape)
    if len(values) != count:
        raise InvalidInputError(
            f"The input {tensor.name!r} has {len(values)} values, but the shape {list(tensor.shape)} takes {count}."
        )
    kinds = set(map(type, values))
    dtype = dtype_of(tensor)
    if dtype.kind == "O":
        _check_kinds(tensor, kinds, {str}, "texts")
        is_base64 = parameters.get("content_type") == "base64"
        what = f"A text of the input {tensor.name!r}"
        return raw_of(texts_array([bytes_from(text, what) if is_base64 else utf8(text, what) for text in values]))
    if dtype.kind == "b":
        _check_kinds(tensor, kinds, {bool}, "true and false")
    elif dtype.kind == "f":
        _check_kinds(tensor, kinds, {int, float}, "numbers")
    else:
        _check_kinds(tensor, kinds, {int}, "whole numbers")
        bounds = np.iinfo(dtype)
        if values and not bounds.min <= min(values) <= max(values) <= bounds.max:
            raise _beyond(tensor)
    try:
        return raw_of(np.array(values, dtype))
    except OverflowError as error:  # a whole number beyond every float
        raise _beyond(tensor) from error


def _beyond(tensor: Any) -> InvalidInputError:
    return InvalidInputError(f"The input {tensor.name!r} has values that {tensor.datatype} does not hold.")


def _check_kinds(tensor: Any, found: set[type], allowed: set[type], words: str) -> None:
    if not found <= allowed:
        raise InvalidInputError(f"The data of the input {tensor.name!r} is not {words}, as {tensor.datatype} has.")


def _flat(values: Any, name: str) -> list[Any]:
    """The innermost values, row by row; how they are nested is not looked at, as the shape says it."""
    if not isinstance(values, list):
        raise InvalidInputError(f"The input {name!r} has neither data, as a list, nor a binary_data_size.")
    while list in (kinds := set(map(type, values))):
        if len(kinds) > 1:
            raise InvalidInputError(f"The data of the input {name!r} is nested unevenly.")
        values = list(chain.from_iterable(values))
    flat: list[Any] = values
    return flat


def parameters_in(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parameters of a request by name.

    Raises:
        InvalidInputError: They are no object, or a name is too long.
        TooLargeError: There are too many.
    """
    parameters = _object(given.get("parameters", {}), "The field parameters")
    if len(parameters) > _MOST_ENTRIES:
        raise TooLargeError(f"The request has more than {_MOST_ENTRIES} parameters.")
    for name in parameters:
        check_text("parameters", name)
    return parameters


def known_parameters(given: Mapping[str, Any]) -> dict[str, bool | int | float | str]:
    """The parameters of a request that are texts, numbers or truth values; nobody knows others.

    Raises:
        InvalidInputError: A name or a value is too long, or a value is too large.
        TooLargeError: There are too many.
    """
    parameters = parameters_in(given)
    known = {name: value for name, value in parameters.items() if isinstance(value, bool | int | float | str)}
    for name, value in known.items():
        if isinstance(value, str):
            check_text(name, value)
        if isinstance(value, int) and abs(value) > _LARGEST:
            raise InvalidInputError(f"The parameter {name!r} is too large.")
    return known


def _add_parameters(target: Any, given: Mapping[str, Any]) -> None:
    for name, value in known_parameters(given).items():
        setattr(target[name], _FIELDS[type(value)], value)


def _entries(given: Mapping[str, Any], field: str, *, required: bool = False) -> Sequence[Any]:
    values = given.get(field, None if required else [])
    if not isinstance(values, list):
        raise InvalidInputError(f"The field {field} is missing, or not a list.")
    if len(values) > _MOST_ENTRIES:
        raise TooLargeError(f"The field {field} has more than {_MOST_ENTRIES} entries, which is the limit.")
    return values


def _object(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InvalidInputError(f"{what} is not a JSON object.")
    return value


def _text(given: Mapping[str, Any], field: str, default: str | None = None) -> str:
    value = given.get(field, default)
    if not isinstance(value, str):
        raise InvalidInputError(f"The field {field} is missing, or not a text.")
    check_text(field, value)
    return value


def check_text(field: str, text: str) -> None:
    """Refuses a text that is too long.

    Raises:
        InvalidInputError: It is so, or is not a text of UTF-8.
    """
    size = len(text) if len(text) > _LONGEST_TEXT else len(utf8(text, f"The field {field[:100]!r}"))
    if size > _LONGEST_TEXT:
        raise InvalidInputError(f"The field {field[:100]!r} has a text of {size} bytes; the limit is {_LONGEST_TEXT}.")
