"""More than the server can do: what cannot be answered in time is refused at once, what nobody waits for ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1.explanation_pb2_grpc import ExplanationServiceStub
from camgraph_core.errors import UnavailableError
from camgraph_runtime import Explainer
from camgraph_runtime.run.stop import Stop
from camgraph_server.budget import Budget
from camgraph_server.lifecycle import Server
from camgraph_server.transport.refusal import shortened
from support.serving import PATIENCE, GatedLoader, png, running_server

CALL = "/camgraph.v1.ExplanationService/Explain"
HELD = 0.3  # seconds that the first request is held, so that the server expects others to take as long


def request() -> pb.ExplainRequest:
    return pb.ExplainRequest(image=pb.EncodedImage(data=png()))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


async def three_calls(server: Server, loader: GatedLoader, stub: ExplanationServiceStub) -> list[asyncio.Future[Any]]:
    """One call that runs and two that wait, on a server that has learnt how long a call takes."""
    first = asyncio.ensure_future(stub.Explain(request(), timeout=PATIENCE))
    await asyncio.to_thread(loader.loaded.wait_entered)
    await asyncio.sleep(HELD)
    loader.loaded.release.set()
    await first
    loader.loaded.release.clear()
    calls = [asyncio.ensure_future(stub.Explain(request(), timeout=PATIENCE)) for _ in range(3)]
    await until(lambda: server.parts.scheduler.admitted == 3)
    return calls


async def test_what_would_wait_beyond_its_deadline_is_refused_before_its_body_has_come(connect, repository):
    loader = GatedLoader()
    async with running_server(repository, loader, workers=1) as server:
        channel = connect(server.address)
        calls = await three_calls(server, loader, ExplanationServiceStub(channel))
        without_body = channel.stream_unary(CALL)(timeout=HELD)  # nothing is ever written
        with pytest.raises(grpc.RpcError) as caught:
            await without_body
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "not be answered before its deadline" in caught.value.details()
        trailers = dict(caught.value.trailing_metadata())
        assert int(trailers["grpc-retry-pushback-ms"]) >= 2 * HELD * 1000
        status, retry = status_pb2.Status.FromString(trailers["grpc-status-details-bin"]), error_details_pb2.RetryInfo()
        assert any(detail.Unpack(retry) for detail in status.details)
        assert retry.retry_delay.ToMilliseconds() == int(trailers["grpc-retry-pushback-ms"])
        loader.loaded.release.set()
        for response in await asyncio.gather(*calls):
            assert response.predictions


async def test_who_has_time_waits(connect, repository):
    loader = GatedLoader()
    async with running_server(repository, loader, workers=1) as server:
        stub = ExplanationServiceStub(connect(server.address))
        calls = await three_calls(server, loader, stub)
        patient = asyncio.ensure_future(stub.Explain(request(), timeout=PATIENCE))
        await until(lambda: server.parts.scheduler.admitted == 4)
        loader.loaded.release.set()
        for response in await asyncio.gather(*calls, patient):
            assert response.predictions


class StoppableExplainer(Explainer):
    """An explainer whose runs last until they are stopped."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.entered = threading.Event()
        self.ended = threading.Event()

    def infer(self, network_inputs: Any, plans: Any, stop: Stop | None = None) -> Any:
        assert stop is not None
        woken = threading.Event()
        with stop.ending(woken.set):
            self.entered.set()
            assert woken.wait(PATIENCE), "nobody stopped the run"
        self.ended.set()
        return super().infer(network_inputs, plans, stop)


@pytest.mark.parametrize("gone", ["cancelled", "expired"])
async def test_a_run_ends_when_its_caller_has_gone(gone, connect, repository):
    loaded: list[StoppableExplainer] = []

    def load(path: Path) -> Explainer:
        loaded.append(StoppableExplainer(path))
        return loaded[-1]

    async with running_server(repository, load, workers=1) as server:
        stub = ExplanationServiceStub(connect(server.address))
        call = stub.Explain(request(), timeout=0.5 if gone == "expired" else PATIENCE)
        await asyncio.to_thread(loaded[0].entered.wait, PATIENCE)
        if gone == "cancelled":
            call.cancel()
        await asyncio.to_thread(loaded[0].ended.wait, PATIENCE)
        assert loaded[0].ended.is_set()
        await until(lambda: server.parts.scheduler.admitted == 0)


async def test_who_comes_first_is_lent_first_and_who_leaves_loses_nothing():
    budget = Budget(10)
    order: list[str] = []

    async def borrow(name: str, size: int, back: asyncio.Event) -> None:
        with await budget.lent_to_call(size):
            order.append(name)
            await back.wait()

    backs = [asyncio.Event() for _ in range(4)]
    tasks = [
        asyncio.ensure_future(borrow(name, size, back))
        for name, size, back in zip("abcd", (6, 6, 1, 20), backs, strict=True)
    ]
    await asyncio.sleep(0.05)
    assert order == ["a"]  # c is small enough, but b came before it
    assert budget.is_wanted
    tasks[1].cancel()
    await asyncio.sleep(0.05)
    backs[0].set()
    await until(lambda: order == ["a", "c"])
    backs[2].set()
    await until(lambda: order == ["a", "c", "d"])
    assert budget.held == 10  # more than there is means all
    backs[3].set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert budget.held == 0


async def test_what_is_lent_in_the_moment_in_which_its_caller_leaves_comes_back():
    budget = Budget(10)
    holder = await budget.lent_to_call(10)
    waiting = asyncio.ensure_future(budget.lent_to_call(10))
    await until(lambda: budget.is_wanted)
    holder.close()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert budget.held == 0


async def test_a_call_that_is_over_takes_no_more_memory():
    budget = Budget(10)
    share = await budget.lent_to_call(4)
    share.close()
    with pytest.raises(UnavailableError):  # a worker may still draw for it
        share.grow(1)
    assert (budget.held, share.size) == (0, 0)


@pytest.mark.parametrize("text", ["short", "x" * 5000, "\N{GRINNING FACE}" * 950, "a\nb\t c  d", "ä" * 999])
def test_sentences_fit_into_a_header(text):
    line = shortened(text)
    encoded = len(line.encode()) + 2 * sum(byte > 126 for byte in line.encode())
    assert encoded <= 2000
    assert line.isprintable()
    assert line == " ".join(text.split()) or (line.endswith(" ...") and text.startswith(line[:100]))
