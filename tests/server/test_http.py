"""KServe's protocols over HTTP; the oracle is the graph in this process."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import tritonclient.http.aio as triton
from PIL import Image
from tritonclient.utils import InferenceServerException

from camgraph_core.target import Target
from camgraph_runtime import Explainer
from camgraph_server.lifecycle import Server
from camgraph_server.transport.http.endpoint import Asked
from support.open_inference import TARGETS, TENSOR
from support.rest import EXPLAIN, b64, body, client_of, http_server, instance
from support.serving import png


@pytest.fixture
async def server(repository: Path) -> AsyncIterator[Server]:
    async with http_server(repository) as started:
        yield started


@pytest.fixture
async def client(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(server) as opened:
        yield opened


@pytest.fixture
def explainer(repository: Path) -> Explainer:
    return Explainer(repository / "tiny" / "1" / "model.onnx")


@pytest.fixture
async def triton_client(server: Server) -> AsyncIterator[triton.InferenceServerClient]:
    async with triton.InferenceServerClient(server.http_address) as opened:
        yield opened


def given(name: str, array: np.ndarray, *, binary: bool) -> triton.InferInput:
    datatype = {"float32": "FP32", "int64": "INT64", "object": "BYTES"}[array.dtype.name]
    put = triton.InferInput(name, list(array.shape), datatype)
    put.set_data_from_numpy(array, binary_data=binary)
    return put


DESCRIBED = {
    "/": {"status": "alive"},
    "/v1/models": {"models": ["tiny"]},
    "/v1/models/tiny": {"name": "tiny", "ready": True},
    "/v2/health/live": {"live": True},
    "/v2/health/ready": {"ready": True},
    "/v2/models/tiny/ready": {"name": "tiny", "ready": True},
    "/v2/models/tiny.tensors/versions/1/ready": {"name": "tiny.tensors", "ready": True},
}


@pytest.mark.parametrize("path", DESCRIBED)
async def test_health_and_models_are_told(path, client):
    answer = await client.get(path)
    assert (answer.status_code, answer.json()) == (200, DESCRIBED[path])
    assert answer.headers["content-type"] == "application/json"
    assert (await client.head(path)).status_code == 200


async def test_the_models_are_described_as_over_grpc(client):
    tensors = (await client.get("/v2/models/tiny.tensors/versions/1")).json()
    assert tensors["inputs"] == [
        {"name": "image", "datatype": "FP32", "shape": [-1, 3, 16, 16]},
        {"name": "target", "datatype": "INT64", "shape": [-1, -1]},
    ]
    assert [item["name"] for item in (await client.get("/v2/models/tiny")).json()["inputs"]] == [
        "image",
        "target_index",
        "target_label",
        "target_rank",
        "target",
        "mask",
        "reference",
    ]
    config = (await client.get("/v2/models/tiny/config")).json()
    assert (config["input"][0]["data_type"], config["max_batch_size"]) == ("TYPE_STRING", 0)
    index = (await client.post("/v2/repository/index", json={"ready": True})).json()
    assert [(item["name"], item["state"]) for item in index] == [("tiny", "READY"), ("tiny.tensors", "READY")]
    assert (await client.get("/v2")).json()["name"] == "camgraph"


async def test_v1_explains_as_the_runtime_does(client, explainer):
    names = ["heatmap", "heatmap-png", "overlay-jpeg", "statistics", "predictions"]
    targets = {"target_index": [3, 0], "target_label": ["Bird"], "target_rank": 2}
    parameters = {"method": "grad-cam++", "max_side": 20}
    answer = await client.post(EXPLAIN, json=body(instance(**targets), outputs=names, parameters=parameters))
    assert answer.status_code == 200, answer.text
    [found] = answer.json()["explanations"]
    asked = [Target.index(3), Target.index(0), Target.of_label("bird"), Target.of_rank(2)]
    expected = explainer.explain(png(), targets=asked, method="grad-cam++", max_side=20)
    assert list(found) == names
    for position, explanation in enumerate(expected.explanations):
        np.testing.assert_array_equal(np.array(found["heatmap"][position], np.float32), explanation.heatmap)
        for name in ("heatmap-png", "overlay-jpeg"):
            assert base64.b64decode(found[name][position]["b64"]) == explanation.output(name)
        assert found["statistics"][position]["target"]["label"] == explanation.target.label
    assert [item["label"] for item in found["predictions"]] == [item.label for item in expected.predictions]


def animation() -> bytes:
    """Of which the first picture alone is explained."""
    file = io.BytesIO()
    Image.new("L", (24, 24), 40).save(file, "gif", save_all=True, append_images=[Image.new("L", (24, 24), 90)])
    return file.getvalue()


@pytest.mark.parametrize("images", [[png()], [animation()], [png(), animation(), png()]])
async def test_v1_predicts_with_the_warnings_of_each_image(client, explainer, images):
    answer = (await client.post("/v1/models/tiny:predict", json=body(*map(instance, images)))).json()
    expected = [explainer.explain(image).warnings for image in images]
    assert len(answer["predictions"]) == len(images)
    assert answer.get("warnings", [[]] * len(images)) == expected
    assert ("warnings" in answer) == any(expected) == (animation() in images)


async def test_v1_takes_several_images_and_answers_in_their_order(client, explainer):
    images = [png(seed=number) for number in range(20)]
    answer = await client.post("/v1/models/tiny:predict", json=body(*({"b64": b64(image)} for image in images)))
    assert answer.status_code == 200, answer.text
    scores = [found[0]["score"] for found in answer.json()["predictions"]]
    assert scores == [explainer.explain(image).predictions[0].score for image in images]


async def test_many_images_do_not_fill_the_queue_against_themselves(repository):
    async with http_server(repository, workers=1, queue_capacity=0) as server, client_of(server) as client:
        answer = await client.post("/v1/models/tiny:predict", json=body(*[instance()] * 10))
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["predictions"]) == 10


async def test_v1_gives_a_picture_statistics_and_predictions_by_default(client):
    [found] = (await client.post(EXPLAIN, json=body())).json()["explanations"]
    assert list(found) == ["heatmap-png", "statistics", "predictions"]


@pytest.mark.parametrize("binary", [True, False], ids=["binary", "json"])
async def test_tritons_client_runs_the_tensor_model(binary, triton_client, explainer):
    inputs = [given("image", TENSOR, binary=binary), given("target", TARGETS, binary=binary)]
    names = ("target_score", "weights")
    outputs = [triton.InferRequestedOutput(name, binary_data=binary) for name in names]
    answer = await triton_client.infer("tiny.tensors", inputs, outputs=outputs, request_id="mine")
    expected = explainer.engine.run({"image": TENSOR, "target": TARGETS}, list(names))
    assert (answer.get_response()["model_name"], answer.get_response()["id"]) == ("tiny.tensors", "mine")
    for name in names:
        np.testing.assert_array_equal(answer.as_numpy(name), expected[name])


async def test_tritons_client_explains_an_image(triton_client, explainer):
    inputs = [given("image", np.array([png()], object), binary=True), given("target_rank", np.array([2]), binary=False)]
    answer = await triton_client.infer("tiny", inputs, parameters={"top_k": 1})
    expected = explainer.explain(png(), targets=[Target.of_rank(2)], top_k=1)
    np.testing.assert_array_equal(answer.as_numpy("heatmap"), [item.heatmap for item in expected.explanations])
    assert json.loads(answer.as_numpy("statistics")[0])["target"]["label"] == expected.explanations[0].target.label


async def test_tritons_client_finds_what_it_asks_for(triton_client):
    assert await triton_client.is_server_live()
    assert await triton_client.is_server_ready()
    assert await triton_client.is_model_ready("tiny")
    assert not await triton_client.is_model_ready("nothing")
    assert (await triton_client.get_server_metadata())["name"] == "camgraph"
    assert (await triton_client.get_model_config("tiny"))["name"] == "tiny"
    statistics = await triton_client.get_inference_statistics("tiny")
    assert statistics["model_stats"][0]["inference_count"] == 0
    with pytest.raises(InferenceServerException, match="no model 'nothing'"):
        await triton_client.infer("nothing", [given("image", np.array([png()], object), binary=True)])


async def test_v2_takes_pictures_in_base64_and_gives_them_so(client, explainer):
    image = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [b64(png())]}
    asked = {"inputs": [image | {"parameters": {"content_type": "base64"}}], "outputs": [{"name": "overlay-jpeg"}]}
    [output] = (await client.post("/v2/models/tiny/infer", json=asked)).json()["outputs"]
    assert output["parameters"] == {"content_type": "base64"}
    [expected] = explainer.explain(png()).explanations
    assert base64.b64decode(output["data"][0]) == expected.output("overlay-jpeg")


async def test_models_are_loaded_and_unloaded_where_that_is_offered(repository, client):
    assert (await client.post("/v2/repository/models/tiny/unload")).status_code == 404
    async with http_server(repository, model_control=True) as server:  # noqa: SIM117 - it needs the address
        async with client_of(server) as controlling, triton.InferenceServerClient(server.http_address) as opened:
            await opened.unload_model("tiny")
            gone = await controlling.get("/v1/models/tiny")
            assert gone.status_code == 503
            assert not await opened.is_model_ready("tiny.tensors")
            with pytest.raises(InferenceServerException, match="leave config out"):
                await opened.load_model("tiny", config="{}")
            assert not await opened.is_model_ready("tiny")
            await opened.load_model("tiny")
            assert (await controlling.get("/v1/models/tiny")).status_code == 200


async def test_metrics_count_calls_over_http(client):
    await client.post("/v1/models/tiny:predict", json=body(instance(), instance()))
    answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    samples = dict(line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#"))
    method = 'grpc_method="Predict",grpc_service="http.v1",grpc_type="unary"'
    assert samples[f'grpc_server_handled_total{{grpc_code="OK",{method}}}'] == "1.0"
    assert samples['nv_inference_request_success{model="tiny",version="1"}'] == "2.0"
    openmetrics = await client.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert openmetrics.text.endswith("# EOF\n")


async def test_a_call_has_one_record_and_each_of_its_images_another(client, caplog):
    caplog.set_level("INFO", "camgraph.request")
    trace = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
    headers = {"x-request-id": "mine", "traceparent": trace}
    await client.post(EXPLAIN, json=body(instance(), instance()), headers=headers)
    facts = [record.camgraph_facts for record in caplog.records if hasattr(record, "camgraph_facts")]
    [call] = [fact for fact in facts if "items" in fact]
    items = sorted(fact["item"] for fact in facts if "item" in fact)
    assert items == ["0", "1"]
    assert (call["rpc"], call["status"], call["model"], call["items"]) == ("Explain", "OK", "tiny", 2)
    for fact in facts:
        assert (fact["request_id"], fact["trace_id"]) == ("mine", trace.split("-")[1])
        assert fact["peer"].startswith("ipv4:127.0.0.1:")


def test_a_long_name_of_a_request_is_cut():
    assert Asked({}, {"x-request-id": "x" * 5000}).request_id == "x" * 200
