"""All that an `ExplainRequest` can say, said with Triton's clients and over KServe's HTTP; the oracle is in process."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.grpc as over_grpc
import tritonclient.http as over_http
from google.protobuf import json_format
from tritonclient.utils import InferenceServerException

from camgraph_client import Client
from camgraph_core.place import DetectedObject, Mask, Point, Polygon, Region
from camgraph_core.png import encode_png
from camgraph_core.result import Result
from camgraph_core.target import Target
from camgraph_exporter import Input, export
from camgraph_runtime import Explainer
from camgraph_server.lifecycle import Server
from camgraph_wire.kserve_v1 import FIELDS
from camgraph_wire.open_inference.explanation_outputs import OUTPUTS, entries_of
from camgraph_wire.open_inference.explanations import INPUTS
from camgraph_wire.targets import target_message
from support.exporting import exported
from support.image_models import SIDE, classifier
from support.rasters import tiff
from support.rest import b64
from support.serving import PATIENCE, png, server_thread, write_model
from support.square_detectors import FORMS, Square, picture
from support.tasks import export_task

PHOTO = png(32, 32)
MASKS = np.zeros((2, 32, 32), np.uint8)
MASKS[0, 4:15, 10:30] = MASKS[1, 20:, :9] = 1
SQUARES = encode_png(picture([Square("red", 8, 8), Square("green", 56, 32)]))
BANDS = (np.random.default_rng(0).random((20, 24, 4)) * 4).astype(np.float32)
BANDS[3:9, 5:11] = -1
STATED = Input(value_range=(0, 4), bands=("blue", "green", "red", "infrared"))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, made = tmp_path_factory.mktemp("models"), tmp_path_factory.mktemp("made")
    write_model(folder)
    for name in ("segmentation", "detection", "embedding"):
        shutil.copy(export_task(name, made), folder / f"{name}.onnx")
    export(FORMS["ssd"].build(), folder / "boxes.onnx", input=Input(divisor=255, mean=(0,), std=(1,), resize="stretch"))
    exported(classifier(None, ("N", 4, SIDE, SIDE), channels=4), made, input=STATED)
    shutil.copy(made / "cam.onnx", folder / "bands.onnx")
    return folder


@pytest.fixture(scope="module")
def server(models: Path) -> Iterator[Server]:
    with server_thread(models, http="127.0.0.1:0") as started:
        yield started


@dataclass(frozen=True)
class Case:
    """A request, and what the runtime is asked for the same.

    Attributes:
        model: The model.
        here: Keywords of `Explainer.explain`.
        parameters: Parameters of the request.
        inputs: Its inputs beside the image.
        output: The output that is compared.
        image: The image.
    """

    model: str
    here: Mapping[str, Any]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    output: str = "heatmap"
    image: bytes = PHOTO


def json_of(target: Target) -> str:
    return json.dumps(json_format.MessageToDict(target_message(target), preserving_proto_field_name=True))


def named(model: str, *targets: Target, **fields: Any) -> Case:
    """Targets as JSON."""
    return Case(model, {"targets": targets}, inputs={"target": list(map(json_of, targets))}, **fields)


SCAN = tiff(BANDS)
CASES = {
    "layers": Case("tiny", {"layers": ["conv", "last"]}, {"layers": "conv, last"}),
    "image_weight": Case("tiny", {"image_weight": 0.2}, {"image_weight": 0.2}, output="overlay-png"),
    "jpeg_quality": Case("tiny", {"jpeg_quality": 20}, {"jpeg_quality": 20}, output="overlay-jpeg"),
    "png_level": Case("tiny", {"png_level": 0}, {"png_level": 0}, output="overlay-png"),
    "hot_from": Case("tiny", {"hot_from": 0.8}, {"hot_from": 0.8}, output="hot-regions"),
    "a whole number for a number": Case("tiny", {"hot_from": 1.0}, {"hot_from": 1}, output="hot-regions"),
    "scaled_decoding": Case("tiny", {"scaled_decoding": True}, {"scaled_decoding": True}),
    "raw-map": Case("tiny", {"top_k": 2}, {"top_k": 2}, output="raw-map"),
    "guided": Case("tiny", {"method": "guided-grad-cam"}, {"method": "guided-grad-cam"}, output="guided"),
    "guided-png": Case("tiny", {"method": "guided-grad-cam"}, {"method": "guided-grad-cam"}, output="guided-png"),
    "negative": Case(
        "tiny", {"targets": [Target(2, negative=True)]}, {"negative": True}, {"target_index": np.array([2])}
    ),
    "a contrast": named("tiny", Target.of_label("dog", contrast=Target.of_rank(1)), Target.index(1, negative=True)),
    "nodata": Case("bands", {"nodata": -1.0}, {"nodata": -1.0}, image=SCAN),
    "display_bands": Case(
        "bands",
        {"display_bands": ["infrared", "3", "2"], "nodata": -1.0},
        {"display_bands": "infrared, 3,2", "nodata": -1},
        image=SCAN,
        output="overlay-png",
    ),
    "stretch": Case("bands", {"stretch": (10, 90.5)}, {"stretch": "10,90.5"}, image=SCAN, output="overlay-png"),
    "thresholds": Case(
        "detection",
        {"score_threshold": 0.5, "iou_threshold": 0.9, "num_predictions": 50},
        {"score_threshold": 0.5, "iou_threshold": 0.9, "num_predictions": 50},
        output="predictions",
    ),
    "an object": named(
        "boxes", Target(place=DetectedObject(1)), Target.index(1, place=DetectedObject(1)), image=SQUARES
    ),
    "a point of a box": named("boxes", Target(place=Point(60, 40)), image=SQUARES),
    "a polygon": named("segmentation", Target.of_label("cow", place=Polygon([(2, 3), (30, 4), (9.5, 28)]))),
    "a region": named("segmentation", Target(place=Region(1))),
    "a mask as JSON": named("segmentation", Target.index(1, place=Mask(MASKS[0]))),
    "a mask of scores": named("segmentation", Target.index(1, place=Mask(MASKS[1], on_scores=True))),
    "masks": Case(
        "segmentation",
        {"targets": [Target.index(0, place=Mask(MASKS[0])), Target.index(2, place=Mask(MASKS[1]))]},
        inputs={"target_index": np.array([0, 2]), "mask": MASKS},
    ),
    "a mask for all": Case(
        "segmentation",
        {"targets": [Target.index(0, place=Mask(MASKS[0])), Target.index(2, place=Mask(MASKS[0]))]},
        inputs={"target_index": np.array([0, 2]), "mask": MASKS[:1]},
    ),
    "masks alone": Case("segmentation", {"targets": [Target(place=Mask(MASKS[1]))]}, inputs={"mask": MASKS[1:]}),
    "the embedding": Case("embedding", {}, output="embedding"),
    "a direction": named("embedding", Target.direction(np.arange(6, dtype=np.float32))),
    "references as embeddings": named("embedding", Target.similar_to(np.eye(6)[:2], mode="nearest")),
}


def put(module: Any, name: str, value: Any) -> Any:
    """An input as Triton's clients take it."""
    array = value if isinstance(value, np.ndarray) else np.array([_bytes(item) for item in value], object)
    made = module.InferInput(name, list(array.shape), INPUTS[name][0])
    made.set_data_from_numpy(array)
    return made


def _bytes(item: Any) -> bytes:
    return item if isinstance(item, bytes) else item.encode()


def asked_by(module: Any, address: str, case: Case) -> Any:
    """An output, by a client that is as its makers made it."""
    with module.InferenceServerClient(address) as client:
        inputs = [put(module, "image", [case.image]), *(put(module, *item) for item in case.inputs.items())]
        outputs = [module.InferRequestedOutput(case.output)]
        return client.infer(case.model, inputs, outputs=outputs, parameters=dict(case.parameters)).as_numpy(case.output)


def by_v1(server: Server, case: Case) -> Any:
    """An output over KServe's first protocol."""
    instance = {"image": {"b64": b64(case.image)}}
    for name, value in case.inputs.items():
        texts = {"target": json.loads, "reference": lambda data: {"b64": b64(data)}}
        instance[name] = value.tolist() if isinstance(value, np.ndarray) else list(map(texts[name], value))
    body = {"instances": [instance], "parameters": case.parameters, "outputs": [case.output]}
    address = f"http://{server.http_address}/v1/models/{case.model}:explain"
    answer = httpx.post(address, json=body, timeout=PATIENCE, trust_env=False)
    assert answer.status_code == 200, answer.text
    return answer.json()["explanations"][0][case.output]


WAYS: dict[str, Callable[[Server, Case], Any]] = {
    "gRPC": lambda server, case: asked_by(over_grpc, server.address, case),
    "HTTP v2": lambda server, case: asked_by(over_http, server.http_address, case),
    "HTTP v1": by_v1,
}


def check_equal(found: Any, expected: Result, case: Case) -> None:
    if case.output in ("hot-regions", "predictions"):
        texts = [json.loads(item) if isinstance(item, bytes) else item for item in found]
        assert texts == json.loads(json.dumps(entries_of(expected, case.output)))
    elif case.output == "embedding":
        np.testing.assert_allclose(found, expected.embedding, rtol=1e-6)
    elif OUTPUTS[case.output][0] == "BYTES":
        pictures = [item if isinstance(item, bytes) else item["b64"] for item in found]
        wanted = [item.output(case.output) for item in expected.explanations]
        assert pictures == (wanted if isinstance(pictures[0], bytes) else list(map(b64, wanted)))
    else:
        kept = [
            item.raw_map if case.output == "raw-map" else item.output(case.output) for item in expected.explanations
        ]
        np.testing.assert_allclose(found, np.stack(kept), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", CASES)
def test_what_is_asked_is_what_the_runtime_does(name: str, way: str, models: Path, server: Server) -> None:
    case = CASES[name]
    if way == "HTTP v1" and "mask" in case.inputs:
        assert "mask" not in FIELDS  # there it is a part of a target
        return
    path = models / f"{case.model}.onnx"
    explainer = Explainer(path if path.exists() else models / case.model / "1" / "model.onnx")
    expected = explainer.explain(case.image, **case.here)
    check_equal(WAYS[way](server, case), expected, case)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("mode", "negative"), [("mean", False), ("nearest", True)])
def test_images_that_another_one_is_held_against(
    way: str, mode: str, negative: bool, models: Path, server: Server
) -> None:
    explainer, images = Explainer(models / "embedding.onnx"), [png(32, 32, seed=seed) for seed in (1, 2, 3)]
    rows = [explainer.explain(image).embedding for image in images]
    target = Target.similar_to(np.stack(rows), mode=mode, negative=negative)
    parameters = {"reference_mode": mode, "negative": negative}
    case = Case("embedding", {"targets": [target]}, parameters, {"reference": images})
    check_equal(WAYS[way](server, case), explainer.explain(PHOTO, targets=[target]), case)


REFUSED = {
    "no JSON": (Case("tiny", {}, inputs={"target": ["{"]}), "not JSON"),
    "a target that is a number": (Case("tiny", {}, inputs={"target": ["3"]}), "Target 0 is not a JSON object"),
    "a field that targets do not have": (Case("tiny", {}, inputs={"target": ['{"klass": 3}']}), "Target 0 cannot be"),
    "a field of another type": (Case("tiny", {}, inputs={"target": ['{"class_index": "x"}']}), "cannot be read"),
    "a contrast of a contrast": (
        Case("tiny", {}, inputs={"target": ['{"contrast": {"contrast": {"rank": 1}}}']}),
        "contrast of its own",
    ),
    "contrasts without end": (
        Case("tiny", {}, inputs={"target": ['{"contrast":' * 500 + "{}" + "}" * 500]}),
        "Target 0 cannot be read",
    ),
    "a mask of another size": (
        Case("segmentation", {}, inputs={"mask": MASKS[:1, :5]}),
        "The mask is 32 x 5",
    ),
    "more masks than targets": (
        Case("segmentation", {}, inputs={"target_index": np.array([0, 1, 2]), "mask": MASKS}),
        "2 masks for 3 targets",
    ),
    "a mask and a place": (
        Case("segmentation", {}, inputs={"target": [json_of(Target(place=Region(1)))], "mask": MASKS[:1]}),
        "has a place and a mask",
    ),
    "a mask without an axis": (Case("segmentation", {}, inputs={"mask": MASKS[0]}), "send UINT8 [n, H, W]"),
    "too many masks": (Case("segmentation", {}, inputs={"mask": np.zeros((101, 1, 1), np.uint8)}), "101 targets"),
    "references of a classifier": (Case("tiny", {}, inputs={"reference": [PHOTO]}), "models of embeddings"),
    "a reference that is no picture": (Case("embedding", {}, inputs={"reference": [b"text"]}), "Reference 0: "),
    "references without end": (Case("embedding", {}, inputs={"reference": [b""] * 101}), "the limit is 100"),
    "an unknown reference mode": (Case("tiny", {}, {"reference_mode": "all"}), "reference mode"),
    "what speaks against nothing": (Case("tiny", {}, {"negative": True}), "names none"),
    "one layer and several": (Case("tiny", {}, {"layer": "conv", "layers": "last"}), "say the same"),
    "no layer": (Case("tiny", {}, {"layers": "conv,,last"}), "names with commas"),
    "a stretch of one number": (Case("tiny", {}, {"stretch": "5"}), "send two numbers"),
    "a stretch the wrong way": (Case("tiny", {}, {"stretch": "90,10"}), "from a low to a higher"),
    "two bands": (Case("bands", {}, {"display_bands": "1,2"}, image=SCAN), "show one band or three"),
    "a number for a truth value": (Case("tiny", {}, {"scaled_decoding": 1}), "send it as bool_param"),
    "a text for a number": (Case("tiny", {}, {"nodata": "0"}), "send it as double_param"),
    "a threshold beyond": (Case("tiny", {}, {"score_threshold": 1.5}), "must lie in 0..1"),
    "an embedding of a classifier": (Case("tiny", {}, output="embedding"), "models for embeddings"),
    "raw maps of two layers": (
        Case("tiny", {}, {"layers": "conv,last"}, output="raw-map"),
        "that of one layer",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_asked_is_refused_in_a_sentence(name: str, server: Server) -> None:
    case, words = REFUSED[name]
    with pytest.raises(InferenceServerException, match=re.escape(words)) as caught:
        asked_by(over_grpc, server.address, case)
    assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"


def test_targets_as_json_are_counted_before_they_are_read(server: Server) -> None:
    many = Case("tiny", {}, inputs={"target": ['{"negative": false' + " " * 2**20 + "}"] * 5})
    with pytest.raises(InferenceServerException, match="as JSON take 5") as caught:
        asked_by(over_grpc, server.address, many)
    assert caught.value.status() == "StatusCode.RESOURCE_EXHAUSTED"


def test_a_polygon_of_many_corners_and_names_of_many_references(models: Path, server: Server) -> None:
    turns = np.linspace(0, 2 * np.pi, 6000, endpoint=False)
    wheel = Target(1, Polygon([(16 + 9 * np.cos(turn), 16 + 9 * np.sin(turn)) for turn in turns]))
    rows = np.random.default_rng(0).normal(size=(1024, 6))
    alike = Target.similar_to(rows, names=[f"part {number}" for number in range(1024)], mode="nearest")
    with Client(server.address) as client:
        for model, target in (("segmentation", wheel), ("embedding", alike)):
            found = client.model(model).explain(PHOTO, targets=[target]).explanations[0]
            expected = Explainer(models / f"{model}.onnx").explain(PHOTO, targets=[target]).explanations[0]
            np.testing.assert_array_equal(found.heatmap, expected.heatmap)
            assert found.title == expected.title
