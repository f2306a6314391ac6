"""Requests of the Open Inference Protocol over HTTP that this server and a real Triton are asked alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from conformance import (
    CONSISTENT,
    HOW_IT_RUNS,
    LABELS,
    OWN_SETTINGS,
    RETRIED,
    RUNS,
    TARGETS,
    TENSOR,
    Difference,
    table_of,
)


@dataclass(frozen=True)
class HttpCase:
    """A request and what both answer.

    Attributes:
        what: What is asked, in words.
        path: Its path, with `GET` before it or `POST`.
        body: JSON, or text that is none.
        ours: The status that this server gives.
        triton: That of Triton, if it is another.
        why: Why they differ.
    """

    what: str
    path: str
    body: Any = None
    ours: int = 200
    triton: int = 0
    why: str = ""


_BLAME = "What a client sends wrong is no fault of the server."
_PROBES = "Other calls for an unknown model get 404, too. A probe takes anything but 200 as not ready."
_SAID = "Over gRPC both say that it is invalid."

IMAGE = {"name": "image", "datatype": "FP32", "shape": list(TENSOR.shape), "data": TENSOR.ravel().tolist()}
TARGET = {"name": "target", "datatype": "INT64", "shape": list(TARGETS.shape), "data": TARGETS.ravel().tolist()}
OUTPUTS = [{"name": "weights"}, {"name": "target_score"}]
INFER = "POST /v2/models/tiny.tensors/infer"


def body(image: Mapping[str, Any] | None = None, target: Mapping[str, Any] | None = None, **more: Any) -> Any:
    """A request for inference, with changes of its inputs."""
    return {"inputs": [{**IMAGE, **(image or {})}, {**TARGET, **(target or {})}], "outputs": OUTPUTS, **more}


HTTP_CASES = [
    HttpCase("is the server alive", "GET /v2/health/live"),
    HttpCase("is the server ready", "GET /v2/health/ready"),
    HttpCase("what is the server", "GET /v2"),
    HttpCase("metadata of a model", "GET /v2/models/tiny"),
    HttpCase("metadata of a version", "GET /v2/models/tiny.tensors/versions/1"),
    HttpCase("configuration of a model", "GET /v2/models/tiny.tensors/config"),
    HttpCase("statistics of a model", "GET /v2/models/tiny/stats"),
    HttpCase("statistics of all models", "GET /v2/models/stats"),
    HttpCase("readiness of a model", "GET /v2/models/tiny/ready"),
    HttpCase("the models", "POST /v2/repository/index", {}),
    HttpCase("the models that are ready", "POST /v2/repository/index", {"ready": True}),
    HttpCase("metadata of an unknown model", "GET /v2/models/nothing", ours=404),
    HttpCase("metadata of an unknown version", "GET /v2/models/tiny/versions/9", ours=404),
    HttpCase("a version that is no number", "GET /v2/models/tiny/versions/x", None, 400, 404, _SAID),
    HttpCase("configuration of an unknown model", "GET /v2/models/nothing/config", ours=404),
    HttpCase("statistics of an unknown model", "GET /v2/models/nothing/stats", None, 404, 400, CONSISTENT),
    HttpCase("readiness of an unknown model", "GET /v2/models/nothing/ready", None, 404, 400, _PROBES),
    HttpCase("an unknown address", "GET /v2/nothing", ours=404),
    HttpCase("an address that takes POST", "GET /v2/models/tiny.tensors/infer", ours=405),
    HttpCase("an address that takes GET", "POST /v2/health/live", {}, ours=405),
    HttpCase("loading a model, where that is off", "POST /v2/repository/models/tiny/load", {}, 404, 503, RETRIED),
    HttpCase("numbers in JSON", INFER, body()),
    HttpCase("numbers as rows", INFER, body({"data": TENSOR.tolist()}, {"data": TARGETS.tolist()})),
    HttpCase("an identifier", INFER, body(id="mine")),
    HttpCase("an unknown parameter", INFER, body(parameters={"nobody_knows": 5})),
    HttpCase("a version", "POST /v2/models/tiny.tensors/versions/1/infer", body()),
    HttpCase("an unknown model", "POST /v2/models/nothing/infer", body(), 404),
    HttpCase("an unknown version", "POST /v2/models/tiny.tensors/versions/9/infer", body(), 404),
    HttpCase("a body that is no JSON", INFER, "{", 400, 500, _BLAME),
    HttpCase("a body of another kind", INFER, [], 400, 500, _BLAME),
    HttpCase("no body", INFER, "", 400),
    HttpCase("no inputs", INFER, {"inputs": []}, 400),
    HttpCase("a missing input", INFER, {"inputs": [IMAGE]}, 400),
    HttpCase("an unknown input", INFER, body({"name": "more"}), 400),
    HttpCase("a wrong datatype", INFER, body(None, {"datatype": "FP32"}), 400),
    HttpCase("an unknown datatype", INFER, body({"datatype": "FP99"}), 400),
    HttpCase("a wrong shape", INFER, body({"shape": [2, 2, 16, 16]}), 400, 500, _BLAME),
    HttpCase("a length below zero", INFER, body({"shape": [-2, 3, 16, 16]}), 400, 500, _BLAME),
    HttpCase("too few values", INFER, body({"data": IMAGE["data"][:-1]}), 400, 500, _BLAME),
    HttpCase("texts for numbers", INFER, body({"data": ["a"] * TENSOR.size}), 400, 500, _BLAME),
    HttpCase(
        "no shape", INFER, {"inputs": [{"name": "image", "datatype": "FP32", "data": [1]}, TARGET]}, 400, 500, _BLAME
    ),
    HttpCase("an unknown output", INFER, body(outputs=[{"name": "nothing"}]), 400),
    HttpCase("a class that the graph lacks", INFER, body(None, {"data": [99] * 4}), 400),
]


_SAYS = "This server says in words what the status says."

HTTP_DIFFERENCES = [
    Difference("GET /v2/health/live", ("live",), _SAYS),
    Difference("GET /v2/health/ready", ("ready",), _SAYS),
    Difference("GET /v2/models/tiny/ready", ("name", "ready"), _SAYS),
    Difference("GET /v2", ("name", "version", "extensions"), "They are two programs."),
    Difference("GET /v2/models/tiny", ("platform",), RUNS),
    Difference("GET /v2/models/tiny.tensors/versions/1", ("platform",), RUNS),
    Difference("GET /v2/models/tiny.tensors/config", ("platform", "backend"), RUNS),
    Difference("GET /v2/models/tiny.tensors/config", ("output",), LABELS),
    Difference("GET /v2/models/tiny.tensors/config", HOW_IT_RUNS[:-1], OWN_SETTINGS),
]


def http_page_section() -> str:
    """The differences as `docs/triton.md` has them."""
    rows = [(f"`{case.path}`: {case.what}", case.ours, case.triton, case.why) for case in HTTP_CASES if case.why]
    return table_of(rows, HTTP_DIFFERENCES)
