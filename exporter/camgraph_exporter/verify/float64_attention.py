"""Attention in float64."""

from typing import Any

import numpy as np
from onnx.reference.ops.op_attention import Attention as _Reference

from camgraph_exporter.verify.float64_op import Float64Op
from camgraph_exporter.verify.float64_windows import Array


class Attention(Float64Op, _Reference):
    """The reference's attention with its two detours through float32 closed: the scale and the softmax."""

    def _run(
        self, *inputs: Array, scale: float | None, softmax_precision: int | None = None, **attributes: Any
    ) -> tuple[Array, ...]:
        del softmax_precision  # float64, whatever the model asks for
        exact = None if scale is None else np.float64(scale)
        return tuple(_Reference._run(self, *inputs, scale=exact, **attributes))
