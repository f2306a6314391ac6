"""KServe's first protocol: `:predict` and `:explain` of a model, for several images at once."""

from __future__ import annotations

from functools import partial

from starlette.routing import Route

from camgraph_server.call import Call
from camgraph_server.service.service import Service
from camgraph_server.transport.http.endpoint import Answer, Asked, Encode, Endpoint, route
from camgraph_server.transport.http.instances import Instances
from camgraph_server.transport.rules import PROBE
from camgraph_wire.json_text import json_from
from camgraph_wire.kserve_v1 import asked_from_v1, explanations_text, predictions_text
from camgraph_wire.open_inference.explanations import AskedExplanation

SERVICE = "http.v1"


def routes(service: Service, instances: Instances, max_targets: int, max_response: int) -> list[Route]:
    """Its addresses.

    Args:
        service: What answers.
        instances: Explains the instances of a request.
        max_targets: Largest number of targets of an instance.
        max_response: Largest answer in bytes.
    """
    decode = partial(_decoded, max_targets)

    async def models(_: Asked, call: Call) -> Answer:
        return Answer.of({"models": [model.name for model in await service.list_models(None, call)]})

    async def ready(asked: Asked, call: Call) -> Answer:
        name = asked.path["name"]
        (await service.get_model((name, ""), call)).check_ready()
        return Answer.of({"name": name, "ready": True})

    async def alive(_: Asked, __: Call) -> Answer:
        return Answer.of({"status": "alive"})

    def of_images(name: str, encode: Encode) -> Endpoint:
        return Endpoint(SERVICE, name, instances.explain, decode, encode, takes_body=True, admit=service.admit)

    predict = of_images("Predict", lambda results, _: Answer.within(predictions_text(results), max_response))
    explain = of_images(
        "Explain", lambda results, asked: Answer.within(explanations_text(results, asked), max_response)
    )
    return [
        route("GET", "/", Endpoint(SERVICE, "Alive", alive, rule=PROBE)),
        route("GET", "/v1/models", Endpoint(SERVICE, "ListModels", models)),
        route("POST", "/v1/models/{name}:predict", predict),
        route("POST", "/v1/models/{name}:explain", explain),
        route("GET", "/v1/models/{name}", Endpoint(SERVICE, "ModelReady", ready)),
    ]


def _decoded(max_targets: int, asked: Asked) -> list[AskedExplanation]:
    return asked_from_v1(asked.path["name"], json_from(asked.body), max_targets, asked.request_id)
