"""Requests and answers of Triton's Python backend, and what becomes of an error."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Triton's Python backend brings this module; it is not installed from anywhere.
import triton_python_backend_utils as pb_utils

from camgraph_core.errors import InvalidInputError
from camgraph_core.types import AnyArray
from camgraph_runtime import Engine, Threads
from camgraph_wire.errors import reason_of

_CODES = {
    "INVALID_ARGUMENT": "INVALID_ARG",
    "NOT_FOUND": "NOT_FOUND",
    "FAILED_PRECONDITION": "UNSUPPORTED",
    "RESOURCE_EXHAUSTED": "INVALID_ARG",
    "UNAVAILABLE": "UNAVAILABLE",
}
"""Triton's names of gRPC's statuses. It has none for a request that is too large but an invalid one."""


class ModelCallError(Exception):
    """Another model of the same Triton did not answer; the caller gets what it said.

    Attributes:
        code: Triton's code.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Asked:
    """A request.

    Attributes:
        inputs: Its inputs by name.
        outputs: Names of the outputs that are wanted; Triton lists all where a caller names none.
        parameters: Its parameters.
        request_id: The caller's name of it.
    """

    inputs: Mapping[str, AnyArray]
    outputs: Sequence[str]
    parameters: Mapping[str, Any]
    request_id: str


@dataclass(frozen=True)
class Answer:
    """An answer: the outputs by name, and texts that go with them."""

    outputs: Mapping[str, AnyArray]
    parameters: Mapping[str, str]


def answered(requests: Sequence[Any], answer: Callable[[Asked], Answer]) -> list[Any]:
    """The response to each request; one that cannot be answered does not spoil the others."""
    return [_response(request, answer) for request in requests]


def parameters_of(config: Mapping[str, Any]) -> dict[str, str]:
    """The parameters of a model's configuration."""
    return {name: entry["string_value"] for name, entry in config.get("parameters", {}).items()}


def with_axes(array: AnyArray) -> AnyArray:
    """The array as Triton takes it, which has no tensors without axes."""
    return array if array.ndim else array.reshape(1)


def engine_of(path: Path, parameters: Mapping[str, str]) -> Engine:
    """A graph that runs in this process, as the configuration says.

    Raises:
        CamgraphError: It cannot be loaded.
    """
    threads = int(parameters["threads"]) or None
    return Engine(path, device=parameters["device"], threads=Threads.latency(threads))


def _response(request: Any, answer: Callable[[Asked], Answer]) -> Any:
    try:
        if request.is_cancelled():
            return _failed("The request was cancelled.", pb_utils.TritonError.CANCELLED)
        return _given(answer(_asked(request)))
    except Exception as error:  # whatever happened, the caller gets a status and the model lives on
        return _refusal(error)


def _given(answer: Answer) -> Any:
    tensors = [pb_utils.Tensor(name, array) for name, array in answer.outputs.items()]
    if answer.parameters and hasattr(pb_utils.InferenceResponse, "parameters"):  # older releases have none
        return pb_utils.InferenceResponse(tensors, parameters=dict(answer.parameters))
    return pb_utils.InferenceResponse(tensors)


def _asked(request: Any) -> Asked:
    names = [tensor.name() for tensor in request.inputs()]
    if len(set(names)) < len(names):
        raise InvalidInputError("An input comes twice.")
    inputs = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
    parameters = json.loads(request.parameters() or "{}")
    return Asked(inputs, request.requested_output_names(), parameters, request.request_id())


def _refusal(error: Exception) -> Any:
    if isinstance(error.__cause__, ModelCallError):  # the engine calls it a failed run
        return _failed(str(error.__cause__), error.__cause__.code)
    reason = reason_of(error)
    if reason is not None and reason.status in _CODES:
        return _failed(str(error), getattr(pb_utils.TritonError, _CODES[reason.status]))
    identifier = uuid.uuid4().hex[:12]
    pb_utils.Logger.log_error(f"internal error {identifier}: {error!r}")
    text = f"Internal error {identifier}; Triton's log has the details under this identifier."
    return _failed(text, pb_utils.TritonError.INTERNAL)


def _failed(text: str, code: int) -> Any:
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(text, code))
