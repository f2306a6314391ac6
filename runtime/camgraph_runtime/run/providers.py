"""Which execution providers to ask onnxruntime for, and whether it kept its word. Knows no onnxruntime."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from camgraph_core.errors import DeviceError

Device: TypeAlias = str
"""``cpu``; ``auto``, which is CUDA where it works; or a provider of onnxruntime: NAME[:KEY=VALUE,...], any case."""

ProviderList = list[tuple[str, dict[str, str]]]

_SUFFIX = "ExecutionProvider"
CPU = f"CPU{_SUFFIX}"
CUDA = f"CUDA{_SUFFIX}"

# Short of what is asked for, a provider computes as exactly as it can, because results are compared with the CPU's.
# TF32 keeps ten bits of each factor. HEURISTIC finds a convolution algorithm without timing all of them for each shape;
# DEFAULT gives one that is hundreds of times slower (docs/gpu.md). OpenVINO by itself computes in bfloat16 or float16
# where the device is faster with it.
DEFAULTS: Mapping[str, Mapping[str, str]] = {
    CUDA: {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"},
    f"OpenVINO{_SUFFIX}": {"precision": "ACCURACY"},
}

# Names that people use, beside those of onnxruntime.
_ALIASES = {"directml": "dml", "trt": "tensorrt"}
_MOST_KINDS = 5


@dataclass(frozen=True)
class Request:
    """What a device asks of onnxruntime.

    Attributes:
        providers: What to request, best first, with their options.
        wanted: The provider that must run; None if the CPU may stand in for it.

    """

    providers: ProviderList = field(default_factory=lambda: [(CPU, {})])
    wanted: str | None = CPU

    @property
    def uses_cuda(self) -> bool:
        """Whether NVIDIA's libraries are needed."""
        return any(name in {CUDA, f"Tensorrt{_SUFFIX}"} for name, _ in self.providers)


def request_for(device: Device, available: Sequence[str]) -> Request:
    """What to request for a device, given the providers that this onnxruntime was built with.

    Raises:
        DeviceError: The device has no such form, or this onnxruntime has no such provider.

    """
    name, options = _read(device)
    cpu = (CPU, options if name == "cpu" else {})
    if name == "cpu" or (name == "auto" and CUDA not in available):
        return Request([cpu])
    if name == "auto":
        return Request([(CUDA, dict(DEFAULTS[CUDA])), cpu], wanted=None)
    found = {short_name(provider).lower(): provider for provider in available}.get(_ALIASES.get(name, name))
    if found is None:
        raise _missing(device.partition(":")[0], available)
    return Request([(found, {**DEFAULTS.get(found, {}), **options}), cpu], wanted=found)


def active_provider(request: Request, active: Sequence[str]) -> str:
    """Name of the provider that a new session really got.

    Raises:
        DeviceError: The session fell back to another provider than must run.

    """
    best = active[0] if active else "no provider"
    if request.wanted not in (None, best):
        raise not_started(request, f"onnxruntime fell back to {best}.")
    return best


def not_started(request: Request, reason: str) -> DeviceError:
    """The refusal where the provider that must run does not start, for a reason that is a sentence."""
    name = short_name(request.wanted or "")
    what = "the driver and the CUDA and cuDNN libraries" if request.uses_cuda else "its driver, libraries and options"
    return DeviceError(f"{name} was asked for, but {reason} Check {what}, or choose the device cpu or auto.")


def short_name(provider: str) -> str:
    """A provider's name without what all of them end in: CUDA, OpenVINO."""
    return provider.removesuffix(_SUFFIX)


def placement_note(name: str, nodes: Iterable[tuple[str, str]]) -> str:
    """A sentence on the nodes that a provider leaves to the CPU; empty if there are none.

    Args:
        name: The provider that was asked for.
        nodes: For each node of the graph the provider that has it, and its operator.

    """
    placed = list(nodes)
    left = Counter(operator for provider, operator in placed if provider != name)
    if name == CPU or not left:
        return ""
    kinds = [f"{count} {operator}" for operator, count in left.most_common(_MOST_KINDS)]
    more = [f"{len(left) - _MOST_KINDS} more kinds"] if len(left) > _MOST_KINDS else []
    return (
        f"{short_name(name)} leaves {left.total()} of the graph's {len(placed)} nodes to the CPU: "
        f"{', '.join([*kinds, *more])}."
    )


def _read(device: Device) -> tuple[str, dict[str, str]]:
    """The name in lower case, and the options."""
    name, _, text = device.partition(":")
    pairs = [option.partition("=") for option in text.split(",")] if text else []
    if not name or (":" in device and not text) or any(not key or not equals for key, equals, _ in pairs):
        raise DeviceError(
            f"There is no device {device!r}; it is cpu, auto, or a provider as NAME:KEY=VALUE,KEY=VALUE with options."
        )
    return name.lower(), {key.strip(): value.strip() for key, _, value in pairs}


def _missing(name: str, available: Sequence[str]) -> DeviceError:
    if name.lower() == "cuda":
        return DeviceError(
            f"CUDA was asked for, but this onnxruntime has only {', '.join(available)}. "
            "Install camgraph[gpu] in place of camgraph[cpu], or choose the device cpu or auto."
        )
    return DeviceError(
        f"There is no device {name!r}: this onnxruntime has {', '.join(map(short_name, available))}. "
        "Choose one of them, cpu or auto, or install a build of onnxruntime that has it."
    )
