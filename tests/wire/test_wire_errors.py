"""Errors between server and client: the same exception at both ends, and what other clients read of it."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from camgraph_core import errors
from camgraph_core.errors import CamgraphError
from camgraph_wire.errors import DETAILS_KEY, DOMAIN, REASONS, Reason, error_from_details, reason_of, status_details

LOCAL = {errors.AbsentOutputError}
"""What never travels."""

OF_A_SERVER = {errors.InferenceError, errors.InvalidGraphError, errors.DeviceError, errors.RemoteError, CamgraphError}
"""What is not the caller's doing: it becomes INTERNAL, and the client raises RemoteError."""


@pytest.mark.parametrize("reason", REASONS, ids=lambda reason: reason.name)
def test_an_error_arrives_as_what_it_was(reason: Reason) -> None:
    found = reason_of(reason.error("What is wrong."))
    assert found == reason
    arrived = error_from_details(status_details(reason, "What is wrong."))
    assert type(arrived) is reason.error
    assert str(arrived) == "What is wrong."
    assert reason.status in grpc.StatusCode.__members__


@pytest.mark.parametrize("kind", [errors.UnavailableError, errors.OverLimitError])
@pytest.mark.parametrize("delay", [None, 0.25, 90.0])
def test_an_error_that_will_pass_says_when(kind: type[errors.UnavailableError], delay: float | None) -> None:
    reason = reason_of(kind("Later."))
    assert reason is not None
    arrived = error_from_details(status_details(reason, "Later.", retry_after=delay))
    assert isinstance(arrived, kind)
    assert arrived.retry_after == delay


def test_every_exception_has_a_reason_or_is_of_the_server() -> None:
    classes = {kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, CamgraphError)}
    assert {reason.error for reason in REASONS} == classes - OF_A_SERVER - LOCAL
    assert all(reason_of(kind("x")) is None for kind in OF_A_SERVER)
    assert reason_of(ValueError("x")) is None


@pytest.mark.parametrize("details", [b"", b"\xff\xff\xff", b"\x08\x03"])
def test_details_that_are_not_ours_name_no_exception(details: bytes) -> None:
    assert error_from_details(details) is None


class Failed:
    """A failed call, as grpc gives it."""

    def __init__(self, reason: Reason, message: str) -> None:
        self._reason, self._message = reason, message

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode[self._reason.status]

    def details(self) -> str:
        return self._message

    def trailing_metadata(self) -> tuple[tuple[str, bytes], ...]:
        return ((DETAILS_KEY, status_details(self._reason, self._message)),)


@pytest.mark.parametrize("reason", REASONS, ids=lambda reason: reason.name)
def test_the_standard_library_of_grpc_reads_the_reason(reason: Reason) -> None:
    status = rpc_status.from_call(Failed(reason, "Was ist falsch? Größe."))
    info = error_details_pb2.ErrorInfo()
    assert status is not None
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain) == (reason.name, DOMAIN)


def test_the_page_of_the_protocol_lists_all_reasons() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/api.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `([A-Z_]+)` \| `([A-Z_]+)` \| (\d+) \| `(\w+Error)` \|$", page, re.MULTILINE)
    assert sorted(listed) == sorted((item.name, item.status, str(item.http), item.error.__name__) for item in REASONS)
