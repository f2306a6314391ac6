"""Attention in float64."""

from typing import Any

import numpy as np
from onnx.reference.ops.op_attention import Attention as _Reference

from camgraph_exporter.float64.op import Float64Op
from camgraph_exporter.float64.windows import Array


class Attention(Float64Op):
    """The reference's attention with its two detours through float32 closed: the scale and the softmax."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._reference = _Reference(*args)
        # Opset 25 refuses head counts beside 4-D inputs; the older ones, and exporters, give them.
        self._reference._validate_attention25 = False

    def _run(self, *inputs: Array, **attributes: Any) -> tuple[Array, ...]:
        scale = attributes.pop("scale", None)
        exact = {
            **attributes,
            "scale": None if scale is None else np.float64(scale),
            "softmax_precision": None,
        }
        return tuple(self._reference._run(*inputs, **exact))
