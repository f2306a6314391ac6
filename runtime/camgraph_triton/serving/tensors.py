"""The model `NAME.tensors` where Triton has no onnxruntime backend: the graph's own inputs in, its outputs out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from camgraph_core.types import AnyArray
from camgraph_runtime import Explainer
from camgraph_runtime.tensors import run_feeds, tensor_feeds
from camgraph_triton.parameters import RequestLimits
from camgraph_triton.serving.exchange import Answer, Asked, answered, engine_of, parameters_of
from camgraph_triton.signature import GRAPH


class TritonPythonModel:
    """What Triton's Python backend loads; the names of class and methods are its own."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Loads the graph."""
        parameters = parameters_of(json.loads(args["model_config"]))
        engine = engine_of(Path(args["model_repository"], args["model_version"], GRAPH), parameters)
        self.explainer = Explainer(engine, limits=RequestLimits.from_parameters(parameters).of_runtime)

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Runs the graph for each request."""
        return answered(requests, self._answer)

    def _answer(self, asked: Asked) -> Answer:
        known = self.explainer.engine.outputs
        outputs = [name for name in known if name in asked.outputs]
        feeds = tensor_feeds(self.explainer, self._without_axes(asked.inputs), outputs)
        return Answer(run_feeds(self.explainer, feeds, outputs), {})

    def _without_axes(self, inputs: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
        """The inputs, the switch as the scalar that it is; Triton has no tensors without axes."""
        switch = self.explainer.manifest.explain_switch
        return {name: array.reshape(()) if name == switch else array for name, array in inputs.items()}

    def finalize(self) -> None:
        """Frees the graph."""
        self.explainer.close()
