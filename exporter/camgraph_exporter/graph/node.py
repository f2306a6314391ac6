"""A node of the source graph as a vjp rule sees it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from camgraph_exporter.graph.dims import Dims, dims_of
from camgraph_exporter.graph.emitter import Emitter


class NodeView:
    """Read access to one node: its inputs and outputs, attributes with defaults, inputs that are constant.

    `needed` holds the values whose cotangent the driver wants; `needs(i)` spares a rule the others.
    """

    def __init__(self, node: ir.Node, emitter: Emitter, needed: Collection[ir.Value] = ()) -> None:
        self.node = node
        self._emitter = emitter
        self._needed = needed

    @property
    def op_type(self) -> str:
        """The operator, for example "Conv"."""
        return self.node.op_type

    @property
    def name(self) -> str:
        """The node's name, or that of its first output where it has none."""
        return self.node.name or str(self.node.outputs[0].name)

    @property
    def opset(self) -> int:
        """The version of ai.onnx that says what the node means."""
        return self._emitter.opset

    @property
    def x(self) -> ir.Value:
        """The first input."""
        return self.input(0)

    @property
    def y(self) -> ir.Value:
        """The first output."""
        return self.output(0)

    def input(self, index: int) -> ir.Value:
        """Return an input that the operator requires."""
        value = self.optional(index)
        if value is None:
            raise ValueError(f"{self.op_type} node {self.name!r} lacks its input {index}.")
        return value

    def optional(self, index: int) -> ir.Value | None:
        """Return an input, or None where it was left out."""
        value = self.source(index)
        return self._emitter.residual(value) if value is not None else None

    def source(self, index: int) -> ir.Value | None:
        """Return the source's own value of an input, which `input` may give in another form; None if left out."""
        return self.node.inputs[index] if index < len(self.node.inputs) else None

    def output(self, index: int) -> ir.Value:
        """Return an output."""
        return self._emitter.residual(self.node.outputs[index])

    @property
    def num_inputs(self) -> int:
        """Number of inputs, the left-out ones in the middle included."""
        return len(self.node.inputs)

    def needs(self, index: int) -> bool:
        """Tell whether the cotangent of this input is wanted."""
        value = self.source(index)
        return value is not None and value in self._needed

    def attr(self, name: str) -> Any:
        """Return an attribute as the node has it, to be handed on; None where it has none."""
        attribute = self.node.attributes.get(name)
        return None if attribute is None else attribute.value

    def attr_int(self, name: str, default: int | None = None) -> int:
        """Return an integer attribute, or the operator's default, which the rule states."""
        return int(self._given(name, default))

    def attr_float(self, name: str, default: float | None = None) -> float:
        """Return a real attribute, or the operator's default, which the rule states."""
        return float(self._given(name, default))

    def attr_text(self, name: str, default: str | None = None) -> str:
        """Return a text attribute, or the operator's default, which the rule states."""
        return str(self._given(name, default))

    def attr_flag(self, name: str, *, default: bool = False) -> bool:
        """Return an attribute that is 0 or 1, or the operator's default."""
        return bool(self._given(name, default))

    def attr_ints(self, name: str, default: Sequence[int] | None = None) -> list[int]:
        """Return an attribute of several integers, or the operator's default where it is absent or empty."""
        return [int(i) for i in self._given(name, default) or default or ()]

    def attr_floats(self, name: str, default: Sequence[float] | None = None) -> list[float]:
        """Return an attribute of several real numbers, or the operator's default where it is absent or empty."""
        return [float(number) for number in self._given(name, default) or default or ()]

    def _given(self, name: str, default: Any) -> Any:
        given = self.attr(name)
        if given is None and default is None:
            raise ValueError(f"{self.op_type} node {self.name!r} lacks its attribute {name}.")
        return default if given is None else given

    def const(self, index: int) -> np.ndarray[Any, Any] | None:
        """Return the elements of an input that is the same in every run, else None."""
        return self._emitter.known(self.source(index))

    def ints(self, name: str, index: int) -> list[int] | None:
        """Return integers that older opsets give as attribute `name` and newer ones as constant input `index`."""
        attribute = self.attr(name)
        if attribute is not None:
            return [int(i) for i in (attribute if isinstance(attribute, list | tuple) else [attribute])]
        known = self.const(index)
        return None if known is None else [int(i) for i in np.atleast_1d(known)]

    @property
    def rank(self) -> int:
        """Rank of the first input."""
        return len(self.dims(self.x))

    @staticmethod
    def dims(value: ir.Value) -> Dims:
        """Return a value's dimensions: numbers where they are known, symbols where not."""
        return dims_of(value)
