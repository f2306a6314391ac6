"""A node on quantised integers, as the vjp rule of the ordinary operator sees it."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from camgraph_exporter.graph.node import NodeView
from camgraph_exporter.graph.traits import Trait, named
from camgraph_exporter.quantised.forms import Operand, RealForm
from camgraph_exporter.vjp.backward import Backward


class RealView(NodeView):
    """A node on quantised integers, shown as the ordinary operator on real numbers that it stands for."""

    def __init__(self, node: NodeView, op: Backward, form: RealForm) -> None:
        super().__init__(node.node, op, node._needed)
        self._op = op
        self.form = form

    @property
    def op_type(self) -> str:
        """The ordinary operator."""
        return self.form.op_type

    def optional(self, index: int) -> ir.Value | None:
        """Return an operand as real numbers."""
        operand = self._operand(index)
        return self._op.real(operand.value, operand.quantisation) if operand is not None else None

    def source(self, index: int) -> ir.Value | None:
        """Return the integers of an operand."""
        operand = self._operand(index)
        return operand.value if operand is not None else None

    def output(self, index: int) -> ir.Value:
        """Return the result as real numbers: before it is quantised where that is cheap to compute again."""
        value = self.node.outputs[index]
        if self.form.output is None:
            return self._op.residual(value)
        if len(self.form.operands) == 1 and not named(self.form.op_type).traits & Trait.POOLS:
            attributes = {name: attribute.value for name, attribute in self.form.attributes.items()}
            return self._op.emit(self.form.op_type, [self.x], attributes)[0]
        return self._op.real(value, self.form.output)

    @property
    def num_inputs(self) -> int:
        """Number of operands."""
        return len(self.form.operands)

    def attr(self, name: str) -> object:
        """Return an attribute of the ordinary operator, to be handed on; None where it has none."""
        attribute = self.form.attributes.get(name)
        return None if attribute is None else attribute.value

    def const(self, index: int) -> np.ndarray | None:
        """Return the elements of an operand if they are known."""
        value = self.optional(index)
        return self._op.known(value)

    def _operand(self, index: int) -> Operand | None:
        return self.form.operands[index] if index < len(self.form.operands) else None
