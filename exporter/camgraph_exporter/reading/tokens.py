"""Rows of tokens as feature maps: cutting the map out, and telling whether its tokens matter for the score at all.

A transformer that pools the class token only reads one token after its last block: the cells' tokens there have no
gradient, and the last map that can be explained is the one before that block's attention.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from camgraph_exporter.graph.constants import elements_of
from camgraph_exporter.graph.dims import dims_of, static
from camgraph_exporter.graph.emitter import Emitter
from camgraph_exporter.graph.gradient_path import GradientPath
from camgraph_exporter.graph.traits import Trait, has
from camgraph_exporter.reading.axis import Axes, Role, TokenGrid, is_role, tokens_axis

# Operators that compute an output token from the input token at the same place and from nothing else. After a reduction
# over the tokens the axis is gone, which `_passes_cells` takes for a use of them.
_TOKENWISE = (
    Trait.ELEMENTWISE | Trait.REPEATS | Trait.PERMUTES | Trait.RESHAPES | Trait.JOINS | Trait.CUTS | Trait.REDUCES
)


def to_map(op: Emitter, x: ir.Value, grid: TokenGrid) -> ir.Value:
    """Turn tokens [..., S, K] into a map [..., K, h, w], or [..., K, t, h, w] if they are of several frames.

    Where they are constant along the tokens, these sizes are 1.
    """
    rank, dims = len(dims_of(x)), dims_of(x)
    cells: tuple[int | str, ...] = (1,) * len(grid.sizes)
    sizes = [op.ints(1)] * len(cells)
    if dims[rank - 2] != 1:
        x = _cells_only(op, x, grid, rank - 2)
        cells = grid.sizes
        sizes = [*([op.ints(grid.frames)] if grid.frames else []), *(_size(op, grid, i) for i in (0, 1))]
    columns = op.Transpose(x, perm=[*range(rank - 2), rank - 1, rank - 2])
    result = op.Reshape(columns, op.Concat(op.ints(*[0] * (rank - 1)), *sizes, axis=0))
    result.shape = ir.Shape([*dims[: rank - 2], dims[rank - 1], *cells])
    return result


def _size(op: Emitter, grid: TokenGrid, index: int) -> ir.Value:
    size = (grid.height, grid.width)[index]
    if isinstance(size, int):
        return op.ints(size)
    return op.Gather(op.Shape(grid.source), op.ints(grid.axes[index]), axis=0)


def _cells_only(op: Emitter, x: ir.Value, grid: TokenGrid, axis: int) -> ir.Value:
    count = dims_of(x)[axis]
    sizes = static(grid.sizes)
    if sizes is not None and math.prod(sizes) == count:
        return x
    cells = op.Mul(op.Mul(_size(op, grid, 0), _size(op, grid, 1)), op.ints(max(grid.frames, 1)))
    stop = op.Add(op.ints(grid.prefix), cells)
    return op.Slice(x, op.ints(grid.prefix), stop, op.ints(axis))


def without_effect(
    path: GradientPath, axes: Mapping[ir.Value, Axes], constants: Mapping[str, np.ndarray]
) -> set[ir.Value]:
    """Return the rows of tokens whose cells provably have no effect on the score, though their prefix may have."""
    matters: dict[ir.Value, bool] = {}
    for node in reversed(path.nodes):
        for value in dict.fromkeys(node.inputs):
            if value is None or value not in path.values or tokens_axis(axes.get(value, ())) is None:
                continue
            matters[value] = matters.get(value, False) or _passes_cells(node, value, axes, constants, path, matters)
    return {value for value, does in matters.items() if not does}


def _passes_cells(
    node: ir.Node,
    value: ir.Value,
    axes: Mapping[ir.Value, Axes],
    constants: Mapping[str, np.ndarray],
    path: GradientPath,
    matters: Mapping[ir.Value, bool],
) -> bool:
    """Tell whether the cells of `value` may reach the score through this node."""
    outputs = [output for output in node.outputs if output in path.values]
    if node.domain or not _is_tokenwise(node, value, axes[value]):
        return not _picks_prefix(node, value, axes[value], constants)
    for output in outputs:
        found = axes.get(output, ())
        if any(is_role(axis, Role.PREFIX) for axis in found):
            continue
        # A token's cells that become a map again, or whose row is lost from sight, count as used.
        if tokens_axis(found) is None or matters.get(output, True):
            return True
    return False


def _is_tokenwise(node: ir.Node, value: ir.Value, axes: Axes) -> bool:
    row = tokens_axis(axes)
    assert row is not None
    from_end = len(axes) - row
    if has(node, _TOKENWISE):
        return True
    if node.op_type == "MatMul":
        return value is node.inputs[0] and value is not node.inputs[1] and from_end >= 2
    if has(node, Trait.OVER_AXIS | Trait.FROM_AXIS):
        axis = node.attributes["axis"].as_int() if "axis" in node.attributes else -1
        first = axis % len(axes)
        return first != row if has(node, Trait.OVER_AXIS) else first > row
    return node.op_type == "Attention" and value is node.inputs[0] and value not in node.inputs[1:]


def _picks_prefix(node: ir.Node, value: ir.Value, axes: Axes, constants: Mapping[str, np.ndarray]) -> bool:
    """Tell whether a Gather takes only tokens before the map."""
    row = tokens_axis(axes)
    if node.op_type != "Gather" or node.domain or value is not node.inputs[0] or row is None:
        return False
    axis = node.attributes["axis"].as_int() if "axis" in node.attributes else 0
    indices, grid = node.inputs[1], axes[row].grid  # type: ignore[union-attr]  # tokens_axis found an axis there
    if axis % len(axes) != row or indices is None or grid is None:
        return False
    known = elements_of(indices, constants)
    return known is not None and bool(((known >= 0) & (known < grid.prefix)).all())
