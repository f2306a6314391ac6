"""Elementwise functions that `onnx.reference` lacks or computes in float32."""

import math

import numpy as np

from camgraph_exporter.float64.op import Float64Op
from camgraph_exporter.float64.windows import Array


def _erf(x: Array) -> Array:
    """The error function, by the C library: NumPy has none."""
    return np.fromiter(map(math.erf, x.ravel().tolist()), x.dtype, x.size).reshape(x.shape)


class Erf(Float64Op):
    """The error function; `onnx.reference` rounds it to float32."""

    def _run(self, x: Array) -> tuple[Array]:
        return (_erf(x),)


class Gelu(Float64Op):
    """x * Phi(x), or its tanh approximation (Hendrycks and Gimpel 2016, arXiv:1606.08415).

    The standard's function body rounds the square root of two and the like to float32.
    """

    def _run(self, x: Array, *, approximate: str) -> tuple[Array]:
        if approximate == "tanh":
            inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
            return (0.5 * x * (1 + np.tanh(inner)),)
        return (0.5 * x * (1 + _erf(x / math.sqrt(2))),)


class HardSwish(Float64Op):
    """x * clip(x / 6 + 1/2, 0, 1); the standard's function body rounds 1/6 to float32."""

    def _run(self, x: Array) -> tuple[Array]:
        return (x * np.clip(x / 6 + 0.5, 0, 1),)


class Mean(Float64Op):
    """The mean of several inputs; `onnx.reference` adds in place, so only its first input may be the largest."""

    def _run(self, *xs: Array) -> tuple[Array]:
        return (sum(xs[1:], start=xs[0]) / len(xs),)
