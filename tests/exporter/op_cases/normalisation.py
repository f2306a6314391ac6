"""Rows for normalisation layers."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from exporter.op_cases.case import Draw, Input, OpCase, avoiding, normal

_rng = np.random.default_rng(17)
_IMAGE = ("N", 6, 4, 5)


def _statistics() -> list[np.ndarray]:
    return [_rng.standard_normal(3), _rng.standard_normal(3), _rng.standard_normal(3), _rng.uniform(0.5, 2, 3)]


def _w(*shape: int) -> np.ndarray:
    return _rng.standard_normal(shape)


def _row(
    name: str,
    op_type: str,
    shape: Sequence[int | str],
    *parameters: Any,
    opset: int = 17,
    dynamic: bool = False,
    draw: Draw = normal,
    outputs: int = 1,
    unsupported: str = "",
    **attributes: Any,
) -> OpCase:
    inputs = [Input(shape, draw), *parameters]
    return OpCase(
        f"{op_type}-{name}",
        op_type,
        inputs,
        attributes,
        opset=opset,
        dynamic=dynamic,
        outputs=outputs,
        without_onnxruntime=unsupported and f"The CPU kernel takes {unsupported} only.",
    )


CASES = [
    _row("2d", "BatchNormalization", ("N", 3, 4, 5), *_statistics(), epsilon=1e-3),
    _row("0d", "BatchNormalization", ("N", 3), *_statistics()),
    _row("1d", "BatchNormalization", ("N", 3, 5), *_statistics(), opset=13),
    _row("2d", "InstanceNormalization", _IMAGE, _w(6), _w(6)),
    _row("1d", "InstanceNormalization", ("N", 3, 7), _w(3), _w(3), epsilon=0.01, opset=22),
    _row("3d", "InstanceNormalization", ("N", 3, 2, 3, 4), _w(3), _w(3), opset=13),
    _row("dynamic-size", "InstanceNormalization", _IMAGE, _w(6), _w(6), dynamic=True),
    _row("tokens", "LayerNormalization", ("N", 5, 8), _w(8), _w(8)),
    _row("no-bias", "LayerNormalization", ("N", 5, 8), _w(8), axis=-1, epsilon=1e-6),
    _row("channels-last", "LayerNormalization", ("N", 4, 5, 6), _w(6), _w(6), axis=3, epsilon=0.1),
    _row("two-axes", "LayerNormalization", _IMAGE, _w(4, 5), _w(4, 5), axis=-2),
    _row("all-but-batch", "LayerNormalization", _IMAGE, _w(6, 4, 5), axis=1),
    _row("broadcast-scale", "LayerNormalization", _IMAGE, _w(4, 1), _w(1), axis=2),
    _row("scalar-scale", "LayerNormalization", ("N", 5, 8), np.array(1.7), np.array(0.3)),
    _row("statistics-unused", "LayerNormalization", ("N", 5, 8), _w(8), _w(8), outputs=3),
    _row("parameters", "LayerNormalization", ("N", 5, 8), Input((8,)), Input((8,))),
    _row("parameters-broadcast", "LayerNormalization", _IMAGE, Input((4, 1)), Input((5,)), axis=2),
    _row("dynamic-size", "LayerNormalization", _IMAGE, np.array(0.7), axis=2, dynamic=True),
    _row("a-group", "GroupNormalization", _IMAGE, _w(3), _w(3), num_groups=3, opset=18),
    _row("a-group-20", "GroupNormalization", ("N", 4, 7), _w(2), _w(2), num_groups=2, epsilon=0.01, opset=20),
    _row("a-channel", "GroupNormalization", _IMAGE, _w(6), _w(6), num_groups=3, opset=21),
    _row("one-group", "GroupNormalization", _IMAGE, _w(6), _w(6), num_groups=1, opset=22),
    _row("group-a-channel", "GroupNormalization", _IMAGE, _w(6), _w(6), num_groups=6, opset=21),
    _row("dynamic-size-18", "GroupNormalization", _IMAGE, _w(2), _w(2), num_groups=2, opset=18, dynamic=True),
    _row("dynamic-size", "GroupNormalization", _IMAGE, _w(6), _w(6), num_groups=2, opset=21, dynamic=True),
    _row("tokens", "RMSNormalization", ("N", 5, 8), _w(8), opset=23),
    _row("two-axes", "RMSNormalization", _IMAGE, _w(4, 5), axis=-2, epsilon=0.1, opset=23),
    _row("broadcast-scale", "RMSNormalization", _IMAGE, _w(4, 1), axis=2, opset=24),
    _row("parameters", "RMSNormalization", ("N", 5, 8), Input((8,)), opset=23),
    _row("default", "MeanVarianceNormalization", _IMAGE),
    _row("a-sample", "MeanVarianceNormalization", _IMAGE, axes=[1, 2, 3], opset=13),
    _row("space", "MeanVarianceNormalization", _IMAGE, axes=[-2, -1], dynamic=True),
    _row("euclidean", "LpNormalization", ("N", 5, 8)),
    _row("euclidean-channels", "LpNormalization", _IMAGE, axis=1, p=2, opset=22),
    _row("absolute", "LpNormalization", ("N", 5, 8), p=1, draw=avoiding(0)),
    _row("absolute-channels", "LpNormalization", _IMAGE, axis=1, p=1, draw=avoiding(0), opset=22),
    _row("alexnet", "LRN", ("N", 7, 3, 4), size=5, alpha=1e-2, beta=0.75, bias=2.0),
    _row("defaults", "LRN", ("N", 7, 3, 4), size=3, opset=13),
    _row("even-size", "LRN", ("N", 7, 3, 4), size=4, alpha=0.5, beta=0.6, bias=1.5, unsupported="an odd size"),
    _row("sequence", "LRN", ("N", 7, 6), size=3, alpha=0.5, unsupported="rank 4"),
    _row("wider-than-channels", "LRN", ("N", 3, 3, 4), size=7, alpha=0.5),
    _row("one-channel", "LRN", ("N", 3, 5, 2), size=1, alpha=0.5, beta=1.0),
    _row("dynamic-size", "LRN", ("N", 7, 3, 4), size=3, alpha=0.5, dynamic=True),
]
