"""Outputs of the model "image in, explanation out": a result as tensors."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from camgraph_core.errors import InvalidInputError
from camgraph_core.explanation import Explanation
from camgraph_core.outputs import OUTPUTS as KINDS
from camgraph_core.result import Result
from camgraph_core.types import AnyArray
from camgraph_wire.open_inference.tensors import texts_array

OUTPUTS: Mapping[str, tuple[str, list[int]]] = {
    "heatmap": ("FP32", [-1, -1, -1]),
    "input-heatmap": ("FP32", [-1, -1, -1]),
    "heatmap-png": ("BYTES", [-1]),
    "overlay-png": ("BYTES", [-1]),
    "overlay-jpeg": ("BYTES", [-1]),
    "raw-map": ("FP32", [-1, -1, -1]),
    "guided": ("FP32", [-1, -1, -1, -1]),
    "guided-png": ("BYTES", [-1]),
    "hot-regions": ("BYTES", [-1]),
    "statistics": ("BYTES", [-1]),
    "predictions": ("BYTES", [-1]),
    "embedding": ("FP32", [-1]),
    "distance": ("FP32", [1]),
    "distance-map": ("FP32", [-1, -1]),
    "distance-heatmap": ("FP32", [-1, -1]),
    "distance-overlay-png": ("BYTES", [1]),
}
"""Datatype and shape of each output. The first axis is that of the targets; of ``predictions`` that of the classes."""

_OF_BANK = {"distance-map": "raw-map", "distance-heatmap": "heatmap", "distance-overlay-png": "overlay-png"}
"""Outputs that distances to a memory bank have, and what they are of its explanation."""

OF_SOME = frozenset({"raw-map", "guided", "guided-png", "embedding", "distance", *_OF_BANK})
"""Those that not every model, method and number of layers has."""

DEFAULT = ("heatmap", "statistics", "predictions")
"""What a request gets that names none."""

_CHEAPEST = "input-heatmap"  # where no output of the maps is asked for

_TEXTS: Mapping[str, Callable[[Result], list[Any]]] = {
    "hot-regions": lambda result: [list(map(asdict, item.hot_regions)) for item in _of_targets(result)],
    "statistics": lambda result: list(map(_statistics, _of_targets(result))),
    "predictions": lambda result: list(map(asdict, result.predictions)),
}


def drawn_for(outputs: Iterable[str]) -> list[str]:
    """Outputs of explanations that these outputs are made of."""
    named = (_OF_BANK.get(output, output) for output in outputs)
    return [output for output in dict.fromkeys(named) if output in KINDS] or [_CHEAPEST]


def is_of_bank(output: str) -> bool:
    """Whether an output is about the distances to the model's memory bank."""
    return output == "distance" or output in _OF_BANK


def outputs_of(result: Result, outputs: tuple[str, ...]) -> dict[str, AnyArray]:
    """The outputs of a result by name.

    Raises:
        InvalidInputError: The result has one of them not at all, or not as one array.
    """
    return {name: _output(result, name) for name in outputs}


def entries_of(result: Result, name: str) -> list[Any]:
    """An output of texts, such as ``statistics``, as values for JSON."""
    return [_finite(entry) for entry in _TEXTS[name](result)]


def is_text(name: str) -> bool:
    """Whether an output is one of texts."""
    return name in _TEXTS


def _output(result: Result, name: str) -> AnyArray:
    if name in _TEXTS:
        return texts_array([json.dumps(entry, allow_nan=False).encode() for entry in entries_of(result, name)])
    if name == "embedding":
        if result.embedding is None:
            raise InvalidInputError("The output embedding is one of models for embeddings, which this one is not.")
        return result.embedding
    if is_of_bank(name):
        [item] = [item for item in result.explanations if item.has_own_scale]
        return np.array([item.target.score], np.float32) if name == "distance" else _of_bank(item, name)
    values = [_value(item, name) for item in _of_targets(result)]
    datatype, shape = OUTPUTS[name]
    if datatype == "BYTES":
        return texts_array(values)
    if len({value.shape for value in values}) > 1:
        raise InvalidInputError(f"The output {name} has maps of several sizes; ask for one target in a request.")
    return np.stack(values) if values else np.zeros([0] * len(shape), np.float32)


def _of_targets(result: Result) -> list[Explanation]:
    return [item for item in result.explanations if not item.has_own_scale]


def _of_bank(explanation: Explanation, name: str) -> AnyArray:
    value = _value(explanation, _OF_BANK[name])
    return texts_array([value]) if isinstance(value, bytes) else value


def _value(explanation: Explanation, name: str) -> Any:
    value = explanation.output(name)
    if not KINDS[name].per_layer:
        return value
    if len(value) > 1:
        raise InvalidInputError(f"The output {name} is that of one layer; name it with the parameter layer.")
    return value[0]


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
    if isinstance(value, list):
        return list(map(_finite, value))
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
