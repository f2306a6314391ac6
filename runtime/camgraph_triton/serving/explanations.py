"""The model `NAME`: an image in, explanations out.

Where Triton has an onnxruntime backend, `NAME.tensors` runs the graph. Else it runs in the process of this model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from camgraph_core.request import Addressed
from camgraph_core.result import Result
from camgraph_runtime import Engine, Explainer, Threads
from camgraph_runtime.answer_size import check_answer_size
from camgraph_runtime.bank.beside import bank_of
from camgraph_triton.parameters import MIB, RequestLimits
from camgraph_triton.serving.exchange import Answer, Asked, answered, engine_of, parameters_of
from camgraph_triton.serving.graph_elsewhere import GraphElsewhere
from camgraph_triton.signature import FILE, GRAPH
from camgraph_wire.open_inference.explanation_outputs import OUTPUTS, outputs_of
from camgraph_wire.open_inference.explanations import Subject, asked_from
from camgraph_wire.open_inference.models import TENSORS


class TritonPythonModel:
    """What Triton's Python backend loads; the names of class and methods are its own."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Loads the graph, or reads what the one elsewhere takes and gives."""
        version = args["model_version"]
        folder = Path(args["model_repository"], version)
        parameters = parameters_of(json.loads(args["model_config"]))
        self._limits = RequestLimits.from_parameters(parameters)
        if (folder / GRAPH).exists():
            engine = engine_of(folder / GRAPH, parameters)
        else:
            graph = GraphElsewhere(args["model_name"] + TENSORS, int(version))
            signature = (folder / FILE).read_bytes()
            engine = Engine(signature, threads=Threads(1), backend=graph)  # type: ignore[arg-type]  # no GPU from here
        self._explainer = Explainer(engine, limits=self._limits.of_runtime, bank=bank_of(folder / GRAPH))

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Explains the image of each request."""
        return answered(requests, self._answer)

    def _answer(self, asked: Asked) -> Answer:
        outputs = [name for name in OUTPUTS if name in asked.outputs]
        subject = Subject("", request_id=asked.request_id)
        wanted = asked_from(subject, outputs, asked.inputs, asked.parameters, self._limits.max_targets)
        embeddings = [self._explained(addressed).embedding for addressed in wanted.of_references]
        result = self._explained(wanted.held_against(embeddings))
        warnings = {"warnings": " ".join(result.warnings)} if result.warnings else {}
        return Answer(outputs_of(result, wanted.outputs), warnings)

    def _explained(self, addressed: Addressed) -> Result:
        explainer, request, image = self._explainer, addressed.request, addressed.image
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
        return explainer.finish(plan, network_input, inference)
