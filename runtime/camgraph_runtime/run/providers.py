"""Which execution providers to ask onnxruntime for, and whether it kept its word. Knows no onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from camgraph_core.errors import DeviceError

Device = Literal["cpu", "cuda", "auto"]
ProviderList = list[tuple[str, dict[str, str]]]

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"

# TF32 keeps ten bits of each factor: too few for results that are compared with the CPU's. HEURISTIC finds a
# convolution algorithm without timing all of them anew for every shape.
CUDA_DEFAULTS: Mapping[str, str] = {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}


def requested_providers(
    device: Device, available: Sequence[str], cuda_options: Mapping[str, str] | None = None
) -> ProviderList:
    """Providers to request for a device, best first, given those that this onnxruntime was built with.

    Raises:
        DeviceError: ``device`` is "cuda" and this onnxruntime has no CUDA provider, or the device is unknown.

    """
    if device not in ("cpu", "cuda", "auto"):
        raise DeviceError(f"There is no device {device!r}; choose cpu, cuda or auto.")
    cpu: ProviderList = [(CPU, {})]
    if device == "cpu":
        return cpu
    if CUDA not in available:
        if device == "auto":
            return cpu
        raise DeviceError(
            f"CUDA was asked for, but this onnxruntime has only {', '.join(available)}. "
            "Install camgraph[gpu] in place of camgraph[cpu], or choose the device cpu or auto."
        )
    return [(CUDA, {**CUDA_DEFAULTS, **(cuda_options or {})}), *cpu]


def active_provider(device: Device, active: Sequence[str]) -> str:
    """Name of the provider that a new session really got.

    Raises:
        DeviceError: ``device`` is "cuda" and the session fell back to another provider.

    """
    best = active[0] if active else "no provider"
    if device == "cuda" and best != CUDA:
        raise DeviceError(
            f"CUDA was asked for, but onnxruntime fell back to {best}. "
            "Check the driver and the CUDA and cuDNN libraries, or choose the device cpu or auto."
        )
    return best
