"""Matrix products: the rows of the left operand stay where they are, and what is summed over is mixed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from camgraph_exporter.reading.placement.elements import WAYS, Elements, LocatedAxis, Lost, fixed
from camgraph_exporter.reading.placement.located import Located, located
from camgraph_exporter.reading.placement.pointwise import stretched_axis
from camgraph_exporter.reading.placement.step import MAY_MOVE, Step
from camgraph_exporter.reading.placement.windows import MIXES, with_mixed


def matmul(step: Step, index: int) -> Located:
    """Return the place of a product: rows from the left operand, columns from the right one."""
    return _product(step, index, (0, 1), (step.constant(0), step.constant(1)))


def matmul_integer(step: Step, index: int) -> Located:
    """Return the place of a product of integers; what they stand for, which may be negative, is not looked at."""
    return _product(step, index, (0, 1))


def qlinear_matmul(step: Step, index: int) -> Located:
    """Return the place of a product whose operands have their scales and zero points among the inputs."""
    return _product(step, index, (0, 3))


def _product(
    step: Step,
    index: int,
    operands: tuple[int, int],
    matrices: tuple[np.ndarray | None, np.ndarray | None] = (None, None),
) -> Located:
    """Return the place of a product of two inputs; `matrices`: their elements where they are constant and real."""
    out = step.out(index)
    left, right = (_as_wide(step, step.place(i), out) for i in operands)
    if left is not None and right is not None:
        batch = (left if len(left.axes) and not isinstance(left.axes[0], Lost) else right).axes[:-2]
        return located(left.origin, [*batch, left.axes[-2], right.axes[-1]])
    if left is not None:
        return _times_constant(step, left, len(out) - 1, matrices[1], out[-1])
    if right is not None:
        matrix = matrices[0]
        return _times_constant(step, right, len(out) - 2, None if matrix is None else matrix.swapaxes(-1, -2), out[-2])
    return step.all_lost(index, MAY_MOVE)


def _as_wide(step: Step, place: Located | None, out: Sequence[int]) -> Located | None:
    """Return an operand with the axes of the product's batch, or None where it is a vector or not from the image."""
    if place is None or len(place.axes) < 2 or len(out) < len(place.axes):
        return None
    missing = len(out) - len(place.axes)
    batch = [*(fixed(1) for _ in range(missing)), *place.axes[:-2]]
    axes = [stretched_axis(step, axis, size) for axis, size in zip(batch, out[:-2], strict=True)]
    return Located(place.origin, (*axes, *place.axes[-2:]), place.coarsest)


def gemm(step: Step, index: int) -> Located:
    """Return the place of rows times a matrix."""
    left, out = step.place(0), step.out(index)
    if left is None or step.number("transA", 0):
        return step.all_lost(index, MIXES)
    matrix = step.constant(1)
    if matrix is not None and step.number("transB", 0):
        matrix = matrix.T
    return _times_constant(step, left, 1, matrix, out[1])


def qgemm(step: Step, index: int) -> Located:
    """Return the place of rows times a matrix of integers; what they stand for is not looked at."""
    left = step.place(0)
    if left is None or step.number("transA", 0):
        return step.all_lost(index, MIXES)
    return with_mixed(step, left, 1, step.out(index)[1])


def _times_constant(step: Step, x: Located, index: int, matrix: np.ndarray | None, count: int) -> Located:
    """Return a tensor whose axis `index` was multiplied with a matrix [elements before, `count` after].

    A matrix without negative numbers averages, and each result lies in the middle of what it takes; another one mixes.
    """
    mixed = with_mixed(step, x, index, count)
    axis = x.axes[index]
    if isinstance(mixed.axes[index], Elements) or isinstance(axis, Lost) or matrix is None:
        return mixed
    averaged = _averaged(axis, matrix)
    return x.with_axis(index, averaged) if averaged is not None else mixed


def _averaged(axis: Elements, matrix: np.ndarray) -> LocatedAxis | None:
    if matrix.ndim != 2 or (matrix < 0).any() or not np.isfinite(axis.offsets).all():
        return None
    weights = matrix.astype(np.float64)
    totals = weights.sum(axis=0)
    if (totals <= 0).any():
        return None
    offsets = weights.T @ axis.offsets / totals[:, None]
    ratio = len(axis) / len(offsets)
    return Elements(offsets, axis.cell * ratio)


def einsum(step: Step, index: int) -> Located:
    """Return the place of an Einsum: every letter of the result lies where an operand has it; sums mix."""
    equation = step.text("equation", "").replace(" ", "")
    if "->" not in equation or "." in equation:
        return step.all_lost(index, MAY_MOVE)
    terms, result = equation.split("->")
    found: dict[str, LocatedAxis] = {}
    origin = None
    for i, letters in enumerate(terms.split(",")):
        place = step.place(i)
        if place is None or len(letters) != len(place.axes):
            continue
        origin = place.origin if origin is None else origin
        for letter, axis in zip(letters, place.axes, strict=True):
            if letter not in found or isinstance(found[letter], Lost):
                found[letter] = axis
    summed = {letter: axis for letter, axis in found.items() if letter not in result}
    cell = np.max(
        [axis.cell for letter, axis in found.items() if letter in result and isinstance(axis, Elements)]
        or [np.zeros(WAYS)],
        axis=0,
    )
    mixes = any(isinstance(axis, Elements) and (axis.spread > cell + 1e-6).any() for axis in summed.values())
    operands = sum(step.place(i) is not None for i in range(len(step.node.inputs)))
    if origin is None or (mixes and operands == 1):
        return step.all_lost(index, MIXES)
    sizes = step.out(index)
    return located(origin, [found.get(letter, fixed(size)) for letter, size in zip(result, sizes, strict=True)])
