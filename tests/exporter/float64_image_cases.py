"""Operator cases for the float64 evaluator: moving elements around, resizing and sampling."""

from typing import Any

import numpy as np
from float64_cases import Case, floats, ints

_X = (2, 6, 5, 4)

MOVEMENTS = [
    Case("Pad", (_X,), {"pads": [0, 0, 1, 2, 0, 0, 3, 0], "value": 0.5}, 9),
    Case("Pad", (_X, ints(0, 0, 1, 2, 0, 0, 3, 0), floats(0.3).reshape(())), {}, 13),
    Case("Pad", (_X, ints(0, 0, -1, 2, 0, -2, 3, -1)), {}, 13),
    *[Case("Pad", (_X, ints(0, 1, 2, 3, 0, 2, 4, 1)), {"mode": m}, 19) for m in ("reflect", "edge", "wrap")],
    Case("Pad", (_X, ints(0, 0, -1, 2, 0, 0, 3, -1)), {"mode": "reflect"}, 19),
    Case("Pad", (_X, ints(-1, 2), floats(0.3).reshape(()), ints(-2)), {}, 18),
    Case("DepthToSpace", ((1, 8, 3, 4),), {"blocksize": 2}),
    Case("DepthToSpace", ((1, 8, 3, 4),), {"blocksize": 2, "mode": "CRD"}),
    Case("SpaceToDepth", ((1, 3, 4, 6),), {"blocksize": 2}),
    Case("Gather", (_X, ints(1, -1, 0)), {"axis": 2}),
    Case("GatherElements", ((3, 4), np.array([[0, -1], [2, 1]])), {"axis": 1}),
    Case("GatherND", ((3, 4, 5), np.array([[0, 1], [2, -1]]))),
    Case("ScatterElements", ((3, 4), np.array([[0, -1], [2, 1]]), (2, 2)), {"axis": 1}),
    *[
        Case("ScatterElements", ((3, 4), np.array([[0, 0], [2, 2]]), (2, 2)), {"axis": 1, "reduction": r}, 18)
        for r in ("add", "mul", "min", "max")
    ],
    Case("Scatter", ((3, 4), np.array([[0, 1]]), (1, 2)), {}, 9),
    Case("ScatterND", ((5, 4), np.array([[1], [-1]]), (2, 4))),
    *[
        Case("ScatterND", ((5, 4), np.array([[1, 2], [1, 2]]), (2,)), {"reduction": r}, 18)
        for r in ("add", "mul", "min", "max")
    ],
    Case(
        "MaxUnpool",
        ((1, 1, 2, 2), np.array([[[[5, 7], [13, 15]]]])),
        {"kernel_shape": [2, 2], "strides": [2, 2]},
    ),
    Case("TopK", ((3, 7), ints(3)), {"axis": 1}, outputs=2),
    Case("TopK", ((3, 7), ints(3)), {"axis": 0, "largest": 0}, outputs=2),
    Case("Slice", (_X, ints(0, -1), ints(5, -9), ints(1, 2), ints(2, -2))),
    Case("Split", (_X,), {"axis": 1, "split": [1, 3, 2]}, 11, outputs=3),
    Case("Tile", ((2, 3), ints(2, 3))),
    Case("Expand", ((3, 1), ints(2, 1, 4))),
    Case("Trilu", ((4, 5),), {"upper": 0}),
    Case("OneHot", (ints(1, 0, 2), ints(3), floats(0.25, 0.5)), smooth=False),
    Case("EyeLike", ((3, 4),), {"k": 1}, smooth=False),
    Case("EyeLike", (np.ones((2, 2), np.int64),), {"dtype": 1}, smooth=False),
    Case("Cast", (_X,), {"to": 1}),
    Case("ConstantOfShape", (ints(2, 3),), smooth=False),
    Case("HannWindow", (ints(7).reshape(()),), smooth=False),
    Case("Col2Im", ((2, 18, 30), ints(5, 6), ints(3, 3)), {"pads": [1, 1, 1, 1]}, 18),
    Case("Col2Im", ((1, 12, 8), ints(6, 9), ints(2, 3)), {"strides": [3, 2], "dilations": [2, 1]}, 18),
    Case("CenterCropPad", (_X, ints(3, 6)), {"axes": [2, 3]}, 18),
    Case("Concat", ((2, 3), (2, 4)), {"axis": 1}),
    Case("Squeeze", ((2, 1, 3), ints(1))),
    Case("Unsqueeze", ((2, 3), ints(-1))),
    Case("Reshape", (_X, ints(0, -1, 4))),
    Case("Transpose", (_X,), {"perm": [0, 2, 3, 1]}),
    Case("Flatten", (_X,), {"axis": 2}),
]


def _resize(mode: str, coordinates: str, sizes: tuple[int, int], opset: int = 13, **extra: Any) -> Case:
    absent = floats() if opset < 13 else None
    inputs = ((1, 2, 7, 6), absent, absent, ints(1, 2, *sizes))
    return Case("Resize", inputs, {"mode": mode, "coordinate_transformation_mode": coordinates, **extra}, opset)


_COORDINATES = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric")
_NEAREST = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
_ROI = floats(0, 0, 0.2, -0.1, 1, 1, 0.9, 1.2)

RESIZES = [
    *[_resize(m, c, s) for m in ("linear", "cubic") for c in _COORDINATES for s in ((11, 3), (14, 12), (1, 1))],
    *[_resize("nearest", c, s, nearest_mode=n) for c in _COORDINATES for n in _NEAREST for s in ((11, 3), (14, 12))],
    _resize("nearest", "tf_half_pixel_for_nn", (13, 5), 11),
    *[_resize(m, "half_pixel_symmetric", (10, 4), 19) for m in ("linear", "cubic")],
    *[_resize("cubic", "half_pixel", s, cubic_coeff_a=-0.5, exclude_outside=1) for s in ((11, 3), (14, 12))],
    *[_resize(m, "half_pixel", (3, 4), 18, antialias=1) for m in ("linear", "cubic")],
    *[_resize(m, "half_pixel", (3, 9), 19, antialias=1, exclude_outside=1) for m in ("linear", "cubic")],
    *[
        Case("Resize", (_X, None, floats(1, 1, s, t)), {"mode": m}, 13)
        for m in ("nearest", "linear", "cubic")
        for s, t in ((2, 2), (0.6, 1.7), (0.7, 0.35))
    ],
    Case("Resize", ((1, 1, 10, 10), None, floats(1, 1, 0.7, 0.3)), {"mode": "linear"}, 13),
    *[
        Case("Resize", (_X, floats(1, 1, s, t)), {"mode": m}, 10)
        for m in ("nearest", "linear")
        for s, t in ((2, 3), (0.6, 0.5))
    ],
    *[
        Case(
            "Resize",
            (_X, None, None, ints(7, 9)),
            {"mode": "linear", "axes": [2, 3], "keep_aspect_ratio_policy": p},
            18,
        )
        for p in ("stretch", "not_larger", "not_smaller")
    ],
    *[
        Case(
            "Resize",
            (_X, _ROI, None, ints(2, 6, 7, 3)),
            {"mode": m, "coordinate_transformation_mode": "tf_crop_and_resize", "extrapolation_value": 3.0},
            13,
        )
        for m in ("linear", "cubic", "nearest")
    ],
    Case("Upsample", (_X,), {"scales": [1.0, 1.0, 2.0, 3.0], "mode": "nearest"}, 7),
    *[Case("Upsample", (_X, floats(1, 1, 2, 1.5)), {"mode": m}, 9) for m in ("nearest", "linear")],
]

_GRID = (2, 4, 3, 2)
SAMPLINGS = [
    *[
        Case(
            "GridSample",
            ((2, 3, 5, 6), _GRID),
            {"mode": m, "padding_mode": p, "align_corners": a},
            16,
            smooth=m != "nearest",
        )
        for m in ("bilinear", "nearest", "bicubic")
        for p in ("zeros", "border", "reflection")
        for a in (0, 1)
    ],
    Case("GridSample", ((2, 3, 5, 6), _GRID), {"mode": "linear"}, 20),
    Case("GridSample", ((2, 3, 4, 5, 6), (2, 3, 2, 4, 3)), {"mode": "linear", "padding_mode": "border"}, 20),
    Case("AffineGrid", ((2, 2, 3), ints(2, 3, 4, 5)), {"align_corners": 1}, 20),
    Case("AffineGrid", ((2, 2, 3), ints(2, 3, 4, 5)), {}, 20),
    Case("AffineGrid", ((2, 3, 4), ints(2, 3, 4, 5, 2)), {}, 20),
    Case("DeformConv", ((2, 4, 7, 6), (6, 4, 3, 2), (2, 12, 7, 7), (6,)), {"pads": [1, 1, 1, 1]}, 19),
    Case(
        "DeformConv",
        ((2, 4, 9, 8), (6, 2, 3, 3), (2, 36, 3, 4), (6,), (2, 18, 3, 4)),
        {"group": 2, "offset_group": 2, "strides": [2, 1], "dilations": [2, 2], "pads": [0, 0, 0, 0]},
        19,
    ),
    Case(
        "RoiAlign",
        ((1, 2, 8, 9), floats(0, 0, 4, 5, 1, 1, 7, 8).reshape(2, 4), ints(0, 0)),
        {"output_height": 2, "output_width": 3, "sampling_ratio": 2},
        16,
    ),
]
