"""Requests and answers of `ModelStreamInfer`, the stream that Triton adds to the Open Inference Protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from camgraph_core.errors import InvalidInputError
from camgraph_wire.open_inference.messages import message_class

_StreamResponse = message_class("ModelStreamInferResponse")

_IS_LAST = "triton_final_response"


def timeout_of(parameters: Mapping[str, Any]) -> float | None:
    """Seconds that an answer may take, from the parameters of its request; None without a limit.

    Raises:
        InvalidInputError: ``timeout`` is not a number of microseconds.
    """
    microseconds = parameters.get("timeout", 0)
    if type(microseconds) is not int or microseconds < 0:
        raise InvalidInputError("The parameter timeout is wrong; send microseconds as int64_param, 0 for no limit.")
    return microseconds / 1e6 or None


def answer_message(response: Any) -> Any:
    """The message of a `ModelInferResponse`, which is copied: the only one to its request."""
    message = _StreamResponse(infer_response=response)
    message.infer_response.parameters[_IS_LAST].bool_param = True
    return message


def error_message(id_: str, text: str) -> Any:
    """The message in place of an answer.

    Args:
        id_: Of the request; empty if it could not be read.
        text: The sentence for the user.
    """
    message = _StreamResponse(error_message=text)
    message.infer_response.id = id_
    message.infer_response.parameters[_IS_LAST].bool_param = True
    return message
