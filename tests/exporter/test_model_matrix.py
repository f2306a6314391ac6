"""Every candidate layer of every architecture: exported activations, weights, gradients against PyTorch's autograd."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

pytest.importorskip(
    "torch", reason="PyTorch is not installed (extra `torch`), so there is no autograd to compare with."
)
pytest.importorskip("onnxscript", reason="onnxscript is not installed (extra `torch`), so PyTorch cannot export.")

import torch

from camgraph_exporter.choose.layers import choose_layer
from camgraph_exporter.float64 import Float64Evaluator
from camgraph_runtime.run.engine import Engine
from exporter.matrix.architectures import ARCHITECTURES, build
from exporter.matrix.compare import as_map, distance
from exporter.matrix.subject import FLOAT32_TOLERANCE, Subject


@pytest.fixture(scope="module", params=ARCHITECTURES, ids=lambda architecture: architecture.id)
def subject(request: pytest.FixtureRequest) -> Subject:
    return Subject(request.param)


def test_every_candidate_layer_agrees_with_autograd(subject: Subject) -> None:
    errors = {}
    for layer, tensors in subject.pairs():
        matches = subject.autograd.equal_to(subject.exact[layer.name])
        assert matches, f"PyTorch computes nothing equal to layer {layer.name} {layer.value.shape}"
        found, activations = subject.exact[tensors.gradients_tensor], subject.exact[tensors.activations_tensor]
        size = activations.shape[-2:]
        gradients = [as_map(layer, subject.autograd.gradient(tensor), size, by_target=True) for tensor in matches]
        expected = min(gradients, key=lambda gradient: distance(found, gradient))
        errors[layer.name] = max(
            distance(found, expected),
            distance(subject.exact[tensors.weights_tensor], expected.mean(tuple(range(3, expected.ndim)))),
            distance(activations, as_map(layer, subject.exact[layer.name], size)),
        )
        assert np.abs(expected).max() > 0, f"the gradient at {layer.name} is zero, which proves nothing"
    wrong = {name: error for name, error in errors.items() if not error <= subject.architecture.tolerance}
    assert len(errors) >= 2
    assert not wrong


def test_dynamic_sizes_stay_dynamic(subject: Subject) -> None:
    known = [layer.height is not None and layer.width is not None for layer in subject.built.layers]
    assert all(known) if not subject.architecture.dynamic_size else not any(known)


def test_scores_agree_with_pytorch(subject: Subject) -> None:
    found = subject.exact[subject.built.target.target_score_output]
    assert distance(found, subject.autograd.scores.detach().numpy()) <= subject.architecture.tolerance


def test_onnxruntime_agrees_in_float32(subject: Subject) -> None:
    engine = Engine(subject.graph())
    assert subject.float32_error(engine) <= FLOAT32_TOLERANCE


def test_auto_takes_the_layer_that_a_person_would(subject: Subject) -> None:
    """That is after the last block, or before it where the score reads only the class token."""
    architecture, built = subject.architecture, subject.built
    chosen = choose_layer(built.prepared, built.score)
    prefix = chosen.grid.prefix if chosen.grid is not None else 0
    assert prefix == architecture.prefix
    assert ("no place, such as a class token" in chosen.note) == architecture.reads_class_token
    if not architecture.auto:
        assert chosen.name == built.layers[-1].name
        return
    output = _module_output(subject, architecture.auto)
    value = Float64Evaluator(ir.to_proto(built.prepared.model)).run([chosen.name], subject.feeds)[0]
    assert value.shape == output.shape
    assert distance(value, output) <= architecture.tolerance


def _module_output(subject: Subject, name: str) -> np.ndarray:
    module = build(subject.architecture).double()
    outputs: list[torch.Tensor] = []
    module.get_submodule(name).register_forward_hook(lambda *args: outputs.append(args[2]))
    with torch.no_grad():
        module(torch.from_numpy(subject.feeds[str(subject.built.prepared.image.name)]))
    return outputs[0].numpy()
