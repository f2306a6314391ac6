"""What a vjp rule was given and returned at one node, for those who check or name it afterwards."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir


@dataclass(frozen=True)
class NodeGradient:
    """What was emitted for one node: pairs of a value and its cotangent.

    `outputs`: those that the rule was given. `inputs`: those that it returned. `needed`: the inputs on the path.
    """

    node: ir.Node
    outputs: list[tuple[ir.Value, ir.Value]]
    inputs: list[tuple[ir.Value, ir.Value]]
    needed: list[ir.Value]
