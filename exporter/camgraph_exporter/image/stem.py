"""What happens to each pixel alone before the first operator that looks at several: scale and offset per channel.

Preprocessing is written into graphs in many ways: as arithmetic with constants, as a batch normalisation, channel by
channel with a Concat at the end. So the nodes are not read but run, on images that are one in one channel and zero in
the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import onnx_ir as ir

from camgraph_core.errors import CamgraphError
from camgraph_exporter.graph.constants import elements_of
from camgraph_exporter.graph.traits import Trait, has
from camgraph_exporter.graph.walk import reads
from camgraph_exporter.image.layout import channel_axis
from camgraph_exporter.running.engine import engine_with_outputs
from camgraph_exporter.running.probe import Probe
from camgraph_runtime.run.engine import Engine

# These scale and shift each element by itself, move elements about, or read between them.
_PIXELWISE = Trait.AFFINE | Trait.CLAMPS | Trait.COPIES | Trait.MOVES | Trait.PADS | Trait.RESAMPLES | Trait.DEQUANTISES
_IR_VERSION = 10
_SAMPLE = 1 << 16  # elements to look at
_AGREE = 1e-3
_MOST = 0.6  # of the elements of a channel; the rest may be padding that was scaled too


@dataclass(frozen=True)
class Affine:
    """What a graph makes of a pixel x first: scale * x + offset, per channel in the image's own order.

    `is_even`: the offset is the same for all pixels; if not, as where a mean image is subtracted, it is their mean.
    """

    scale: tuple[float, ...]
    offset: tuple[float, ...]
    is_even: bool = True

    @property
    def is_identity(self) -> bool:
        """Tell whether pixels pass unchanged."""
        return np.allclose(self.scale, 1, atol=1e-6) and np.allclose(self.offset, 0, atol=1e-6)


def first_arithmetic(image: ir.Value, known: Probe) -> Affine | None:
    """Return what the graph does to each pixel first; None where that is not a scale and an offset per channel.

    Args:
        image: the image input of a prepared model.
        known: what the probe showed, for sizes.

    """
    graph = image.graph
    assert isinstance(graph, ir.Graph)
    end = _end_of_stem(graph, image)
    if end is None or end is image:
        return None
    try:
        stem = _Stem.of(image, end, known)
        zero = stem.run(None)
        sample = np.random.default_rng(0).permutation(zero.size)[:_SAMPLE]
        changes = np.stack([stem.run(channel)[sample] - zero[sample] for channel in range(stem.channels)])
    except CamgraphError:  # an operator that does not run alone tells nothing
        return None
    return _affine(zero[sample], changes)


@dataclass(frozen=True)
class _Stem:
    """The nodes from the image to the end of the stem, ready to run. `axis`: of the image's channels."""

    engine: Engine
    image: ir.Value
    shape: Sequence[int]
    axis: int | None

    @classmethod
    def of(cls, image: ir.Value, end: ir.Value, known: Probe) -> Self:
        assert isinstance(image.graph, ir.Graph)
        part = ir.Model(ir.convenience.extract(image.graph, [image], [end]), ir_version=_IR_VERSION)
        part.opset_imports.update(image.graph.opset_imports)
        sizes = [known.example(dim) for dim in known.shapes[str(image.name)]]
        shape = [size for size in sizes if size is not None]
        return cls(engine_with_outputs(part, []), image, shape, channel_axis(image))

    @property
    def channels(self) -> int:
        return 1 if self.axis is None else self.shape[self.axis]

    def run(self, channel: int | None) -> np.ndarray:
        """Run on images that are one in a channel and zero in the others; return all elements in a row."""
        assert self.image.dtype is not None
        images = np.zeros(self.shape, self.image.dtype.numpy())
        if channel is not None:
            images[_at(self.axis, channel)] = 1
        [result] = self.engine.run({str(self.image.name): images}).values()
        return np.asarray(result, np.float64).reshape(-1)


def _at(axis: int | None, channel: int) -> tuple[slice | int, ...]:
    return () if axis is None else (*[slice(None)] * axis, channel)


def _affine(zero: np.ndarray, changes: np.ndarray) -> Affine | None:
    """Read scale and offset off the stem's elements for zero [E], and their changes by each channel [C, E]."""
    moved = changes != 0
    if (moved.sum(axis=0) > 1).any() or not moved.any(axis=1).all():
        return None
    scales, offsets, is_even = [], [], True
    for change, mine in zip(changes, moved, strict=True):
        scale, offset = np.median(change[mine]), np.median(zero[mine])
        if np.isclose(change[mine], scale, rtol=_AGREE).mean() < _MOST:
            return None
        if np.isclose(zero[mine], offset, rtol=_AGREE, atol=1e-6).mean() < _MOST:
            offset, is_even = zero[mine].mean(), False
        scales.append(float(scale))
        offsets.append(float(offset))
    return Affine(tuple(scales), tuple(offsets), is_even)


def _end_of_stem(graph: ir.Graph, image: ir.Value) -> ir.Value | None:
    """Return the value that every operator after the stem reads; None where they read several."""
    inside, outside = {image}, set[ir.Value]()
    ends: dict[ir.Value, None] = {}
    for node in graph:
        values = reads(node)
        mine = [value for value in values if value in inside]
        beyond = any(value in outside for value in values)
        if not (mine or beyond) or has(node, Trait.OF_SHAPE):
            continue
        if mine and not beyond and _is_pixelwise(node):
            inside.update(node.outputs)
        else:
            outside.update(node.outputs)
            ends.update(dict.fromkeys(mine))
    return next(iter(ends)) if len(ends) == 1 else None


def _is_pixelwise(node: ir.Node) -> bool:
    return has(node, _PIXELWISE) or (node.op_type == "Conv" and not node.domain and _takes_one_pixel(node))


def _takes_one_pixel(node: ir.Node) -> bool:
    """Tell whether each output of a convolution is one pixel of one channel, scaled, as toolkits normalise."""
    kernel = elements_of(node.inputs[1])
    if kernel is None or any(step != 1 for step in _ints(node, "strides")):
        return False
    if kernel.shape[0] != kernel.shape[1] * node.attributes.get_int("group", 1) or kernel[0, 0].size != 1:
        return False
    return bool(((kernel != 0).sum(axis=tuple(range(1, kernel.ndim))) == 1).all())


def _ints(node: ir.Node, name: str) -> Iterator[int]:
    if name in node.attributes:
        yield from node.attributes[name].as_ints()
