"""Rows for operators that pick elements by index."""

from typing import Any

import numpy as np

from exporter.op_cases.case import Fed, Input, OpCase, fed


def _i(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.int64)


def _gather(name: str, shape: tuple[int | str, ...], indices: Any, axis: int, **options: Any) -> OpCase:
    return OpCase(f"Gather-{name}", "Gather", [Input(shape), indices], {"axis": axis}, **options)


def _elements(name: str, shape: tuple[int | str, ...], indices: Any, axis: int, **options: Any) -> OpCase:
    inputs = [Input(shape), indices]
    return OpCase(f"GatherElements-{name}", "GatherElements", inputs, {"axis": axis}, opset=17, **options)


def _nd(name: str, shape: tuple[int | str, ...], indices: Any, batch_dims: int = 0, **options: Any) -> OpCase:
    inputs = [Input(shape), indices]
    return OpCase(f"GatherND-{name}", "GatherND", inputs, {"batch_dims": batch_dims}, **options)


def _compress(name: str, shape: tuple[int | str, ...], pattern: str, **attributes: Any) -> OpCase:
    condition = np.array([letter == "1" for letter in pattern])
    return OpCase(f"Compress-{name}", "Compress", [Input(shape), condition], attributes)


def _per_sample(high: int, *shape: int) -> Fed:
    """Indices from -high to high - 1 that differ between the samples of a batch."""
    return Fed(lambda batch, _: np.random.default_rng(3).integers(-high, high, (batch, *shape)))


CASES = [
    _gather("class-token", ("N", 5, 6), np.array(0), 1),
    _gather("last", ("N", 5, 6), np.array(-1), 1),
    _gather("scalar-int32", ("N", 5, 6), np.array(3, dtype=np.int32), 2),
    _gather("one", ("N", 5, 6), _i(2), 1),
    _gather("run", ("N", 5, 6), _i(1, 2, 3), 1),
    _gather("negative-run", ("N", 5, 6), _i(-3, -2), 1),
    _gather("all", ("N", 5, 6), _i(0, 1, 2, 3, 4), 1),
    _gather("permutation", ("N", 5, 6), _i(3, 0, 4, 2, 1), 1),
    _gather("some", ("N", 5, 6), _i(4, -4, 2), 1),
    _gather("repeated", ("N", 5, 6), _i(1, 4, 1, -1, 1), 1),
    _gather("twice-from-both-ends", ("N", 5, 6), _i(4, -1, 0), 1),
    _gather("repeated-last-axis", ("N", 5, 6), _i(1, 4, 1, 0), -1),
    _gather("repeated-middle-axis", ("N", 3, 5, 2, 2), _i(1, 4, 1, 0), 2),
    _gather("matrix-of-indices", ("N", 5, 6), np.array([[3, 0, 1], [4, 2, 2]]), 1),
    _gather("matrix-of-indices-run", ("N", 6, 2), np.arange(6).reshape(2, 3), 1),
    _gather("matrix-of-indices-middle", ("N", 2, 5, 3), np.array([[3, 0], [4, 2]]), 2),
    _gather("axis-0", (5, 6), _i(3, 1, 3), 0),
    _gather("computed", ("N", 5, 6), fed(_i(3, 1, 3, -1)), 1),
    _gather("computed-scalar", ("N", 5, 6), fed(np.array(3)), 1),
    _gather("computed-matrix", ("N", 5, 6), fed(np.array([[3, 0, 1], [4, 2, -2]], dtype=np.int32)), 1),
    _gather("computed-for-each-sample", (7, 6), _per_sample(7, 2), 0),
    _gather("dynamic-size-class-token", ("N", 2, 4, 5), np.array(0), 2, dynamic=True),
    _gather("dynamic-size-last", ("N", 2, 4, 5), np.array(-1), 3, dynamic=True),
    _gather("dynamic-size-some", ("N", 2, 4, 5), _i(2, -1, 2), 2, dynamic=True),
    _gather("dynamic-size-around-the-end", ("N", 2, 4, 5), _i(-1, 0), 2, dynamic=True),
    _gather("dynamic-size-computed", ("N", 2, 4, 5), fed(_i(2, -1)), 3, dynamic=True),
    _gather("dynamic-size-channels", ("N", 6, 4, 5), _i(5, 0, 3), 1, dynamic=True),
    _gather("many-repeats", (300, 2), np.arange(600) // 3, 0),
    _gather("opset-13", ("N", 5, 6), _i(1, 4, 1), 1, opset=13),
    _elements("constant", (3, 4, 5), np.random.default_rng(1).integers(-4, 4, (3, 2, 5)), 1),
    _elements("smaller", (3, 4, 5), np.random.default_rng(1).integers(-5, 5, (2, 3, 7)), -1),
    _elements("computed", ("N", 4, 5), _per_sample(4, 3, 5), 1),
    _elements("computed-int32", (2, 4, 3), fed(np.random.default_rng(1).integers(0, 4, (2, 6, 3)).astype(np.int32)), 1),
    _nd("elements", (3, 4, 5), np.array([[0, 1, 2], [2, 3, 4], [0, 1, 2]])),
    _nd("rows", (3, 4, 5), np.array([[0, 1], [2, -1], [0, 1]])),
    _nd("distinct-rows", (3, 4, 5), np.array([[0, 1], [2, -1]])),
    _nd("computed", (3, 4, 5), fed(np.array([[[0, 1], [2, 3]], [[0, 1], [0, 0]]]))),
    _nd("batch", ("N", 4, 5, 2), _per_sample(4, 3, 1), batch_dims=1),
    _nd("batch-elements", ("N", 4, 5), _per_sample(4, 3, 2), batch_dims=1),
    _nd("two-batch-axes", ("N", 2, 5, 3), _per_sample(5, 2, 3, 1), batch_dims=2),
    _compress("channels", ("N", 5, 3), "10110", axis=1),
    _compress("run", ("N", 5, 3), "01100", axis=1),
    _compress("short-condition", ("N", 5, 3), "101", axis=-2),
    _compress("flat", (2, 3, 2), "100101000011"),
]
