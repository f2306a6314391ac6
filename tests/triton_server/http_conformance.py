"""Requests of the Open Inference Protocol over HTTP that this server and a real Triton are asked alike."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from conformance import CONSISTENT, RETRIED, TARGETS, TENSOR
from differences import HOW_IT_RUNS, LABELS, OWN_SETTINGS, RUNS, Difference, table_of
from extensions import CLASSES, IGNORED, NO_REGIONS, NO_SETTINGS


@dataclass(frozen=True)
class HttpCase:
    """A request and what both answer.

    Attributes:
        what: What is asked, in words.
        path: Its path, with `GET` before it or `POST`.
        body: JSON, or text or bytes as they are sent.
        ours: The status that this server gives.
        triton: That of Triton, if it is another.
        why: Why they differ.
        headers: More of them.
    """

    what: str
    path: str
    body: Any = None
    ours: int = 200
    triton: int = 0
    why: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


_BLAME = "What a client sends wrong is no fault of the server."
_PROBES = "Other calls for an unknown model get 404, too. A probe takes anything but 200 as not ready."
_SAID = "Over gRPC both say that it is invalid."

IMAGE = {"name": "image", "datatype": "FP32", "shape": list(TENSOR.shape), "data": TENSOR.ravel().tolist()}
TARGET = {"name": "target", "datatype": "INT64", "shape": list(TARGETS.shape), "data": TARGETS.ravel().tolist()}
OUTPUTS = [{"name": "weights"}, {"name": "target_score"}]
REGION = {"parameters": {"shared_memory_region": "region", "shared_memory_byte_size": 4}}
CLASSIFIED = [{"name": "scores", "parameters": {"classification": 2}}]
INFER = "POST /v2/models/tiny.tensors/infer"


def body(image: Mapping[str, Any] | None = None, target: Mapping[str, Any] | None = None, **more: Any) -> Any:
    """A request for inference, with changes of its inputs."""
    return {"inputs": [{**IMAGE, **(image or {})}, {**TARGET, **(target or {})}], "outputs": OUTPUTS, **more}


def binary(what: str, *answers: Any, size: Any = None, header: str = "", more: bytes = b"", **fields: Any) -> HttpCase:
    """A request whose image comes as bytes after the JSON.

    Args:
        what: See `HttpCase`.
        answers: Both statuses and the reason, as there.
        size: How many bytes the image is said to have.
        header: What the header says of the length of the JSON, in place of the truth.
        more: Bytes after those of the image.
        fields: More fields of the request.
    """
    image = {**IMAGE, "parameters": {"binary_data_size": TENSOR.nbytes if size is None else size}}
    del image["data"]
    head = json.dumps({"inputs": [image, TARGET], "outputs": OUTPUTS, **fields}).encode()
    said = {"Inference-Header-Content-Length": header or str(len(head))}
    return HttpCase(what, INFER, head + TENSOR.tobytes() + more, *answers, headers=said)


_ZIPPED = gzip.compress(json.dumps(body()).encode())
_COMPRESSED = "What a compressed body takes is known when it is read."
_NAN = "JSON has no such number; it can be sent as bytes."

HTTP_EXTENSIONS = [
    binary("bytes after the JSON"),
    binary("bytes there and back", parameters={"binary_data_output": True}),
    binary("bytes of one output back", outputs=[{"name": "weights", "parameters": {"binary_data": True}}]),
    binary("a JSON longer than the body", 400, header="999999999"),
    binary("a JSON shorter than nothing", 400, header="-5"),
    binary("a length of the JSON that is no number", 400, header="long"),
    binary("a JSON without a length", 400, header="0"),
    binary("a JSON that ends early", 400, 500, _BLAME, header="10"),
    binary("more bytes than the body has", 400, size=10**9),
    binary("fewer bytes than the shape takes", 400, size=4),
    binary("fewer bytes than none", 400, 500, _BLAME, size=-4),
    binary("a number of bytes that is a text", 400, 500, _BLAME, size="many"),
    binary("bytes after the last input", 400, more=b"more"),
    HttpCase("a JSON and bytes without the header", INFER, binary("").body, 400, 500, _BLAME),
    HttpCase("an answer that may be compressed", INFER, body(), headers={"Accept-Encoding": "gzip"}),
    HttpCase("a compressed body", INFER, _ZIPPED, 400, 200, _COMPRESSED, headers={"Content-Encoding": "gzip"}),
    HttpCase("a body that is not compressed as it says", INFER, body(), 400, headers={"Content-Encoding": "gzip"}),
    HttpCase("a sequence", INFER, body(parameters={"sequence_id": 7, "sequence_start": True, "sequence_end": True})),
    HttpCase("a priority and a time limit", INFER, body(parameters={"priority": 1, "timeout": 60_000_000})),
    HttpCase("a priority that is a text", INFER, body(parameters={"priority": "high"}), 200, 500, IGNORED),
    HttpCase("classes of an output", INFER, body(outputs=CLASSIFIED), 400, 200, CLASSES),
    HttpCase("no images", INFER, body({"shape": [0, 3, 16, 16], "data": []}, {"shape": [0, 2], "data": []})),
    HttpCase("BF16 in JSON", INFER, body({"datatype": "BF16"}), 400),
    HttpCase("FP16 in JSON", INFER, body({"datatype": "FP16"}), 400),
    HttpCase("an input twice", INFER, {"inputs": [IMAGE, TARGET, TARGET]}, 400),
    HttpCase("a number that is none", INFER, body({"data": [np.nan] * TENSOR.size}), 400, 200, _NAN),
    HttpCase("broken numbers for whole ones", INFER, body(None, {"data": [0.5] * 4}), 400, 500, _BLAME),
    HttpCase("truth values for numbers", INFER, body(None, {"data": [True] * 4}), 400, 500, _BLAME),
    HttpCase("an identifier that is a number", INFER, body(id=5), 400, 500, _BLAME),
    HttpCase("outputs that are no list", INFER, body(outputs={}), 400, 500, _BLAME),
    HttpCase("an input in shared memory", INFER, body(REGION), 400),
    HttpCase("the regions of shared memory", "GET /v2/systemsharedmemory/status", None, 404, 200, NO_REGIONS),
    HttpCase("the regions on a GPU", "GET /v2/cudasharedmemory/status", None, 404, 200, NO_REGIONS),
    HttpCase("how it traces", "GET /v2/trace/setting", None, 404, 200, NO_SETTINGS),
    HttpCase("how it logs", "GET /v2/logging", None, 404, 200, NO_SETTINGS),
    HttpCase("statistics of a version", "GET /v2/models/tiny/versions/1/stats"),
    HttpCase("unloading a model, where that is off", "POST /v2/repository/models/tiny/unload", {}, 404, 503, RETRIED),
]

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
    *HTTP_EXTENSIONS,
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
