"""Rows for operators that put elements at indices."""

from typing import Any

import numpy as np

from exporter.op_cases.case import Fed, Input, OpCase, distinct, fed

_rng = np.random.default_rng(17)


def _permuted(rows: int, columns: int, high: int) -> np.ndarray:
    """Indices [rows, columns] below `high`, none twice in a column."""
    return np.stack([_rng.permutation(high)[:rows] for _ in range(columns)], axis=1)


def _elements(name: str, indices: Any, *, opset: int = 16, **attributes: Any) -> OpCase:
    inputs = [Input((5, 4)), indices, Input((3, 4))]
    return OpCase(f"ScatterElements-{name}", "ScatterElements", inputs, {"axis": 0, **attributes}, opset=opset)


def _nd(name: str, indices: Any, updates: tuple[int, ...], *, opset: int = 16, **attributes: Any) -> OpCase:
    inputs = [Input((4, 5, 2)), indices, Input(updates)]
    return OpCase(f"ScatterND-{name}", "ScatterND", inputs, attributes, opset=opset)


def _top_k(name: str, shape: tuple[int | str, ...], k: Any, **options: Any) -> OpCase:
    attributes = {key: options.pop(key) for key in ("axis", "largest", "sorted") if key in options}
    return OpCase(f"TopK-{name}", "TopK", [Input(shape, distinct), k], attributes, outputs=2, **options)


def _one_hot(name: str, indices: Any, **attributes: Any) -> OpCase:
    return OpCase(f"OneHot-{name}", "OneHot", [indices, np.array(4), Input((2,))], attributes)


_two = np.array([2])

CASES = [
    _elements("write", _permuted(3, 4, 5)),
    _elements("write-opset-13", _permuted(3, 4, 5), opset=13),
    _elements("write-negative", _permuted(3, 4, 5) - 5),
    _elements("write-computed", fed(_permuted(3, 4, 5))),
    _elements("add", _rng.integers(-5, 5, (3, 4)), reduction="add"),
    _elements("add-computed", fed(_rng.integers(-5, 5, (3, 4))), reduction="add", opset=18),
    OpCase(
        "ScatterElements-axis-1-constant-data",
        "ScatterElements",
        [np.zeros((3, 6)), np.array([[1, 4], [0, 2], [5, 3]]), Input((3, 2))],
        {"axis": -1},
    ),
    OpCase(
        "ScatterElements-constant-updates",
        "ScatterElements",
        [
            Input(("N", 6)),
            Fed(lambda batch, _: np.tile([[1, 4]], (batch, 1))),
            Fed(lambda batch, _: np.ones((batch, 2))),
        ],
        {"axis": 1},
    ),
    _nd("write-elements", np.array([[0, 1, 1], [3, 4, 0]]), (2,)),
    _nd("write-rows", np.array([[0, 1], [3, -1], [2, 2]]), (3, 2)),
    _nd("write-planes-opset-13", np.array([[2], [0]]), (2, 5, 2), opset=13),
    _nd("write-computed", fed(np.array([[[0, 1]], [[3, 4]]])), (2, 1, 2)),
    _nd("add-rows", np.array([[0, 1], [3, 4], [0, 1]]), (3, 2), reduction="add"),
    _nd("add-computed", fed(np.array([[0, 1], [3, 4], [0, 1]])), (3, 2), reduction="add", opset=18),
    _top_k("last-axis", ("N", 3, 6), _two),
    _top_k("axis-1-smallest", ("N", 6, 3), _two, axis=1, largest=0),
    _top_k("unsorted", ("N", 6), np.array([3]), sorted=0, without_onnxruntime="Each runtime has an order of its own."),
    _top_k("computed-k", ("N", 6), fed(_two)),
    _top_k("dynamic-size", ("N", 2, 6, 5), np.array([3]), axis=2, dynamic=True),
    _top_k("opset-13", ("N", 6), np.array([1]), opset=13),
    _one_hot("values", np.array([[0, 3, -1], [2, 1, 9]])),
    _one_hot("values-axis-1", fed(np.array([[0, 3], [2, 1]])), axis=1),
]
