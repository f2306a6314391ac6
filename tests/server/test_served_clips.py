"""Models of clips on a server: the same admission, limits, records and protocols as those of images."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
import time
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc.aio as triton
from tritonclient.utils import InferenceServerException

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1.explanation_pb2_grpc import ExplanationServiceStub
from camgraph_core.errors import InvalidGraphError
from camgraph_core.explanation import Explanation
from camgraph_core.png import encode_png
from camgraph_core.request import Addressed, Request
from camgraph_runtime import ClipExplainer
from camgraph_runtime.explainers import explainer_of
from camgraph_runtime.preprocess import Preprocessor
from camgraph_runtime.run.batch import Batching
from camgraph_runtime.run.engine import Engine
from camgraph_server.lifecycle import Server
from camgraph_server.models.readiness import check_explains
from camgraph_wire.requests import request_message
from support.clips import FRAMES, HEIGHT, WIDTH, moving, write_clip_graph
from support.open_inference import given, image_input
from support.rest import client_of, http_server
from support.serving import PATIENCE, blank_png, png, run_camgraph, running_server, write_model

FILES = [encode_png(frame) for frame in moving()]
TENSOR = np.random.default_rng(3).random((1, 3, FRAMES, HEIGHT, WIDTH)).astype(np.float32)


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip_graph(tmp_path_factory.mktemp("made"))


@pytest.fixture
def repository(graph: Path, tmp_path: Path) -> Path:
    """A model of clips, and one of images."""
    folder = tmp_path / "models"
    write_model(folder)
    (folder / "clips" / "1").mkdir(parents=True)
    shutil.copy(graph, folder / "clips" / "1" / "model.onnx")
    return folder


def asked(*files: bytes, model: str = "clips", **fields: Any) -> pb.ExplainRequest:
    return pb.ExplainRequest(model_name=model, frames=pb.EncodedFrames(files=files), **fields)


async def refusal(server: Server, connect: Any, request: pb.ExplainRequest) -> tuple[str, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ExplanationServiceStub(connect(server.address)).Explain(request, timeout=PATIENCE)
    return caught.value.code().name, str(caught.value.details())


async def test_a_model_of_clips_is_ready_and_answers_as_the_proto_says(server, stub):
    models = (await stub.ListModels(pb.ListModelsRequest(), timeout=PATIENCE)).models
    assert [(model.name, pb.ModelState.Name(model.state)) for model in models] == [
        ("clips", "MODEL_STATE_READY"),
        ("tiny", "MODEL_STATE_READY"),
    ]
    kinds = [pb.OUTPUT_KIND_HEATMAP, pb.OUTPUT_KIND_RAW_MAP, pb.OUTPUT_KIND_OVERLAY_JPEG, pb.OUTPUT_KIND_HOT_REGIONS]
    answer = await stub.Explain(asked(*FILES, outputs=kinds, request_id="mine"), timeout=PATIENCE)
    assert (answer.model_name, answer.request_id) == ("clips", "mine")
    assert (answer.image_width, answer.image_height) == (WIDTH, HEIGHT)
    [explanation] = answer.explanations
    heat, raw, *others = explanation.outputs
    assert list(heat.tensor.shape) == [FRAMES, HEIGHT, WIDTH]
    assert list(raw.tensor.shape) == [4, 8, 12]
    assert [(output.WhichOneof("value"), output.frame) for output in others] == [
        *(("encoded", frame) for frame in range(FRAMES)),
        *(("regions", frame) for frame in range(FRAMES)),
    ]
    assert not heat.HasField("frame")
    assert explanation.statistics.maximum > 0


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (asked(*FILES[:3]), "The model takes 8 frames, and 3 came"),
        (asked(*FILES, png()), "The model takes 8 frames, and 9 came"),
        (asked(), "The model takes 8 frames, and 0 came"),
        (asked(*[b""] * 5000), "The field files has more than 4096 entries"),
        (asked(*FILES[:7], b"text"), "not an image that can be read"),
        (asked(*FILES[:7], png(9, 9)), "The frames of a clip have one size"),
        (asked(*FILES, profile=pb.PROFILE_RAW), "A clip has no profile raw"),
        (asked(*FILES, outputs=[pb.OUTPUT_KIND_GUIDED]), "has no guided map"),
        (asked(*FILES, bank=True), "a memory bank is of single images"),
        (asked(*FILES, model="tiny"), "The model explains single images, not clips; send one image."),
        (
            pb.ExplainRequest(model_name="clips", image=pb.EncodedImage(data=png())),
            "The model explains clips of 8 frames, not single images",
        ),
        (pb.ExplainRequest(model_name="clips"), "neither an image nor a tensor"),
    ],
)
async def test_what_is_no_clip_for_the_model(request_, said, server, connect):
    code, text = await refusal(server, connect, request_)
    assert (code, said in text) == ("INVALID_ARGUMENT", True), text


@pytest.mark.parametrize(
    ("settings", "size", "said"),
    [
        ({"max_megapixels": 1.0}, (1001, 1000), "the limit is 1000000"),
        ({"max_megapixels": 1.0}, (800, 800), "8 frames of 800 x 800 pixels are too large together"),
        ({"max_memory_mib": 64}, (1000, 1000), "Reading the clip takes 38 MiB of memory, more than the 32 MiB"),
        ({"max_response_mib": 4}, (800, 800), "8 heatmaps of 800 x 800 pixels take 20 MiB"),
        ({"max_output_megapixels": 1.0}, (400, 400), "2 outputs of 8 frames of 400 x 400 pixels each are 3 million"),
    ],
)
async def test_a_clip_is_held_to_the_limits_of_images_times_its_frames(settings, size, said, repository, connect):
    kinds = [pb.OUTPUT_KIND_HEATMAP]
    kinds += [pb.OUTPUT_KIND_OVERLAY_JPEG] * ("max_output_megapixels" in settings)
    async with running_server(repository, **settings) as server:
        code, text = await refusal(server, connect, asked(*[blank_png(*size)] * FRAMES, outputs=kinds))
    assert said in text
    assert code in {"INVALID_ARGUMENT", "RESOURCE_EXHAUSTED"}


async def test_frames_are_drawn_one_by_one_as_far_as_the_answer_may_go(repository, connect, monkeypatch):
    drawn, output = [], Explanation.output
    monkeypatch.setattr(Explanation, "output", lambda self, name: drawn.append(name) or output(self, name))
    noise = np.random.default_rng(0).integers(0, 256, (600, 600, 3), np.uint8)
    request = asked(*[encode_png(noise)] * FRAMES, outputs=[pb.OUTPUT_KIND_OVERLAY_PNG])
    async with running_server(repository, max_response_mib=2) as server:
        code, text = await refusal(server, connect, request)
    assert (code, "The answer takes more than the limit of 2 MiB" in text) == ("RESOURCE_EXHAUSTED", True)
    assert 1 < drawn.count("overlay-png") < FRAMES


async def test_what_nobody_waits_for_ends_between_two_frames(repository, connect, monkeypatch):
    read, prepare = [], Preprocessor.prepare
    is_read = threading.Event()

    def slow(self: Preprocessor, picture: Any) -> Any:
        read.append(picture)
        if len(read) == 2:
            is_read.set()
            time.sleep(0.5)
        return prepare(self, picture)

    async with running_server(repository) as server:
        monkeypatch.setattr(Preprocessor, "prepare", slow)
        call = ExplanationServiceStub(connect(server.address)).Explain(asked(*FILES), timeout=PATIENCE)
        waiting = asyncio.ensure_future(call)
        await asyncio.to_thread(is_read.wait, PATIENCE)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert len(read) < FRAMES


async def test_a_stream_takes_clips_beside_images(stub):
    async def requests() -> AsyncIterator[pb.ExplainStreamRequest]:
        for number, request in enumerate((asked(*FILES), asked(*FILES[:2]), image_request())):
            yield pb.ExplainStreamRequest(id=str(number), request=request)

    def image_request() -> pb.ExplainRequest:
        return pb.ExplainRequest(model_name="tiny", image=pb.EncodedImage(data=png()))

    answers = [answer async for answer in stub.ExplainStream(requests(), timeout=PATIENCE)]
    assert [answer.WhichOneof("outcome") for answer in answers] == ["response", "error", "response"]
    assert answers[1].error.status == "INVALID_ARGUMENT"


async def test_maps_of_clips_are_counted_with_the_others(repository, connect):
    async with running_server(repository, metrics="127.0.0.1:0") as server:
        registry = next(each.registry for each in server.parts.observers if hasattr(each, "registry"))
        await ExplanationServiceStub(connect(server.address)).Explain(asked(*FILES, top_k=2), timeout=PATIENCE)
        labels = {"model": "clips", "version": "1"}
        kinds = ("fine", "empty", "constant", "nonfinite")
        counts = [registry.get_sample_value("camgraph_maps_total", labels | {"kind": kind}) for kind in kinds]
        assert sum(counts) == 2
        assert counts[0] >= 1


@pytest.mark.parametrize("kind", ["frames", "tensor"])
async def test_a_clip_of_the_audit_log_is_repeated_bit_for_bit(kind, repository, connect, tmp_path):
    about = {"frames": tuple(FILES)} if kind == "frames" else {"tensor": TENSOR}
    request = Request(outputs=["heatmap", *(["overlay-png", "hot-regions"] if kind == "frames" else [])], top_k=2)
    log = tmp_path / "audit.jsonl"
    async with running_server(repository, audit_log=log) as server:
        message = request_message(Addressed(request=request, model="clips", **about))
        await ExplanationServiceStub(connect(server.address)).Explain(message, timeout=PATIENCE)
    [entry] = map(json.loads, log.read_text("utf-8").splitlines())
    assert (entry["status"], entry["model"]) == ("OK", "clips")
    arguments = ["repeat", str(log), entry["id"], "--graph", str(repository / "clips" / "1" / "model.onnx")]
    np.save(tmp_path / "tensor.npy", TENSOR)
    paths = [tmp_path / f"{number}.png" for number in range(FRAMES)]
    for path, data in zip(paths, FILES, strict=True):
        path.write_bytes(data)
    if kind == "tensor":
        arguments += ["--tensor", str(tmp_path / "tensor.npy")]
        result = run_camgraph(*arguments)
    else:
        result = run_camgraph(*arguments, *(word for path in paths for word in ("--image", str(path))))
        swapped = run_camgraph(*arguments, *(word for path in paths[::-1] for word in ("--image", str(path))))
        assert "about another image" in swapped.stderr
    assert (result.returncode, result.stdout) == (0, "The result is the same, bit for bit.\n"), result.stderr


async def test_the_protocol_of_kserve_has_tensors_of_clips_and_says_why_it_takes_no_images(server, graph):
    async with triton.InferenceServerClient(server.address) as client:
        assert await client.is_model_ready("clips")
        for call in (client.get_model_metadata("clips"), client.get_model_config("clips")):
            with pytest.raises(InferenceServerException, match=r"explains clips, .* Ask clips\.tensors"):
                await call
        with pytest.raises(InferenceServerException, match="explains clips of 8 frames, not single images"):
            await client.infer("clips", [image_input()])
        inputs = [given("image", TENSOR), given("target", np.array([[1]], np.int64))]
        answer = await client.infer("clips.tensors", inputs)
        [layer] = ClipExplainer(graph).manifest.layers
        wanted = ClipExplainer(graph).explain(tensor=TENSOR, targets=[]).explanations[0]
        np.testing.assert_array_equal(answer.as_numpy(layer.activations_tensor)[0], wanted.activations[0])


async def test_instances_of_images_are_refused_over_http(repository):
    async with http_server(repository) as server, client_of(server) as client:
        body = {"instances": [{"b64": b64encode(png()).decode()}]}
        answer = await client.post("/v1/models/clips:explain", json=body)
        assert answer.status_code == 400
        assert "explains clips of 8 frames, not single images" in answer.json()["error"]
        assert (await client.get("/v1/models/clips")).json() == {"name": "clips", "ready": True}


def test_readiness_runs_every_size_of_batch_with_a_whole_clip(graph):
    explainer = explainer_of(Engine(graph), batching=Batching(2))
    shapes, run = [], explainer.engine.run

    def counted(feeds: Any, *others: Any) -> Any:
        shapes.append(feeds["image"].shape)
        return run(feeds, *others)

    explainer.engine.run = counted
    check_explains(explainer)
    assert shapes == [(1, 3, FRAMES, HEIGHT, WIDTH), (2, 3, FRAMES, HEIGHT, WIDTH)]
    explainer.close()


def test_a_graph_that_cannot_explain_a_clip_is_not_ready(graph):
    explainer = explainer_of(Engine(graph))
    explainer.manifest.input.clip.frames = FRAMES + 1
    with pytest.raises(InvalidGraphError, match="cannot explain a clip"):
        check_explains(explainer)
    explainer.close()
