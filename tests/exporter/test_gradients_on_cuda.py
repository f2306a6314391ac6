"""Every rule and every architecture on a GPU, against float64: the checks that onnxruntime on the CPU passes, too."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed (extra `torch`), so there is no architecture.")
pytest.importorskip("onnxscript", reason="onnxscript is not installed (extra `torch`), so PyTorch cannot export.")

from camgraph_runtime.run.engine import Engine
from camgraph_runtime.run.providers import CUDA
from exporter import vjp_harness as harness
from exporter.matrix.architectures import ARCHITECTURES, Architecture
from exporter.matrix.subject import FLOAT32_TOLERANCE, Subject
from exporter.op_cases import ALL_CASES
from exporter.op_cases.case import OpCase
from support import cuda

cuda.needed()


# With nothing to reduce, ReduceL2 is the magnitude and ReduceLogSum the logarithm; onnxruntime's CUDA gives x itself.
_WRONG_ON_CUDA = {
    f"{op_type}-{name}" for op_type in ("ReduceL2", "ReduceLogSum") for name in ("nothing", "nothing-for-empty-axes")
}
CASES = [case for case in ALL_CASES if not case.without_onnxruntime and case.id not in _WRONG_ON_CUDA]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_rule_agrees_with_float64(case: OpCase) -> None:
    engine = Engine(harness.gradient_model(case, np.float32).model.SerializeToString(), device="cuda")
    assert engine.execution_provider == CUDA
    harness.assert_float32_agrees(case, engine)


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda architecture: architecture.id)
def test_an_architecture_agrees_with_float64_at_all_layers(architecture: Architecture) -> None:
    subject = Subject(architecture)
    assert subject.float32_error(Engine(subject.graph(), device="cuda")) <= FLOAT32_TOLERANCE
