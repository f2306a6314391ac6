"""Attributes of a node by their type, with the operator's defaults."""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir
import pytest

from camgraph_exporter.graph.emitter import Emitter
from camgraph_exporter.graph.node import NodeView


def view(**attributes: object) -> NodeView:
    node = ir.node("Conv", [ir.Value(name="x")], attributes, name="node")  # type: ignore[arg-type]  # any attribute
    return NodeView(node, Emitter(ir.Graph([], [], nodes=[], opset_imports={"": 17})))


@pytest.mark.parametrize(
    ("attributes", "read", "found"),
    [
        ({"a": 3}, lambda node: node.attr_int("a", 1), 3),
        ({"a": 0}, lambda node: node.attr_int("a", 1), 0),
        ({}, lambda node: node.attr_int("a", 1), 1),
        ({"a": 0.5}, lambda node: node.attr_float("a", 1.0), 0.5),
        ({}, lambda node: node.attr_float("a", 1), 1.0),
        ({"a": "linear"}, lambda node: node.attr_text("a", "cubic"), "linear"),
        ({"a": 1}, lambda node: node.attr_flag("a"), True),
        ({"a": 0}, lambda node: node.attr_flag("a", default=True), False),
        ({}, lambda node: node.attr_flag("a"), False),
        ({"a": [2, 3]}, lambda node: node.attr_ints("a", [1, 1]), [2, 3]),
        ({}, lambda node: node.attr_ints("a", [1, 1]), [1, 1]),
        ({}, lambda node: node.attr_ints("a", []), []),
        ({"a": [0.5]}, lambda node: node.attr_floats("a", [1.0]), [0.5]),
        ({}, lambda node: node.attr_floats("a", [1.0]), [1.0]),
    ],
)
def test_an_attribute_has_its_type(
    attributes: dict[str, object], read: Callable[[NodeView], object], found: object
) -> None:
    value = read(view(**attributes))
    assert value == found
    assert type(value) is type(found)


@pytest.mark.parametrize("read", ["attr_int", "attr_float", "attr_text", "attr_ints", "attr_floats"])
def test_an_attribute_without_a_default_must_be_there(read: str) -> None:
    with pytest.raises(ValueError, match="Conv node 'node' lacks its attribute group"):
        getattr(view(), read)("group")
