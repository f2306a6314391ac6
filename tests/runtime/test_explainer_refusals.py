"""Requests, inputs and graphs that the explainer refuses, each with what to do."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.request import Request
from camgraph_runtime import (
    Explainer,
    InvalidGraphError,
    InvalidInputError,
    Limits,
    Target,
    TargetError,
    UnknownLayerError,
    UnsupportedError,
    UsageError,
)
from camgraph_runtime.manifest import METADATA_KEY, Manifest, manifest_to_json
from support.tiny_explainer import ONE, PHOTO, TINY, load, tensor
from support.tiny_graph import CHANNELS, TinyGraph


def test_images_of_different_sizes_are_no_batch() -> None:
    explainer = load(TinyGraph(size=None))
    plan = explainer.plan(Request())
    with pytest.raises(InvalidInputError, match="different sizes"):
        explainer.infer([explainer.accept(tensor(size=16)), explainer.accept(tensor(size=18))], [plan, plan])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"targets": [Target.index(5)]}, TargetError, "indices 0 to 4"),
        ({"targets": [Target.of_label("tiger")]}, TargetError, "No class has the label"),
        ({"targets": [Target.index(0, contrast=Target.index(9))]}, TargetError, "no class 9"),
        (
            {"targets": [Target.of_label("cat", contrast=Target.index(0))]},
            TargetError,
            r"target \('cat'\) is held against itself",
        ),
        ({"top_k": 6}, TargetError, "give 0 to 5"),
        ({"top_k": -1}, TargetError, "give 0 to 5"),
        ({"targets": [Target.index(0)] * 101}, InvalidInputError, "101 targets .* limit is 100"),
        ({"method": "gradcam"}, UsageError, "Did you mean grad-cam"),
        ({"layers": ["feature"]}, UnknownLayerError, "does not explain the layer 'feature'; it has last"),
        ({"profile": "pretty"}, UsageError, "no profile 'pretty'"),
        ({"num_predictions": -1}, UsageError, "cannot be negative"),
    ],
)
def test_requests_that_make_no_sense(
    explainer: Explainer, options: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        explainer.explain(tensor=tensor(), **options)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.zeros((3, 16, 16), np.float32), r"\[1, \.\.\.\], but this is \[3, 16, 16\]"),
        (np.zeros((2, 3, 16, 16), np.float32), r"but this is \[2, 3, 16, 16\]"),
        (
            np.zeros((1, 3, 15, 16), np.float32),
            r"shape \[1, 3, 15, 16\], but the graph wants \[N, 3, 16, 16\]",
        ),
        (np.zeros((1, 3, 16, 16)), "float64, but the graph wants float32"),
        ([[1.0]], "but this is list"),
    ],
)
def test_tensors_that_do_not_fit(explainer: Explainer, value: object, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        explainer.explain(tensor=value)  # type: ignore[arg-type]  # on purpose


def test_an_image_or_a_tensor_but_not_both(explainer: Explainer) -> None:
    for options in ({}, {"image": PHOTO, "tensor": tensor()}):
        with pytest.raises(InvalidInputError, match="either an image or a tensor"):
            explainer.explain(**options)


def test_limits_hold() -> None:
    explainer = load(TINY, limits=Limits(max_pixels=100, max_targets=2))
    with pytest.raises(InvalidInputError, match="limit is 100"):
        explainer.explain(PHOTO)
    with pytest.raises(InvalidInputError, match="3 targets were asked for, but the limit is 2"):
        explainer.explain(np.zeros((10, 10, 3), np.uint8), top_k=3)


def with_manifest(manifest: Manifest | None) -> bytes:
    model = TINY.model()
    del model.metadata_props[:]
    if manifest is not None:
        helper.set_model_props(model, {METADATA_KEY: manifest_to_json(manifest)})
    data: bytes = model.SerializeToString()
    return data


def test_graphs_that_cannot_be_explained_fail_at_loading() -> None:
    with pytest.raises(InvalidGraphError, match="not an explainable graph"):
        Explainer(with_manifest(None), threads=ONE)

    wrong_name = TINY.manifest()
    wrong_name.layers[1].weights_tensor = "weights_9"
    with pytest.raises(InvalidGraphError, match="names 'weights_9', which the graph does not have"):
        Explainer(with_manifest(wrong_name), threads=ONE)

    no_layers = TINY.manifest()
    del no_layers.layers[:]
    with pytest.raises(InvalidGraphError, match="has no layers"):
        Explainer(with_manifest(no_layers), threads=ONE)

    detector = TINY.manifest()
    detector.task = pb.TASK_DETECTION
    with pytest.raises(InvalidGraphError, match="a graph for detection, but leaves out what such a graph has"):
        Explainer(with_manifest(detector), threads=ONE)

    unknown = TINY.manifest()
    unknown.task = 99  # type: ignore[assignment]  # as a newer exporter may write
    with pytest.raises(UnsupportedError, match="a task that this version does not know"):
        Explainer(with_manifest(unknown), threads=ONE)


def test_a_graph_without_a_stated_input_still_takes_tensors() -> None:
    manifest = TINY.manifest()
    manifest.input.channel_order = pb.CHANNEL_ORDER_UNSPECIFIED
    explainer = Explainer(with_manifest(manifest), threads=ONE)
    with pytest.raises(UnsupportedError, match="Give a ready tensor"):
        explainer.explain(PHOTO)
    assert explainer.explain(tensor=tensor()).explanations[0].activations[0].shape == (CHANNELS, 8, 8)
