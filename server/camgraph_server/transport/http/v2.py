"""The Open Inference Protocol v2 over HTTP: each address is one of gRPC's methods, with JSON for its messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.routing import Route

from camgraph_core.errors import InvalidInputError
from camgraph_server.call import Call
from camgraph_server.service.service import Service
from camgraph_server.transport.http.endpoint import Answer, Asked, Encode, Endpoint, route
from camgraph_server.transport.messages import Rpc
from camgraph_server.transport.rules import PROBE
from camgraph_wire.json_text import json_from
from camgraph_wire.open_inference.models import split_name
from camgraph_wire.open_inference.rest import RestRequest, parameters_in, plain, response_parts

SERVICE = "http.v2"

LENGTH_HEADER = "inference-header-content-length"
"""Bytes of the JSON, where the bytes of tensors follow it."""

_MODEL = ("/v2/models/{name}", "/v2/models/{name}/versions/{version}")
_BINARY = "application/octet-stream"


def routes(service: Service, rpcs: Sequence[Rpc], max_response: int) -> list[Route]:
    """Its addresses.

    Args:
        service: What answers.
        rpcs: The methods as gRPC has them.
        max_response: Largest answer in bytes.
    """
    by_name = {rpc.name: rpc for rpc in rpcs}

    def get(path: str, name: str, encode: Encode = _all, **fields: Any) -> Route:
        return route("GET", path, _endpoint(by_name[name], encode, **fields))

    def post(path: str, name: str, encode: Encode = _all) -> Route:
        return route("POST", path, _endpoint(by_name[name], encode, takes_body=True))

    infer, ready = _infer(by_name["ModelInfer"], max_response), _model_ready(service)
    found = [
        get("/v2", "ServerMetadata"),
        get("/v2/health/live", "ServerLive", rule=PROBE),
        get("/v2/health/ready", "ServerReady", _ready, rule=PROBE),
        get("/v2/models/stats", "ModelStatistics"),
        post("/v2/repository/index", "RepositoryIndex", _index),
    ]
    if "RepositoryModelLoad" in by_name:
        found += [
            post("/v2/repository/models/{name}/load", "RepositoryModelLoad"),
            post("/v2/repository/models/{name}/unload", "RepositoryModelUnload"),
        ]
    for model in _MODEL:
        found += [
            route("POST", f"{model}/infer", infer),
            route("GET", f"{model}/ready", ready),
            get(f"{model}/config", "ModelConfig", lambda message, _: Answer.of(plain(message.config))),
            get(f"{model}/stats", "ModelStatistics"),
            get(model, "ModelMetadata"),
        ]
    return found


def _endpoint(rpc: Rpc, encode: Encode, **fields: Any) -> Endpoint:
    """A method whose request is made of the address, and of a small body where it takes one."""

    def decode(asked: Asked) -> Any:
        given = json_from(asked.body) if asked.body else {}
        if not isinstance(given, dict):
            raise InvalidInputError("The body of the request is not a JSON object.")
        known = {field.name: field for field in rpc.request.DESCRIPTOR.fields}
        path = {"model_name": asked.path["name"]} if "model_name" in known and "name" in asked.path else asked.path
        flags = {name: given[name] for name in known if isinstance(given.get(name), bool)}
        message: Any = rpc.request(**flags, **path)
        for name in parameters_in(given) if "parameters" in known else ():
            message.parameters.get_or_create(name)  # by their names alone it is told whether they are known
        return rpc.decode(message)

    return Endpoint(
        SERVICE,
        rpc.name,
        rpc.answer,
        decode,
        lambda value, asked: encode(rpc.encode(value, asked), asked),
        admit=rpc.admit,
        **fields,
    )


def _all(message: Any, _: Any) -> Answer:
    return Answer.of(plain(message))


def _ready(message: Any, _: Any) -> Answer:
    return Answer.of(plain(message), status=200 if message.ready else 503)


def _index(message: Any, _: Any) -> Answer:
    return Answer.of(plain(message)["models"])


def _model_ready(service: Service) -> Endpoint:
    """Readiness of a model, which is the status: why it is not ready is said as an error."""

    async def answer(asked: Asked, call: Call) -> Answer:
        name, version = asked.path["name"], asked.path.get("version", "")
        (await service.get_model((split_name(name)[0], version), call)).check_ready()
        return Answer.of({"name": name, "ready": True})

    return Endpoint(SERVICE, "ModelReady", answer)


@dataclass(frozen=True)
class _Inference:
    """A request for inference: as it came, and what it asks."""

    rest: RestRequest
    asked: Any


def _infer(rpc: Rpc, max_response: int) -> Endpoint:
    def decode(asked: Asked) -> _Inference:
        body = memoryview(asked.body)
        size = _header_size(asked)
        model = asked.path["name"], asked.path.get("version", "")
        rest = RestRequest(model, json_from(body[:size]), body[size:])
        rest.message.id = rest.message.id or asked.request_id
        return _Inference(rest, rpc.decode(rest.message))

    async def answer(inference: _Inference, call: Call) -> Any:
        return await rpc.answer(inference.asked, call)

    def encode(value: Any, inference: _Inference) -> Answer:
        text, binary = response_parts(inference.rest, rpc.encode(value, inference.asked))
        if not binary:
            return Answer.within(text, max_response)
        headers = {LENGTH_HEADER: str(sum(map(len, text)))}
        return Answer.within([*text, *binary], max_response, headers=headers, content_type=_BINARY)

    return Endpoint(SERVICE, rpc.name, answer, decode, encode, takes_body=True, admit=rpc.admit)


def _header_size(asked: Asked) -> int:
    text = asked.headers.get(LENGTH_HEADER)
    if text is None:
        return len(asked.body)
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= len(asked.body)):
        raise InvalidInputError(
            f"The header {LENGTH_HEADER} is {text[:100]!r}, and the body has {len(asked.body)} bytes."
        )
    return int(text)
