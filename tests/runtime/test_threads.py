"""Thread counts come from affinity and control groups, never from the host."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from camgraph_runtime.run import threads
from camgraph_runtime.run.threads import Threads, available_cores, cgroup_quota


def machine(root: Path, cgroup: str, files: dict[str, str]) -> Path:
    """A file system with this ``/proc/self/cgroup`` and these files below ``/sys/fs/cgroup``."""
    for name, text in {
        "proc/self/cgroup": cgroup,
        **{f"sys/fs/cgroup/{k}": v for k, v in files.items()},
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("cgroup", "files", "quota"),
    [
        ("0::/\n", {"cpu.max": "250000 100000\n"}, 2.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, math.inf),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "150000 100000\n"}, 1.5),
        ("0::/not/mounted/here\n", {"cpu.max": "50000 100000\n"}, 0.5),
        (
            "4:memory:/x\n3:cpu,cpuacct:/x\n",
            {"cpu,cpuacct/x/cpu.cfs_quota_us": "300000", "cpu,cpuacct/x/cpu.cfs_period_us": "100000"},
            3.0,
        ),
        (
            "3:cpu:/x\n",
            {
                "cpu/cpu.cfs_quota_us": "100000",
                "cpu/cpu.cfs_period_us": "100000",
                "cpu/x/cpu.cfs_quota_us": "-1",
            },
            1.0,
        ),
        ("3:cpu:/x\n0::/\n", {"unified/cpu.max": "200000 100000"}, 2.0),
        ("0::/\n", {"cpu.max": "nonsense"}, math.inf),
        ("", {}, math.inf),
    ],
)
def test_quota(tmp_path: Path, cgroup: str, files: dict[str, str], quota: float) -> None:
    assert cgroup_quota(machine(tmp_path, cgroup, files)) == quota


def test_a_machine_without_control_groups_has_no_quota(tmp_path: Path) -> None:
    assert cgroup_quota(tmp_path) == math.inf


@pytest.mark.parametrize(("affinity", "quota", "cores"), [(8, 2.5, 2), (8, 0.5, 1), (2, math.inf, 2), (4, 16.0, 4)])
def test_cores_are_the_smaller_of_affinity_and_quota(
    monkeypatch: pytest.MonkeyPatch, affinity: int, quota: float, cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(affinity)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 1000)
    monkeypatch.setattr(threads, "cgroup_quota", lambda: quota)
    assert available_cores() == cores
    assert Threads.latency() == Threads(intra_op=cores, inter_op=1, spinning=False)


def test_throughput_takes_one_core_a_run() -> None:
    assert Threads.throughput() == Threads(intra_op=1, inter_op=1, spinning=False)


def test_counts_start_at_one() -> None:
    with pytest.raises(ValueError, match="start at 1"):
        Threads(intra_op=0)
