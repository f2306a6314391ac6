"""Networks of several image inputs, such as colours and flow: one input of all channels, and the evidence of both."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from camgraph_core.errors import CamgraphError, UsageError
from camgraph_exporter import export
from camgraph_exporter.errors import ModelFileError, UnknownTensorError
from support.nets import Net

Shape = tuple[int | str, ...]


def two_streams(colours: Shape = ("N", 3, 8, 24, 16), flow: Shape = ("N", 2, 8, 24, 16)) -> onnx.ModelProto:
    """A network for each input, whose scores are added."""
    net = Net()
    scores = []
    for name, shape in (("rgb", colours), ("flow", flow)):
        kernel = net.random(8, int(shape[1]), *[3] * (len(shape) - 2))
        x = net.node("Conv", net.image(shape, name=name), kernel, pads=[1] * 2 * (len(shape) - 2))
        x = net.node("Relu", x, name=f"{name}_map")
        scores.append(net.linear(net.node("Flatten", net.node("GlobalAveragePool", x)), 8, 5))
    net.node("Add", *scores, name="logits")
    return net.model("logits", shapes={"logits": ("N", 5)})


IMAGES = (("N", 3, 24, 16), ("N", 2, 24, 16))


@pytest.mark.parametrize("shapes", [(), IMAGES], ids=["clips", "images"])
def test_both_streams_are_explained_as_one_input(shapes: tuple[Shape, ...]) -> None:
    model = two_streams(*shapes)
    exported = export(model, join=["rgb", "flow"])
    manifest = exported.manifest
    assert manifest.input.tensor.name == "rgb_flow"
    assert manifest.input.tensor.shape[1] == "5"
    assert [layer.name for layer in manifest.layers] == ["rgb_map", "flow_map"]
    assert manifest.branches == 2
    assert any("0..2 those of 'rgb', 3..4 those of 'flow'" in note for note in manifest.notes)
    rng = np.random.default_rng(0)
    size = [8, 24, 16] if not shapes else [24, 16]
    rgb, flow = (rng.standard_normal((2, channels, *size), dtype=np.float32) for channels in (3, 2))
    [wanted] = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"rgb": rgb, "flow": flow})
    [found] = onnxruntime.InferenceSession(exported.model.SerializeToString()).run(
        ["logits"], {"rgb_flow": np.concatenate([rgb, flow], axis=1), "target": np.array([[0], [1]])}
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_one_stream_is_explained_by_its_layer() -> None:
    manifest = export(two_streams(), join=["flow", "rgb"], layers="flow_map").manifest
    assert [layer.name for layer in manifest.layers] == ["flow_map"]
    assert any("does not show" in note or "do not show" in note for note in manifest.notes)
    assert manifest.input.tensor.name == "flow_rgb"


@pytest.mark.parametrize(
    ("flow", "join", "error", "said"),
    [
        (("N", 2, 8, 24, 16), ["rgb", "flaw"], UnknownTensorError, "no input 'flaw'"),
        (("N", 2, 8, 24, 16), ["rgb"], UsageError, "two inputs or more"),
        (("N", 2, 8, 24, 24), ["rgb", "flow"], UsageError, "all else must be equal"),
        (("N", 2, 24, 16), ["rgb", "flow"], UsageError, "all else must be equal"),
        (("N", 2, 8, 24, 16), [], ModelFileError, "--join rgb --join flow"),
    ],
)
def test_what_cannot_be_joined(flow: Shape, join: list[str], error: type[CamgraphError], said: str) -> None:
    with pytest.raises(error, match=said):
        export(two_streams(flow=flow), join=join)


def test_a_map_of_another_size_is_no_image_to_join() -> None:
    with pytest.raises(ModelFileError, match="Give the others numbers with --set") as caught:
        export(two_streams(flow=("N", 2, 8, 24, 24)))
    assert "--join" not in str(caught.value)
