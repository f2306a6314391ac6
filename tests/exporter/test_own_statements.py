"""What a model's own file, and the files beside it, say of preprocessing and classes is taken, and said."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter import Input, export, inspect
from support.exporting import camgraph
from support.nets import Net, classifier, trunk

NAMES = ("ant", "bee", "cat", "dog", "elk")
_IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
_BYTES = ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])
_RGB, _BGR = pb.CHANNEL_ORDER_RGB, pb.CHANNEL_ORDER_BGR
_ULTRALYTICS = {"author": "Ultralytics", "stride": "32", "imgsz": "[16, 16]", "names": str(dict(enumerate(NAMES)))}
_TIMM = {"input_size": [3, 16, 16], "crop_pct": 0.8, "interpolation": "bicubic", "mean": [0.5] * 3, "std": [0.25] * 3}
_VIT = {"do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.25] * 3, "resample": 3}
_MODEL_API = {"mean_values": "123.675 116.28 103.53", "scale_values": "58.395 57.12 57.375"}


def _mmdeploy(*steps: Mapping[str, Any]) -> dict[str, Any]:
    return {"pipeline": {"tasks": [{"module": "Transform", "transforms": [{"type": "LoadImageFromFile"}, *steps]}]}}


_NORMALIZE = {"type": "Normalize", "mean": _BYTES[0], "std": _BYTES[1], "to_rgb": True}
_PADDLE_CLAS = {
    "PreProcess": {
        "transform_ops": [
            {"DecodeImage": {"to_rgb": True}},
            {"ResizeImage": {"resize_short": 20, "interpolation": "bicubic"}},
            {"CropImage": {"size": 16}},
            {"NormalizeImage": {"scale": "1.0/255.0", "mean": _IMAGENET[0], "std": _IMAGENET[1], "order": ""}},
            {"ToCHWImage": None},
        ]
    },
    "PostProcess": {"Topk": {"topk": 5, "label_list": list(NAMES)}},
}
_PADDLE_DETECTION = {
    "Preprocess": [
        {"type": "Resize", "interp": 2, "keep_ratio": False, "target_size": [16, 16]},
        {"type": "NormalizeImage", "is_scale": True, "norm_type": "none", "mean": [0.0], "std": [1.0]},
        {"type": "Permute"},
    ],
    "label_list": list(NAMES),
}
_PADDLE_SEG = {"Deploy": {"transforms": [{"type": "Normalize", "mean": [0.5] * 3, "std": [0.5] * 3}]}}

# What is said: metadata of the file, files beside it; what follows: divisor, mean, std, order of colours, first step.
Said = tuple[dict[str, str], dict[str, Any]]
Follows = tuple[float, list[float], list[float], int, str]
SAID: dict[str, tuple[Said, Follows]] = {
    "Ultralytics, detect": (({**_ULTRALYTICS, "task": "detect"}, {}), (255, [0], [1], _RGB, "letterbox")),
    "Ultralytics, RT-DETR": (
        ({**_ULTRALYTICS, "task": "detect", "head": "RTDETRDecoder"}, {}),
        (255, [0], [1], _RGB, "resize_to"),
    ),
    "Ultralytics, classify": (
        ({**_ULTRALYTICS, "task": "classify", "imgsz": "[32, 32]"}, {}),
        (255, [0], [1], _RGB, "resize_shorter_side"),
    ),
    "YOLOv5": (({"stride": "32", "names": str(list(NAMES))}, {}), (255, *_IMAGENET, _RGB, "center_square")),
    "Windows ML, bytes": (
        ({"Image.BitmapPixelFormat": "Bgr8", "Image.NominalPixelRange": "NominalRange_0_255"}, {}),
        (1, [0], [1], _BGR, "resize_shorter_side"),
    ),
    "Windows ML, signed": (
        ({"Image.BitmapPixelFormat": "Rgb8", "Image.NominalPixelRange": "Normalized_1_1"}, {}),
        (127.5, [1], [1], _RGB, "resize_shorter_side"),
    ),
    "Windows ML, video": (
        ({"Image.NominalPixelRange": "NominalRange_16_235"}, {}),
        (255 / 219, [-16], [1], _RGB, "resize_shorter_side"),
    ),
    "Custom Vision": (
        ({}, {"metadata_properties.json": {"Image.NominalPixelRange": "Normalized_0_1"}}),
        (255, [0], [1], _RGB, "resize_shorter_side"),
    ),
    "OpenVINO's Model API": (
        (
            {f"model_info {key}": value for key, value in _MODEL_API.items()} | {"model_info resize_type": "standard"},
            {},
        ),
        (1, *_BYTES, _RGB, "resize_to"),
    ),
    "Hugging Face": (
        ({}, {"preprocessor_config.json": {**_VIT, "size": {"height": 16, "width": 16}}}),
        (255, [0.5], [0.25], _RGB, "resize_to"),
    ),
    "Hugging Face, blue first": (
        (
            {},
            {
                "preprocessor_config.json": {
                    "do_flip_channel_order": True,
                    "size": 20,
                    "do_center_crop": True,
                    "crop_size": 16,
                }
            },
        ),
        (255, [0], [1], _BGR, "resize_shorter_side"),
    ),
    "timm": (({}, {"config.json": {"pretrained_cfg": _TIMM}}), (255, [0.5], [0.25], _RGB, "resize_shorter_side")),
    "mmdeploy": (
        (
            {},
            {
                "pipeline.json": _mmdeploy(
                    {"type": "Resize", "size": [20, -1]}, {"type": "CenterCrop", "crop_size": 16}, _NORMALIZE
                )
            },
        ),
        (1, *_BYTES, _RGB, "resize_shorter_side"),
    ),
    "mmdeploy, blue first": (
        ({}, {"pipeline.json": _mmdeploy({"type": "Resize", "size": [16, 16]}, {**_NORMALIZE, "to_rgb": False})}),
        (1, *_BYTES, _BGR, "resize_to"),
    ),
    "PaddleClas": (({}, {"inference.yml": _PADDLE_CLAS}), (255, *_IMAGENET, _RGB, "resize_shorter_side")),
    "PaddleDetection": (({}, {"infer_cfg.yml": _PADDLE_DETECTION}), (255, [0], [1], _RGB, "resize_to")),
    "PaddleSeg": (({}, {"deploy.yaml": _PADDLE_SEG}), (255, [0.5], [0.5], _RGB, "resize_shorter_side")),
    "the metadata first": (
        (
            {"Image.NominalPixelRange": "NominalRange_0_255"},
            {"preprocessor_config.json": {**_VIT, "size": {"height": 16, "width": 16}}},
        ),
        (1, [0], [1], _RGB, "resize_shorter_side"),
    ),
}


def _saved(folder: Path, said: Said, model: onnx.ModelProto | None = None, *, name: str = "model.onnx") -> Path:
    metadata, beside = said
    model = model or classifier()
    helper.set_model_props(model, metadata)
    (folder / name).parent.mkdir(exist_ok=True)
    onnx.save(model, folder / name)
    for file, content in beside.items():
        (folder / file).write_text(yaml.safe_dump(content) if "y" in Path(file).suffix else json.dumps(content))
    return folder / name


@pytest.mark.parametrize("case", SAID)
def test_what_a_file_says_is_taken(case: str, tmp_path: Path) -> None:
    said, (divisor, mean, std, order, step) = SAID[case]
    inspection = inspect(_saved(tmp_path, said))
    spec = inspection.input
    assert spec.stated
    assert spec.divisor == pytest.approx(divisor)
    assert list(spec.mean) == pytest.approx(mean * (3 // len(mean)))
    assert list(spec.std) == pytest.approx(std * (3 // len(std)))
    assert (spec.channel_order, spec.steps[0].WhichOneof("step")) == (order, step)
    assert sum(note.startswith("The preprocessing is that of ") for note in inspection.notes) == 1
    assert not any("was not read" in note for note in inspection.notes)


def test_the_sizes_of_a_crop_are_those_that_are_said(tmp_path: Path) -> None:
    steps = inspect(_saved(tmp_path, SAID["PaddleClas"][0])).input.steps
    assert (steps[0].resize_shorter_side.size, steps[0].resize_shorter_side.filter) == (20, pb.FILTER_BICUBIC)
    assert steps[1].center_crop.height == 16


def test_a_folder_of_variants_is_described_above_it(tmp_path: Path) -> None:
    said = SAID["Hugging Face"][0]
    assert inspect(_saved(tmp_path, said, name="onnx/model.onnx")).input.std[0] == 0.25
    assert inspect(_saved(tmp_path, said, name="other/model.onnx")).input.std[0] != 0.25


@pytest.mark.parametrize("given", [Input.preset("raw"), Input(divisor=2, mean=(3,), std=(4,))])
def test_what_a_user_states_goes_first(given: Input, tmp_path: Path) -> None:
    exported = export(_saved(tmp_path, SAID["timm"][0]), input=given)
    assert exported.manifest.input.std[0] != 0.25
    assert not any("The preprocessing is that of" in note for note in exported.manifest.notes)


def test_a_part_that_a_user_states_is_completed(tmp_path: Path) -> None:
    path = _saved(tmp_path, ({**_ULTRALYTICS, "task": "detect"}, {}))
    assert export(path, input=Input(fill=0)).manifest.input.steps[0].letterbox.fill == 0
    assert export(path, input=Input(resize="stretch")).manifest.input.steps[0].WhichOneof("step") == "resize_to"
    assert export(path).manifest.input.steps[0].letterbox.fill == 114


def _scaled() -> onnx.ModelProto:
    net = Net()
    pixels = net.node("Cast", net.image(("N", 3, 16, 16), dtype=TensorProto.UINT8), to=TensorProto.FLOAT)
    scaled = net.node("Div", pixels, net.weight(np.float32(255)))
    return net.model(net.pooled_head(trunk(net, scaled), 16))


def test_values_that_the_graph_itself_tells_go_first(tmp_path: Path) -> None:
    inspection = inspect(_saved(tmp_path, ({**_ULTRALYTICS, "task": "detect"}, {}), _scaled()))
    assert (inspection.input.divisor, inspection.input.told_by_graph) == (1, True)
    assert inspection.input.steps[0].WhichOneof("step") == "letterbox"


_OTHER_SIZE = {"preprocessor_config.json": {**_VIT, "size": {"height": 224, "width": 224}}}


def test_of_another_size_only_the_values_are_taken(tmp_path: Path) -> None:
    inspection = inspect(_saved(tmp_path, ({}, _OTHER_SIZE)))
    assert inspection.input.std[0] == 0.25
    assert any("so only its values were taken" in note for note in inspection.notes)
    assert any("How a photo gets the size of the input" in note for note in inspection.notes)


def test_an_open_size_is_the_one_that_is_said(tmp_path: Path) -> None:
    model = classifier(shape=("N", 3, "h", "w"))
    said = ({}, {"preprocessor_config.json": {**_VIT, "size": {"height": 48, "width": 32}}})
    step = inspect(_saved(tmp_path, said, model)).input.steps[0].resize_to
    assert (step.height, step.width) == (48, 32)


UNREAD: dict[str, tuple[str, str]] = {
    "no JSON": ("preprocessor_config.json", "{"),
    "a list": ("config.json", "[1, 2]"),
    "too long": ("config.json", json.dumps({"x": "y" * (1 << 20)})),
    "too deep": ("config.json", '{"x": ' * 100_000 + "1" + "}" * 100_000),
    "another type": ("pipeline.json", json.dumps({"pipeline": {"tasks": 3}})),
    "no number": ("preprocessor_config.json", json.dumps({**_VIT, "size": 16, "image_mean": ["x"]})),
    "a deviation of zero": ("preprocessor_config.json", json.dumps({**_VIT, "size": 16, "image_std": [0.0]})),
    "an unknown step": ("pipeline.json", json.dumps(_mmdeploy({"type": "CLAHE"}, _NORMALIZE))),
    "no YAML": ("inference.yml", "a: [1, {"),
    "code in YAML": ("inference.yml", "PreProcess: !!python/object/apply:os.getcwd []"),
    "no text": ("config.json", "\udcff"),
}


@pytest.mark.parametrize("case", UNREAD)
def test_what_cannot_be_read_is_said_and_refuses_nobody(case: str, tmp_path: Path) -> None:
    file, content = UNREAD[case]
    path = _saved(tmp_path, ({}, {}))
    (tmp_path / file).write_bytes(content.encode(errors="surrogateescape"))
    inspection = inspect(path)
    assert not inspection.input.stated
    [note] = [note for note in inspection.notes if "was not read" in note]
    assert note.startswith(f"The preprocessing in {file} beside the model was not read: ")
    assert len(note) < 300


def test_values_for_other_channels_are_left_out(tmp_path: Path) -> None:
    net = Net()
    model = net.model(net.pooled_head(net.node("Relu", net.conv(net.image(("N", 4, 16, 16)), (4, 16))), 16))
    inspection = inspect(_saved(tmp_path, SAID["Hugging Face, blue first"][0], model))
    assert not inspection.input.stated
    assert any("does not fit this model, so it was left out: The input has 4 channels" in n for n in inspection.notes)


@pytest.mark.parametrize("case", ["PaddleClas", "PaddleDetection"])
def test_classes_are_called_as_the_file_beside_says(case: str, tmp_path: Path) -> None:
    manifest = export(_saved(tmp_path, SAID[case][0])).manifest
    assert tuple(manifest.class_labels) == NAMES
    [file] = SAID[case][0][1]
    assert f"The labels are those of {file} beside the model." in manifest.notes


def test_configurations_of_transformers_name_classes(tmp_path: Path) -> None:
    said = ({}, {"config.json": {"id2label": dict(enumerate(NAMES)), "model_type": "vit"}})
    assert tuple(export(_saved(tmp_path, said)).manifest.class_labels) == NAMES
    fewer = ({}, {"config.json": {"id2label": {"0": "one"}}})
    assert not export(_saved(tmp_path, fewer)).manifest.class_labels


def test_the_command_line_says_who_states_it(tmp_path: Path) -> None:
    result = camgraph("inspect", _saved(tmp_path, ({**_ULTRALYTICS, "task": "detect"}, {})))
    assert "float32; stated: RGB NCHW, (x / 255 - [0, 0, 0]) / [1, 1, 1], letterbox to 16 x 16" in result.output
    assert "The preprocessing is that of the file's own metadata (Ultralytics, task 'detect')." in result.stderr
