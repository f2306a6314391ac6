"""Fixtures for all tests."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

# Before anything imports onnxruntime, NumPy or PyTorch: nothing leaves the machine, whatever module is the first.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
# One thread per process for linear algebra: the suite's workers share the cores, and threads that wait spin.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from hypothesis import HealthCheck, settings

from support import browser as browsers
from support.on_ray import own_folder
from support.peers import Peer, installed
from support.saturating_cpu import SaturatingCpu, saturating_cpu

# How fast examples are drawn and run says how busy the machine is, and nothing of the code.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")

_REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_collection_finish() -> None:
    """What was collected lives as long as the process: the garbage collector need not walk through it in every test."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with trained models, photos and golden arrays that are too large for the repository."""
    named = os.environ.get("CAMGRAPH_SHARED")
    folder = Path(named) if named else _REPOSITORY.parent / "shared"
    if not (folder / "reference").is_dir():
        pytest.skip(f"The models, photos and golden arrays are missing: {folder} is not there (see CAMGRAPH_SHARED).")
    return folder


@pytest.fixture(scope="session")
def data() -> Path:
    """Folder with the golden arrays that the repository has."""
    return _REPOSITORY / "tests" / "data"


@pytest.fixture(scope="session", autouse=True)
def _operators_of_torch_are_read_once() -> Iterator[None]:
    """PyTorch's exporter parses the source of each of its operators in every export, a third of that export's time."""
    if not {"torch", "onnxscript"} <= sys.modules.keys():
        yield
        return
    from torch.onnx._internal._lazy_import import onnxscript_apis  # noqa: PLC0415 - slow to load

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnxscript_apis, "get_torchlib_ops", cache(onnxscript_apis.get_torchlib_ops))
        yield


@pytest.fixture(scope="session")
def peer() -> Iterator[Callable[[str], Peer]]:
    """Gives a program of others by its name; a test that asks for one that is not installed is skipped."""
    with own_folder():
        yield installed


@pytest.fixture(scope="session")
def browser() -> Iterator[browsers.Tab]:
    """A tab of a browser in which pages are looked at."""
    with browsers.opened(browsers.installed()) as tab:
        yield tab


@pytest.fixture
def saturating(monkeypatch: pytest.MonkeyPatch) -> type[SaturatingCpu]:
    """Every engine of this test runs on a CPU whose default 8-bit kernels saturate."""
    played = saturating_cpu()
    monkeypatch.setattr("camgraph_runtime.run.onnx_runtime.OnnxRuntime", played)
    return played
