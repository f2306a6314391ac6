"""Models of clips and volumes: what the manifest says of their frames, and what the exporter says of options."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import CamgraphError, UsageError
from camgraph_exporter import Input, export, inspect
from camgraph_exporter.errors import GradientError, ScoreError
from support.nets import Net

Shape = tuple[int | str, ...]


def clip_net(shape: Shape = ("N", 3, 8, 24, 16), *, perm: tuple[int, ...] = ()) -> onnx.ModelProto:
    """A convolution over three axes with stride 2 in each, which makes the layer "map", and a classifier of five."""
    net = Net()
    x = net.image(shape)
    axis = perm[1] if perm else 1
    x = net.node("Transpose", x, perm=perm) if perm else x
    channels = shape[axis]
    assert isinstance(channels, int)
    x = net.node("Conv", x, net.random(8, channels, 3, 3, 3), pads=[1] * 6, strides=[2] * 3)
    return net.model(net.pooled_head(net.node("Relu", x, name="map"), 8), shapes={"logits": (shape[0], 5)})


@pytest.mark.parametrize(
    ("layout", "shape", "perm"),
    [
        (pb.LAYOUT_NCTHW, ("N", 3, 8, 24, 16), ()),
        (pb.LAYOUT_NTCHW, ("N", 8, 3, 24, 16), (0, 2, 1, 3, 4)),
        (pb.LAYOUT_NTHWC, ("N", 8, 24, 16, 3), (0, 4, 1, 2, 3)),
    ],
)
def test_the_manifest_says_where_frames_are(layout: pb.Layout, shape: Shape, perm: tuple[int, ...]) -> None:
    manifest = export(clip_net(shape, perm=perm), input=Input(mean=(0.1, 0.2, 0.3))).manifest
    assert manifest.input.layout == layout
    assert manifest.input.clip == pb.Clip(frames=8)
    [layer] = manifest.layers
    assert (layer.channels, layer.frames, layer.height, layer.width) == (8, 4, 12, 8)
    assert (layer.stride_frames, layer.stride_height, layer.stride_width) == (2, 2, 2)
    assert list(manifest.input.mean) == [0.1, 0.2, 0.3]


def test_outputs_have_an_axis_of_frames_and_weights_are_means_over_all_cells(tmp_path: Path) -> None:
    exported = export(clip_net(), tmp_path / "cam.onnx", gradients=True)
    [layer] = exported.manifest.layers
    engine = pytest.importorskip("onnxruntime").InferenceSession(tmp_path / "cam.onnx")
    feeds = {
        "image": np.random.default_rng(0).standard_normal((2, 3, 8, 24, 16), dtype=np.float32),
        exported.manifest.target.target_input: np.array([[0, -1], [3, -2]]),
    }
    activations, weights, gradients = engine.run(
        [layer.activations_tensor, layer.weights_tensor, layer.gradients_tensor], feeds
    )
    assert activations.shape == (2, 8, 4, 12, 8)
    assert gradients.shape == (2, 2, 8, 4, 12, 8)
    np.testing.assert_allclose(weights, gradients.mean((3, 4, 5)), rtol=1e-5, atol=1e-9)


def test_a_volume_is_told_by_its_one_channel_and_what_is_stated_goes_first() -> None:
    guessed = export(clip_net(("N", 1, 8, 24, 16))).manifest
    assert guessed.input.clip.is_volume
    assert any("taken for slices of a volume" in note for note in guessed.notes)
    stated = export(clip_net(("N", 1, 8, 24, 16)), input=Input(frames_are="time", frame_step=2)).manifest
    assert stated.input.clip == pb.Clip(frames=8, step=2)
    assert not any("--frames-are" in note or "--frame-step" in note for note in stated.notes)


def test_the_number_of_frames_is_settled_where_it_is_open() -> None:
    open_frames = clip_net(("N", 3, "T", 24, 16))
    assert export(open_frames, frames=12).manifest.input.clip.frames == 12
    guessed = export(open_frames).manifest
    assert guessed.input.clip.frames == 16
    assert any("taken as 16; --frames states another" in note for note in guessed.notes)


def test_sizes_of_frames_may_stay_open() -> None:
    manifest = export(clip_net(("N", 3, 8, "H", "W")), input_size=(32, 48)).manifest
    [layer] = manifest.layers
    assert (layer.frames, layer.height, layer.width) == (4, 0, 0)


def test_a_layer_without_frames_has_one_for_all() -> None:
    net = Net()
    x = net.node("Relu", net.node("Conv", net.image(("N", 3, 8, 24, 16)), net.random(8, 3, 3, 3, 3)), name="before")
    x = net.node("ReduceMean", x, axes=[2], keepdims=0, name="mean")
    x = net.node("Relu", net.node("Conv", x, net.random(8, 8, 3, 3)), name="map")
    manifest = export(net.model(net.pooled_head(x, 8), shapes={"logits": ("N", 5)}), layers=["map", "before"]).manifest
    assert [(layer.frames, layer.stride_frames) for layer in manifest.layers] == [(1, 8), (6, pytest.approx(8 / 6))]


@pytest.mark.parametrize(
    ("shape", "options", "error", "said"),
    [
        (("N", 3, 8, 24, 16), {"frames": 9}, UsageError, "takes 8 frames, but --frames says 9"),
        (("N", 3, 8, 24, 16), {"guided": True}, GradientError, "Leave --guided out"),
        (("N", 3, 24, 16), {"frames": 9}, UsageError, "--frames is for models of clips"),
        (("N", 3, 24, 16), {"input": Input(frame_step=2)}, UsageError, "this one takes images"),
    ],
)
def test_options_that_do_not_fit(
    shape: Shape, options: dict[str, object], error: type[CamgraphError], said: str
) -> None:
    if len(shape) == 5:
        model = clip_net(shape)
    else:
        net = Net()
        model = net.model(net.pooled_head(net.node("Relu", net.conv(net.image(shape), (3, 8))), 8))
    with pytest.raises(error, match=said):
        export(model, **options)  # type: ignore[arg-type]  # the table holds keywords of several types


def test_scores_of_every_voxel_are_refused() -> None:
    net = Net()
    x = net.node("Relu", net.node("Conv", net.image(("N", 1, 8, 16, 16)), net.random(8, 1, 3, 3, 3), pads=[1] * 6))
    logits = net.node("Conv", x, net.random(3, 8, 1, 1, 1), name="logits")
    with pytest.raises(ScoreError, match="not one score for each class and pixel"):
        export(net.model(logits, shapes={"logits": ("N", 3, 8, 16, 16)}), task="segmentation")


def test_inspect_lists_frames() -> None:
    candidate = inspect(clip_net()).candidates[0]
    assert (candidate.layer.frames, candidate.layer.frames_stride, candidate.receptive_field) == (4, 2.0, 3)
