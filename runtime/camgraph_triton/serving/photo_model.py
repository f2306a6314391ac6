"""What the models have in common that take an image: an explainer, limits, and the steps of a request."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from camgraph_core.request import Addressed
from camgraph_core.result import Result
from camgraph_core.types import AnyArray
from camgraph_runtime import Engine, Explainer, Threads
from camgraph_runtime.answer_size import check_answer_size
from camgraph_runtime.bank.beside import bank_of
from camgraph_runtime.network_input import NetworkInput
from camgraph_runtime.plan import Plan
from camgraph_triton.parameters import MIB, RequestLimits
from camgraph_triton.serving.exchange import Answer, Asked, answered, engine_of, parameters_of
from camgraph_triton.serving.graph_elsewhere import GraphElsewhere
from camgraph_triton.signature import FILE, GRAPH
from camgraph_wire.open_inference.explanation_outputs import OUTPUTS, outputs_of
from camgraph_wire.open_inference.explanations import Subject, asked_from
from camgraph_wire.open_inference.models import TENSORS


class PhotoModel:
    """A model of Triton's Python backend that takes an image. The names of its methods are those of that backend."""

    suffix: ClassVar[str] = ""
    """Ends its name, after the graph's own."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Loads the graph, or reads what the one elsewhere takes and gives."""
        version = args["model_version"]
        folder = Path(args["model_repository"], version)
        parameters = parameters_of(json.loads(args["model_config"]))
        self.limits = RequestLimits.from_parameters(parameters)
        if (folder / GRAPH).exists():
            engine = engine_of(folder / GRAPH, parameters)
        else:
            graph = GraphElsewhere(args["model_name"].removesuffix(self.suffix) + TENSORS, int(version))
            signature = (folder / FILE).read_bytes()
            engine = Engine(signature, threads=Threads(1), backend=graph)  # type: ignore[arg-type]  # no GPU from here
        self.explainer = Explainer(engine, limits=self.limits.of_runtime, bank=bank_of(folder / GRAPH))

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answers each request."""
        return answered(requests, self._answer)

    def finalize(self) -> None:
        """Frees the graph."""
        self.explainer.close()

    def _answer(self, asked: Asked) -> Answer:
        raise NotImplementedError

    def read(self, asked: Asked, inputs: Mapping[str, AnyArray]) -> tuple[Addressed, tuple[str, ...]]:
        """What a request asks, and the outputs that it wants.

        The likeness to references is one of its targets; their embeddings are computed for it.

        Args:
            asked: The request.
            inputs: Those of its inputs that its caller sent.

        Raises:
            CamgraphError: It cannot be asked.
        """
        outputs = [name for name in OUTPUTS if name in asked.outputs]
        subject = Subject("", request_id=asked.request_id)
        wanted = asked_from(subject, outputs, inputs, asked.parameters, self.limits.max_targets)
        embeddings = [self.explained(reference).embedding for reference in wanted.of_references]
        return wanted.held_against(embeddings), wanted.outputs

    def prepared(self, addressed: Addressed) -> tuple[Plan, NetworkInput]:
        """What the graph is to be run for. A target that is found in the image takes a run of its own.

        Raises:
            CamgraphError: The image or a target cannot be used, or the answer would take too much.
        """
        request, image = addressed.request, addressed.image
        assert image is not None
        plan = self.explainer.plan(request)
        network_input = self.explainer.prepare(image, request)
        check_answer_size(
            network_input,
            plan,
            max_bytes=self.limits.max_response_mib * MIB,
            max_drawn=round(self.limits.max_output_megapixels * 1e6),
        )
        return self.explainer.fit(plan, network_input), network_input

    def explained(self, addressed: Addressed) -> Result:
        """All steps of one request."""
        plan, network_input = self.prepared(addressed)
        [inference] = self.explainer.infer([network_input], [plan])
        return self.explainer.finish(plan, network_input, inference)


def answer_of(result: Result, outputs: tuple[str, ...]) -> Answer:
    """The outputs of a result, with the remarks on the image."""
    warnings = {"warnings": " ".join(result.warnings)} if result.warnings else {}
    return Answer(outputs_of(result, outputs), warnings)
