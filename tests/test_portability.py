"""The program behind docs/portability.md, on a small network and the runtimes that need no installation."""

from __future__ import annotations

import importlib
import importlib.metadata
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from support.nets import deep_classifier

ROOT = Path(__file__).resolve().parent.parent


def _tables(folder: Path, page: Path) -> subprocess.CompletedProcess[str]:
    onnx.save(deep_classifier(), folder / "net.onnx")
    command = [sys.executable, str(ROOT / "benchmarks/portability.py"), "--no-random-nets", "--write", str(page)]
    runtimes = ["--runtime", "onnxruntime", "--runtime", "reference", "--environments", str(folder / "environments")]
    return subprocess.run(
        [*command, "--model", str(folder / "net.onnx"), *runtimes], capture_output=True, text=True, check=False
    )


@pytest.mark.timeout(600)
def test_every_form_runs_and_the_tables_go_between_the_markers(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- begin: portability.py -->\nold\n<!-- end: portability.py -->\nafter\n")
    outcome = _tables(tmp_path, page)
    assert outcome.returncode == 0, outcome.stderr
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    version = importlib.metadata.version("onnxruntime")
    assert f"| onnxruntime, CPU | {version} | all 2, 0 | all 2, 0 | all 2, 0 |" in text
    assert "refused" not in text
    assert "wrong" not in text


def test_a_page_without_markers_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing")
    outcome = _tables(tmp_path, page)
    assert outcome.returncode == 1
    assert "lacks the markers" in outcome.stderr


def test_tensors_survive_the_exchange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    exchange = importlib.import_module("runtimes.exchange")
    tensors = {
        "big_endian": np.arange(6, dtype=">i8").reshape(2, 3),
        "scalar": np.array(True),
        "empty": np.zeros((2, 0, 4), np.float32),
    }
    exchange.write_tensors(tmp_path / "inputs", tensors)
    back = exchange.read_tensors(tmp_path / "inputs")
    assert np.fromfile(tmp_path / "inputs" / "0.bin", "<i8").tolist() == [0, 1, 2, 3, 4, 5]
    for name, tensor in tensors.items():
        assert (back[name].dtype.name, back[name].shape) == (tensor.dtype.name, tensor.shape)
        np.testing.assert_array_equal(back[name], tensor)
