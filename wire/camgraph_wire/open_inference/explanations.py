"""The model "image in, explanation out": tensors of the Open Inference Protocol, a request and its result."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from camgraph_core.errors import InvalidInputError
from camgraph_core.explanation import Explanation
from camgraph_core.names import unknown_name
from camgraph_core.request import Addressed, Request
from camgraph_core.result import Result
from camgraph_core.style import Style
from camgraph_core.target import Rank, Selector, Target
from camgraph_core.types import AnyArray
from camgraph_core.windows import window_from

INPUTS: Mapping[str, tuple[str, list[int]]] = {
    "image": ("BYTES", [1]),
    "target_index": ("INT64", [-1]),
    "target_label": ("BYTES", [-1]),
    "target_rank": ("INT64", [-1]),
}
"""Datatype and shape of each input. All but the first may be left out."""

OUTPUTS: Mapping[str, tuple[str, list[int]]] = {
    "heatmap": ("FP32", [-1, -1, -1]),
    "input-heatmap": ("FP32", [-1, -1, -1]),
    "heatmap-png": ("BYTES", [-1]),
    "overlay-png": ("BYTES", [-1]),
    "overlay-jpeg": ("BYTES", [-1]),
    "statistics": ("BYTES", [-1]),
    "predictions": ("BYTES", [-1]),
}
"""Datatype and shape of each output. The first axis is that of the targets; of ``predictions`` that of the classes."""

_TEXTS: Mapping[str, Callable[[Result], list[dict[str, Any]]]] = {
    "statistics": lambda result: list(map(_statistics, result.explanations)),
    "predictions": lambda result: list(map(asdict, result.predictions)),
}
_DEFAULT = ("heatmap", "statistics", "predictions")
_CHEAPEST = "input-heatmap"  # where no output of the maps is asked for


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InvalidInputError("A label in target_label is not UTF-8.") from error


_SELECTORS: Mapping[str, Callable[[Any], Selector]] = {
    "target_index": int,
    "target_label": _text,
    "target_rank": lambda rank: Rank(int(rank)),
}
_OF_REQUEST = {"method": str, "profile": str, "top_k": int, "num_predictions": int, "frame": int}
_OF_STYLE = {"colormap": str, "opacity": str, "max_side": int}
PARAMETERS = frozenset({"layer", *_OF_REQUEST, *_OF_STYLE})
"""Names of the parameters that are known."""

_CHOICES = {str: "string_param", int: "int64_param"}  # the protocol's names of the types


@dataclass(frozen=True)
class Subject:
    """Which model is asked.

    Attributes:
        model: Name of the graph.
        version: Its version; empty means the newest.
        request_id: The caller's name of the request.
    """

    model: str
    version: str = ""
    request_id: str = ""


@dataclass(frozen=True)
class AskedExplanation:
    """What is asked of such a model.

    Attributes:
        addressed: The request.
        outputs: Names of the outputs, of `OUTPUTS`.
    """

    addressed: Addressed
    outputs: tuple[str, ...]


def asked_from(
    subject: Subject,
    outputs: Iterable[str],
    arrays: Mapping[str, AnyArray],
    parameters: Mapping[str, Any],
    max_targets: int | None = None,
) -> AskedExplanation:
    """What a request asks.

    Args:
        subject: Which model is asked, and under which identifier.
        outputs: Names of the outputs that are wanted; without any, those that cost little.
        arrays: Its inputs.
        parameters: Its parameters as Python's bool, int, float or str; those that are not known are ignored.
        max_targets: Largest number of targets that are named; None for any number.

    Raises:
        InvalidInputError: An input is missing, not known, or of the wrong type or shape; or too many targets are named.
        UsageError: An output is not known, or the value of a parameter cannot be used.
        TargetError: A target cannot be used.
    """
    wanted = tuple(dict.fromkeys(outputs)) or _DEFAULT
    for output in wanted:
        if output not in OUTPUTS:
            raise unknown_name("output", output, OUTPUTS)
    _check_inputs(arrays, max_targets)
    [image] = arrays["image"].ravel()
    layers = _given(parameters, {"layer": str}).values()
    window = [*_given(parameters, {"window": str}).values()]
    request = Request(
        targets=_targets(arrays),
        layers=tuple(layers),
        outputs=[output for output in wanted if output not in _TEXTS] or [_CHEAPEST],
        style=replace(Style(), **_given(parameters, _OF_STYLE)),
        window=window_from(window[0]) if window else None,
        request_id=subject.request_id,
        **_given(parameters, _OF_REQUEST),
    )
    addressed = Addressed(request=request, image=image, model=subject.model, version=subject.version)
    return AskedExplanation(addressed, wanted)


def outputs_of(result: Result, outputs: tuple[str, ...]) -> dict[str, AnyArray]:
    """The outputs of a result by name."""
    return {name: _output(result, name) for name in outputs}


def entries_of(result: Result, name: str) -> list[dict[str, Any]]:
    """An output of texts, ``statistics`` or ``predictions``, as values for JSON."""
    return [_finite(entry) for entry in _TEXTS[name](result)]


def is_text(name: str) -> bool:
    """Whether an output is one of texts."""
    return name in _TEXTS


def _targets(arrays: Mapping[str, AnyArray]) -> list[Target]:
    """The targets of the inputs that name them, in the order of `INPUTS`."""
    given = [(selector, arrays[name]) for name, selector in _SELECTORS.items() if name in arrays]
    return [Target(selector(value)) for selector, array in given for value in array.flat]


def _check_inputs(arrays: Mapping[str, AnyArray], max_targets: int | None) -> None:
    for name, array in arrays.items():
        if name not in INPUTS:
            raise InvalidInputError(f"The model has no input {name!r}; it takes {', '.join(INPUTS)}.")
        datatype = INPUTS[name][0]
        if array.dtype.name != {"BYTES": "object", "INT64": "int64"}[datatype]:
            raise InvalidInputError(f"The input {name!r} has the wrong datatype; send {datatype}.")
    if "image" not in arrays:
        raise InvalidInputError("The input 'image' is missing; send the bytes of one image.")
    if arrays["image"].size != 1:
        raise InvalidInputError(f"The input 'image' has {arrays['image'].size} images; send one per request.")
    targets = sum(array.size for array in arrays.values()) - 1
    if max_targets is not None and targets > max_targets:
        raise InvalidInputError(f"The request names {targets} targets; the limit is {max_targets}.")


def _given(parameters: Mapping[str, Any], kinds: Mapping[str, type]) -> dict[str, Any]:
    """The parameters of these names that the request has."""
    given = {name: parameters[name] for name in kinds if name in parameters}
    for name, value in given.items():
        if type(value) is not kinds[name]:
            wanted = _CHOICES[kinds[name]]
            raise InvalidInputError(f"The parameter {name} has the wrong type; send it as {wanted}.")
    return given


def _output(result: Result, name: str) -> AnyArray:
    if name in _TEXTS:
        return _array([json.dumps(entry, allow_nan=False).encode() for entry in entries_of(result, name)])
    values = [item.output(name) for item in result.explanations]
    if OUTPUTS[name][0] == "BYTES":
        return _array(values)
    return np.stack(values) if values else np.zeros((0, 0, 0), np.float32)


def _array(values: list[bytes]) -> AnyArray:
    array = np.empty(len(values), object)
    array[:] = values
    return array


def _statistics(item: Explanation) -> dict[str, Any]:
    return {
        "target": asdict(item.target),
        "method": item.method,
        "layers": item.layers,
        **asdict(item.statistics),
        "warnings": item.statistics.warnings(),
    }


def _finite(value: Any) -> Any:
    """The value for JSON, which has no numbers that are not finite: they become null."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
