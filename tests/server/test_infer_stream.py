"""`ModelStreamInfer`, Triton's stream of requests, by Triton's own clients; and how many streams a client may open."""

from __future__ import annotations

import asyncio
import queue
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as blocking
import tritonclient.grpc.aio as triton
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

from camgraph_runtime import Explainer
from support.open_inference import TARGETS, TENSOR, image_input, tensor_inputs, wanted
from support.serving import PATIENCE, GatedLoader, png, running_server, server_thread

ASKED: dict[str, Any] = {
    "model_name": "tiny",
    "inputs": [image_input()],
    "outputs": wanted("input-heatmap"),
}


async def stream_of(client: triton.InferenceServerClient, *requests: dict[str, Any]) -> list[tuple[Any, Any]]:
    async def asked() -> Any:
        for request in requests:
            yield dict(request)  # the client adds to it

    return [pair async for pair in client.stream_infer(asked(), stream_timeout=PATIENCE)]


async def test_both_models_answer_on_one_stream_in_the_order_of_the_requests(server, repository):
    explainer = Explainer(repository / "tiny" / "1" / "model.onnx")
    tensors = {"model_name": "tiny.tensors", "inputs": tensor_inputs(), "outputs": wanted("target_score")}
    sent = [(ASKED if number % 2 else tensors) | {"request_id": str(number)} for number in range(20)]
    async with triton.InferenceServerClient(server.address) as client:
        pairs = await stream_of(client, *sent)
    assert [error for _, error in pairs] == [None] * 20
    answers = [answer.get_response() for answer, _ in pairs]
    assert [answer.id for answer in answers] == list(map(str, range(20)))
    assert [answer.model_name for answer in answers[:2]] == ["tiny.tensors", "tiny"]
    assert all(answer.parameters["triton_final_response"].bool_param for answer in answers)
    expected = explainer.engine.run({"image": TENSOR, "target": TARGETS}, ["target_score"])["target_score"]
    np.testing.assert_array_equal(pairs[0][0].as_numpy("target_score"), expected)
    [explanation] = explainer.explain(png()).explanations
    np.testing.assert_array_equal(pairs[1][0].as_numpy("input-heatmap"), [explanation.input_heatmap])


ODD = {
    "an unknown model": ({"model_name": "nothing"}, "nothing"),
    "an unknown output": ({"outputs": wanted("x")}, "output 'x'"),
    "no picture": ({"inputs": [image_input(b"text")]}, "image"),
    "no time": ({"timeout": 1}, "was not answered within 1e-06 s"),
    "a time that is none": ({"timeout": -1}, "send microseconds"),
}


@pytest.mark.parametrize("case", ODD)
async def test_what_is_wrong_with_one_request_is_its_answer_and_the_stream_goes_on(case, server):
    changes, words = ODD[case]
    async with triton.InferenceServerClient(server.address) as client:
        before, odd, after = await stream_of(client, ASKED, ASKED | changes | {"request_id": "odd"}, ASKED)
    assert (before[1], after[1]) == (None, None)
    answer, error = odd
    assert answer is None
    assert isinstance(error, InferenceServerException)
    assert words in error.message()


async def test_an_error_names_the_request_that_it_is_about(server, connect):
    stub = service_pb2_grpc.GRPCInferenceServiceStub(connect(server.address))
    requests = [service_pb2.ModelInferRequest(id="mine"), service_pb2.ModelInferRequest()]
    named, unnamed = [answer async for answer in stub.ModelStreamInfer(iter(requests), timeout=PATIENCE)]
    assert (named.infer_response.id, unnamed.infer_response.id) == ("mine", "")
    assert named.infer_response.parameters["triton_final_response"].bool_param
    assert "'image' is missing" in named.error_message


@pytest.mark.parametrize("final", [False, True])
def test_the_blocking_client_gets_one_answer_for_each_request(final, repository):
    """A model that answers once has no empty answer after the last, whether it was asked for or not."""
    answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
    with server_thread(repository) as server, blocking.InferenceServerClient(server.address) as client:
        client.start_stream(lambda result, error: answers.put((result, error)))
        for number in range(3):
            client.async_stream_infer(**ASKED, request_id=str(number), enable_empty_final_response=final)
        client.stop_stream()
        got = [answers.get(timeout=PATIENCE) for _ in range(3)]
    assert [answer.get_response().id for answer, _ in got] == ["0", "1", "2"]
    assert [len(answer.get_response().outputs) for answer, _ in got] == [1, 1, 1]
    assert answers.empty()


async def test_requests_of_a_stream_are_counted_logged_and_measured_as_calls_are(server, caplog):
    caplog.set_level("INFO", "camgraph.request")
    async with triton.InferenceServerClient(server.address) as client:
        await stream_of(client, ASKED | {"request_id": "a"}, ASKED | {"model_name": "tiny", "inputs": []})
        [found] = (await client.get_inference_statistics("tiny")).model_stats
    assert (found.inference_count, found.inference_stats.success.count) == (1, 1)
    noted = [record.camgraph_facts for record in caplog.records if hasattr(record, "camgraph_facts")]
    facts = [entry for entry in noted if entry["rpc"] == "ModelStreamInfer"]
    lines = [(entry["status"], entry.get("item"), entry.get("items")) for entry in facts]
    assert sorted(lines, key=str) == [("INVALID_ARGUMENT", "", None), ("OK", "a", None), ("OK", None, 2)]


async def test_a_stream_takes_no_more_requests_at_once_than_allowed_and_a_cancelled_one_frees_them(repository):
    loader = GatedLoader()
    async with (
        running_server(repository, loader, workers=1, max_stream_items=3) as server,
        triton.InferenceServerClient(server.address) as client,
    ):
        reading = asyncio.ensure_future(stream_of(client, *[ASKED] * 50))
        await asyncio.to_thread(loader.loaded.wait_entered)
        await asyncio.sleep(0.5)  # what would come has come
        assert server.parts.scheduler.admitted == 3
        reading.cancel()
        async with asyncio.timeout(PATIENCE):
            while server.parts.gate.in_flight:
                await asyncio.sleep(0.02)
            loader.loaded.release.set()
            while server.parts.scheduler.admitted:
                await asyncio.sleep(0.02)
        assert not any(budget.held for budget in server.parts.budgets.values())


METHODS = {
    "ExplainStream": "/camgraph.v1.ExplanationService/ExplainStream",
    "ModelStreamInfer": "/inference.GRPCInferenceService/ModelStreamInfer",
}


@pytest.mark.parametrize("method", METHODS)
async def test_one_client_cannot_hold_all_streams_whichever_method_it_opens_them_by(
    method, repository, connect, tmp_path
):
    tokens = {name: f"{name}-0123456789abcdef0123456789abcdef" for name in ("greedy", "other")}
    clients = tmp_path / "clients.toml"
    clients.write_text("".join(f"[clients.{n}]\ntokens = ['{t}']\n" for n, t in tokens.items()), encoding="utf-8")
    memory = {"max_memory_mib": 128, "max_request_mib": 4}  # 32 MiB for requests, half of it for 4 streams
    async with running_server(repository, clients=clients, **memory) as server:
        channel = connect(server.address)

        def opened(client: str, name: str) -> Any:
            stub = channel.stream_stream(METHODS[name])
            return stub(timeout=PATIENCE, metadata=(("authorization", f"Bearer {tokens[client]}"),))

        held = [opened("greedy", name) for name in METHODS]
        await asyncio.gather(*(stream.initial_metadata() for stream in held))
        refused = opened("greedy", method)
        assert await refused.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "You have 2 streams open, which is the limit for one client" in await refused.details()
        others = [opened("other", name) for name in METHODS]
        await asyncio.gather(*(stream.initial_metadata() for stream in others))
        for stream in (held[0], *others):
            await stream.done_writing()
            assert await stream.code() == grpc.StatusCode.OK
        again = opened("greedy", method)
        await again.initial_metadata()
        for stream in (held[1], again):
            await stream.done_writing()
            assert await stream.code() == grpc.StatusCode.OK
