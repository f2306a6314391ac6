"""Requests of the Open Inference Protocol, fine and faulty, that this server and a real Triton are asked alike.

Where they answer otherwise, the reason stands beside the request. `extensions.py` has what Triton adds to the protocol.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tritonclient.grpc import service_pb2 as pb
from tritonclient.utils import serialize_byte_tensor

from support.serving import png

TENSOR = np.random.default_rng(3).random((2, 3, 16, 16), np.float32)
TARGETS = np.array([[0, -1], [4, -2]], np.int64)
_DATATYPES = {"float32": "FP32", "int64": "INT64", "object": "BYTES"}
_FIELDS = {"FP32": "fp32_contents", "INT64": "int64_contents", "BYTES": "bytes_contents"}


@dataclass(frozen=True)
class Case:
    """A request and what both answer.

    Attributes:
        what: What is asked, in words.
        method: The method.
        request: Its message; of a stream a list of them.
        ours: Name of the status that this server gives.
        triton: That of Triton, if it is another.
        why: Why they differ.
        timeout: Seconds that the caller waits.
    """

    what: str
    method: str
    request: Any
    ours: str = "OK"
    triton: str = ""
    why: str = ""
    timeout: float = 60.0


def infer(
    arrays: dict[str, np.ndarray],
    model: str = "tiny.tensors",
    *,
    typed: bool = False,
    outputs: Sequence[str] = (),
    **more: Any,
) -> pb.ModelInferRequest:
    """A request with these inputs."""
    request = pb.ModelInferRequest(model_name=model, **more)
    for name, array in arrays.items():
        put = request.inputs.add(name=name, datatype=_DATATYPES[array.dtype.name], shape=array.shape)
        if typed:
            getattr(put.contents, _FIELDS[put.datatype]).extend(array.ravel().tolist())
        else:
            request.raw_input_contents.append(_raw(array))
    for name in outputs:
        request.outputs.add(name=name)
    return request


def _raw(array: np.ndarray) -> bytes:
    return serialize_byte_tensor(array).item() if array.dtype == object else array.tobytes()


def texts(*values: bytes) -> np.ndarray:
    """A tensor of texts."""
    return np.array(values, object)


BOTH = {"image": TENSOR, "target": TARGETS}
IMAGE = {"image": texts(png())}


def changed(request: pb.ModelInferRequest, position: int, **fields: Any) -> pb.ModelInferRequest:
    """The request with other fields of one of its inputs."""
    for name, value in fields.items():
        if name == "shape":
            del request.inputs[position].shape[:]
            request.inputs[position].shape.extend(value)
        else:
            setattr(request.inputs[position], name, value)
    return request


def with_raw(request: pb.ModelInferRequest, *raw: bytes) -> pb.ModelInferRequest:
    """The request with other raw contents."""
    del request.raw_input_contents[:]
    request.raw_input_contents.extend(raw)
    return request


def with_parameters(request: pb.ModelInferRequest, **parameters: Any) -> pb.ModelInferRequest:
    """The request with parameters."""
    for name, value in parameters.items():
        kind = {bool: "bool_param", int: "int64_param", str: "string_param"}[type(value)]
        setattr(request.parameters[name], kind, value)
    return request


_ALONE = "A server of camgraph with one model takes requests without a name; one with several asks for a name."
CONSISTENT = "Triton's other calls say NOT_FOUND, too."
RETRIED = "Clients send a call again that is UNAVAILABLE, but it stays off."
_LEFT_OVER = "What belongs to no input is a mistake of the client."
_NO_NAME = {"ours": "INVALID_ARGUMENT", "why": _ALONE}


def _about(method: str, word: str, unknown: str) -> list[Case]:
    """What is asked about models, and about models that are not there."""
    of_statistics = {"triton": "INVALID_ARGUMENT", "why": CONSISTENT} if method == "ModelStatistics" else {}
    asked: list[tuple[str, str, str, dict[str, Any]]] = [
        ("a model", "tiny", "", {}),
        ("a model of tensors", "tiny.tensors", "", {}),
        ("a model with a switch", "switched.tensors", "1", {}),
        ("an unknown model", "nothing", "", {"ours": unknown, **of_statistics}),
        ("an unknown version", "tiny", "9", {"ours": unknown, **of_statistics}),
        ("a version that is no number", "tiny", "x", {"ours": "INVALID_ARGUMENT"}),
        ("no model", "", "", {} if of_statistics else {**_NO_NAME, "triton": unknown}),
    ]
    request = getattr(pb, f"{method}Request")
    return [
        Case(f"{word} of {what}", method, request(name=name, version=version), **answers)
        for what, name, version, answers in asked
    ]


ABOUT = [
    Case("is the server alive", "ServerLive", pb.ServerLiveRequest()),
    Case("is the server ready", "ServerReady", pb.ServerReadyRequest()),
    Case("what is the server", "ServerMetadata", pb.ServerMetadataRequest()),
    *_about("ModelReady", "readiness", "OK"),
    *_about("ModelMetadata", "metadata", "NOT_FOUND"),
    *_about("ModelConfig", "configuration", "NOT_FOUND"),
    *_about("ModelStatistics", "statistics", "NOT_FOUND"),
    Case("the models", "RepositoryIndex", pb.RepositoryIndexRequest()),
    Case("the models that are ready", "RepositoryIndex", pb.RepositoryIndexRequest(ready=True)),
    Case(
        "the models of another repository",
        "RepositoryIndex",
        pb.RepositoryIndexRequest(repository_name="other"),
        "UNIMPLEMENTED",
    ),
    *[
        Case(
            f"{word}ing a model, where that is off",
            f"RepositoryModel{word.capitalize()}",
            getattr(pb, f"RepositoryModel{word.capitalize()}Request")(model_name="tiny"),
            "UNIMPLEMENTED",
            "UNAVAILABLE",
            RETRIED,
        )
        for word in ("load", "unload")
    ],
]

FINE = [
    Case("raw contents", "ModelInfer", infer(BOTH)),
    Case("typed contents", "ModelInfer", infer(BOTH, typed=True)),
    Case("a version", "ModelInfer", infer(BOTH, model_version="1")),
    Case("an identifier", "ModelInfer", infer(BOTH, id="mine")),
    Case("some outputs", "ModelInfer", infer(BOTH, outputs=["weights", "target_score"])),
    Case("an output twice", "ModelInfer", infer(BOTH, outputs=["weights", "weights"])),
    Case("an unknown parameter", "ModelInfer", with_parameters(infer(BOTH), nobody_knows=1)),
    Case("no images", "ModelInfer", infer({"image": TENSOR[:0], "target": TARGETS[:0]})),
    Case("an image", "ModelInfer", infer(IMAGE, "tiny", outputs=["heatmap", "overlay-jpeg"])),
    Case(
        "an image with targets of each kind",
        "ModelInfer",
        infer(
            {**IMAGE, "target_index": np.array([1]), "target_label": texts(b"bird"), "target_rank": np.array([2, 1])},
            "tiny",
            outputs=["heatmap", "statistics"],
        ),
    ),
    Case("an image with typed contents", "ModelInfer", infer(IMAGE, "tiny", typed=True, outputs=["input-heatmap"])),
    Case("an image without names of outputs", "ModelInfer", infer(IMAGE, "tiny")),
]

FAULTY = [
    Case(what, "ModelInfer", request, "INVALID_ARGUMENT")
    for what, request in (
        ("an unknown input", infer({**BOTH, "more": TARGETS})),
        ("a missing input", infer({"image": TENSOR})),
        ("no inputs", infer({})),
        ("an input twice", with_raw(infer({**BOTH, "x": TARGETS}), TENSOR.tobytes(), *[TARGETS.tobytes()] * 2)),
        ("a wrong datatype", infer({**BOTH, "target": TARGETS.astype(np.float32)})),
        ("an unknown datatype", changed(infer(BOTH), 0, datatype="FP99")),
        ("no datatype", changed(infer(BOTH), 0, datatype="")),
        ("a wrong length of an axis", infer({**BOTH, "image": TENSOR[:, :2]})),
        ("an axis too few", infer({**BOTH, "image": TENSOR[0]})),
        ("a length below zero", changed(infer(BOTH), 0, shape=[-2, 3, 16, 16])),
        ("a shape beyond all memory", changed(infer(BOTH), 0, shape=[2**40, 3, 16, 16])),
        ("numbers of images that differ", infer({**BOTH, "target": TARGETS[:1]})),
        ("too few raw bytes", with_raw(infer(BOTH), TENSOR.tobytes()[:-4], TARGETS.tobytes())),
        ("too many raw bytes", with_raw(infer(BOTH), TENSOR.tobytes() + bytes(4), TARGETS.tobytes())),
        ("fewer raw contents than inputs", with_raw(infer(BOTH), TENSOR.tobytes())),
        ("raw and typed contents", with_raw(infer(BOTH, typed=True), TENSOR.tobytes(), TARGETS.tobytes())),
        ("no contents", with_raw(infer(BOTH))),
        ("too few typed values", changed(infer(BOTH, typed=True), 0, shape=[3, 3, 16, 16])),
        ("typed values of another kind", changed(infer(BOTH, typed=True), 1, datatype="INT32")),
        ("an unknown output", infer(BOTH, outputs=["nothing"])),
        ("a class that the graph lacks", infer({**BOTH, "target": TARGETS + 100})),
        ("more targets than are allowed", infer({**BOTH, "target": np.zeros((2, 51), np.int64)})),
        ("an image that is none", infer({"image": texts(b"text")}, "tiny")),
        ("two images for one", infer({"image": texts(png(), png())}, "tiny")),
        ("a text that ends early", with_raw(infer(IMAGE, "tiny"), b"\xff\xff\x00\x00ab")),
        ("a class index that the model lacks", infer({**IMAGE, "target_index": np.array([99])}, "tiny")),
        ("an unknown label", infer({**IMAGE, "target_label": texts(b"whale")}, "tiny")),
        ("a known parameter of another type", with_parameters(infer(IMAGE, "tiny"), max_side="large")),
        ("an unknown method", with_parameters(infer(IMAGE, "tiny"), method="nothing")),
    )
]

UNLIKE = [
    Case(
        "more raw contents than inputs",
        "ModelInfer",
        with_raw(infer(BOTH), TENSOR.tobytes(), *[TARGETS.tobytes()] * 2),
        "INVALID_ARGUMENT",
        "OK",
        _LEFT_OVER,
    ),
    Case("no model's name", "ModelInfer", infer(BOTH, ""), "INVALID_ARGUMENT", "NOT_FOUND", _ALONE),
]

ADDRESSED = [
    Case("an unknown model", "ModelInfer", infer(BOTH, "nothing"), "NOT_FOUND"),
    Case("an unknown version", "ModelInfer", infer(BOTH, model_version="9"), "NOT_FOUND"),
    Case("a version that is no number", "ModelInfer", infer(BOTH, model_version="x"), "INVALID_ARGUMENT"),
    Case("an unknown layer", "ModelInfer", with_parameters(infer(IMAGE, "tiny"), layer="nothing"), "NOT_FOUND"),
    Case("a deadline that has passed", "ModelInfer", infer(BOTH), "DEADLINE_EXCEEDED", timeout=-1.0),
]

CASES = [*ABOUT, *FINE, *FAULTY, *UNLIKE, *ADDRESSED]
