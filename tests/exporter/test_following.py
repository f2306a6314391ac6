"""The place of every element after one operator, against the operator itself run on the coordinates of its input.

An operator that only moves or averages elements turns a tensor of coordinates into the coordinates of its output.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from camgraph_exporter.reading.axis import HEIGHT, WIDTH, Axes
from camgraph_exporter.reading.placement.elements import WAYS, Elements
from camgraph_exporter.reading.placement.follow import follow
from camgraph_exporter.reading.placement.located import Located
from exporter.op_cases import ALL_CASES
from exporter.op_cases.case import Input, OpCase
from exporter.vjp_harness import Arrays, draw, forward, forward_model

# They take elements as they are, or their plain mean, wherever nothing is padded.
_MOVERS = {
    "Identity", "Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Slice", "Split", "Gather", "GatherElements",
    "GatherND", "Expand", "ReverseSequence", "SpaceToDepth", "GlobalAveragePool", "ReduceMean", "CenterCropPad",
}  # fmt: skip  # a table, in rows of its own
CASES = [case for case in ALL_CASES if isinstance(case.inputs[0], Input) and len(case.inputs[0].shape) >= 2]


def _followed(case: OpCase) -> tuple[list[Located | None], Arrays, list[np.ndarray]]:
    """Return where the tracker lays each output, the inputs that were drawn, and the outputs."""
    feeds = draw(case, 2)
    outputs = forward(case, feeds)
    graph = ir.from_proto(forward_model(case, np.float32)).graph
    node = next(iter(graph))
    for value, array in zip(node.outputs, outputs, strict=False):
        value.shape = ir.Shape(array.shape)
    for value in graph.inputs:
        value.shape = ir.Shape(feeds[str(value.name)].shape)
    image = next(value for value in graph.inputs if value.name == "x0")
    constants = {name: array for name, array in feeds.items() if name != "x0" and array.dtype.kind in "iu"}
    places = follow([node], image, _axes(feeds["x0"].ndim), feeds["x0"].shape, {}, constants)
    return [places.get(value) for value in node.outputs], feeds, outputs


def _axes(rank: int) -> Axes:
    return (None,) * (rank - 2) + (HEIGHT, WIDTH)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_every_operator_is_followed_or_said_to_be_lost(case: OpCase) -> None:
    places, _, outputs = _followed(case)
    for place, output in zip(places, outputs, strict=False):
        assert place is not None
        assert len(place.axes) == output.ndim
        for axis, size in zip(place.axes, output.shape, strict=True):
            assert not isinstance(axis, Elements) or axis.offsets.shape == (size, WAYS)


@pytest.mark.parametrize("case", [case for case in CASES if case.op_type in _MOVERS], ids=lambda case: case.id)
def test_what_moves_elements_moves_their_coordinates(case: OpCase) -> None:
    places, feeds, _ = _followed(case)
    if any(place is None or place.lost() is not None for place in places):
        pytest.skip("what moves is only known with the image")
    for direction in (0, 1):
        shape = [1] * feeds["x0"].ndim
        shape[direction - 2] = -1
        ways = np.arange(feeds["x0"].shape[direction - 2]).reshape(shape) + 0.5
        coordinates = np.broadcast_to(ways, feeds["x0"].shape)
        for place, expected in zip(places, forward(case, {**feeds, "x0": coordinates.copy()}), strict=False):
            assert place is not None
            inside = expected > 0  # a padding of zeros shows no place
            np.testing.assert_allclose(_tensor(place, direction)[inside], expected[inside], rtol=0, atol=1e-6)


def _tensor(place: Located, direction: int) -> np.ndarray:
    """Return the sum over the axes, as a tensor."""
    total = np.asarray(place.origin[direction])
    for axis in place.axes:
        assert isinstance(axis, Elements)
        total = total[..., None] + axis.offsets[:, direction]
    return total


@pytest.mark.parametrize(
    ("operator", "inputs"),
    [
        ("MatMul", "x w"),
        ("MatMulInteger", "x w zero_x zero_w"),
        ("QLinearMatMul", "x scale zero_x w scale zero_w scale zero_y"),
    ],
)
def test_a_product_keeps_rows_and_mixes_columns_whatever_numbers_its_integers_stand_for(
    operator: str, inputs: str
) -> None:
    """With a zero point of 128 no integer is negative, but every other number is: that is not an average."""
    values = {name: ir.Value(name=name) for name in inputs.split()}
    values["x"].shape = ir.Shape([6, 4])
    values["w"].shape = ir.Shape([4, 3])
    node = ir.node(operator, [values[name] for name in inputs.split()])
    node.outputs[0].shape = ir.Shape([6, 3])
    integers = np.arange(118, 142, 2).reshape(4, 3)
    weights = integers - 128.0 if operator == "MatMul" else integers.astype(np.uint8)
    places = follow([node], values["x"], _axes(2), (6, 4), {}, {"w": weights})
    rows, columns = places[node.outputs[0]].axes
    assert isinstance(rows, Elements)
    np.testing.assert_array_equal(rows.offsets[:, 0], np.arange(6))
    assert not isinstance(columns, Elements)
