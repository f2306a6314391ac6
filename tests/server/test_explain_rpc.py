"""What a healthy server answers, against the runtime in this process as the oracle."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camgraph.v1 import explanation_pb2 as pb
from camgraph.v1.explanation_pb2_grpc import ExplanationServiceStub
from camgraph_core.png import encode_png
from camgraph_runtime import Explainer, Target
from camgraph_runtime.maps.cam import METHODS
from camgraph_runtime.pictures.jpeg import encode_jpeg
from camgraph_runtime.pictures.overlay import heatmap_to_gray
from camgraph_wire.regions import regions_from
from support.serving import PATIENCE, png, running_server, write_model
from support.tiny_graph import TinyGraph


@pytest.fixture
def oracle(repository: Path) -> Explainer:
    return Explainer(repository / "tiny" / "1" / "model.onnx")


def ask(data: bytes = b"", **fields) -> pb.ExplainRequest:
    if "tensor" in fields:
        return pb.ExplainRequest(**fields)
    return pb.ExplainRequest(image=pb.EncodedImage(data=data or png()), **fields)


def array(tensor: pb.Tensor) -> np.ndarray:
    return np.frombuffer(tensor.data, tensor.dtype).reshape(tuple(tensor.shape))


async def test_predicted_class_is_explained_by_default(stub, oracle):
    response = await stub.Explain(ask(request_id="abc"), timeout=PATIENCE)
    expected = oracle.explain(png())
    assert (response.model_name, response.model_version) == ("tiny", "1")
    assert response.request_id == "abc"
    assert (response.image_width, response.image_height) == (40, 30)
    assert [score.class_index for score in response.predictions] == [
        score.class_index for score in expected.predictions
    ]
    assert response.predictions[0].label == expected.predictions[0].label
    assert response.predictions[0].score == pytest.approx(expected.predictions[0].score)
    assert sum(score.probability for score in response.predictions) == pytest.approx(1)
    [explanation] = response.explanations
    assert explanation.target == response.predictions[0]
    assert explanation.layers == ["features"]
    assert explanation.method == "grad-cam"
    [output] = explanation.outputs
    assert output.kind == pb.OUTPUT_KIND_HEATMAP
    np.testing.assert_array_equal(array(output.tensor), expected.explanations[0].heatmap)
    assert explanation.statistics.maximum == pytest.approx(expected.explanations[0].statistics.maximum)


async def test_every_way_to_name_a_target_in_the_order_asked(stub, oracle):
    targets = [
        pb.Target(class_index=3),
        pb.Target(label="DOG"),
        pb.Target(rank=2),
        pb.Target(),
        pb.Target(label="cat", contrast=pb.Target(class_index=1)),
        pb.Target(class_index=0, negative=True),
    ]
    response = await stub.Explain(ask(targets=targets, top_k=2), timeout=PATIENCE)
    ranked = [score.class_index for score in response.predictions]
    found = [explanation.target.class_index for explanation in response.explanations]
    assert found == [3, 1, ranked[1], ranked[0], 0, 0, ranked[0], ranked[1]]
    contrasted = response.explanations[4]
    assert contrasted.contrast.label == "dog"
    assert not response.explanations[5].HasField("contrast")
    expected = oracle.explain(
        png(), targets=[Target.index(0, contrast=Target.index(1)), Target.index(0, negative=True)]
    )
    for got, wanted in zip(response.explanations[4:6], expected.explanations, strict=True):
        np.testing.assert_array_equal(array(got.outputs[0].tensor), wanted.heatmap)


async def test_every_output_kind_in_the_order_asked(stub, oracle):
    kinds = [kind for kind in pb.OutputKind.values() if kind != pb.OUTPUT_KIND_UNSPECIFIED]
    request = ask(
        method="guided-grad-cam",
        outputs=kinds,
        overlay=pb.OverlayOptions(colormap=pb.COLORMAP_VIRIDIS, image_weight=0.25, jpeg_quality=80),
    )
    response = await stub.Explain(request, timeout=PATIENCE)
    [wanted] = oracle.explain(png(), method="guided-grad-cam").explanations
    picture = wanted.overlay(colormap="viridis", image_weight=0.25)
    expected = {
        pb.OUTPUT_KIND_HEATMAP: wanted.heatmap,
        pb.OUTPUT_KIND_HEATMAP_PNG: encode_png(heatmap_to_gray(wanted.heatmap)),
        pb.OUTPUT_KIND_OVERLAY_PNG: encode_png(picture),
        pb.OUTPUT_KIND_OVERLAY_JPEG: encode_jpeg(picture, quality=80),
        pb.OUTPUT_KIND_RAW_MAP: wanted.raw_maps[0],
        pb.OUTPUT_KIND_INPUT_HEATMAP: wanted.input_heatmap,
        pb.OUTPUT_KIND_WEIGHTS: wanted.weights[0],
        pb.OUTPUT_KIND_ACTIVATIONS: wanted.activations[0],
        pb.OUTPUT_KIND_GUIDED: wanted.guided,
        pb.OUTPUT_KIND_GUIDED_PNG: encode_png(wanted.guided_picture()),
        pb.OUTPUT_KIND_HOT_REGIONS: wanted.hot_regions,
    }
    outputs = response.explanations[0].outputs
    assert [output.kind for output in outputs] == kinds
    for output in outputs:
        value = expected[output.kind]
        if isinstance(value, bytes):
            assert output.encoded == value
        elif output.HasField("regions"):
            assert regions_from(output.regions) == value
        else:
            np.testing.assert_array_equal(array(output.tensor), value)
    assert Image.open(BytesIO(outputs[2].encoded)).size == (40, 30)


async def test_outputs_of_fused_layers_name_their_layer(stub, oracle):
    kinds = [pb.OUTPUT_KIND_WEIGHTS, pb.OUTPUT_KIND_HEATMAP]
    response = await stub.Explain(ask(layers=["last", "conv"], outputs=kinds), timeout=PATIENCE)
    [explanation] = response.explanations
    assert explanation.layers == ["features", "conv"]
    assert [output.layer for output in explanation.outputs] == ["features", "conv", ""]
    [wanted] = oracle.explain(png(), layers=["features", "conv"]).explanations
    np.testing.assert_array_equal(array(explanation.outputs[1].tensor), wanted.weights[1])
    np.testing.assert_array_equal(array(explanation.outputs[2].tensor), wanted.heatmap)


@pytest.mark.parametrize("method", METHODS)
async def test_every_method(stub, oracle, method):
    response = await stub.Explain(ask(method=method, layers=["conv"]), timeout=PATIENCE)
    [explanation] = response.explanations
    assert explanation.method == method
    [wanted] = oracle.explain(png(), method=method, layers=["conv"]).explanations
    np.testing.assert_array_equal(array(explanation.outputs[0].tensor), wanted.heatmap)


async def test_raw_profile_gives_the_signed_map(stub, oracle):
    response = await stub.Explain(ask(profile=pb.PROFILE_RAW, targets=[pb.Target(rank=5)]), timeout=PATIENCE)
    [wanted] = oracle.explain(png(), profile="raw", targets=[Target.of_rank(5)]).explanations
    np.testing.assert_array_equal(array(response.explanations[0].outputs[0].tensor), wanted.raw_map)


async def test_ready_tensor(stub, oracle):
    tensor = np.random.default_rng(1).normal(size=(1, 3, 16, 16)).astype(np.float32)
    message = pb.Tensor(dtype="float32", shape=tensor.shape, data=tensor.tobytes())
    response = await stub.Explain(ask(tensor=message), timeout=PATIENCE)
    [wanted] = oracle.explain(tensor=tensor).explanations
    np.testing.assert_array_equal(array(response.explanations[0].outputs[0].tensor), wanted.heatmap)
    assert response.image_width == 0


async def test_number_of_predictions(stub):
    response = await stub.Explain(ask(num_predictions=2), timeout=PATIENCE)
    assert len(response.predictions) == 2


async def test_timings_of_every_stage(stub):
    request = ask(png(400, 300), outputs=[pb.OUTPUT_KIND_OVERLAY_PNG])
    timings = (await stub.Explain(request, timeout=PATIENCE)).timings
    stages = [
        timings.decode_ms,
        timings.preprocess_ms,
        timings.inference_ms,
        timings.postprocess_ms,
        timings.render_ms,
    ]
    assert all(stage > 0 for stage in stages)
    assert timings.total_ms >= sum(stages) + timings.queue_ms


async def test_empty_map_comes_with_a_warning(connect, tmp_path):
    graph = TinyGraph()
    graph.linear = -np.abs(graph.linear)
    write_model(tmp_path, graph=graph)
    async with running_server(tmp_path) as server:
        response = await ExplanationServiceStub(connect(server.address)).Explain(ask(), timeout=PATIENCE)
    assert response.explanations[0].statistics.all_nonpositive
    assert len(response.warnings) == 1


async def test_a_graph_of_fixed_batch_gets_its_one_image_filled_up(connect, tmp_path, oracle):
    """The oracle has the same weights and takes any batch."""
    write_model(tmp_path / "fixed", graph=TinyGraph(batch=3))
    async with running_server(tmp_path / "fixed") as server:
        response = await ExplanationServiceStub(connect(server.address)).Explain(ask(), timeout=PATIENCE)
    [explanation] = response.explanations
    expected = oracle.explain(png()).explanations[0].heatmap
    np.testing.assert_allclose(array(explanation.outputs[0].tensor), expected, atol=1e-5)
