"""What this machine gives to a process: providers, 8-bit sums, cores and memory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from camgraph_runtime.run import engine
from camgraph_runtime.run.backend import Backend
from camgraph_runtime.run.threads import available_cores, cgroup_folders

_LIMITS = ("memory.max", "memory.limit_in_bytes")  # of cgroup v2 and v1


@dataclass(frozen=True)
class Machine:
    """What was found.

    Attributes:
        providers: onnxruntime's execution providers, as it names them.
        saturates_int8: Whether default kernels saturate where uint8 and int8 are multiplied.
        cores: Cores that this process may use.
        memory: Bytes that it may use: the machine's, or less where a control group limits it.

    """

    providers: tuple[str, ...]
    saturates_int8: bool
    cores: int
    memory: int


def look_at_machine(backend: Backend | None = None) -> Machine:
    """Find out what this machine gives.

    Raises:
        DeviceError: onnxruntime is not installed.

    """
    backend = backend or engine.OnnxRuntime()
    return Machine(
        tuple(backend.available_providers()), backend.saturates_int8(), available_cores(), available_memory()
    )


def available_memory(root: Path = Path("/")) -> int:
    """Bytes that this process may use: the machine's memory, cut down to the limits of its control groups."""
    limits = [limit for folder in cgroup_folders(root, "memory") for name in _LIMITS if (limit := _read(folder / name))]
    return min([os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), *limits])


def _read(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # "max" is no limit
        return None
