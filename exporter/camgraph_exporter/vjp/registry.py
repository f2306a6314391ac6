"""The registry of vjp rules: one short named function an operator.

A rule maps the cotangent of a node's output to the cotangents of its inputs (a vector-Jacobian product)::

    @vjp("MatMul")
    def matmul(op, node, g):
        return op.MatMul(g, transpose(b)), op.MatMul(transpose(a), g)

It returns one cotangent per input; None stands for an input whose cotangent is not wanted (`node.needs(i)`), and may be
left out at the end. An input whose cotangent is wanted and zero by nature, such as a number that only decides a shape,
gets `NO_FLOW`. None there means that the rule does not derive that input: the driver refuses the node. Operators with
several outputs get one `g` per output, None where an output does not matter.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import onnx_ir as ir

from camgraph_exporter.errors import LATER_LAYER, GradientError
from camgraph_exporter.graph.node import NodeView
from camgraph_exporter.vjp.backward import Backward


class NoFlow:
    """The cotangent of an input that the output does not depend on smoothly: zero, said on purpose."""

    def __repr__(self) -> str:
        return "NO_FLOW"


NO_FLOW = NoFlow()
Cotangent = ir.Value | NoFlow | None
Cotangents = Sequence[Cotangent] | Cotangent


class Rule(Protocol):
    """A function from output cotangents to input cotangents."""

    def __call__(self, op: Backward, node: NodeView, *cotangents: Any) -> Cotangents:
        """Return the cotangents of the inputs; `cotangents` has one for each output, None where it does not matter."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """What is known of one operator.

    `broadcasts`: the driver sums the returned cotangents to the shapes of the inputs. `opset`: the lowest ai.onnx
    version at which the rule's own operators exist; the source is lifted to it where needed.
    """

    op_type: str
    domain: str
    rule: Rule | None
    broadcasts: bool = False
    opset: int = 13
    summary: str = ""


_entries: dict[tuple[str, str], Entry] = {}


def find(node: ir.Node) -> Entry | None:
    """Return what is known of a node's operator, or None if there is no rule yet."""
    return named(node.op_type, node.domain)


def named(op_type: str, domain: str = "") -> Entry | None:
    """Return what is known of an operator."""
    return _entries.get((domain, op_type))


def entries() -> list[Entry]:
    """Return every entry, sorted by domain and operator."""
    return [_entries[key] for key in sorted(_entries)]


def vjp(*op_types: str, domain: str = "", broadcasts: bool = False, opset: int = 13) -> Callable[[Rule], Rule]:
    """Register the decorated function as the rule of one or several operators."""

    def register(rule: Rule) -> Rule:
        summary = (getattr(rule, "__doc__", None) or "").strip().split("\n")[0]
        for op_type in op_types:
            _add(Entry(op_type, domain, rule, broadcasts, opset, summary))
        return rule

    return register


def elementwise(
    *op_types: str, domain: str = "", opset: int = 13
) -> Callable[[Callable[[Backward, NodeView], ir.Value]], Rule]:
    """Register a function that returns dy/dx of a unary element-wise operator; the rule is `g * dy/dx`."""

    def register(derivative: Callable[[Backward, NodeView], ir.Value]) -> Rule:
        def rule(op: Backward, node: NodeView, *cotangents: Any) -> Cotangents:
            return op.Mul(cotangents[0], derivative(op, node))

        rule.__name__ = derivative.__name__
        rule.__doc__ = derivative.__doc__
        return vjp(*op_types, domain=domain, opset=opset)(rule)

    return register


def nondifferentiable(*op_types: str, domain: str = "", why: str) -> None:
    """Register operators through which no gradient passes by their nature: they are stops, not gaps."""
    for op_type in op_types:
        _add(Entry(op_type, domain, None, summary=why))


def _add(entry: Entry) -> None:
    key = (entry.domain, entry.op_type)
    if key in _entries:
        raise ValueError(f"{entry.op_type} has two rules.")
    _entries[key] = entry


def refuse_outputs(node: NodeView, cotangents: Sequence[ir.Value | None]) -> None:
    """Raise if the score depends on an output after the first, which the rule does not derive."""
    for index, g in enumerate(cotangents, start=1):
        if g is not None:
            raise GradientError(
                f"The score depends on output {index} of {node.op_type} node {node.name!r}, and there is no derivative "
                f"for that output. {LATER_LAYER}."
            )
