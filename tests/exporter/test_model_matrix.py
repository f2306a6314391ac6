"""Every candidate layer of every architecture: exported activations, weights, gradients against PyTorch's autograd."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import onnx_ir as ir
import pytest

pytest.importorskip(
    "torch", reason="PyTorch is not installed (extra `torch`), so there is no autograd to compare with."
)
pytest.importorskip("onnxscript", reason="onnxscript is not installed (extra `torch`), so PyTorch cannot export.")

import torch

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.assemble.build import Built
from camgraph_exporter.choose.layers import candidate_layers, choose_layer
from camgraph_exporter.choose.score import ScoreOptions, find_score
from camgraph_exporter.float64 import Float64Evaluator
from camgraph_exporter.graph.gradient_path import GradientPath
from camgraph_exporter.layers.layers import TargetLayer
from camgraph_exporter.prepare.prepare import lifted, prepare
from camgraph_exporter.vjp.driver import opset_of
from camgraph_runtime.run.engine import Engine
from exporter.matrix.architectures import ARCHITECTURES, Architecture, build
from exporter.matrix.compare import Autograd, as_map, distance, draw_feeds, explain_all, trace

# Gates near zero may flip between float32 and float64, and deep random networks magnify rounding.
_FLOAT32_TOLERANCE = 1e-2


@dataclass(frozen=True)
class Subject:
    """One architecture, exported once for all its tests."""

    architecture: Architecture

    @cached_property
    def built(self) -> Built:
        model = trace(build(self.architecture), self.architecture)
        sizes = None if self.architecture.dynamic_size else self.architecture.shape[1:]
        options = ScoreOptions(task=self.architecture.scores)
        prepared = prepare(model, sizes=sizes)
        score = find_score(prepared, options)
        layers = candidate_layers(prepared, score)
        needed = opset_of(GradientPath(prepared.graph, [layer.value for layer in layers], [score.value]))
        if needed > prepared.model.opset_imports[""]:
            prepared = lifted(prepared, needed)
            score = find_score(prepared, options)
            layers = candidate_layers(prepared, score)
        return explain_all(prepared, score, layers)

    @cached_property
    def feeds(self) -> dict[str, np.ndarray]:
        return draw_feeds(self.built, self.architecture)

    @cached_property
    def exact(self) -> dict[str, np.ndarray]:
        """The graph's outputs and the tensors of its layers, in float64."""
        names = [str(output.name) for output in self.built.prepared.graph.outputs]
        names += [layer.name for layer in self.built.layers]
        evaluator = Float64Evaluator(ir.to_proto(self.built.prepared.model))
        return dict(zip(names, evaluator.run(names, self.feeds), strict=True))

    @cached_property
    def autograd(self) -> Autograd:
        return Autograd(build(self.architecture), self.built, self.feeds, self.architecture.scores_of)

    def pairs(self) -> list[tuple[TargetLayer, pb.Layer]]:
        return list(zip(self.built.layers, self.built.layer_tensors, strict=True))


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
    engine = Engine(ir.to_proto(subject.built.prepared.model).SerializeToString())
    feeds = {
        name: array.astype(np.float32) if array.dtype == np.float64 else array for name, array in subject.feeds.items()
    }
    found = engine.run(feeds)
    for _, tensors in subject.pairs():
        for name in (tensors.activations_tensor, tensors.weights_tensor, tensors.gradients_tensor):
            assert distance(found[name], subject.exact[name]) <= _FLOAT32_TOLERANCE, name


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
