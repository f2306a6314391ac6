"""`camgraph.v1.ModelControlService`: each method from its message to a call of the service, and back."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import grpc

from camgraph.v1 import model_control_pb2 as pb
from camgraph_server.service.control import ModelControl
from camgraph_server.transport.handler import Handler
from camgraph_server.transport.messages import Messages, Rpc
from camgraph_server.transport.once import admit_control, answer_once
from camgraph_server.transport.screening import Screen
from camgraph_wire.models import index_message, model_message

NAME: str = pb.DESCRIPTOR.services_by_name["ModelControlService"].full_name


def model_control_service(control: ModelControl, messages: Messages) -> grpc.GenericRpcHandler:
    """The handlers of all its methods.

    Args:
        control: What answers.
        messages: How messages are received and encoded.
    """
    rpcs = (
        Rpc(
            "RepositoryIndex",
            pb.RepositoryIndexRequest,
            Screen(pb.RepositoryIndexRequest.DESCRIPTOR, {}),
            decode=lambda _: None,
            answer=control.index,
            encode=lambda entries, _: index_message(entries),
        ),
        Rpc(
            "LoadModel",
            pb.LoadModelRequest,
            Screen(pb.LoadModelRequest.DESCRIPTOR, {}),
            decode=lambda message: (message.name, message.version),
            answer=control.load,
            encode=lambda models, _: pb.LoadModelResponse(models=map(model_message, models)),
        ),
        Rpc(
            "UnloadModel",
            pb.UnloadModelRequest,
            Screen(pb.UnloadModelRequest.DESCRIPTOR, {}),
            decode=lambda message: (message.name, message.version),
            answer=control.unload,
            encode=lambda models, _: pb.UnloadModelResponse(models=map(model_message, models)),
        ),
        Rpc(
            "ReloadRepository",
            pb.ReloadRepositoryRequest,
            Screen(pb.ReloadRepositoryRequest.DESCRIPTOR, {}),
            decode=lambda _: None,
            answer=control.reload,
            encode=lambda models, _: pb.ReloadRepositoryResponse(models=map(model_message, models)),
        ),
    )
    return grpc.method_handlers_generic_handler(
        NAME, {rpc.name: Handler(partial(answer_once, messages, replace(rpc, admit=admit_control))) for rpc in rpcs}
    )
