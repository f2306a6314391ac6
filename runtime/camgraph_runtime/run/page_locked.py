"""Memory that a GPU copies from and to directly, by CUDA's runtime library. It is loaded where CUDA runs, only."""

from __future__ import annotations

import ctypes
import sys
import weakref
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from camgraph_core.errors import DeviceError
from camgraph_core.types import ByteArray

Allocate: TypeAlias = Callable[[int], ByteArray]
"""Gives so many bytes, uint8 [n], which are freed with the array."""

_OF_ALL_DEVICES = 1  # cudaHostAllocPortable


class PageLocked:
    """Allocates page-locked memory.

    A copy from ordinary memory goes through a small page-locked buffer of the driver and holds its caller up; a copy
    from here does neither (CUDA C++ Programming Guide, "Page-Locked Host Memory").

    Args:
        cuda_version: CUDA's version, such as "13.0"; the library has the name of its first number.
        device: Number of the GPU, on which CUDA is started if it has not been.

    Raises:
        DeviceError: The library cannot be loaded.

    """

    def __init__(self, cuda_version: str, device: int) -> None:
        major = cuda_version.partition(".")[0]
        name = f"cudart64_{major}.dll" if sys.platform == "win32" else f"libcudart.so.{major}"
        try:
            self._cuda = ctypes.CDLL(name)
        except OSError as error:
            raise DeviceError(
                f"CUDA's library {name} cannot be loaded ({error}). Install camgraph[gpu], or choose the device cpu."
            ) from error
        self._cuda.cudaGetErrorString.restype = ctypes.c_char_p
        self._device = device

    def __call__(self, size: int) -> ByteArray:
        """So many bytes.

        Raises:
            DeviceError: CUDA refuses them.

        """
        pointer = ctypes.c_void_p()
        self._check(self._cuda.cudaSetDevice(self._device), size)
        self._check(
            self._cuda.cudaHostAlloc(ctypes.byref(pointer), ctypes.c_size_t(size), ctypes.c_uint(_OF_ALL_DEVICES)), size
        )
        memory = (ctypes.c_ubyte * size).from_address(pointer.value or 0)
        # Views of the array hold this object. At the end of the process the driver frees everything itself.
        weakref.finalize(memory, self._cuda.cudaFreeHost, pointer).atexit = False
        return np.ctypeslib.as_array(memory)

    def _check(self, status: Any, size: int) -> None:
        if status != 0:
            reason = self._cuda.cudaGetErrorString(status).decode()
            raise DeviceError(f"CUDA gives no {size} bytes of page-locked memory: {reason}.")
