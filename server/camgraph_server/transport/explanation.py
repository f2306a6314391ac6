"""`camgraph.v1.ExplanationService`: each method from its message to a call of the service, and back."""

from __future__ import annotations

from functools import partial
from typing import Any

import grpc

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1.manifest_pb2 import Manifest
from camgraph_core.place import MOST_CORNERS, MOST_REFERENCES
from camgraph_server.models.model import Model
from camgraph_server.service.service import Service
from camgraph_server.transport.chunks import answer_in_chunks
from camgraph_server.transport.handler import Handler
from camgraph_server.transport.light import is_light
from camgraph_server.transport.messages import Messages, Rpc
from camgraph_server.transport.once import answer_once
from camgraph_server.transport.refusal import Refusal
from camgraph_server.transport.screening import Screen
from camgraph_server.transport.stream import Streaming, Streams
from camgraph_wire.chunks import pieces_of
from camgraph_wire.items import answer_message, error_message, item_from
from camgraph_wire.models import ModelDetails, details_message, list_message
from camgraph_wire.requests import request_from
from camgraph_wire.results import response_message

_MOST_FRAMES = 4096  # how many a model takes is known later; so many empty ones cost nothing

NAME: str = pb.DESCRIPTOR.services_by_name["ExplanationService"].full_name


def explanation_service(
    service: Service, messages: Messages, streaming: Streaming, max_targets: int
) -> grpc.GenericRpcHandler:
    """The handlers of all its methods.

    Args:
        service: What answers.
        messages: How messages are received and encoded.
        streaming: What streams take.
        max_targets: Largest number of targets of one request.
    """
    targets = {"targets": max_targets, "files": _MOST_FRAMES, "corners": MOST_CORNERS, "names": MOST_REFERENCES}
    once = (
        Rpc(
            "Explain",
            pb.ExplainRequest,
            Screen(pb.ExplainRequest.DESCRIPTOR, targets),
            admit=service.admit,
            decode=request_from,
            answer=service.explain,
            encode=lambda result, addressed: response_message(result, addressed.request),
            is_light=is_light,
        ),
        Rpc(
            "ListModels",
            pb.ListModelsRequest,
            Screen(pb.ListModelsRequest.DESCRIPTOR, {}),
            decode=lambda _: None,
            answer=service.list_models,
            encode=lambda models, _: list_message(models),
        ),
        Rpc(
            "GetModel",
            pb.GetModelRequest,
            Screen(pb.GetModelRequest.DESCRIPTOR, {}),
            decode=lambda message: (message.name, message.version),
            answer=service.get_model,
            encode=lambda model, _: details_of(model),
        ),
    )
    item = Rpc(
        "ExplainStream",
        pb.ExplainStreamRequest,
        Screen(pb.ExplainStreamRequest.DESCRIPTOR, targets),
        admit=service.admit,
        decode=item_from,
        answer=service.explain,
        encode=lambda result, item: answer_message(item.id, response_message(result, item.asked.request)),
        is_light=is_light,
    )
    chunked = Rpc(
        "ExplainChunked",
        pb.ExplainChunkedRequest,
        Screen(pb.ExplainChunkedRequest.DESCRIPTOR, targets),
        admit=service.admit,
        decode=lambda message: request_from(message.request),
        answer=service.explain,
        encode=lambda result, addressed: pieces_of(result, addressed.request),
    )
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        rpc.name: Handler(partial(answer_once, messages, rpc)) for rpc in once
    }
    handlers[item.name] = Handler(Streams(messages, item, _refused, streaming).answer, "bidi_stream")
    handlers[chunked.name] = Handler(partial(answer_in_chunks, messages, chunked), "server_stream")
    return grpc.method_handlers_generic_handler(NAME, handlers)


def _refused(item: str, refusal: Refusal) -> pb.ExplainStreamResponse:
    return error_message(item, refusal.status.name, refusal.reason, refusal.text, refusal.retry_after)


def details_of(model: Model) -> pb.GetModelResponse:
    """The message of a model, with its manifest if it is loaded."""
    manifest = model.explainer.manifest if model.explainer is not None else Manifest()
    return details_message(ModelDetails(model.info, manifest))
