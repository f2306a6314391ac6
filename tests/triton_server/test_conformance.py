"""This server and a real Triton are asked the same; statuses and payloads are equal but for what the table explains."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from comparing import by_names, differing, unexplained
from conformance import FINE, Case
from differences import ALL_CASES, DIFFERENCES, page_section
from google.protobuf import json_format
from tritonclient.grpc import service_pb2_grpc
from tritonclient.utils import deserialize_bytes_tensor

from support.triton_server import TritonServer

PAGE = Path(__file__).resolve().parents[2] / "docs" / "triton.md"
Stub = service_pb2_grpc.GRPCInferenceServiceStub
_DTYPES = {"FP32": np.float32, "INT64": np.int64}


def connected(address: str) -> Iterator[Stub]:
    with grpc.insecure_channel(address) as channel:
        yield Stub(channel)


@pytest.fixture(scope="module")
def ours(camgraph: str) -> Iterator[Stub]:
    yield from connected(camgraph)


@pytest.fixture(scope="module")
def theirs(triton: TritonServer) -> Iterator[Stub]:
    yield from connected(triton.grpc)


def answer(stub: Stub, case: Case) -> tuple[str, Any]:
    """Status and message."""
    call = getattr(stub, case.method)
    try:
        if isinstance(case.request, list):
            return "OK", list(call(iter(case.request), timeout=case.timeout))
        return "OK", call(case.request, timeout=case.timeout)
    except grpc.RpcError as error:
        return error.code().name, error.details()


def by_name(case: Case) -> str:
    return f"{case.method}: {case.what}"


@pytest.mark.parametrize("case", ALL_CASES, ids=by_name)
def test_this_server_gives_the_status_of_the_table(case: Case, ours: Stub) -> None:
    status, details = answer(ours, case)
    assert status == case.ours, details
    if status not in ("OK", "DEADLINE_EXCEEDED"):
        assert details.endswith(".")


@pytest.mark.parametrize("case", ALL_CASES, ids=by_name)
def test_triton_gives_the_same_status_but_where_the_table_says_why_not(case: Case, theirs: Stub) -> None:
    status, details = answer(theirs, case)
    assert status == (case.triton or case.ours), details
    assert bool(case.triton) == bool(case.why) == (case.triton not in ("", case.ours))


def test_answers_are_equal_but_for_what_the_table_explains(ours: Stub, theirs: Stub) -> None:
    seen: set[tuple[str, str]] = set()
    wrong = []
    for case in ALL_CASES:
        (status, one), (other_status, other) = answer(ours, case), answer(theirs, case)
        if status == other_status == "OK":
            fields = differing(view(one), view(other))
            wrong += [
                f"{by_name(case)}: {name}" for name in unexplained(DIFFERENCES, case.method, case.what, fields, seen)
            ]
    assert not wrong
    assert seen == {(item.method, field) for item in DIFFERENCES for field in item.fields}


def view(message: Any) -> dict[str, Any]:
    """The fields of an answer, lists of named things by their names; arrays of an inference in place of bytes.

    Of a stream lists of these fields, and which of its answers are errors.
    """
    if isinstance(message, list):
        answers = [view(each.infer_response) for each in message]
        names = {name for answer in answers for name in answer}
        return {
            "failed": [bool(each.error_message) for each in message],
            **{name: [answer.get(name) for answer in answers] for name in names - {"model_name", "model_version"}},
        }
    fields: dict[str, Any] = json_format.MessageToDict(message, preserving_proto_field_name=True)
    if "config" in fields:
        fields = fields["config"]
    by_names(fields)
    if "raw_output_contents" in fields:
        del fields["raw_output_contents"]
        for output, raw in zip(message.outputs, message.raw_output_contents, strict=True):
            fields["outputs"][output.name]["values"] = values(output, raw)
    return fields


def values(output: Any, raw: bytes) -> Any:
    if output.datatype != "BYTES":
        return np.frombuffer(raw, _DTYPES[output.datatype]).reshape(list(output.shape))
    texts = [bytes(text) for text in deserialize_bytes_tensor(raw)]
    return [json.loads(text) if text.startswith(b"{") else text for text in texts]


@pytest.mark.parametrize("stubs", ["ours", "theirs"])
def test_a_call_that_is_cancelled_ends_so_and_disturbs_no_other(stubs: str, request: pytest.FixtureRequest) -> None:
    stub = request.getfixturevalue(stubs)
    calls = [stub.ModelInfer.future(FINE[0].request, timeout=60) for _ in range(20)]
    for call in calls:
        call.cancel()
    assert {call.code() for call in calls} <= {grpc.StatusCode.CANCELLED, grpc.StatusCode.OK}
    assert calls[-1].cancelled() or calls[-1].done()
    assert answer(stub, FINE[0])[0] == "OK"


def test_the_page_lists_the_differences() -> None:
    assert page_section() in PAGE.read_text(encoding="utf-8")
