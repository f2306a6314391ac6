"""One row per image, as the Parquet files have it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, TypeAlias

import pyarrow as pa

from camgraph_client.bulk.maps import Kind, Numbers, StoredMap
from camgraph_core.explanation import Explanation
from camgraph_core.result import ClassScore, Result

Row: TypeAlias = dict[str, Any]

_BOX = pa.struct([(side, pa.float32()) for side in ("left", "top", "right", "bottom")])
_SCORE = pa.struct(
    [
        ("class_index", pa.int32()),
        ("label", pa.string()),
        ("score", pa.float64()),
        ("probability", pa.float64()),
        ("anchor", pa.int32()),
        ("area", pa.float64()),
        ("value", pa.float64()),
        ("box", _BOX),
        ("below_threshold", pa.bool_()),
    ]
)
_STATISTICS = pa.struct(
    [
        *((name, pa.float64()) for name in ("minimum", "maximum", "mean", "positive_share")),
        *((name, pa.bool_()) for name in ("all_nonpositive", "constant", "nonfinite", "no_gradient")),
    ]
)


def schema_of(kind: Kind, numbers: Numbers) -> pa.Schema:
    """The columns of the files of a run.

    Args:
        kind: Which maps are kept.
        numbers: What they are kept as.

    """
    byte = pa.int8() if kind == "signed" else pa.uint8()
    number = pa.float16() if numbers == "float16" else byte
    explanation = [
        ("title", pa.string()),
        ("target", _SCORE),
        ("contrast", _SCORE),
        ("negative", pa.bool_()),
        ("method", pa.string()),
        ("layers", pa.list_(pa.string())),
        ("statistics", _STATISTICS),
    ]
    stored = [
        ("map", pa.list_(number)),
        ("map_scale", pa.float64()),
        ("map_height", pa.int32()),
        ("map_width", pa.int32()),
    ]
    return pa.schema(
        [
            ("image", pa.string()),
            ("asked_target", pa.string()),
            ("error", pa.string()),
            ("width", pa.int32()),
            ("height", pa.int32()),
            ("predictions", pa.list_(_SCORE)),
            ("explanations", pa.list_(pa.struct([*explanation, *([] if kind == "none" else stored)]))),
            ("warnings", pa.list_(pa.string())),
            ("model_sha256", pa.string()),
        ]
    )


def row_of(result: Result, maps: list[StoredMap | None]) -> Row:
    """What is known of an image that was explained.

    Args:
        result: What came of it.
        maps: The map of each explanation, or None where maps are not kept.

    """
    width, height = result.image_size
    return {
        "width": width,
        "height": height,
        "predictions": [_score(item) for item in result.predictions],
        "explanations": [_explained(item, stored) for item, stored in zip(result.explanations, maps, strict=True)],
        "warnings": list(result.warnings),
    }


def _explained(explanation: Explanation, stored: StoredMap | None) -> Row:
    row: Row = {
        "title": explanation.title,
        "target": _score(explanation.target),
        "contrast": None if explanation.contrast is None else _score(explanation.contrast),
        "negative": explanation.negative,
        "method": explanation.method,
        "layers": list(explanation.layers),
        "statistics": asdict(explanation.statistics),
    }
    if stored is not None:
        row |= {"map": stored.numbers, "map_scale": stored.scale}
        row |= {"map_height": stored.height, "map_width": stored.width}
    return row


def _score(item: ClassScore) -> Row:
    return asdict(item)
