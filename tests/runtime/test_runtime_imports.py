"""What importing the runtime brings along, and what it offers."""

from __future__ import annotations

import subprocess
import sys

import pytest

import camgraph_runtime
from camgraph_runtime.engine import Engine
from camgraph_runtime.errors import DeviceError

_PROBE = """
import sys, camgraph_runtime, camgraph_runtime.panel
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_importing_brings_neither_torch_nor_onnx_nor_grpc() -> None:
    done = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, text=True, check=True, timeout=60)
    loaded = set(done.stdout.split())
    assert {"numpy", "cv2", "PIL", "google"} <= loaded
    assert not loaded & {"torch", "onnx", "onnx_ir", "grpc", "onnxruntime", "click", "rich"}


def test_a_missing_onnxruntime_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(DeviceError, match=r"Install camgraph\[cpu\] or camgraph\[gpu\]"):
        Engine(b"graph")


def test_the_public_names_are_what_all_says() -> None:
    public = {
        name
        for name, value in vars(camgraph_runtime).items()
        if not name.startswith("_") and getattr(value, "__module__", None) and not hasattr(value, "__path__")
    }
    assert public <= set(camgraph_runtime.__all__)
    assert all(hasattr(camgraph_runtime, name) for name in camgraph_runtime.__all__)
