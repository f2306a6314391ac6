"""Where a gradient needs more room than the element type of the forward part."""

from __future__ import annotations

import onnx_ir as ir

from camgraph_exporter.vjp.backward import Backward, dtype_of

_HALF = {ir.DataType.FLOAT16, ir.DataType.BFLOAT16}


def wide(op: Backward, x: ir.Value) -> ir.Value:
    """Cast half precision to float32, in which squares and sums do not overflow; other types stay as they are."""
    return op.cast(x, ir.DataType.FLOAT) if dtype_of(x) in _HALF else x
