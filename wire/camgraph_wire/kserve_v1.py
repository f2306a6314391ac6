"""KServe's first protocol, which is JSON over HTTP: instances in, predictions or explanations out.

An instance is an image, in base64, with the targets and references that the model "image in, explanation out" of the
Open Inference Protocol takes as inputs; its parameters and outputs have the same names, too.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from camgraph_core.errors import InvalidInputError, TooLargeError
from camgraph_core.result import Result
from camgraph_core.types import AnyArray
from camgraph_wire.json_text import bytes_from, number_texts
from camgraph_wire.open_inference.explanation_outputs import OUTPUTS, entries_of, is_text, outputs_of
from camgraph_wire.open_inference.explanation_parameters import PARAMETERS
from camgraph_wire.open_inference.explanations import INPUTS, AskedExplanation, Subject, asked_from
from camgraph_wire.open_inference.rest import check_text, known_parameters
from camgraph_wire.open_inference.tensors import texts_array

MOST_INSTANCES = 100
"""Images of one request."""

FIELDS = tuple(name for name in INPUTS if name != "mask")
"""What an instance may have. A mask is a part of a target here, as all is JSON."""

_FIELDS = ("instances", "parameters", "outputs", "signature_name")  # the last is one of TensorFlow Serving's
_DEFAULT = ("heatmap-png", "statistics", "predictions")


def asked_from_v1(model: str, body: Any, max_targets: int, request_id: str = "") -> list[AskedExplanation]:
    """What is asked of each instance.

    Args:
        model: Name of the model.
        body: The value of the request's JSON.
        max_targets: Largest number of targets of an instance.
        request_id: The caller's name of the request.

    Raises:
        InvalidInputError: A field is missing, not known or of the wrong type.
        TooLargeError: There are too many instances.
        UsageError: An output is not known, or the value of a parameter cannot be used.
        TargetError: A target cannot be used.
    """
    if not isinstance(body, dict) or not isinstance(body.get("instances"), list) or not body["instances"]:
        raise InvalidInputError('The body of the request is not {"instances": [...]} with an instance at least.')
    _check_keys("The request", body, _FIELDS)
    if len(body["instances"]) > MOST_INSTANCES:
        raise TooLargeError(f"The request has {len(body['instances'])} instances; the limit is {MOST_INSTANCES}.")
    parameters = known_parameters(body)
    _check_keys("The field parameters", body.get("parameters", {}), tuple(sorted(PARAMETERS)))
    if lists := sorted(set(body.get("parameters", {})) - set(parameters)):
        raise InvalidInputError(f"The parameter {lists[0]} is not a text, a number or a truth value.")
    outputs = _texts(body.get("outputs", list(_DEFAULT)))
    subject = Subject(model, request_id=request_id)
    return [asked_from(subject, outputs, _arrays(instance), parameters, max_targets) for instance in body["instances"]]


def predictions_text(results: list[Result]) -> Iterator[bytes]:
    """The JSON of the best classes of each instance, and of the warnings of each where any has some."""
    answer = {"predictions": [entries_of(result, "predictions") for result in results]}
    if any(result.warnings for result in results):
        answer["warnings"] = [list(result.warnings) for result in results]
    yield json.dumps(answer).encode()


def explanations_text(results: list[Result], asked: list[AskedExplanation]) -> Iterator[bytes]:
    """The JSON of the outputs of each instance, in pieces, and of its warnings where there are some.

    Raises:
        TooLargeError: An output has more numbers than JSON takes.
    """
    for number, (result, one) in enumerate(zip(results, asked, strict=True)):
        yield b"," if number else b'{"explanations":['
        for place, name in enumerate(one.outputs):
            yield (b"," if place else b"{") + json.dumps(name).encode() + b":"
            yield from _output(result, name)
        if result.warnings:
            yield (b"," if one.outputs else b"{") + b'"warnings":' + json.dumps(result.warnings).encode()
        yield b"}"
    yield b"]}"


def _output(result: Result, name: str) -> Iterator[bytes]:
    if is_text(name):
        return iter([json.dumps(entries_of(result, name)).encode()])
    array = outputs_of(result, (name,))[name]
    if OUTPUTS[name][0] == "BYTES":
        return iter([json.dumps([{"b64": b64encode(picture).decode()} for picture in array]).encode()])
    return number_texts(array, nested=True)


def _arrays(instance: Any) -> dict[str, AnyArray]:
    """The inputs of an instance; one that is a picture alone needs no field for it."""
    if not isinstance(instance, dict):
        raise InvalidInputError('An instance is not an object such as {"image": {"b64": "..."}, "target_index": [3]}.')
    fields = {"image": instance} if set(instance) == {"b64"} else instance
    _check_keys("An instance", fields, FIELDS)
    return {name: _input(name, value) for name, value in fields.items()}


def _input(name: str, value: Any) -> AnyArray:
    values = value if isinstance(value, list) else [value]
    if name == "image":
        return texts_array([_file(value, "The image of an instance")])
    if name == "reference":
        return texts_array([_file(item, "A reference of an instance") for item in values])
    if name == "target":
        return texts_array([json.dumps(item).encode() for item in values])
    if name == "target_label":
        return texts_array([text.encode() for text in _texts(values)])
    if not all(type(item) is int and abs(item) < 2**63 for item in values):
        raise InvalidInputError(f"The field {name} of an instance is not a list of whole numbers.")
    return np.array(values, np.int64)


def _file(value: Any, what: str) -> bytes:
    if not isinstance(value, dict) or set(value) != {"b64"} or not isinstance(value["b64"], str):
        raise InvalidInputError(f'{what} is not {{"b64": "..."}}, its file in base64.')
    return bytes_from(value["b64"], what)


def _texts(values: Any) -> list[str]:
    if not isinstance(values, list) or not all(isinstance(item, str) for item in values):
        raise InvalidInputError("The outputs, or the labels of an instance, are not a list of texts.")
    for text in values:
        check_text("outputs or target_label", text)
    return values


def _check_keys(what: str, given: Mapping[str, Any], known: tuple[str, ...]) -> None:
    if unknown := sorted(set(given) - set(known)):
        raise InvalidInputError(
            f"{what} has the field {unknown[0][:100]!r}, which is not known; known are {', '.join(known)}."
        )
