"""Guided Grad-CAM: the product, its picture, and the frame that it comes back in."""

from __future__ import annotations

import numpy as np
import pytest

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import AbsentOutputError, UnsupportedError
from camgraph_core.guided_picture import guided_picture
from camgraph_runtime import Explainer, Target, Threads
from camgraph_runtime.maps.guided import guided_grad_cam
from camgraph_runtime.pictures.panel import result_panel
from camgraph_runtime.preprocess import Frame
from support.tiny_graph import TinyGraph

RANDOM = np.random.default_rng(3)
GRADIENT = RANDOM.normal(size=(3, 6, 8)).astype(np.float32)
HEATMAP = RANDOM.random((6, 8)).astype(np.float32)
PHOTO = RANDOM.integers(0, 256, (40, 64, 3), np.uint8)
STEPS = [
    pb.GeometryStep(resize_shorter_side=pb.ResizeShorterSide(size=20, filter=pb.FILTER_BILINEAR)),
    pb.GeometryStep(center_crop=pb.CenterCrop(height=16, width=16)),
]


def spec(order: pb.ChannelOrder, layout: pb.Layout = pb.LAYOUT_NCHW) -> pb.InputSpec:
    return pb.InputSpec(channel_order=order, layout=layout)


def load(graph: TinyGraph) -> Explainer:
    return Explainer(graph.serialize(), threads=Threads(1))


def deprocess(values: np.ndarray) -> np.ndarray:
    """What `deprocess_image` of grad-cam 1.5.7 does, before it scales to bytes."""
    values = values - np.mean(values)
    return np.clip(values / (np.std(values) + 1e-5) * 0.1 + 0.5, 0, 1)


def test_the_product_has_the_channels_of_a_picture() -> None:
    expected = GRADIENT.transpose(1, 2, 0) * HEATMAP[:, :, None]
    np.testing.assert_array_equal(guided_grad_cam(GRADIENT, HEATMAP, spec(pb.CHANNEL_ORDER_RGB)), expected)
    last = guided_grad_cam(GRADIENT.transpose(1, 2, 0), HEATMAP, spec(pb.CHANNEL_ORDER_RGB, pb.LAYOUT_NHWC))
    np.testing.assert_array_equal(last, expected)
    swapped = guided_grad_cam(GRADIENT, HEATMAP, spec(pb.CHANNEL_ORDER_BGR))
    np.testing.assert_array_equal(swapped, expected[:, :, ::-1])
    grey = guided_grad_cam(GRADIENT[:1], HEATMAP, spec(pb.CHANNEL_ORDER_GRAY))
    np.testing.assert_array_equal(grey, np.repeat(expected[:, :, :1], 3, axis=2))
    bands = guided_grad_cam(np.concatenate([GRADIENT, GRADIENT[:1]]), HEATMAP, spec(pb.CHANNEL_ORDER_STORED))
    np.testing.assert_array_equal(bands, expected)


def test_the_picture_is_that_of_the_reference() -> None:
    guided = guided_grad_cam(GRADIENT, HEATMAP, spec(pb.CHANNEL_ORDER_RGB))
    picture = guided_picture(guided, Frame.identity(6, 8))
    assert picture.dtype == np.uint8
    exact = deprocess(guided.astype(np.float64)) * 255
    assert np.abs(picture - (exact - 0.5)).max() <= 0.5 + 1e-3, "truncated, as the reference does"
    assert picture.min() < 120
    assert picture.max() > 140


def test_values_far_from_the_mean_are_cut_to_black_and_white() -> None:
    guided = np.zeros((20, 20, 3), np.float32)
    guided[0, 0], guided[1, 1] = 1, -1
    picture = guided_picture(guided, Frame.identity(20, 20))
    assert (picture[0, 0] == 255).all()
    assert (picture[1, 1] == 0).all()
    assert np.unique(picture).tolist() == [0, 127, 255]


def test_a_flat_or_broken_product_is_grey() -> None:
    frame = Frame.identity(6, 8)
    assert (guided_picture(np.zeros((6, 8, 3), np.float32), frame) == 127).all()
    broken = np.full((6, 8, 3), np.nan, np.float32)
    broken[0, 0] = np.inf
    assert (guided_picture(broken, frame) == 127).all()


def test_it_follows_the_gradient_and_the_heatmap_of_the_graph() -> None:
    graph = TinyGraph()
    tensor = RANDOM.normal(size=(1, 3, 16, 16)).astype(np.float32)
    target = np.array([[3]])
    [explanation] = load(graph).explain(tensor=tensor, targets=[Target.index(3)], method="guided-grad-cam").explanations
    outputs = load(graph).engine.run({"image": tensor, "target": target})
    expected = outputs["image_gradient"][0, 0].transpose(1, 2, 0) * explanation.input_heatmap[:, :, None]
    np.testing.assert_array_equal(explanation.guided, expected)

    # Channels with a negative weight are shut off, which tells it from the plain gradient.
    weights = np.maximum(graph.linear[3], 0)
    assert 0 < np.count_nonzero(weights) < len(weights)
    gate = (outputs["activations_1"][0] > 0) * (weights / 64)[:, None, None]
    np.testing.assert_allclose(outputs["image_gradient"][0, 0], _transposed(gate, graph.kernel), rtol=1e-4, atol=1e-6)


def _transposed(gradient: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Gradient of the input of a 3 x 3 convolution with stride 2 and padding 1, cell by cell."""
    padded = np.zeros((3, 18, 18))
    for row, column in np.ndindex(gradient.shape[1:]):
        patch = np.einsum("k,kcij->cij", gradient[:, row, column], kernel)
        padded[:, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3] += patch
    return padded[:, 1:-1, 1:-1]


@pytest.mark.parametrize("layout", [pb.LAYOUT_NCHW, pb.LAYOUT_NHWC])
def test_the_picture_lies_on_the_photo(layout: pb.Layout) -> None:
    result = load(TinyGraph(layout=layout, steps=STEPS)).explain(PHOTO, method="guided-grad-cam")
    [explanation] = result.explanations
    picture = explanation.guided_picture()
    assert explanation.guided.shape == (16, 16, 3)
    assert picture.shape == PHOTO.shape
    # Scaled by 1/2 and cropped to 16 x 16: rows 4 to 36 and columns 16 to 48 were seen.
    unseen = np.ones(PHOTO.shape[:2], bool)
    unseen[4:36, 16:48] = False
    assert (picture[unseen] == 127).all()
    assert (picture[~unseen] != 127).any(axis=1).mean() > 0.3

    shown, plain = result_panel(result), result_panel(load(TinyGraph(layout=layout, steps=STEPS)).explain(PHOTO))
    assert shown.shape[1] > plain.shape[1], "the panel has a tile more"


def test_other_methods_have_no_guided_map() -> None:
    [explanation] = load(TinyGraph()).explain(PHOTO).explanations
    assert not hasattr(explanation, "guided")
    assert not hasattr(explanation, "guided_png")
    with pytest.raises(AbsentOutputError, match="The method grad-cam has no guided map"):
        explanation.guided_picture()
    with pytest.raises(UnsupportedError, match="Export the model again with --guided"):
        load(TinyGraph(guided=False)).explain(PHOTO, method="guided-grad-cam")
