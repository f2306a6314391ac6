"""What a line of the audit log says of a request and of its result.

The request stands there as the JSON of `camgraph.v1.ExplainRequest` without its image, frames or tensor, so that any
client can send it again. Images, tensors and outputs stand there as their SHA-256.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from google.protobuf.json_format import MessageToDict, ParseDict

from camgraph.v1 import explanation_pb2 as pb
from camgraph_core.clips import AnyResult
from camgraph_core.errors import InvalidInputError
from camgraph_core.request import Addressed
from camgraph_core.result import ClassScore
from camgraph_core.types import AnyArray
from camgraph_runtime.explainers import AnyExplainer
from camgraph_wire.requests import request_from, request_message

_LIBRARIES = ("camgraph", "onnxruntime", "onnxruntime-gpu", "numpy", "pillow", "simplejpeg")


def entry_of(explainer: AnyExplainer, addressed: Addressed, result: AnyResult) -> dict[str, Any]:
    """What is said of a request that was answered."""
    return {
        "graph": graph_of(explainer, addressed),
        "environment": environment_of(explainer),
        "input": input_of(addressed),
        "request": MessageToDict(request_message(_without_pixels(addressed))),
        "predictions": [_score(one) for one in result.predictions],
        "explanations": [
            {
                "target": _score(one.target),
                "contrast": None if one.contrast is None else _score(one.contrast),
                "negative": one.negative,
                "layers": one.layers,
                "method": one.method,
                "statistics": {name: _number(value) for name, value in asdict(one.statistics).items()},
                "outputs": {name: digest_of(value) for name, value in one.given.items()},
            }
            for one in result.explanations
        ],
    }


def request_of(entry: Mapping[str, Any], images: Sequence[bytes], tensor: AnyArray | None) -> Addressed:
    """The request of an entry, with the image, the frames or the tensor that it was about.

    Raises:
        InvalidInputError: It is another image or tensor, or the entry has no request.
    """
    if "request" not in entry:
        raise InvalidInputError("This line is of a request that was not answered, so it cannot be repeated.")
    addressed = request_from(ParseDict(entry["request"], pb.ExplainRequest()))
    if addressed.frames is not None:
        addressed = replace(addressed, frames=tuple(images) if tensor is None else None, tensor=tensor)
    elif len(images) <= 1:
        addressed = replace(addressed, image=next(iter(images), None), tensor=tensor)
    if input_of(addressed) != entry["input"]:
        raise InvalidInputError("The request was about another image: its SHA-256 in the audit log is another.")
    return addressed


def _without_pixels(addressed: Addressed) -> Addressed:
    """The request without its image or frames, but with how they are read; and without its tensor."""
    return replace(
        addressed,
        image=None if addressed.image is None else b"",
        frames=None if addressed.frames is None else (),
        tensor=None,
    )


def input_of(addressed: Addressed) -> dict[str, Any]:
    """The SHA-256 of the image, of each frame, or of the tensor."""
    if addressed.frames is not None:
        return {"frames_sha256": digest_of(addressed.frames)}
    if addressed.image is not None:
        return {"image_sha256": digest_of(addressed.image)}
    return {"tensor_sha256": digest_of(addressed.tensor)}


def graph_of(explainer: AnyExplainer, addressed: Addressed) -> dict[str, Any]:
    """The digest of a graph, and its certificate, as its manifest states them; and of its bank, if that was asked."""
    manifest = explainer.manifest
    certificate = manifest.certificate
    return {
        "digest": MessageToDict(manifest.digest),
        "source_sha256": manifest.source.sha256,
        "manifest_sha256": digest_of(manifest.SerializeToString(deterministic=True)),
        "certificate": {
            "passed": certificate.passed,
            "checks": len(certificate.checks),
            "sha256": digest_of(certificate.SerializeToString(deterministic=True)),
        },
        **({"bank_sha256": explainer.bank.digest} if addressed.request.bank and explainer.bank is not None else {}),
    }


def environment_of(explainer: AnyExplainer) -> dict[str, Any]:
    """What decides on the bits beside graph and request: versions and the provider."""
    return {name: found for name in _LIBRARIES if (found := _version(name))} | {
        "provider": explainer.engine.execution_provider,
        "exact_int8": explainer.engine.exact_int8,
    }


def digest_of(value: Any) -> Any:
    """SHA-256 of bytes or of an array with its type and shape; of several, a list."""
    if isinstance(value, list | tuple):
        return [digest_of(one) for one in value]
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    if is_dataclass(value):
        return hashlib.sha256(repr(value).encode()).hexdigest()
    array = np.ascontiguousarray(value)
    digest = hashlib.sha256(f"{array.dtype.str} {array.shape} ".encode())
    digest.update(array.data.cast("B") if array.size else b"")
    return digest.hexdigest()


def _score(one: ClassScore) -> dict[str, Any]:
    return {name: _number(value) for name, value in asdict(one).items() if value is not None}


def _number(value: Any) -> Any:
    """JSON has no numbers that are not finite; they stand there as text."""
    return repr(value) if isinstance(value, float) and not math.isfinite(value) else value


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
