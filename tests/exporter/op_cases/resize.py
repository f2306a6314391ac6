"""Rows for Resize."""

from typing import Any

import numpy as np

from exporter.op_cases.case import Fed, Input, OpCase, fed


def _f(*numbers: float) -> np.ndarray:
    return np.array(numbers, dtype=np.float32)


def _i(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.int64)


def _resize(
    name: str,
    size: tuple[int, ...],
    *,
    scales: Any = None,
    sizes: Any = None,
    roi: Any = None,
    opset: int = 18,
    dynamic: bool = False,
    **attributes: Any,
) -> OpCase:
    """A tuple of `scales` or `sizes` is that of the spatial axes."""
    if isinstance(sizes, tuple):
        attributes.setdefault("axes", list(range(2, 2 + len(size))))
        sizes = _i(*sizes)
    elif isinstance(scales, tuple):
        scales = _f(*scales) if "axes" in attributes else _f(1, 1, *scales)
    inputs = [Input(("N", 2, *size)), roi, scales] + ([sizes] if sizes is not None else [])
    return OpCase(f"Resize-{name}", "Resize", inputs, attributes, opset=opset, dynamic=dynamic)


def _coordinates(mode: str, size: tuple[int, int], **options: Any) -> list[OpCase]:
    """One row for every coordinate transformation that every filter takes."""
    shape = "x".join(map(str, options.get("scales") or options["sizes"]))
    return [
        _resize(
            f"{mode}-{way}-{shape}",
            size,
            mode=mode,
            coordinate_transformation_mode=way,
            axes=[2, 3],
            opset=19,
            **options,
        )
        for way in ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric")
    ]


def _roundings(size: tuple[int, int], **options: Any) -> list[OpCase]:
    return [
        _resize(f"nearest-{way}-{rounding}", size, coordinate_transformation_mode=way, nearest_mode=rounding, **options)
        for way in ("half_pixel", "asymmetric", "align_corners")
        for rounding in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
    ]


CASES = [
    _resize("nearest-2x", (3, 4), scales=(2, 2), coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
    _resize("nearest-2x-half-pixel", (3, 4), scales=(2, 2)),
    _resize("nearest-2x-half-pixel-floor", (3, 4), scales=(2, 2), nearest_mode="floor"),
    _resize(
        "nearest-3x-asymmetric-rounded",
        (3, 4),
        scales=(3, 3),
        coordinate_transformation_mode="asymmetric",
        nearest_mode="round_prefer_floor",
    ),
    _resize("nearest-3x2-half-pixel-ceil", (3, 4), scales=(3, 2), nearest_mode="round_prefer_ceil"),
    _resize(
        "nearest-2x-sizes", (3, 4), sizes=(6, 8), coordinate_transformation_mode="asymmetric", nearest_mode="floor"
    ),
    _resize("nearest-one-axis", (3, 4), scales=(1, 4)),
    _resize("nearest-nothing", (3, 4), scales=(1, 1)),
    _resize("nearest-1d", (4,), scales=(2,)),
    _resize("nearest-3d", (2, 3, 4), scales=(2, 1, 3)),
    _resize("nearest-2x-dynamic-size", (3, 4), scales=(2, 2), dynamic=True),
    _resize(
        "nearest-computed-sizes-dynamic",
        (3, 4),
        sizes=Fed(lambda n, growth: _i(n, 2, 2 * (3 + growth), 2 * (4 + growth))),
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
        dynamic=True,
    ),
    _resize(
        "nearest-shrink-dynamic", (6, 8), scales=(0.5, 0.75), coordinate_transformation_mode="asymmetric", dynamic=True
    ),
    _resize("nearest-uneven", (3, 4), scales=(1.7, 2.3)),
    *_roundings((3, 5), scales=(2, 1.6)),
    *_coordinates("linear", (4, 5), sizes=(7, 8)),
    *_coordinates("linear", (4, 5), scales=(2, 2)),
    *_coordinates("linear", (7, 8), scales=(0.6, 0.5)),
    *_coordinates("cubic", (4, 5), sizes=(7, 8)),
    *_coordinates("cubic", (6, 5), scales=(0.7, 2)),
    *_coordinates("nearest", (4, 5), sizes=(7, 9)),
    _resize("linear-to-one", (4, 5), sizes=(1, 1), mode="linear", coordinate_transformation_mode="pytorch_half_pixel"),
    _resize(
        "linear-align-corners-to-one",
        (4, 5),
        sizes=(1, 3),
        mode="linear",
        coordinate_transformation_mode="align_corners",
    ),
    _resize("linear-one-axis", (4, 5), sizes=(4, 9), mode="linear"),
    _resize("linear-1d", (5,), sizes=(8,), mode="linear"),
    _resize("linear-3d", (3, 4, 5), scales=(2, 1.5, 2), mode="linear"),
    _resize("linear-opset-13", (4, 5), scales=(2, 2), mode="linear", opset=13),
    _resize("linear-dynamic-size", (4, 5), scales=(2, 1.5), mode="linear", dynamic=True),
    _resize("linear-computed-scales", (4, 5), scales=fed(_f(1, 1, 2, 1.5)), mode="linear"),
    _resize("linear-computed-scales-dynamic", (4, 5), scales=fed(_f(1, 1, 2, 1.5)), mode="linear", dynamic=True),
    _resize(
        "linear-computed-sizes-align-corners-dynamic",
        (4, 5),
        sizes=Fed(lambda n, growth: _i(n, 2, 7 + growth, 11 + growth)),
        mode="linear",
        coordinate_transformation_mode="align_corners",
        dynamic=True,
    ),
    _resize("linear-fixed-sizes-dynamic", (4, 5), sizes=(7, 7), axes=[2, 3], mode="linear", dynamic=True),
    _resize(
        "cubic-computed-sizes-dynamic", (4, 5), sizes=Fed(lambda n, _: _i(n, 2, 7, 11)), mode="cubic", dynamic=True
    ),
    _resize("cubic-sharper", (4, 5), scales=(2, 2), mode="cubic", cubic_coeff_a=-0.5),
    _resize("cubic-exclude-outside", (4, 5), scales=(2, 1.5), mode="cubic", exclude_outside=1),
    _resize("linear-antialias", (8, 9), sizes=(3, 4), mode="linear", antialias=1),
    _resize("cubic-antialias", (8, 9), sizes=(3, 5), mode="cubic", antialias=1),
    _resize("linear-antialias-scales", (8, 9), scales=(0.4, 0.7), mode="linear", antialias=1),
    _resize("linear-antialias-dynamic", (8, 9), scales=(0.5, 0.5), mode="linear", antialias=1, dynamic=True),
    _resize("linear-negative-axes", (4, 5), sizes=(7, 9), mode="linear", axes=[-2, -1]),
    _resize("linear-swapped-axes", (4, 5), sizes=(9, 7), mode="linear", axes=[3, 2]),
    _resize("not-larger", (4, 6), sizes=(8, 9), mode="linear", axes=[2, 3], keep_aspect_ratio_policy="not_larger"),
    _resize("not-smaller", (4, 6), sizes=(8, 9), mode="linear", axes=[2, 3], keep_aspect_ratio_policy="not_smaller"),
    _resize(
        "not-larger-rounded", (4, 5), sizes=(9, 8), mode="linear", axes=[2, 3], keep_aspect_ratio_policy="not_larger"
    ),
    _resize(
        "linear-crop",
        (6, 7),
        sizes=(4, 5),
        roi=_f(0.1, 0.2, 0.8, 0.9),
        axes=[2, 3],
        mode="linear",
        coordinate_transformation_mode="tf_crop_and_resize",
    ),
    _resize(
        "linear-crop-beyond-the-border",
        (6, 7),
        sizes=(4, 5),
        roi=_f(-0.3, 0.2, 0.8, 1.4),
        axes=[2, 3],
        mode="linear",
        coordinate_transformation_mode="tf_crop_and_resize",
        extrapolation_value=3.0,
    ),
    _resize(
        "linear-crop-computed-roi",
        (6, 7),
        sizes=(4, 5),
        roi=fed(_f(0.1, 0.2, 0.8, 0.9)),
        axes=[2, 3],
        mode="linear",
        coordinate_transformation_mode="tf_crop_and_resize",
    ),
    OpCase("Resize-channels-last", "Resize", [Input(("N", 3, 4, 2)), None, _f(1, 2, 1.5, 1)], {"mode": "linear"}),
    OpCase("Resize-channels-last-nearest", "Resize", [Input(("N", 3, 4, 2)), None, _f(1, 2, 2, 1)]),
    OpCase("Resize-matrix", "Resize", [Input((3, 4)), None, _f(2, 1.5)], {"mode": "linear"}),
]
