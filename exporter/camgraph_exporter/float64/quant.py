"""Quantisation: integers stay integers, everything between them is float64."""

from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np
from onnx import TensorProto
from onnx.helper import tensor_dtype_to_np_dtype

from camgraph_exporter.float64.conv import convolve
from camgraph_exporter.float64.op import Float64Op
from camgraph_exporter.float64.windows import Array, resolve_windows


class QuantizeLinear(Float64Op):
    """saturate(round(x / scale) + zero point), ties to even; per tensor, per axis or in blocks."""

    def _run(
        self,
        x: Array,
        scale: Array,
        zero_point: Array | None = None,
        *,
        axis: int = 1,
        block_size: int = 0,
        output_dtype: int = 0,
        saturate: int = 1,
        **_: Any,
    ) -> tuple[Array]:
        dtype = tensor_dtype_to_np_dtype(output_dtype or TensorProto.UINT8)
        scaled = x / _spread(scale, x.shape, axis, block_size)
        if zero_point is None:
            return (_to_quantised(scaled, np.float64(0), dtype, saturate=bool(saturate)),)
        offset = _spread(zero_point.astype(np.float64), x.shape, axis, block_size)
        return (_to_quantised(scaled, offset, zero_point.dtype, saturate=bool(saturate)),)


class DequantizeLinear(Float64Op):
    """(x - zero point) * scale as float64; exact in the bracket, which float32 is not for an int32 bias."""

    def _run(
        self,
        x: Array,
        scale: Array,
        zero_point: Array | None = None,
        *,
        axis: int = 1,
        block_size: int = 0,
        **_: Any,
    ) -> tuple[Array]:
        values = x.astype(np.float64)
        if zero_point is not None:
            values = values - _spread(zero_point.astype(np.float64), x.shape, axis, block_size)
        return (values * _spread(scale, x.shape, axis, block_size),)


class DynamicQuantizeLinear(Float64Op):
    """Quantises to uint8 by the tensor's own range, which is widened to contain zero."""

    def _run(self, x: Array) -> tuple[Array, Array, Array]:
        low, high = min(0.0, float(x.min(initial=0))), max(0.0, float(x.max(initial=0)))
        scale = np.asarray((high - low) / 255 or 1.0, np.float64)
        offset = np.rint(-low / scale).clip(0, 255)
        uint8 = np.dtype(np.uint8)
        return _to_quantised(x / scale, offset, uint8, saturate=True), scale, offset.astype(np.uint8)


class ConvInteger(Float64Op):
    """Convolution of integers into int32."""

    def _run(
        self,
        x: Array,
        w: Array,
        x_zero_point: Array | None = None,
        w_zero_point: Array | None = None,
        *,
        auto_pad: str,
        dilations: Sequence[int] | None,
        group: int,
        kernel_shape: Sequence[int] | None,  # noqa: ARG002 (the weights have it)
        pads: Sequence[int] | None,
        strides: Sequence[int] | None,
    ) -> tuple[Array]:
        centred, filters = _centred(x, x_zero_point, 1), _centred(w, w_zero_point, 0)
        windows = resolve_windows(x.shape[2:], w.shape[2:], strides, dilations, pads, auto_pad=auto_pad)
        return (convolve(centred, filters, windows, group).astype(np.int32),)


class QLinearConv(Float64Op):
    """Convolution of integers into an int32 sum, which is scaled and quantised again."""

    def _run(
        self,
        x: Array,
        x_scale: Array,
        x_zero_point: Array,
        w: Array,
        w_scale: Array,
        w_zero_point: Array,
        y_scale: Array,
        y_zero_point: Array,
        bias: Array | None = None,
        *,
        auto_pad: str,
        dilations: Sequence[int] | None,
        group: int,
        kernel_shape: Sequence[int] | None,  # noqa: ARG002 (the weights have it)
        pads: Sequence[int] | None,
        strides: Sequence[int] | None,
    ) -> tuple[Array]:
        windows = resolve_windows(x.shape[2:], w.shape[2:], strides, dilations, pads, auto_pad=auto_pad)
        # Sums of 8-bit products are exact in float64, and BLAS has no integers.
        sums = convolve(_centred(x, x_zero_point, 1), _centred(w, w_zero_point, 0), windows, group)
        if bias is not None:
            sums = sums + _spread(bias, sums.shape, 1)
        scaled = sums * _spread(x_scale * w_scale / y_scale, sums.shape, 1)
        offset = y_zero_point.astype(np.float64)
        return (_to_quantised(scaled, offset, y_zero_point.dtype, saturate=True),)


class QLinearMatMul(Float64Op):
    """Matrix product of integers into an int32 sum, which is scaled and quantised again."""

    def _run(
        self,
        a: Array,
        a_scale: Array,
        a_zero_point: Array,
        b: Array,
        b_scale: Array,
        b_zero_point: Array,
        y_scale: Array,
        y_zero_point: Array,
    ) -> tuple[Array]:
        sums = _centred(a, a_zero_point, a.ndim - 2) @ _centred(b, b_zero_point, b.ndim - 1)
        rows = _spread(a_scale, sums.shape, sums.ndim - 2)
        columns = _spread(b_scale, sums.shape, sums.ndim - 1)
        offset = y_zero_point.astype(np.float64)
        return (_to_quantised(sums * (rows * columns / y_scale), offset, y_zero_point.dtype, saturate=True),)


def _centred(x: Array, zero_point: Array | None, axis: int) -> Array:
    """`x` as float64 with its zero point taken off, which may be one an entry of `axis`."""
    values = x.astype(np.float64)
    if zero_point is None:
        return values
    return values - _spread(zero_point.astype(np.float64), x.shape, axis)


def _spread(value: Array, shape: Sequence[int], axis: int, block_size: int = 0) -> Array:
    """Makes a scale or zero point broadcast to `shape`: a scalar, one per entry of `axis`, or one per block."""
    if value.size == 1:
        return value.reshape(())
    if block_size:
        return value.repeat(block_size, axis=axis)[tuple(slice(n) for n in shape)]
    if value.ndim != 1:
        return value
    spread = [1] * len(shape)
    spread[axis] = -1
    return value.reshape(spread)


def _to_quantised(scaled: Array, offset: Array | np.float64, dtype: np.dtype[Any], *, saturate: bool) -> Array:
    """Rounds into an integer type, or into a small float type, which has no zero point."""
    if _is_integer(dtype):
        limits = ml_dtypes.iinfo(dtype)  # type: ignore[no-untyped-call]  # it ships no types
        return (np.rint(scaled) + offset).clip(int(limits.min), int(limits.max)).astype(dtype)
    if saturate:
        largest = float(ml_dtypes.finfo(dtype).max)  # type: ignore[no-untyped-call]  # it ships no types
        scaled = scaled.clip(-largest, largest)
    return scaled.astype(dtype)


def _is_integer(dtype: np.dtype[Any]) -> bool:
    """Whether a type is an integer of any width, the sub-byte ones among them, which NumPy calls void."""
    return np.issubdtype(dtype, np.integer) or dtype.name.startswith(("int", "uint"))
