"""One architecture of the matrix, exported at all of its layers, and what its tensors must be."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.assemble.build import Built
from camgraph_exporter.choose.layers import candidate_layers
from camgraph_exporter.choose.score import ScoreOptions, find_score
from camgraph_exporter.float64 import Float64Evaluator
from camgraph_exporter.graph.gradient_path import GradientPath
from camgraph_exporter.layers.layers import TargetLayer
from camgraph_exporter.prepare.prepare import lifted, prepare
from camgraph_exporter.vjp.driver import opset_of
from camgraph_runtime.run.engine import Engine
from exporter.matrix.architectures import Architecture, build
from exporter.matrix.compare import Autograd, distance, draw_feeds, explain_all, trace

FLOAT32_TOLERANCE = 1e-2
"""Gates near zero may flip between float32 and float64, and deep random networks magnify rounding."""


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

    def graph(self) -> bytes:
        """The explainable graph, in float32."""
        serialized: bytes = ir.to_proto(self.built.prepared.model).SerializeToString()
        return serialized

    def float32_error(self, engine: Engine) -> float:
        """The largest distance of an engine's activations, weights and gradients from those in float64."""
        found = engine.run(
            {
                name: array.astype(np.float32) if array.dtype == np.float64 else array
                for name, array in self.feeds.items()
            }
        )
        return max(
            distance(found[name], self.exact[name])
            for _, tensors in self.pairs()
            for name in (tensors.activations_tensor, tensors.weights_tensor, tensors.gradients_tensor)
        )


def _in_float32(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32) if array.dtype == np.float64 else array
