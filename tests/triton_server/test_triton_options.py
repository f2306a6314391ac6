"""What the command's options write is what a real Triton takes: batches, versions, an environment of Python."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as client
from tritonclient.utils import InferenceServerException

from camgraph_runtime import Explainer
from camgraph_triton.options import TritonOptions
from camgraph_triton.parameters import RequestLimits
from camgraph_triton.repository import write_repository
from support.peers import Peer
from support.serving import png, write_model
from support.tasks import export_task
from support.tiny_graph import TinyGraph
from support.triton_server import TritonServer, python_environment, run_by_python, triton_server

BATCH = 4
LIMITS = RequestLimits(max_targets=3, max_megapixels=0.05, max_response_mib=1, max_output_megapixels=0.05)


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("graphs")
    write_model(folder)
    write_model(folder, version=2, graph=TinyGraph(seed=8))
    shutil.copyfile(export_task("detection", tmp_path_factory.mktemp("exported")), folder / "detection.onnx")
    return folder


@pytest.fixture(scope="module")
def batching(
    peer: Callable[[str], Peer], graphs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TritonServer]:
    """A Triton whose own Python has no camgraph, with the configuration for the onnxruntime backend.

    This Triton has no such backend: in place of it stands the Python backend, and all else is as it was written.
    """
    program = peer("triton")
    folder = tmp_path_factory.mktemp("triton")
    environment = python_environment(program, folder / "environment")
    options = TritonOptions(
        max_batch_size=BATCH, max_queue_delay=0.01, instances=1, environment=str(environment), limits=LIMITS
    )
    write_repository([graphs], folder / "repository", options)
    run_by_python(folder / "repository", environment)
    with triton_server(program, folder / "repository", folder, python=program.folder) as running:
        yield running


def image_of(data: bytes) -> client.InferInput:
    put = client.InferInput("image", [1], "BYTES")
    put.set_data_from_numpy(np.array([data], object))
    return put


def explained(address: str, version: str) -> np.ndarray:
    image = image_of(png())
    with client.InferenceServerClient(address) as opened:
        answer = opened.infer("tiny", [image], version, outputs=[client.InferRequestedOutput("heatmap")])
    heatmaps = answer.as_numpy("heatmap")
    assert heatmaps is not None
    return heatmaps


@pytest.mark.parametrize(("version", "served"), [("1", "1"), ("2", "2"), ("", "2")])
def test_each_version_explains_with_its_own_graph(
    version: str, served: str, batching: TritonServer, graphs: Path
) -> None:
    with Explainer(graphs / "tiny" / served / "model.onnx") as explainer:
        [expected] = explainer.explain(png()).explanations
    np.testing.assert_allclose(explained(batching.grpc, version), [expected.heatmap], rtol=0, atol=1e-5)


def test_the_best_objects_of_a_detector_are_found_by_a_call_of_their_own(batching: TritonServer, graphs: Path) -> None:
    with Explainer(graphs / "detection.onnx") as explainer:
        expected = explainer.explain(png(), top_k=2).explanations
    with client.InferenceServerClient(batching.grpc) as opened:
        wanted = [client.InferRequestedOutput("heatmap")]
        answer = opened.infer("detection", [image_of(png())], outputs=wanted, parameters={"top_k": 2})
    heatmaps = [item.heatmap for item in expected]
    np.testing.assert_allclose(answer.as_numpy("heatmap"), heatmaps, rtol=0, atol=1e-5)


BEYOND = {
    "a photo": ((300, 200), 1, "heatmap", "pixels"),
    "targets": ((40, 30), 4, "heatmap", "the limit is 3"),
    "pixels drawn": ((200, 150), 2, "overlay-png", "million pixels to draw"),
}


@pytest.mark.parametrize("case", BEYOND)
def test_what_one_request_takes_has_limits(case: str, batching: TritonServer) -> None:
    size, top_k, output, words = BEYOND[case]
    with client.InferenceServerClient(batching.grpc) as opened:
        wanted = [client.InferRequestedOutput(output)]
        with pytest.raises(InferenceServerException, match=words) as caught:
            opened.infer("tiny", [image_of(png(*size))], outputs=wanted, parameters={"top_k": top_k})
    assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"


def test_a_batch_may_have_as_many_images_as_was_said(batching: TritonServer) -> None:
    with client.InferenceServerClient(batching.grpc) as opened:
        config = opened.get_model_config("tiny.tensors").config
        assert (config.max_batch_size, config.dynamic_batching.max_queue_delay_microseconds) == (BATCH, 10_000)
        metadata = opened.get_model_metadata("tiny.tensors")
        assert {item.name: list(item.shape) for item in metadata.inputs}["image"] == [-1, 3, 16, 16]
        scores = opened.infer("tiny.tensors", tensors(BATCH)).as_numpy("target_score")
        assert scores is not None
        assert scores.shape == (BATCH, 2)
        with pytest.raises(InferenceServerException, match="batch-size must be <= 4"):
            opened.infer("tiny.tensors", tensors(BATCH + 1))


def tensors(images: int) -> list[client.InferInput]:
    put = [client.InferInput("image", [images, 3, 16, 16], "FP32"), client.InferInput("target", [images, 2], "INT64")]
    put[0].set_data_from_numpy(np.zeros((images, 3, 16, 16), np.float32))
    put[1].set_data_from_numpy(np.zeros((images, 2), np.int64))
    return put
