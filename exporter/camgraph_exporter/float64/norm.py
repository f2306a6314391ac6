"""Normalisations and the softmax family in float64."""

from typing import Any

import numpy as np

from camgraph_exporter.float64.op import Float64Op
from camgraph_exporter.float64.windows import Array


class BatchNormalization(Float64Op):
    """(x - mean) / sqrt(var + epsilon) * scale + bias over axis 1.

    Before opset 14 this is inference, as in onnxruntime; `onnx.reference` mixes in the batch's own statistics
    there, because the attribute `momentum` has a default.
    """

    def _run(
        self,
        x: Array,
        scale: Array,
        bias: Array,
        mean: Array,
        var: Array,
        *,
        epsilon: float,
        momentum: float,
        training_mode: int = 0,
        **_: Any,
    ) -> tuple[Array, ...]:
        if not training_mode:
            return (_normalise(x, mean, var + epsilon, scale, bias),)
        rest = (0, *range(2, x.ndim))
        batch_mean, batch_var = x.mean(axis=rest), x.var(axis=rest)
        running_mean = mean * momentum + batch_mean * (1 - momentum)
        running_var = var * momentum + batch_var * (1 - momentum)
        return _normalise(x, batch_mean, batch_var + epsilon, scale, bias), running_mean, running_var


def _normalise(x: Array, mean: Array, variance: Array, scale: Array, bias: Array) -> Array:
    """Normalises by parameters over axis 1, or over all axes but the first (opset 7 with spatial = 0)."""
    shape = (*mean.shape, *(1,) * (x.ndim - 1 - mean.ndim))
    factor = scale / np.sqrt(variance)
    return (x - mean.reshape(shape)) * factor.reshape(shape) + bias.reshape(shape)


class GroupNormalization(Float64Op):
    """Normalises groups of channels; scale and bias have one value per group in opset 18 and one per channel since 21.

    `onnx.reference` builds this one's function body anew at every run.
    """

    def _run(self, x: Array, scale: Array, bias: Array, *, epsilon: float, num_groups: int, **_: Any) -> tuple[Array]:
        samples, channels = x.shape[:2]
        grouped = x.reshape(samples, num_groups, -1)
        centred = grouped - grouped.mean(axis=2, keepdims=True)
        y = centred / np.sqrt((centred**2).mean(axis=2, keepdims=True) + epsilon)
        if self.opset < 21:
            y = y * scale[:, None] + bias[:, None]
            return (y.reshape(x.shape),)
        y = y.reshape(samples, channels, -1) * scale[:, None] + bias[:, None]
        return (y.reshape(x.shape),)


class LRN(Float64Op):
    """Local response normalisation across `size` neighbouring channels."""

    def _run(self, x: Array, *, alpha: float, beta: float, bias: float, size: int) -> tuple[Array]:
        before = (size - 1) // 2
        borders = [(0, 0), (before, size - 1 - before), *[(0, 0)] * (x.ndim - 2)]
        squares = np.pad(x**2, borders)
        channels = x.shape[1]
        total = sum(squares[:, start : start + channels] for start in range(size))
        return (x / (bias + np.float64(alpha) / size * total) ** np.float64(beta),)


class LpNormalization(Float64Op):
    """Divides by the p-norm along an axis; zero where the norm is zero."""

    def _run(self, x: Array, *, axis: int, p: int) -> tuple[Array]:
        # The norm of absolute values, as onnxruntime has it; `onnx.reference` forgets them for p = 1.
        absolute = np.abs(x)
        if p == 1:
            norm = absolute.sum(axis=axis, keepdims=True)
        else:
            norm = np.sqrt((absolute**2).sum(axis=axis, keepdims=True))
        return (np.where(norm == 0, 0, x / np.where(norm == 0, 1, norm)),)


class _SoftmaxFamily(Float64Op):
    """Before opset 13 the axes from `axis` on count as one; since then the function goes along one axis."""

    def _run(self, x: Array, *, axis: int) -> tuple[Array]:
        if x.size == 0:
            return (x,)
        if self.opset >= 13:
            return (self.along(x, axis),)
        lead = int(np.prod(x.shape[: axis % x.ndim] if axis < x.ndim else x.shape, dtype=np.int64))
        return (self.along(x.reshape(lead, -1), 1).reshape(x.shape),)

    @staticmethod
    def along(x: Array, axis: int) -> Array:
        """The function along one axis."""
        raise NotImplementedError


class Softmax(_SoftmaxFamily):
    """exp(x) / sum(exp(x))."""

    @staticmethod
    def along(x: Array, axis: int) -> Array:
        """The function along one axis."""
        powers: Array = np.exp(x - x.max(axis=axis, keepdims=True))
        total: Array = powers.sum(axis=axis, keepdims=True)
        return powers / total


class LogSoftmax(_SoftmaxFamily):
    """x - log(sum(exp(x))), finite where Softmax has underflowed."""

    @staticmethod
    def along(x: Array, axis: int) -> Array:
        """The function along one axis."""
        shifted: Array = x - x.max(axis=axis, keepdims=True)
        total: Array = np.exp(shifted).sum(axis=axis, keepdims=True)
        return shifted - np.log(total)


class Hardmax(_SoftmaxFamily):
    """One at the first maximum, zero elsewhere."""

    @staticmethod
    def along(x: Array, axis: int) -> Array:
        """The function along one axis."""
        y = np.zeros_like(x)
        np.put_along_axis(y, x.argmax(axis=axis, keepdims=True), 1, axis=axis)
        return y
