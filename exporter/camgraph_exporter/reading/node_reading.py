"""Attributes and constant inputs of a node, as the readers of a graph want them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from camgraph_exporter.graph.constants import Constants, elements_of


@dataclass(frozen=True)
class NodeReading:
    """One node, and the values that do not depend on the image, by name."""

    node: ir.Node
    constants: Constants

    def attribute(self, name: str, default: object = None) -> object:
        """Return an attribute's value, or the default."""
        attribute = self.node.attributes.get(name)
        return default if attribute is None else attribute.value

    def number(self, name: str, default: int) -> int:
        """Return an integer attribute."""
        value = self.attribute(name, default)
        assert isinstance(value, int)
        return value

    def text(self, name: str, default: str) -> str:
        """Return a text attribute."""
        return str(self.attribute(name, default))

    def numbers(self, name: str) -> list[int] | None:
        """Return an attribute of integers, or None where it is absent."""
        value = self.attribute(name)
        return [int(i) for i in value] if isinstance(value, Sequence) else None

    def ints(self, name: str, index: int) -> list[int] | None:
        """Return integers that are an attribute in old opsets and a constant input in new ones."""
        given = self.numbers(name)
        if given is not None:
            return given
        array = self.constant(index)
        return None if array is None else [int(i) for i in np.atleast_1d(array)]

    def input(self, index: int) -> ir.Value | None:
        """Return an input, or None where it was left out."""
        return self.node.inputs[index] if index < len(self.node.inputs) else None

    def constant(self, index: int) -> np.ndarray | None:
        """Return an input's elements, or None where they depend on the image or the input was left out."""
        return elements_of(self.input(index), self.constants)
