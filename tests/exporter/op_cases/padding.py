"""Rows for padding."""

from typing import Any

import numpy as np

from exporter.op_cases.case import Input, OpCase, fed


def _i(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.int64)


def _pad(name: str, shape: tuple[int | str, ...], *more: Any, mode: str = "", **options: Any) -> OpCase:
    return OpCase(f"Pad-{name}", "Pad", [Input(shape), *more], {"mode": mode} if mode else {}, **options)


def _modes(name: str, shape: tuple[int | str, ...], *more: Any, **options: Any) -> list[OpCase]:
    """One row for every mode that repeats elements; wrap came with opset 19."""
    opset = options.pop("opset", 17)
    return [
        _pad(f"{mode}-{name}", shape, *more, mode=mode, opset=max(opset, 19) if mode == "wrap" else opset, **options)
        for mode in ("edge", "reflect", "wrap")
    ]


def _crop_pad(name: str, target: Any, **options: Any) -> OpCase:
    return OpCase(f"CenterCropPad-{name}", "CenterCropPad", [Input(("N", 3, 4, 7)), target], options, opset=18)


CASES = [
    _pad("constant", ("N", 3, 4), _i(0, 1, 2, 0, 0, 3)),
    _pad("constant-value", ("N", 3, 4), _i(0, 1, 2, 0, 0, 3), np.array(1.5)),
    _pad("cropping", ("N", 3, 6), _i(0, 0, -1, 0, 1, -2)),
    _pad("axes", ("N", 3, 4), _i(1, 2), None, _i(2), opset=18),
    _pad("negative-axes", ("N", 3, 4), _i(1, 0, 2, 3), None, _i(-1, -2), opset=18),
    _pad("nothing", ("N", 3, 4), _i(0, 0, 0, 0, 0, 0)),
    _pad("opset-13", ("N", 3, 4), _i(0, 1, 2, 0, 0, 3), opset=13),
    _pad("opset-21", ("N", 3, 4), _i(0, 1, 2, 0, 0, 3), opset=21),
    _pad("opset-24", ("N", 3, 4), _i(0, 1, 2, 0, 0, 3), opset=24),
    _pad("computed", ("N", 3, 4), fed(_i(0, 1, 2, 0, 0, 3))),
    _pad("computed-cropping", ("N", 3, 6), fed(_i(0, 0, -1, 0, 1, -2))),
    _pad("computed-axes-given", ("N", 3, 4), fed(_i(1, 2)), None, _i(2), opset=18),
    _pad("dynamic-size", ("N", 3, 4, 5), _i(0, 0, 1, 2, 0, 0, 2, 0), dynamic=True),
    _pad("computed-to-a-multiple", ("N", 3, 4, 5), fed(_i(0, 0, 0, 0, 0, 0, 2, 3)), dynamic=True),
    *_modes("space", ("N", 2, 4, 5), _i(0, 0, 1, 2, 0, 0, 3, 0)),
    *_modes("one-side", ("N", 2, 4, 5), _i(0, 0, 0, 0, 0, 0, 0, 2)),
    *_modes("full-reach", ("N", 2, 4), _i(0, 0, 3, 0, 0, 3)),
    *_modes("cropping", ("N", 2, 6), _i(0, 0, -2, 0, 0, 3)),
    *_modes("axes", ("N", 2, 4), _i(1, 2), None, _i(-1), opset=18),
    *_modes("channels", ("N", 3, 4), _i(0, 1, 0, 0, 2, 0)),
    *_modes("computed", ("N", 2, 4), fed(_i(0, 0, 1, 0, 0, 2))),
    *_modes("dynamic-size", ("N", 2, 4, 5), _i(0, 0, 1, 2, 0, 0, 3, 0), dynamic=True),
    *_modes("computed-dynamic-size", ("N", 2, 4, 5), fed(_i(0, 0, 1, 2, 0, 0, 3, 0)), dynamic=True),
    _pad("edge-beyond-the-size", ("N", 2, 3), _i(0, 0, 5, 0, 0, 7), mode="edge"),
    _pad("edge-single-element", ("N", 2, 1), _i(0, 0, 2, 0, 0, 3), mode="edge"),
    _crop_pad("crop", _i(3, 4), axes=[2, 3]),
    _crop_pad("crop-odd", _i(4), axes=[3]),
    _crop_pad("pad-odd", _i(7, 12), axes=[-2, -1]),
    _crop_pad("both", _i(2, 5, 4), axes=[1, 2, 3]),
    OpCase("CenterCropPad-all-axes", "CenterCropPad", [Input((4, 5, 2)), _i(3, 8, 2)], opset=18),
    OpCase("CenterCropPad-computed", "CenterCropPad", [Input(("N", 4, 5)), fed(_i(3, 8))], {"axes": [1, 2]}, opset=18),
    OpCase(
        "CenterCropPad-dynamic-size",
        "CenterCropPad",
        [Input(("N", 2, 4, 5)), _i(6, 3)],
        {"axes": [2, 3]},
        opset=18,
        dynamic=True,
    ),
]
