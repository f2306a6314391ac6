"""An error of one request is that request's own, wherever it happens."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest


@dataclass
class TritonError:
    INTERNAL: ClassVar[int] = 13
    CANCELLED: ClassVar[int] = 1
    text: str
    code: int


@dataclass
class Tensor:
    """As Triton's: it does not take arrays of every type."""

    label: str
    array: np.ndarray

    def __post_init__(self) -> None:
        if self.array.dtype.kind == "c":
            raise TypeError("Triton has no such type")

    def name(self) -> str:
        return self.label

    def as_numpy(self) -> np.ndarray:
        return self.array


@dataclass
class Response:
    tensors: list[Tensor] = field(default_factory=list)
    error: TritonError | None = None


class Request:
    """One that asks for its input back, as numbers of a type."""

    def __init__(self, kind: str, cancelled: bool = False, lost: bool = False) -> None:
        self.kind, self.cancelled, self.lost = kind, cancelled, lost

    def inputs(self) -> list[Tensor]:
        return [Tensor("x", np.ones(2))]

    def requested_output_names(self) -> list[str]:
        return ["y"]

    def parameters(self) -> str:
        return f'{{"kind": "{self.kind}"}}'

    def request_id(self) -> str:
        return ""

    def is_cancelled(self) -> bool:
        if self.lost:
            raise RuntimeError("Triton has forgotten it")
        return self.cancelled


@pytest.fixture
def exchange(monkeypatch: pytest.MonkeyPatch) -> Any:
    backend = SimpleNamespace(
        Tensor=Tensor,
        InferenceResponse=Response,
        TritonError=TritonError,
        Logger=SimpleNamespace(log_error=lambda _: None),
    )
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", backend)
    module = importlib.import_module("camgraph_triton.serving.exchange")
    monkeypatch.setattr(module, "pb_utils", backend)  # it may have been imported with another one
    return module


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (Request("complex64"), TritonError.INTERNAL),
        (Request("no type"), TritonError.INTERNAL),
        (Request("float32", cancelled=True), TritonError.CANCELLED),
        (Request("float32", lost=True), TritonError.INTERNAL),
    ],
)
def test_one_bad_request_does_not_spoil_the_others(exchange: Any, bad: Request, code: int) -> None:
    def answer(asked: Any) -> Any:
        return exchange.Answer({"y": asked.inputs["x"].astype(asked.parameters["kind"])}, {})

    first, failed, last = exchange.answered([Request("float32"), bad, Request("float64")], answer)
    assert [response.tensors[0].array.dtype for response in (first, last)] == ["float32", "float64"]
    assert failed.error is not None
    assert failed.error.code == code
