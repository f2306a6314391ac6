"""What this machine gives to a process: providers, 8-bit sums, abilities of the CPU, cores and memory."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from camgraph_core.errors import DeviceError
from camgraph_runtime.run import onnx_runtime
from camgraph_runtime.run.backend import Backend
from camgraph_runtime.run.threads import available_cores, cgroup_folders, cgroup_quota

_LIMITS = ("memory.max", "memory.limit_in_bytes")  # of cgroup v2 and v1

_ABILITIES = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm", "sve")


@dataclass(frozen=True)
class Machine:
    """What was found.

    Attributes:
        providers: onnxruntime's execution providers, as it names them; none where it cannot be used.
        saturates_int8: Whether default kernels saturate where uint8 and int8 are multiplied; None where onnxruntime
            cannot be used.
        cores: Cores that this process may use.
        memory: Bytes that it may use: the machine's, or less where a control group or a limit of the process is lower.
        cpu: What the CPU can do that makes models faster, as Linux names it.
        cpu_quota: Cores that control groups allow; None without a limit.
        machine_cores: Cores of the machine.
        machine_memory: Bytes of the machine.

    """

    providers: tuple[str, ...]
    saturates_int8: bool | None
    cores: int
    memory: int
    cpu: tuple[str, ...]
    cpu_quota: float | None
    machine_cores: int
    machine_memory: int


def look_at_machine(backend: Backend | None = None) -> Machine:
    """Find out what this machine gives."""
    providers: tuple[str, ...] = ()
    saturates = None
    with suppress(DeviceError, ImportError):  # `load_libraries` says why
        backend = backend or onnx_runtime.OnnxRuntime()
        providers, saturates = tuple(backend.available_providers()), backend.saturates_int8()
    quota = cgroup_quota()
    return Machine(
        providers,
        saturates,
        available_cores(),
        available_memory(),
        cpu_abilities(),
        None if math.isinf(quota) else quota,
        os.cpu_count() or 1,
        _machine_memory(),
    )


def cpu_abilities(path: Path = Path("/proc/cpuinfo")) -> tuple[str, ...]:
    """What this CPU can do of what onnxruntime's kernels use; nothing where the system does not tell."""
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return ()
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith(("flags", "Features"))), [])
    return tuple(ability for ability in _ABILITIES if ability in flags)


def available_memory(root: Path = Path("/")) -> int:
    """Bytes that this process may use: the machine's memory, cut down to the limits of its groups and its own."""
    limits = [limit for folder in cgroup_folders(root, "memory") for name in _LIMITS if (limit := _read(folder / name))]
    return min([_machine_memory(), *limits, *_own_limits()])


def _own_limits() -> list[int]:
    """Limits that were set for this process, as by `ulimit`."""
    try:
        import resource  # noqa: PLC0415 - not every system has it
    except ImportError:
        return []
    limits = (resource.getrlimit(which)[0] for which in (resource.RLIMIT_AS, resource.RLIMIT_DATA))
    return [limit for limit in limits if limit != resource.RLIM_INFINITY]


def _machine_memory() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _read(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # "max" is no limit
        return None
