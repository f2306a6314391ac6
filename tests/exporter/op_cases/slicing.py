"""Rows for operators that cut tensors and join the parts."""

from typing import Any

import numpy as np

from exporter.op_cases.case import Fed, Input, OpCase, fed


def _i(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.int64)


def _slice(name: str, shape: tuple[int | str, ...], *bounds: Any, **options: Any) -> OpCase:
    return OpCase(f"Slice-{name}", "Slice", [Input(shape), *bounds], **options)


def _concat(name: str, axis: int, *shapes: tuple[int | str, ...], **options: Any) -> OpCase:
    return OpCase(f"Concat-{name}", "Concat", [Input(shape) for shape in shapes], {"axis": axis}, **options)


def _split(name: str, sizes: Any, outputs: int, used: tuple[int, ...], **options: Any) -> OpCase:
    shape = options.pop("shape", ("N", 6, 2))
    inputs = [Input(shape)] if sizes is None else [Input(shape), sizes]
    attributes = {"axis": 1, **options.pop("attributes", {})}
    return OpCase(f"Split-{name}", "Split", inputs, attributes, outputs=outputs, used=used, **options)


CASES = [
    _concat("channels", 1, ("N", 3, 4), ("N", 2, 4), ("N", 1, 4)),
    _concat("negative-axis", -1, ("N", 3, 4), ("N", 3, 2)),
    _concat("one", 1, ("N", 3, 4)),
    _concat("batch", 0, ("N", 3, 4), (2, 3, 4)),
    _concat("dynamic-size-channels", 1, ("N", 3, 4, 5), ("N", 2, 4, 5), dynamic=True),
    _concat("dynamic-size-space", 2, ("N", 3, 4, 5), ("N", 3, 2, 5), dynamic=True),
    OpCase(
        "Concat-with-constant",
        "Concat",
        [np.ones((2, 3)), Input((4, 3)), np.ones((1, 3)), Input((1, 3))],
        {"axis": 0},
    ),
    _split("sizes", _i(1, 2, 3), 3, (0, 1, 2)),
    _split("one-used", _i(1, 2, 3), 3, (1,)),
    _split("gap", _i(1, 2, 3), 3, (0, 2)),
    _split("last-two", _i(1, 2, 3), 3, (1, 2)),
    _split("even", None, 2, (0, 1), opset=13),
    _split("num-outputs", None, 3, (0, 1, 2), opset=18, attributes={"num_outputs": 3}),
    _split("num-outputs-uneven", None, 4, (0, 1, 3), opset=18, attributes={"num_outputs": 4}, shape=("N", 7, 2)),
    _split("negative-axis", _i(1, 2), 2, (0, 1), attributes={"axis": -1}, shape=("N", 2, 3)),
    _split("computed-sizes", fed(_i(4, 2)), 2, (0, 1)),
    _split("computed-sizes-one-used", fed(_i(4, 2)), 2, (1,)),
    _split("dynamic-size", _i(2, 4), 2, (0, 1), shape=("N", 6, 4, 5), dynamic=True),
    _split(
        "dynamic-size-space",
        Fed(lambda _, growth: _i(1, 3 + growth)),
        2,
        (1,),
        shape=("N", 6, 4, 5),
        dynamic=True,
        attributes={"axis": 2},
    ),
    _slice("middle", ("N", 6, 5), _i(1, 2), _i(4, 5), _i(1, 2)),
    _slice("negative-bounds", ("N", 6, 5), _i(-4), _i(-1), _i(1)),
    _slice("step-2", ("N", 6, 7), _i(0, 1), _i(6, 7), _i(1, 2), _i(2, 3)),
    _slice("beyond-the-end", ("N", 6, 5), _i(2), _i(2**40), _i(-1)),
    _slice("before-the-start", ("N", 6, 5), _i(-100), _i(3), _i(1)),
    _slice("reversed", ("N", 6, 5), _i(-1), _i(-(2**40)), _i(1), _i(-1)),
    _slice("reversed-step-2", ("N", 7, 5), _i(5), _i(0), _i(1), _i(-2)),
    _slice("reversed-from-beyond", ("N", 7, 5), _i(100), _i(1), _i(1), _i(-3)),
    _slice("step-2-on-space", ("N", 3, 6, 7), _i(0, 0), _i(2**40, 2**40), _i(2, 3), _i(2, 2)),
    _slice("step-2-from-1", ("N", 3, 6, 8), _i(1, 1), _i(2**40, 2**40), _i(2, 3), _i(2, 2)),
    _slice("all-axes", (4, 6, 5), _i(0, 1, 0), _i(3, 4, 5)),
    _slice("int32", ("N", 6, 5), *(np.array([k], dtype=np.int32) for k in (1, 4, 1, 2))),
    _slice("class-token", ("N", 5, 6), _i(0), _i(1), _i(1)),
    _slice("all-but-the-class-token", ("N", 5, 6), _i(1), _i(2**62), _i(1)),
    _slice("computed-start", ("N", 6, 5), fed(_i(-4)), fed(_i(-1)), _i(1)),
    _slice("computed-bounds-step-2", ("N", 6, 7), fed(_i(1, 2)), fed(_i(5, 7)), _i(1, 2), _i(2, 3)),
    _slice("computed-bounds-reversed", ("N", 6, 7), fed(_i(5)), fed(_i(1)), _i(1), _i(-2)),
    _slice("dynamic-size", ("N", 3, 6, 7), _i(1, -3), _i(-1, 2**40), _i(2, 3), dynamic=True),
    _slice("dynamic-size-step-2", ("N", 3, 6, 7), _i(1, 0), _i(2**40, 2**40), _i(2, 3), _i(2, 2), dynamic=True),
    _slice("dynamic-size-reversed", ("N", 3, 6, 7), _i(-1), _i(-(2**40)), _i(2), _i(-1), dynamic=True),
    _slice(
        "computed-half-dynamic-size",
        ("N", 3, 6, 7),
        Fed(lambda _, growth: _i((6 + growth) // 2)),
        _i(2**40),
        _i(2),
        dynamic=True,
    ),
]
