"""Follows where the elements of every value lie, from the image on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import onnx_ir as ir

from camgraph_exporter.graph.constants import Constants
from camgraph_exporter.graph.traits import Trait, has, names
from camgraph_exporter.reading.axis import Axes, Role, is_role
from camgraph_exporter.reading.placement import moves, pointwise, products, reshapes, resizing, windows
from camgraph_exporter.reading.placement.elements import WAYS, LocatedAxis, fixed, line
from camgraph_exporter.reading.placement.located import Located, coarsened, located
from camgraph_exporter.reading.placement.step import MAY_MOVE, Reader, Step, shape_of

_STEPS = {Role.HEIGHT: (1.0, 0.0, 0.0), Role.WIDTH: (0.0, 1.0, 0.0), Role.FRAMES: (0.0, 0.0, 1.0)}


def _lost(step: Step, index: int) -> Located:
    return step.all_lost(index, MAY_MOVE)


_READERS: dict[str, Reader] = {
    **dict.fromkeys(names(Trait.LOSES_PLACES), _lost),
    **dict.fromkeys(names(Trait.SLIDES), windows.window),
    **dict.fromkeys(names(Trait.POOLS, without=Trait.SLIDES), windows.whole),
    **dict.fromkeys(names(Trait.REDUCES), moves.reduce_),
    **dict.fromkeys(names(Trait.RESHAPES), reshapes.reshape),
    "Transpose": moves.transpose, "Slice": moves.slice_, "Split": moves.split_, "Gather": moves.gather,
    "GatherElements": moves.gather_elements, "GatherND": moves.gather_nd,
    "Concat": moves.concat, "QLinearConcat": moves.qlinear_concat,
    "Pad": moves.pad, "CenterCropPad": moves.center_crop_pad, "ReverseSequence": moves.reverse_sequence,
    "Tile": moves.tile, "TopK": moves.ordered,
    "DepthToSpace": reshapes.depth_to_space, "SpaceToDepth": reshapes.space_to_depth,
    "Resize": resizing.resize, "Upsample": resizing.resize, "GridSample": resizing.grid_sample,
    "MatMul": products.matmul, "MatMulInteger": products.matmul_integer,
    "QLinearMatMul": products.qlinear_matmul, "Gemm": products.gemm, "QGemm": products.qgemm, "Einsum": products.einsum,
}  # fmt: skip  # a table, in rows of its own


def follow(
    nodes: Iterable[ir.Node],
    image: ir.Value,
    axes: Axes,
    shape: Sequence[int],
    sizes: Mapping[str, int],
    constants: Constants,
) -> dict[ir.Value, Located]:
    """Return where the elements of every value lie that comes from the image, in one run.

    Args:
        nodes: the graph, in topological order.
        image: the image input.
        axes: what the image's axes mean.
        shape: the image's shape.
        sizes: what each symbol of a shape stands for in this run.
        constants: values of this run that do not depend on the image's content, by name.

    """
    known = {image: _image(axes, shape)}
    for node in nodes:
        if has(node, Trait.OF_SHAPE) or not any(value in known for value in node.inputs if value is not None):
            continue
        step = Step(node, constants, known, sizes, image, tuple(shape))
        sources = [known[value] for value in node.inputs if value is not None and value in known]
        read = _READERS.get(node.op_type, pointwise.broadcast)
        for index, value in enumerate(node.outputs):
            if shape_of(value, sizes) is not None:
                known[value] = coarsened(read(step, index), sources)
    return known


def _image(axes: Axes, shape: Sequence[int]) -> Located:
    """Return the image: element (y, x) is the pixel whose middle is (y + 0.5, x + 0.5), in frame t + 0.5."""
    spatial = [axis is not None and is_role(axis, *_STEPS) for axis in axes]
    lines: list[LocatedAxis] = [
        line(size, _STEPS[axis.role]) if leads and axis is not None else fixed(size)
        for axis, leads, size in zip(axes, spatial, shape, strict=True)
    ]
    return located(np.full(WAYS, 0.5), lines)
