"""`camgraph.v1.ExplanationService`."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from grpc.aio import ServicerContext

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1 import explanation_pb2_grpc
from camgraph.v1.manifest_pb2 import Manifest
from camgraph_core.errors import TooLargeError
from camgraph_core.models import ModelInfo
from camgraph_server.config import MIB, ServerConfig
from camgraph_server.models.repository import Model, ModelRepository
from camgraph_server.scheduling.workers import WorkerPool
from camgraph_server.service.explaining import explain
from camgraph_server.transport.messages import Encoded
from camgraph_wire.models import ModelDetails, details_message, list_message
from camgraph_wire.requests import request_from
from camgraph_wire.results import response_message


class ExplanationServicer(explanation_pb2_grpc.ExplanationServiceServicer):
    """Explains images on worker threads. The interceptor turns the exceptions into status codes."""

    def __init__(self, config: ServerConfig, repository: ModelRepository, pool: WorkerPool) -> None:
        self._repository = repository
        self._pool = pool
        self._max_bytes = config.max_response_mib * MIB

    async def Explain(  # noqa: N802 - the protocol's name
        self, request: pb.ExplainRequest, context: ServicerContext[Any, Any]
    ) -> Encoded:
        """Classifies one image and explains the asked classes of it."""
        arrived = time.perf_counter()
        model = self._repository.find(request.model_name, request.model_version)
        explainer = model.ready_explainer()

        def work(waited: float) -> Encoded:
            addressed = request_from(request)
            result = explain(explainer, addressed, self._max_bytes)
            drawing = time.perf_counter()
            response = response_message(
                replace(result, model_name=model.name, model_version=model.version), addressed.request
            )
            done = time.perf_counter()
            response.timings.queue_ms = waited * 1e3
            response.timings.render_ms = (done - drawing) * 1e3
            response.timings.total_ms = (done - arrived) * 1e3
            return _encoded(response, self._max_bytes)

        return await self._pool.run(work, _deadline(context))

    async def ListModels(  # noqa: N802 - the protocol's name
        self, _: pb.ListModelsRequest, __: ServicerContext[Any, Any]
    ) -> pb.ListModelsResponse:
        """Lists the models of the repository, sorted by name, then version."""
        return list_message(map(_model_info, self._repository.models))

    async def GetModel(  # noqa: N802 - the protocol's name
        self, request: pb.GetModelRequest, _: ServicerContext[Any, Any]
    ) -> pb.GetModelResponse:
        """Returns one model with its whole manifest."""
        model = self._repository.find(request.name, request.version)
        manifest = model.explainer.manifest if model.explainer is not None else Manifest()
        return details_message(ModelDetails(_model_info(model), manifest))


def _encoded(response: pb.ExplainResponse, max_bytes: int) -> Encoded:
    data = response.SerializeToString()
    if len(data) > max_bytes:
        raise TooLargeError(
            f"The answer takes {len(data) / MIB:.0f} MiB, more than the limit of {max_bytes / MIB:.0f} MiB; "
            "ask for fewer targets, or for pictures instead of arrays."
        )
    return Encoded(response, data)


def _deadline(context: ServicerContext[Any, Any]) -> float | None:
    """The caller's deadline on the clock of `time.monotonic`."""
    remaining: float | None = context.time_remaining()
    return None if remaining is None else time.monotonic() + remaining


def _model_info(model: Model) -> ModelInfo:
    info = ModelInfo(model.name, model.version, model.state.value, model.reason)
    if model.explainer is None:
        return info
    return replace(
        info,
        num_classes=model.explainer.num_classes,
        layers=tuple(model.explainer.layers),
        execution_provider=model.explainer.engine.execution_provider,
    )
