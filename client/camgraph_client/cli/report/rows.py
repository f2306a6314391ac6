"""One row for each image: what is known of it in plain values, as the JSON file has them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

from camgraph_client.cli.photos import Photo
from camgraph_client.cli.report.true_numbers import deviations
from camgraph_core.explanation import Explanation
from camgraph_core.rectangle import Rectangle
from camgraph_core.result import ClassScore, Result

Row: TypeAlias = dict[str, Any]


def failed_row(photo: Photo, labels: Sequence[str], problem: str) -> Row:
    """The row of an image that could not be explained; it has the keys of `row_of`."""
    return {
        "image": photo.shown,
        "error": problem,
        "truth": _truth(photo, labels),
        "correct": None,
        "deviations": None,
        "size": None,
        "embedding": None,
        "predictions": [],
        "explanations": [],
        "warnings": [],
        "files": [],
    }


def row_of(photo: Photo, labels: Sequence[str], result: Result, maps: Sequence[Path], files: Sequence[Path]) -> Row:
    """The row of an image: numbers that are not finite are None, boxes are ``[left, top, right, bottom]`` in pixels.

    Args:
        photo: The image.
        labels: The label of each class; empty if none are known.
        result: What came of it.
        maps: The file of each explanation's map; empty if maps are not kept.
        files: All files that were written of it.

    """
    away = deviations(photo.numbers, result.predictions)
    predicted = result.predictions[0].class_index if result.predictions else None
    shown = [*map(str, maps), *[None] * (len(result.explanations) - len(maps))]
    return {
        "image": photo.shown,
        "error": None,
        "truth": _truth(photo, labels),
        "correct": None if photo.truth is None else photo.truth == predicted,
        "deviations": None if away is None else [_plain_value(value) for value in away],
        "size": list(result.image_size),
        "embedding": None if result.embedding is None else result.embedding.tolist(),
        "predictions": [_score(item) for item in result.predictions],
        "explanations": [_explained(item, path) for item, path in zip(result.explanations, shown, strict=True)],
        "warnings": list(result.warnings),
        "files": [str(path) for path in files],
    }


def _truth(photo: Photo, labels: Sequence[str]) -> Row | None:
    if photo.numbers:
        return {"values": list(photo.numbers)}
    if photo.truth is None:
        return None
    return {"class_index": photo.truth, "label": labels[photo.truth] if photo.truth < len(labels) else ""}


def _explained(explanation: Explanation, map_file: str | None) -> Row:
    return {
        "title": explanation.title,
        "target": _score(explanation.target),
        "contrast": None if explanation.contrast is None else _score(explanation.contrast),
        "negative": explanation.negative,
        "method": explanation.method,
        "layers": list(explanation.layers),
        "statistics": plain(asdict(explanation.statistics)),
        "hot_regions": [plain({**asdict(item), "box": _box(item.box)}) for item in explanation.hot_regions],
        "map": map_file,
    }


def _score(item: ClassScore) -> Row:
    return plain({**asdict(item), "box": None if item.box is None else _box(item.box)})


def _box(box: Rectangle) -> list[float]:
    return [float(side) for side in (box.left, box.top, box.right, box.bottom)]


def plain(values: Row) -> Row:
    """The values of NumPy as Python's own, and None for numbers that JSON does not have."""
    return {key: _plain_value(value) for key, value in values.items()}


def _plain_value(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
