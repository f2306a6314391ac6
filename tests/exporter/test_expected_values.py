"""Probabilities that are multiplied by numbers and summed: an expected age is a quantity, a mean of members is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter import export
from camgraph_runtime.run.engine import Engine
from support.exporting import images, in_memory
from support.nets import CLASSES, Net, trunk

_YEARS = np.arange(CLASSES, dtype=np.float32) * 20
_GROUPS = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [0, 1]], np.float32)
_CONFUSED = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.1, 0.9], [0.5, 0.5]], np.float32)
End = Callable[[Net, str], str]


def _times_and_sum(net: Net, p: str) -> str:
    return net.node("ReduceSum", net.node("Mul", p, net.weight(_YEARS)), net.ints(1), keepdims=0, name="out")


def _times_and_sum_kept(net: Net, p: str) -> str:
    return net.node("ReduceSum", net.node("Mul", p, net.weight(_YEARS)), net.ints(1), keepdims=1, name="out")


def _product(matrix: np.ndarray) -> End:
    return lambda net, p: net.node("MatMul", p, net.weight(matrix.astype(np.float32)), name="out")


def _sum_of_all(net: Net, p: str) -> str:
    return net.node("ReduceSum", p, net.ints(1), keepdims=1, name="out")


def _model(head: str, end: End, shape: tuple[int | str, ...]) -> onnx.ModelProto:
    net = Net(seed=5)
    logits = net.pooled_head(trunk(net, net.image()), 16, CLASSES)
    p = net.node("Softmax", logits, axis=1) if head == "softmax" else net.node("Sigmoid", logits)
    return net.model(end(net, p), shapes={"out": shape})


@pytest.mark.parametrize(
    ("head", "end", "shape"),
    [
        ("softmax", _times_and_sum, ("N",)),
        ("softmax", _times_and_sum_kept, ("N", 1)),
        ("softmax", _product(_YEARS), ("N",)),
        ("softmax", _product(_YEARS[:, None]), ("N", 1)),
        ("softmax", _product(_YEARS[:, None] / _YEARS.max()), ("N", 1)),  # a place in 0..1
        ("softmax", _product(np.array([[1], [-1], [0], [0], [0]])), ("N", 1)),  # a margin
        ("softmax", _product(np.stack([_YEARS, _YEARS[::-1] ** 2], 1)), ("N", 2)),
        ("sigmoid", _sum_of_all, ("N", 1)),  # how many thresholds a rank is above
    ],
)
def test_an_expected_value_is_a_quantity(tmp_path: Path, head: str, end: End, shape: tuple[int | str, ...]) -> None:
    onnx.save(_model(head, end, shape), tmp_path / "source.onnx")
    made = export(tmp_path / "source.onnx", tmp_path / "cam.onnx")
    manifest = made.manifest
    assert (manifest.task, manifest.head.kind) == (pb.TASK_REGRESSION, pb.HEAD_KIND_NONE)
    assert manifest.head.score_tensor == "out"
    assert any("a quantity and not a probability" in note for note in manifest.notes)
    found = Engine(tmp_path / "cam.onnx").run({"image": images((2, 3, 16, 16)), "target": np.array([[1]] * 2)})
    np.testing.assert_array_equal(found["target_score"][:, 0], found["out"].reshape(2, -1)[:, -1])


@pytest.mark.parametrize(
    ("head", "end", "classes"),
    [
        ("softmax", _product(_GROUPS), 2),  # each group's classes are summed
        ("softmax", _product(_CONFUSED), 2),  # each class is shared out
        ("softmax", _product(_GROUPS[:, :1]), 2),  # a single number: one group against the rest
        ("sigmoid", _product(np.full((CLASSES, 1), 1 / CLASSES)), 2),
    ],
)
def test_what_is_a_probability_again_stays_one(tmp_path: Path, head: str, end: End, classes: int) -> None:
    manifest = in_memory(_model(head, end, ("N", "C")), tmp_path).manifest
    assert (manifest.task, manifest.head.kind) == (pb.TASK_CLASSIFICATION, pb.HEAD_KIND_PROBABILITY)
    assert manifest.head.num_classes == classes
