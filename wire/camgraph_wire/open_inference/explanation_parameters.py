"""Parameters of the model "image in, explanation out": what a request says beside its inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from camgraph_core.errors import InvalidInputError, UsageError
from camgraph_core.windows import window_from

Reader = Callable[[str, Any], Any]
"""From the name and the value of a parameter to what a request has."""

_CHOICES = {str: "string_param", int: "int64_param", float: "double_param", bool: "bool_param"}
"""The protocol's names of the types."""


def _typed(kind: type) -> Reader:
    def read(name: str, value: Any) -> Any:
        is_whole_number = kind is float and type(value) is int
        if type(value) is not kind and not is_whole_number:
            raise InvalidInputError(f"The parameter {name} has the wrong type; send it as {_CHOICES[kind]}.")
        return kind(value)

    return read


_text, _whole, _number, _truth = map(_typed, (str, int, float, bool))


def _texts(name: str, value: Any) -> tuple[str, ...]:
    texts = tuple(text.strip() for text in _text(name, value).split(","))
    if not all(texts):
        raise InvalidInputError(f"The parameter {name} is {value[:60]!r}; send names with commas between them.")
    return texts


def _pair(name: str, value: Any) -> tuple[float, float]:
    try:
        low, high = map(float, _text(name, value).split(","))
    except ValueError as error:
        raise InvalidInputError(f"The parameter {name} is {value[:60]!r}; send two numbers, such as 2,98.") from error
    return low, high


_OF_REQUEST: Mapping[str, Reader] = {
    "method": _text,
    "layer": lambda name, value: (_text(name, value),),
    "layers": _texts,
    "profile": _text,
    "top_k": _whole,
    "num_predictions": _whole,
    "score_threshold": _number,
    "iou_threshold": _number,
    "window": lambda name, value: window_from(_text(name, value)),
    "frame": _whole,
    "nodata": _number,
    "scaled_decoding": _truth,
}
_OF_STYLE: Mapping[str, Reader] = {
    "colormap": _text,
    "image_weight": _number,
    "opacity": _text,
    "jpeg_quality": _whole,
    "png_level": _whole,
    "max_side": _whole,
    "hot_from": _number,
    "display_bands": _texts,
    "stretch": _pair,
}
_OF_TARGETS: Mapping[str, Reader] = {"negative": _truth, "reference_mode": _text}

PARAMETERS = frozenset({*_OF_REQUEST, *_OF_STYLE, *_OF_TARGETS})
"""Names of the parameters that are known."""


def of_request(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a `Request` that parameters say.

    Raises:
        InvalidInputError: One has the wrong type.
        UsageError: Its value cannot be used.
    """
    given = _read(parameters, _OF_REQUEST)
    if "layer" in given and "layers" in given:
        raise UsageError("The parameters layer and layers say the same; send one of them.")
    if "layer" in given:
        given["layers"] = given.pop("layer")
    return given


def of_style(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a `Style` that parameters say.

    Raises:
        InvalidInputError: One has the wrong type.
    """
    return _read(parameters, _OF_STYLE)


def of_targets(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What parameters say of all targets: ``negative`` and ``reference_mode``.

    Raises:
        InvalidInputError: One has the wrong type.
    """
    return _read(parameters, _OF_TARGETS)


def _read(parameters: Mapping[str, Any], readers: Mapping[str, Reader]) -> dict[str, Any]:
    return {name: read(name, parameters[name]) for name, read in readers.items() if name in parameters}
