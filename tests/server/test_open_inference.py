"""The Open Inference Protocol, asked by Triton's own client; the oracle is the graph in this process."""

from __future__ import annotations

import asyncio
import json
import queue
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as blocking
import tritonclient.grpc.aio as triton
from google.protobuf import descriptor_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from tritonclient.grpc import model_config_pb2
from tritonclient.utils import InferenceServerException

from camgraph_core.target import Target
from camgraph_runtime import Explainer
from camgraph_server.lifecycle import Server
from support.dicoms import dicom
from support.open_inference import TARGETS, TENSOR, given, image_input, tensor_inputs, wanted
from support.serving import PATIENCE, png, running_server, server_process, server_thread
from support.tiny_graph import TinyGraph


@pytest.fixture
async def client(server: Server) -> AsyncIterator[triton.InferenceServerClient]:
    async with triton.InferenceServerClient(server.address) as opened:
        yield opened


@pytest.fixture
def explainer(repository: Path) -> Explainer:
    return Explainer(repository / "tiny" / "1" / "model.onnx")


async def test_the_server_and_its_models_are_described(client):
    assert await client.is_server_live()
    assert await client.is_server_ready()
    assert (await client.get_server_metadata()).name == "camgraph"
    ready = [await client.is_model_ready(name) for name in ("tiny", "tiny.tensors", "nothing")]
    assert ready == [True, True, False]
    assert not await client.is_model_ready("tiny", "7")
    explains = await client.get_model_metadata("tiny")
    assert [item.name for item in explains.inputs] == [
        "image", "target_index", "target_label", "target_rank", "target", "mask", "reference",
    ]  # fmt: skip  # names
    tensors = await client.get_model_metadata("tiny.tensors", "1")
    assert {item.name: (item.datatype, list(item.shape)) for item in tensors.inputs} == {
        "image": ("FP32", [-1, 3, 16, 16]),
        "target": ("INT64", [-1, -1]),
    }
    config = (await client.get_model_config("tiny")).config
    assert [(item.name, item.data_type, item.optional) for item in config.input[:2]] == [
        ("image", model_config_pb2.TYPE_STRING, False),
        ("target_index", model_config_pb2.TYPE_INT64, True),
    ]
    config = (await client.get_model_config("tiny.tensors")).config
    assert (config.max_batch_size, list(config.input[0].dims)) == (0, [-1, 3, 16, 16])
    assert config.input[0].data_type == model_config_pb2.TYPE_FP32
    index = await client.get_model_repository_index()
    assert [(item.name, item.version, item.state) for item in index.models] == [
        ("tiny", "1", "READY"),
        ("tiny.tensors", "1", "READY"),
    ]


async def test_an_explanation_is_that_of_the_runtime(client, explainer):
    names = ("heatmap", "input-heatmap", "heatmap-png", "overlay-png", "overlay-jpeg", "statistics", "predictions")
    answer = await client.infer(
        "tiny",
        [
            image_input(),
            given("target_rank", np.array([2], np.int64)),
            given("target_index", np.array([3, 0], np.int64)),
            given("target_label", np.array([b"Bird"], object)),
        ],
        outputs=wanted(*names),
        request_id="mine",
        parameters={"method": "grad-cam++", "max_side": 20, "nobody_knows": 5},
    )
    asked = [Target.index(3), Target.index(0), Target.of_label("bird"), Target.of_rank(2)]
    expected = explainer.explain(png(), targets=asked, method="grad-cam++", max_side=20)
    assert [output.name for output in answer.get_response().outputs] == list(names)
    assert answer.get_response().id == "mine"
    for position, explanation in enumerate(expected.explanations):
        np.testing.assert_array_equal(answer.as_numpy("heatmap")[position], explanation.output("heatmap"))
        np.testing.assert_array_equal(answer.as_numpy("input-heatmap")[position], explanation.input_heatmap)
        for name in ("heatmap-png", "overlay-png", "overlay-jpeg"):
            assert answer.as_numpy(name)[position] == explanation.output(name)
        statistics = json.loads(answer.as_numpy("statistics")[position])
        assert statistics["target"]["label"] == explanation.target.label
        assert statistics["maximum"] == explanation.statistics.maximum
        assert statistics["method"] == "grad-cam++"
    predictions = [json.loads(text) for text in answer.as_numpy("predictions")]
    assert [item["label"] for item in predictions] == [item.label for item in expected.predictions]


async def test_without_targets_and_outputs_the_predicted_class_is_explained(client, explainer):
    answer = await client.infer("tiny", [image_input()])
    names = [output.name for output in answer.get_response().outputs]
    assert names == ["heatmap", "statistics", "predictions"]
    [expected] = explainer.explain(png()).explanations
    np.testing.assert_array_equal(answer.as_numpy("heatmap"), [expected.heatmap])


async def test_a_frame_and_a_window_of_a_scan(client, explainer):
    frames = np.random.default_rng(3).integers(0, 4096, (2, 20, 24)).astype(np.uint16)
    data = dicom(frames, bits=12, frames=2)
    answer = await client.infer("tiny", [image_input(data)], parameters={"frame": 2, "window": "0,2000"})
    [expected] = explainer.explain(data, frame=2, window=(0, 2000)).explanations
    np.testing.assert_array_equal(answer.as_numpy("heatmap"), [expected.heatmap])


@pytest.mark.parametrize("outputs", [(), ("target_score", "weights")])
async def test_the_tensor_model_gives_what_the_graph_gives(outputs, client, explainer):
    inputs = tensor_inputs()
    answer = await client.infer("tiny.tensors", inputs, outputs=wanted(*outputs) or None)
    expected = explainer.engine.run({"image": TENSOR, "target": TARGETS}, list(outputs) or None)
    assert answer.get_response().model_name == "tiny.tensors"
    assert [output.name for output in answer.get_response().outputs] == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(answer.as_numpy(name), array)


async def test_a_call_is_recorded_and_measured_as_our_own(client, server, caplog):
    caplog.set_level("INFO", "camgraph.request")
    await client.infer("tiny.tensors", tensor_inputs(), request_id="seen")
    while server.parts.gate.in_flight:  # until answer and status have left
        await asyncio.sleep(0.01)
    [facts] = [r.camgraph_facts for r in caplog.records if getattr(r, "camgraph_facts", {}).get("rpc") == "ModelInfer"]
    assert (facts["status"], facts["model"], facts["request_id"]) == ("OK", "tiny", "seen")


async def test_statistics_count_the_runs_of_a_graph(client):
    assert not (await client.get_inference_statistics("tiny")).model_stats[0].inference_count
    await client.infer("tiny", [image_input()])
    await client.infer("tiny.tensors", tensor_inputs())
    with pytest.raises(InferenceServerException):
        await client.infer("tiny", [image_input(b"text")])
    [found] = (await client.get_inference_statistics("tiny")).model_stats
    assert (found.name, found.version, found.inference_count, found.execution_count) == ("tiny", "1", 2, 2)
    stats = found.inference_stats
    assert (stats.success.count, stats.fail.count, stats.compute_infer.count) == (2, 1, 2)
    assert stats.success.ns >= stats.compute_infer.ns > 0
    every = await client.get_inference_statistics()
    assert [item.name for item in every.model_stats] == ["tiny", "tiny.tensors"]


async def test_a_withheld_model_stays_withheld_in_both_forms(repository, tmp_path):
    clients = tmp_path / "clients.toml"
    token = "0123456789abcdef0123456789abcdef"
    clients.write_text(f"[clients.clinic]\ntokens = ['{token}']\nmodels = ['other']", encoding="utf-8")
    async with running_server(repository, clients=clients, model_control=True) as server:  # noqa: SIM117 - the address
        async with triton.InferenceServerClient(server.address) as client:
            headers = {"authorization": f"Bearer {token}"}
            assert not (await client.get_model_repository_index(headers=headers)).models
            for name in ("tiny", "tiny.tensors"):
                with pytest.raises(InferenceServerException, match="You may not use"):
                    await client.infer(name, [image_input()], headers=headers)
            for change in (client.load_model, client.unload_model):
                with pytest.raises(InferenceServerException) as caught:
                    await change("tiny", headers=headers)
                assert caught.value.status() == "StatusCode.PERMISSION_DENIED"
            with pytest.raises(InferenceServerException) as caught:
                await client.is_server_live()
            assert caught.value.status() == "StatusCode.UNAUTHENTICATED"


async def test_models_are_loaded_and_unloaded_where_that_is_offered(repository):
    async with running_server(repository, model_control=True) as server:  # noqa: SIM117 - it needs the address
        async with triton.InferenceServerClient(server.address) as client:
            assert "model_repository" in (await client.get_server_metadata()).extensions
            await client.unload_model("tiny.tensors")
            assert not await client.is_model_ready("tiny")
            index = await client.get_model_repository_index()
            assert {item.state for item in index.models} == {"UNAVAILABLE"}
            await client.load_model("tiny")
            assert await client.is_model_ready("tiny.tensors")


async def test_a_switch_for_gradients_is_on_unless_it_is_set(repository):
    (repository / "tiny" / "1" / "model.onnx").write_bytes(TinyGraph(explain_switch=True).serialize())
    async with running_server(repository) as server, triton.InferenceServerClient(server.address) as client:
        metadata = await client.get_model_metadata("tiny.tensors")
        assert [item.name for item in metadata.inputs] == ["image", "target"]
        answer = await client.infer("tiny.tensors", tensor_inputs())
        assert np.any(answer.as_numpy("weights"))


REFLECTED = {
    "inference.GRPCInferenceService": "open_inference.proto",
    "inference.ModelInferRequest": "open_inference.proto",
    "camgraph.v1.ExplanationService": "camgraph/v1/explanation.proto",
}


async def test_reflection_knows_the_protocol_in_a_process_without_another_copy(repository):
    """A process of its own, as this one has the client's copy in its default pool."""
    with server_process(repository) as server:
        async with grpc.aio.insecure_channel(server.address) as channel:
            ask = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo
            Request = reflection_pb2.ServerReflectionRequest  # noqa: N806 - a class
            requests = [Request(file_containing_symbol=symbol) for symbol in REFLECTED]
            requests.append(Request(file_containing_symbol="inference.Nothing"))
            answers = [answer async for answer in ask(iter(requests), timeout=PATIENCE)]
    for answer, file in zip(answers, REFLECTED.values(), strict=False):
        found = answer.file_descriptor_response.file_descriptor_proto
        assert file in [descriptor_pb2.FileDescriptorProto.FromString(data).name for data in found]
    assert answers[-1].error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


def test_the_blocking_client_gets_the_same_as_the_other_also_in_the_background(repository, explainer):
    answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
    with server_thread(repository) as server, blocking.InferenceServerClient(server.address) as client:
        assert client.is_model_ready("tiny.tensors")
        assert client.get_model_config("tiny.tensors", as_json=True)["config"]["platform"] == "onnxruntime_onnx"
        answer = client.infer("tiny.tensors", tensor_inputs(), compression_algorithm="gzip")
        client.async_infer("tiny", [image_input()], lambda result, error: answers.put((result, error)))
        explained, error = answers.get(timeout=PATIENCE)
    assert error is None
    expected = explainer.engine.run({"image": TENSOR, "target": TARGETS}, None)
    for name, array in expected.items():
        np.testing.assert_array_equal(answer.as_numpy(name), array)
    np.testing.assert_array_equal(explained.as_numpy("heatmap")[0], explainer.explain(png()).explanations[0].heatmap)


def test_a_process_may_hold_both_files_of_the_protocol():
    """Both orders of import, in fresh processes: in one pool they would clash."""
    modules = ["tritonclient.grpc.service_pb2", "camgraph_server.transport.open_inference"]
    for first, second in (modules, modules[::-1]):
        subprocess.run([sys.executable, "-c", f"import {first}, {second}"], timeout=PATIENCE, check=True)
