"""What a certificate must know of a quantised model's integers: what they stand for, where they were clipped.

It takes nothing from `vjp`: a mask that is wrong there must not be wrong here. Two things both sides read off the graph
in the same way. What integers stand for (`quantised.forms`): a mistake there is seen, as the surrogate then rounds to
other integers than the deployed model. And which integers block at an end of their type where nothing tells whether
they were clipped (`quantised.ranges`): that is what straight-through estimation means here, not a fact to be found.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from camgraph_exporter.graph.constants import elements_of
from camgraph_exporter.graph.element_types import SMALL_INTEGERS
from camgraph_exporter.graph.traits import Trait, has, named, of
from camgraph_exporter.graph.walk import depends_on_no_input
from camgraph_exporter.quantised.forms import (
    Quantisation,
    clips,
    is_dequantiser,
    is_quantiser,
    quantisation_of,
    quantised_twin,
    real_form,
)
from camgraph_exporter.quantised.ranges import may_clip

Array = np.ndarray
# What leaves the score's own integers what they are, but for a constant.
_COPIES = Trait.MOVES | Trait.COPIES | Trait.SHIFTS


@dataclass(frozen=True)
class QuantisedValue:
    """One integer value of the model, and its names in the surrogate.

    `is_sum`: a sum or product was rounded, and not into the score's own integers, at whose ends gradients pass. `low`,
    `high`: whether all integers at that end of the type block, also those of which nothing tells whether they were
    clipped. `between`: bounds of an activation that is computed in one step with the quantiser. `is_chosen_from`: a
    maximum is taken of it, where equal integers would tie.
    """

    name: str
    quantisation: Quantisation
    clips: bool
    is_sum: bool
    low: bool
    high: bool
    between: tuple[float, float] | None
    is_chosen_from: bool

    @property
    def real(self) -> str:
        """The real numbers r."""
        return f"{self.name}/real"

    @property
    def rounded(self) -> str:
        """The real numbers x that the deployed model rounds."""
        return f"{self.name}/rounded"

    @property
    def base(self) -> str:
        """r0."""
        return f"{self.name}/base"

    @property
    def mask(self) -> str:
        """One where nothing was clipped, else zero."""
        return f"{self.name}/mask"

    @property
    def origin(self) -> str:
        """x0."""
        return f"{self.name}/origin"

    @property
    def step(self) -> str:
        """The scale, so shaped that it broadcasts."""
        return f"{self.name}/step"


def describe_integers(forward: list[ir.Node], score: ir.Value) -> dict[ir.Value, QuantisedValue]:
    """Describe every integer value that depends on the image."""
    _set_types(forward)
    of_score, described = _copies_of(score), dict[ir.Value, QuantisedValue]()
    for node in forward:
        sources = [value for value in node.inputs if value is not None and value.producer() is None]
        for value in (*sources, *node.outputs):
            if value.dtype not in SMALL_INTEGERS or value in described or depends_on_no_input(value):
                continue
            found = quantisation_of(value)
            if found is None or not found.scales:
                continue
            maker = value.producer()
            ends = (
                may_clip(maker, elements_of)
                if maker is not None and clips(maker) and value not in of_score
                else (False, False)
            )
            activation = absorbed(maker) if maker is not None else None
            described[value] = QuantisedValue(
                str(value.name),
                found,
                maker is not None and clips(maker),
                maker is not None and _rounds_a_sum(maker) and value not in of_score,
                *ends,
                _bounds(activation) if activation is not None else None,
                any(has(node, Trait.CHOOSES) for node in _readers(value)),
            )
    return described


def _set_types(forward: list[ir.Node]) -> None:
    """Set the element types of integers, which the file does not hold: those of their zero points."""
    for node in forward:
        found = quantisation_of(node.outputs[0]) if is_quantiser(node) or clips(node) else None
        if found is not None:
            declared = found.zero_point.dtype if found.zero_point is not None else None
            node.outputs[0].dtype = declared or ir.DataType(_default_type(node))
        elif has(node, Trait.KEEPS_SCALE) and node.inputs[0] is not None:
            for value in node.outputs if node.op_type == "Split" else node.outputs[:1]:
                value.type = node.inputs[0].type or value.type
        elif is_dequantiser(node):
            node.outputs[0].dtype = ir.DataType.FLOAT


def _default_type(node: ir.Node) -> int:
    attribute = node.attributes.get("output_dtype")
    return int(attribute.value) if attribute is not None and attribute.value else int(ir.DataType.UINT8)


def mask_of(integer: QuantisedValue, q: Array, real: Array, step: Array) -> Array:
    """Return where integers pass a gradient on to what they were rounded from."""
    limits, inside = np.iinfo(q.dtype), np.ones(q.shape, bool)
    if integer.low:
        inside &= q > limits.min
    if integer.high:
        inside &= q < limits.max
    if integer.between is not None:
        low, high = integer.between
        # A rectifier's zero is an integer; other bounds are known to half a step.
        inside &= (real > 0) if (low, high) == (0.0, np.inf) else (real - low > step / 2) & (high - real > step / 2)
    return inside.astype(np.float64)


def beyond(integer: QuantisedValue, q: Array, places: Array, margin: float) -> Array:
    """Return where the integers q are at an end of their type and stand for numbers clearly beyond it: clipped.

    `places`: the numbers that were rounded, in steps, with the zero point added. `margin`: in steps.
    """
    if not integer.is_sum:
        return np.zeros(q.shape, bool)
    limits = np.iinfo(q.dtype)
    low, high = limits.min, limits.max
    clipped: Array = ((q == low) & (places < low - margin)) | ((q == high) & (places > high + margin))
    return clipped


def absorbed(node: ir.Node) -> ir.Node | None:
    """Return the activation that is computed in one step with a quantiser, if there is one."""
    source = node.inputs[0] if is_quantiser(node) else None
    before = source.producer() if source is not None and quantised_twin(source) is not None else None
    if before is None or not has(before, Trait.ABSORBED):
        return None
    summed = before.inputs[0]
    maker = summed.producer() if summed is not None and len(list(summed.uses())) == 1 else None
    return before if maker is not None and has(maker, Trait.KERNEL) else None


def _rounds_a_sum(node: ir.Node) -> bool:
    form = real_form(node)
    if form is not None:
        return form.output is not None and bool(named(form.op_type).traits & Trait.KERNEL)
    source = node.inputs[0] if is_quantiser(node) and node.op_type != "DynamicQuantizeLinear" else None
    before = source.producer() if source is not None else None
    return before is not None and has(before, Trait.KERNEL)


def _bounds(activation: ir.Node) -> tuple[float, float]:
    """Return what a ReLU or Clip limits its results to."""
    if activation.op_type == "Relu":
        return 0.0, math.inf
    low, high = (elements_of(bound) for bound in [*activation.inputs[1:3], None, None][:2])
    return (-math.inf if low is None else low.item()), (math.inf if high is None else high.item())


def _copies_of(score: ir.Value) -> set[ir.Value]:
    """Return the integers that the score is made of by moves, rounding and the addition of constants."""
    found, value = set[ir.Value](), score
    while True:
        if value.dtype in SMALL_INTEGERS:
            found.add(value)
        node = value.producer()
        if node is None:
            return found
        form = real_form(node)
        operator = named(form.op_type) if form is not None else of(node)
        operands = [operand.value for operand in form.operands] if form is not None else node.inputs[:]
        varying = [x for x in operands if x is not None and not depends_on_no_input(x)]
        copies = is_quantiser(node) or is_dequantiser(node) or operator.traits & _COPIES
        if not copies or len(varying) != 1:
            return found
        value = varying[0]


def _readers(value: ir.Value) -> list[ir.Node]:
    """Return the nodes that read integers or the real numbers that the graph makes of them."""
    readers = [use.node for use in value.uses()]
    return readers + [use.node for node in readers if is_dequantiser(node) for use in node.outputs[0].uses()]


def spread(vector: Array, rank: int, axis: int) -> Array:
    """Shape a scale or zero point so that it broadcasts along `axis` of an array of `rank` axes."""
    vector = np.asarray(vector, np.float64)
    if vector.size == 1:
        return vector.reshape(())
    return vector.reshape([-1 if i == axis % rank else 1 for i in range(rank)]) if vector.ndim == 1 else vector
