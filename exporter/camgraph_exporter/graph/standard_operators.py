"""`op.Mul(a, b)`: every operator of ai.onnx is a method.

`standard_operators.pyi` says what each takes. scripts/generate_operators.py makes it from the ONNX standard, so
that a type checker finds a name or an attribute that the standard does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

# What an operator takes; numbers become constants.
Given = ir.Value | np.ndarray[Any, Any] | Sequence[float] | float | int
Argument = Given | None


class StandardOperators:
    """Turns `op.<OpType>(*inputs, **attributes)` into a call of `emit`, of which it returns the first output."""

    def __getattr__(self, op_type: str) -> Callable[..., ir.Value]:
        if not op_type[0].isupper():
            raise AttributeError(op_type)

        def emitted(*inputs: Argument, **attributes: Any) -> ir.Value:
            return self.emit(op_type, inputs, attributes)[0]

        return emitted
