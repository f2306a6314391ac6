"""The Open Inference Protocol v2, `inference.GRPCInferenceService`: each method to a call of the service, and back.

Each graph is two models, see `camgraph_wire.open_inference.models`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from typing import Any, TypeAlias

import grpc

from camgraph_core.errors import CamgraphError, InvalidInputError, NotFoundError, UnknownMethodError, UnsupportedError
from camgraph_core.result import Result
from camgraph_server.call import Call
from camgraph_server.models.model import Model, ModelState
from camgraph_server.models.tensors import TensorRequest, TensorResult
from camgraph_server.observe.inference import InferenceCounts
from camgraph_server.service.control import ModelControl
from camgraph_server.service.service import Service
from camgraph_server.transport.handler import Handler
from camgraph_server.transport.health import HealthServicer
from camgraph_server.transport.inner_calls import Explaining
from camgraph_server.transport.light import is_light
from camgraph_server.transport.messages import Messages, Rpc
from camgraph_server.transport.once import admit_control, answer_once
from camgraph_server.transport.refusal import Refusal
from camgraph_server.transport.screening import Screen
from camgraph_server.transport.stream import Streaming, Streams
from camgraph_wire.items import Item
from camgraph_wire.open_inference import streams
from camgraph_wire.open_inference.explanation_outputs import outputs_of
from camgraph_wire.open_inference.explanation_targets import JSON_TARGETS
from camgraph_wire.open_inference.explanations import AskedExplanation, Subject, asked_from
from camgraph_wire.open_inference.messages import SERVICE, message_class
from camgraph_wire.open_inference.models import (
    TENSOR_PLATFORM,
    TENSORS,
    Description,
    config_message,
    explanation_description,
    index_message,
    metadata_message,
    names_of,
    split_name,
    statistics_message,
    tensors_of,
)
from camgraph_wire.open_inference.not_offered import check_tensors
from camgraph_wire.open_inference.tensors import arrays_from, parameters_of, response_message

NAME = SERVICE

_MOST_NUMBERS = 4 * 1024 * 1024  # bytes of a request's typed contents; raw contents have no such limit
_NUMBERS = ("bool", "int", "int64", "uint", "uint64", "fp32", "fp64")


def open_inference_service(
    messages: Messages, streaming: Streaming, rpcs: Sequence[Rpc], max_targets: int
) -> grpc.GenericRpcHandler:
    """The handlers of all its methods.

    Args:
        messages: How messages are received and encoded.
        streaming: What streams take.
        rpcs: The methods with one request and one answer, see `open_inference_rpcs`.
        max_targets: Largest number of targets of one request.
    """
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        rpc.name: Handler(partial(answer_once, messages, rpc)) for rpc in rpcs
    }
    [infer] = [rpc for rpc in rpcs if rpc.name == "ModelInfer"]
    item = replace(
        infer,
        name="ModelStreamInfer",
        decode=partial(_item, max_targets),
        encode=lambda value, item: streams.answer_message(_answer_message(value, item.asked)),
    )
    handlers[item.name] = Handler(Streams(messages, item, _refused, streaming).answer, "bidi_stream")
    return grpc.method_handlers_generic_handler(NAME, handlers)


def open_inference_rpcs(
    service: Service,
    explaining: Explaining,
    control: ModelControl | None,
    health: HealthServicer,
    counts: InferenceCounts,
    max_targets: int,
) -> list[Rpc]:
    """The methods with one request and one answer, which are offered over HTTP, too.

    Args:
        service: What answers.
        explaining: Explains images, with the calls that one takes.
        control: What loads and unloads models; None where that is not offered.
        health: Knows whether the server is ready.
        counts: Know how often graphs ran.
        max_targets: Largest number of targets of one request.
    """
    methods = _Methods(service, explaining, health, counts, control is not None)
    limits = {f"{kind}_contents": _MOST_NUMBERS for kind in _NUMBERS} | {"bytes_contents": max_targets}
    rpcs = [
        _rpc("ServerLive", answer=methods.live),
        _rpc("ServerReady", answer=methods.ready),
        _rpc("ServerMetadata", answer=methods.metadata),
        _rpc("ModelReady", answer=methods.model_ready),
        _rpc("ModelMetadata", answer=methods.model_metadata),
        _rpc("ModelConfig", answer=methods.model_config),
        _rpc("ModelStatistics", answer=methods.statistics),
        _rpc("RepositoryIndex", answer=methods.index),
        Rpc(
            "ModelInfer",
            message_class("ModelInferRequest"),
            Screen(message_class("ModelInferRequest").DESCRIPTOR, limits),
            admit=service.admit,
            decode=partial(_asked, max_targets),
            answer=methods.infer,
            encode=_answer_message,
            is_quick=lambda message: all(map(_is_quick, message.inputs)),
            is_light=is_light,
        ),
    ]
    if control is not None:
        rpcs += [
            replace(_rpc("RepositoryModelLoad", answer=partial(_changed, control.load)), admit=admit_control),
            replace(_rpc("RepositoryModelUnload", answer=partial(_changed, control.unload)), admit=admit_control),
        ]
    return rpcs


def _rpc(name: str, answer: Any) -> Rpc:
    """A method whose answer is made of few fields: ``answer`` gives them by name, or the message."""
    request, response = message_class(f"{name}Request"), message_class(f"{name}Response")

    def encode(value: Any, _: Any) -> Any:
        return response(**value) if isinstance(value, Mapping) else value

    return Rpc(
        name, request, Screen(request.DESCRIPTOR, {}), decode=lambda message: message, answer=answer, encode=encode
    )


class _Methods:
    """What the methods answer, without their messages where they are small."""

    def __init__(
        self,
        service: Service,
        explaining: Explaining,
        health: HealthServicer,
        counts: InferenceCounts,
        has_control: bool,
    ) -> None:
        self._service = service
        self._explaining = explaining
        self._health = health
        self._counts = counts
        self._extensions = ["model_configuration", "statistics", *(["model_repository"] if has_control else [])]

    async def live(self, _: Any, __: Call) -> dict[str, bool]:
        return {"live": True}

    async def ready(self, _: Any, __: Call) -> dict[str, bool]:
        return {"ready": self._health.is_serving}

    async def metadata(self, _: Any, __: Call) -> dict[str, Any]:
        return {"name": "camgraph", "version": version("camgraph"), "extensions": self._extensions}

    async def model_ready(self, asked: Any, call: Call) -> dict[str, bool]:
        try:
            model = await self._model(asked, call)
        except NotFoundError:
            return {"ready": False}
        return {"ready": model.state is ModelState.READY}

    async def model_metadata(self, asked: Any, call: Call) -> Any:
        return metadata_message(await self._described(asked, call))

    async def model_config(self, asked: Any, call: Call) -> Any:
        return config_message(await self._described(asked, call))

    async def index(self, asked: Any, call: Call) -> Any:
        _check_plain(asked)
        return index_message(await self._service.list_models(None, call), ready=asked.ready)

    async def statistics(self, asked: Any, call: Call) -> Any:
        """Those of the graph, for each of the names that are asked for."""
        if asked.name:
            model = await self._model(asked, call)
            names = [(asked.name, model.info)]
        else:
            infos = await self._service.list_models(None, call)
            names = [(name, info) for info in infos for name in names_of(info.name)]
        keys = [(name, (info.name, info.version)) for name, info in names]
        return statistics_message(
            (name, key[1], self._counts.of_model.get(key, {}), self._counts.failed(key)) for name, key in keys
        )

    async def infer(self, asked: _Asked, call: Call) -> Result | TensorResult:
        if isinstance(asked, _Unusable):
            await self._model(asked, call)
            raise asked.error
        if isinstance(asked, TensorRequest):
            return await self._service.run_tensors(asked, call)
        return await self._explaining.explain(asked, call)

    async def _described(self, asked: Any, call: Call) -> Description:
        model = await self._model(asked, call)
        return _description(asked.name or model.name, model)

    async def _model(self, asked: Any, call: Call) -> Model:
        _check_version(asked.version)
        return await self._service.get_model((split_name(asked.name)[0], asked.version), call)


@dataclass(frozen=True)
class _Unusable:
    """A request for inference that cannot be answered; that there is no such model is said first."""

    name: str
    version: str
    error: CamgraphError


_Asked: TypeAlias = AskedExplanation | TensorRequest | _Unusable


async def _changed(change: Any, asked: Any, call: Call) -> dict[str, Any]:
    _check_plain(asked, "unload_dependents")  # which a client sends always; no model depends on another
    await change((split_name(asked.model_name)[0], ""), call)
    return {}


def _check_plain(asked: Any, *known: str) -> None:
    """Refuses what would choose or change models otherwise than a caller may: it would not be done."""
    unknown = sorted(set(getattr(asked, "parameters", ())) - set(known))
    if asked.repository_name or unknown:
        named = ", ".join([*(["repository_name"] if asked.repository_name else []), *unknown])
        raise UnknownMethodError(f"This server has one repository and its own settings; leave {named} out.")


def _check_version(version: str) -> None:
    if version and not (version.isascii() and version.isdecimal()):
        raise InvalidInputError(f"The version {version!r} is not a number; versions are numbers such as 1.")


def _is_quick(tensor: Any) -> bool:
    return (tensor.name, tensor.datatype) != (JSON_TARGETS, "BYTES")


def _asked(max_targets: int, message: Any) -> _Asked:
    try:
        return _usable(max_targets, message)
    except CamgraphError as error:
        return _Unusable(message.model_name, message.model_version, error)


def _usable(max_targets: int, message: Any) -> AskedExplanation | TensorRequest:
    _check_version(message.model_version)
    check_tensors(message)
    arrays = arrays_from(message, max_targets)
    name, is_tensors = split_name(message.model_name)
    outputs = dict.fromkeys(output.name for output in message.outputs)
    if not is_tensors:
        subject = Subject(name, message.model_version, message.id)
        return asked_from(subject, outputs, arrays, parameters_of(message.parameters), max_targets)
    return TensorRequest(name, message.model_version, arrays, tuple(outputs), message.id)


def _item(max_targets: int, message: Any) -> Item[_Asked]:
    """The item of a request; of one that asks for what cannot be, the error, as its id is still needed."""
    try:
        return Item(message.id, _asked(max_targets, message), streams.timeout_of(parameters_of(message.parameters)))
    except CamgraphError as error:
        return Item(message.id, error)


def _refused(item: str, refusal: Refusal) -> Any:
    return streams.error_message(item, refusal.text)


def _answer_message(value: Result | TensorResult, asked: _Asked) -> Any:
    if isinstance(value, TensorResult):
        assert isinstance(asked, TensorRequest)
        return response_message((f"{asked.model}{TENSORS}", value.version), asked.request_id, value.outputs, {})
    assert isinstance(asked, AskedExplanation)
    warnings = {"warnings": " ".join(value.warnings)} if value.warnings else {}
    outputs = outputs_of(value, asked.outputs)
    return response_message((value.model_name, value.model_version), value.request_id, outputs, warnings)


def _description(name: str, model: Model) -> Description:
    model.check_ready()
    assert model.explainer is not None, "the model is ready"
    if not split_name(name)[1]:
        if model.explainer.takes_clips:
            raise UnsupportedError(
                f"Model {model.name!r} explains clips, and the model of this protocol takes single images. Ask "
                f"{model.name}{TENSORS} for the graph's own tensors, or send clips to camgraph.v1.ExplanationService."
            )
        return explanation_description(name, model.version)
    engine, switch = model.explainer.engine, model.explainer.manifest.explain_switch
    inputs, outputs = (
        tensors_of((info.name, info.dtype, info.shape) for info in infos.values() if info.name != switch)
        for infos in (engine.inputs, engine.outputs)
    )
    return Description(name, model.version, TENSOR_PLATFORM, inputs, outputs)
