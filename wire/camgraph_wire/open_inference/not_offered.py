"""What may be asked of Triton for a tensor and is not done here. A caller would read something else than was meant."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from camgraph_core.errors import InvalidInputError


def check_parameters(tensor: str, parameters: Container[str]) -> None:
    """Refuses parameters of an input or an output.

    Args:
        tensor: Which one, for the message.
        parameters: Their names.

    Raises:
        InvalidInputError: It is to be in shared memory, or to be classified.
    """
    if "shared_memory_region" in parameters:
        raise InvalidInputError(f"{tensor} is to be in shared memory, which is not offered; its values go by the call.")
    if "classification" in parameters:
        raise InvalidInputError(
            f"{tensor} is to be classified, which is not offered; take its values, or the output predictions of the "
            "model that takes an image."
        )


def check_tensors(message: Any) -> None:
    """Checks the parameters of all inputs and outputs of a `ModelInferRequest`; see `check_parameters`."""
    for what, tensors in (("input", message.inputs), ("output", message.outputs)):
        for tensor in tensors:
            check_parameters(f"The {what} {tensor.name!r}", tensor.parameters)
