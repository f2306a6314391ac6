"""The types of `op.Mul(a, b)` are those of the ONNX standard, and the committed file is current."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import onnx
import pytest

import generate_operators
from operator_page import NEWEST_OPSET

ROOT = Path(__file__).resolve().parents[2]

needs_newest_onnx = pytest.mark.skipif(
    onnx.defs.onnx_opset_version() < NEWEST_OPSET,
    reason="The installed onnx does not know all operators that the file lists.",
)


def check(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "scripts/generate_operators.py", "--check", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@needs_newest_onnx
def test_the_committed_types_are_current() -> None:
    outcome = check()
    assert outcome.returncode == 0, outcome.stderr


@needs_newest_onnx
def test_stale_types_are_noticed(tmp_path: Path) -> None:
    stub = tmp_path / "standard_operators.pyi"
    stub.write_text("class StandardOperators: ...\n")
    outcome = check("--stub", str(stub))
    assert outcome.returncode == 1
    assert "generate_operators.py" in outcome.stderr


@pytest.mark.parametrize(
    "signature",
    [
        "def Mul(self, A: Given, B: Given, /) -> ir.Value: ...",
        # Inputs that may be left out, in the middle too.
        "def Clip(self, input: Given, min: Argument = None, max: Argument = None, /) -> ir.Value: ...",
        # As many inputs as one likes, and an attribute that has no default.
        "def Concat(self, *inputs: Given, axis: int) -> ir.Value: ...",
        # An attribute up to opset 17, an input of the same name since.
        (
            "def ReduceMean(self, data: Given, axes_input: Argument = None, /, *, axes: Sequence[int] | None = None, "
            "keepdims: int | None = None, noop_with_empty_axes: int | None = None) -> ir.Value: ..."
        ),
    ],
    ids=lambda text: text.split("(")[0],
)
def test_a_signature_is_that_of_the_standard(signature: str) -> None:
    assert f"    {signature}\n" in generate_operators.make()
