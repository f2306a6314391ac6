"""How many threads a session may use: sized from what this process may really run on."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True)
class Threads:
    """Thread counts of one engine.

    ``intra_op`` threads share the work of one operator; ``inter_op`` threads run independent operators side
    by side (1 = one operator after the other). With ``spinning``, idle threads burn their core for a while
    instead of sleeping: faster for one caller that owns the machine, slower where other work shares the
    cores.
    """

    intra_op: int
    inter_op: int = 1
    spinning: bool = False

    def __post_init__(self) -> None:
        if self.intra_op < 1 or self.inter_op < 1:
            raise ValueError("Thread counts start at 1.")

    @classmethod
    def latency(cls, cores: int | None = None) -> Self:
        """All cores (by default `available_cores`) on one run: the shortest answer for a single caller."""
        return cls(intra_op=cores or available_cores())

    @classmethod
    def throughput(cls) -> Self:
        """One core a run: the most answers a second when as many callers as cores run at once."""
        return cls(intra_op=1)


def available_cores() -> int:
    """Cores that this process may use, at least 1: the CPU affinity, cut down to the cgroup's CPU quota."""
    return max(1, math.floor(min(_affinity(), cgroup_quota())))


def cgroup_quota(root: Path = Path("/")) -> float:
    """CPU time a second that the control groups of this process allow, in cores; infinity without a limit.

    Reads cgroup v2 (``cpu.max``) and v1 (``cpu.cfs_quota_us``) below ``root``. A limit on any ancestor holds
    too, and inside a container the process's own path is often not mounted: so every level up to the mount is
    looked at.
    """
    return min((_read_quota(folder) for folder in cgroup_folders(root, "cpu")), default=math.inf)


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cgroup_folders(root: Path, controller: str) -> Iterator[Path]:
    """Yield the folders that may limit this process: those of its control groups for one controller, and above."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        for mount in _mounts(root / "sys/fs/cgroup", controllers.split(","), controller):
            folder = mount / path.lstrip("/")
            yield folder
            yield from (parent for parent in folder.parents if parent.is_relative_to(mount))


def _mounts(base: Path, controllers: list[str], wanted: str) -> list[Path]:
    if controllers == [""]:  # the single hierarchy of v2, alone or beside v1
        return [base, base / "unified"]
    if wanted in controllers:
        return [base / wanted, base / ",".join(controllers)]
    return []


def _read_quota(folder: Path) -> float:
    try:
        quota, period = (folder / "cpu.max").read_text().split()
        return math.inf if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        pass
    try:
        quota_us = int((folder / "cpu.cfs_quota_us").read_text())
        period_us = int((folder / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return math.inf
    return quota_us / period_us if quota_us > 0 else math.inf
