"""What tests on a GPU share."""

from __future__ import annotations

import ctypes

import pytest

from camgraph_runtime.run.onnx_runtime import OnnxRuntime
from camgraph_runtime.run.providers import CUDA


def needed() -> None:
    """Skips a file of tests where onnxruntime has no CUDA. Where it has and CUDA does not start, its tests fail."""
    if CUDA not in OnnxRuntime().available_providers():
        pytest.skip("onnxruntime has no CUDA here (extra `gpu`).", allow_module_level=True)


def memory_in_use() -> int:
    """Bytes of the GPU's memory that are taken, by whatever runs on it."""
    import onnxruntime  # noqa: PLC0415 - only where `needed` has looked

    cuda = ctypes.CDLL(f"libcudart.so.{onnxruntime.cuda_version.partition('.')[0]}")
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    assert cuda.cudaMemGetInfo(ctypes.byref(free), ctypes.byref(total)) == 0
    return total.value - free.value
