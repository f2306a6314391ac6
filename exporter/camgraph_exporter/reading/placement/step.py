"""One node, as it is read to tell where its output lies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.reading.node_reading import NodeReading
from camgraph_exporter.reading.placement.elements import WAYS, Array, Elements, LocatedAxis, Lost
from camgraph_exporter.reading.placement.located import Located

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Step(NodeReading):
    """One node with the places of the values before it.

    `sizes`: what each symbol of a shape stands for in the run that is followed. `image_shape`: the image's shape there,
    whose symbols are the file's own.
    """

    known: Mapping[ir.Value, Located]
    sizes: Mapping[str, int]
    image: ir.Value
    image_shape: Shape

    def place(self, index: int) -> Located | None:
        """Return where an input lies; None for one that does not come from the image."""
        value = self.input(index)
        return self.known.get(value) if value is not None else None

    def shape(self, index: int) -> Shape:
        """Return the shape of an input."""
        value = self.input(index)
        if value is self.image:
            return self.image_shape
        shape = shape_of(value, self.sizes) if value is not None else None
        return shape if shape is not None else ()

    def out(self, index: int = 0) -> Shape:
        """Return the shape of an output, which is known: others are not followed."""
        return shape_of(self.node.outputs[index], self.sizes) or ()

    @property
    def title(self) -> str:
        """Return the node for a sentence: `node 'x' (TopK)`."""
        return f"node {self.node.name or self.node.outputs[0].name!r} ({self.node.op_type})"

    def lost(self, what: str) -> Lost:
        """Return an axis that cannot be followed past this node, which does `what`."""
        return Lost(f"{self.title} {what}")

    def all_lost(self, index: int, what: str, origin: Array | None = None) -> Located:
        """Return an output of which no axis can be followed."""
        return Located(np.zeros(WAYS) if origin is None else origin, (self.lost(what),) * len(self.out(index)))


def shape_of(value: ir.Value, sizes: Mapping[str, int]) -> Shape | None:
    """Return the shape of a value in one run, or None where a size of it is not known."""
    if value.shape is None:
        return None
    dims = [dim if isinstance(dim, int) else sizes.get(dim) for dim in dims_of(value)]
    numbers = tuple(dim for dim in dims if dim is not None)
    return numbers if len(numbers) == len(dims) else None


Reader = Callable[[Step, int], Located]

MAY_MOVE = "may move them in a way that could not be followed"


def moved(step: Step, axis: LocatedAxis, new: Elements | None, what: str = MAY_MOVE) -> LocatedAxis:
    """Return an axis after a node: as it was if it is lost already, else the new elements, or lost now."""
    if isinstance(axis, Lost):
        return axis
    return new if new is not None else step.lost(what)
