"""A request that fails is let go of when its call ends, not when the garbage collector comes."""

from __future__ import annotations

import gc
import tracemalloc
import weakref

import grpc
import pytest

from camgraph.v1 import explanation_pb2 as pb
from camgraph_core.errors import CamgraphError, InvalidInputError, UsageError
from camgraph_server.transport.refusal import let_go
from support.serving import PATIENCE, png

SIZE = 4 << 20
FAILING = {
    "not a picture": b"\x00" * SIZE,
    "a picture that ends early": png(64, 64)[:200] + b"\x00" * SIZE,
    "not a NumPy file": b"\x93NUMPY\x01\x00" + b"\x00" * SIZE,
}


@pytest.mark.parametrize("data", FAILING.values(), ids=FAILING)
async def test_failed_requests_are_not_kept(stub, data):
    request = pb.ExplainRequest(image=pb.EncodedImage(data=data))
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        for _ in range(6):
            with pytest.raises(grpc.RpcError) as caught:
                await stub.Explain(request, timeout=PATIENCE)
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            del caught
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert kept < 3 * SIZE  # one may still be on its way


class Held:
    """Something large."""


Seen = list["weakref.ref[Held]"]


def reading(seen: Seen) -> None:
    held = Held()
    seen.append(weakref.ref(held))
    raise ValueError


def failing(seen: Seen) -> None:
    try:
        reading(seen)
    except ValueError:
        raise InvalidInputError("It is no image.") from None


def failing_further(seen: Seen) -> None:
    try:
        failing(seen)
    except InvalidInputError as error:
        raise UsageError("It cannot be used.") from error


@pytest.mark.parametrize("fails", [failing, failing_further])
def test_all_errors_that_led_to_one_let_go(fails):
    seen: Seen = []
    with pytest.raises(CamgraphError) as caught:
        fails(seen)
    [held] = seen
    assert held() is not None  # the frame of the first error holds it
    let_go(caught.value)
    assert held() is None
