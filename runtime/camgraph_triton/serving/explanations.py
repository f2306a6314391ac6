"""The model `NAME`: an image in, explanations out. `NAME.tensors` of the same Triton runs the graph."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from camgraph_runtime import Engine, Explainer, Threads
from camgraph_runtime.answer_size import check_answer_size
from camgraph_triton.parameters import MIB, RequestLimits
from camgraph_triton.serving.exchange import Answer, Asked, answered, parameters_of
from camgraph_triton.serving.graph_elsewhere import GraphElsewhere
from camgraph_triton.signature import FILE
from camgraph_wire.open_inference.explanations import OUTPUTS, Subject, asked_from, outputs_of
from camgraph_wire.open_inference.models import TENSORS


class TritonPythonModel:
    """What Triton's Python backend loads; the names of class and methods are its own."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Reads what the graph takes and gives; the graph itself is not loaded here."""
        version = args["model_version"]
        signature = Path(args["model_repository"], version, FILE).read_bytes()
        graph = GraphElsewhere(args["model_name"] + TENSORS, int(version))
        self._limits = RequestLimits.from_parameters(parameters_of(json.loads(args["model_config"])))
        engine = Engine(signature, threads=Threads(1), backend=graph)  # type: ignore[arg-type]  # no GPU from here
        self._explainer = Explainer(engine, limits=self._limits.of_runtime)

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Explains the image of each request."""
        return answered(requests, self._answer)

    def _answer(self, asked: Asked) -> Answer:
        outputs = [name for name in OUTPUTS if name in asked.outputs]
        subject = Subject("", request_id=asked.request_id)
        wanted = asked_from(subject, outputs, asked.inputs, asked.parameters, self._limits.max_targets)
        explainer, request, image = self._explainer, wanted.addressed.request, wanted.addressed.image
        assert image is not None
        plan = explainer.plan(request)
        network_input = explainer.prepare(image, request)
        check_answer_size(
            network_input,
            plan,
            max_bytes=self._limits.max_response_mib * MIB,
            max_drawn=round(self._limits.max_output_megapixels * 1e6),
        )
        plan = explainer.fit(plan, network_input)
        [inference] = explainer.infer([network_input], [plan])
        result = explainer.finish(plan, network_input, inference)
        warnings = {"warnings": " ".join(result.warnings)} if result.warnings else {}
        return Answer(outputs_of(result, wanted.outputs), warnings)
