"""Models whose evidence takes parallel branches: all are shown, each in its place, as much as it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from camgraph_core.target import Target
from camgraph_exporter.choose.layers import choose_layers
from camgraph_exporter.choose.score import find_score
from camgraph_exporter.errors import LayerError
from camgraph_exporter.frontends.onnx_file import load_onnx
from camgraph_exporter.prepare.prepare import prepare
from camgraph_runtime.explainer import Explainer
from support.exporting import camgraph, exported, in_memory
from support.nets import CLASSES, Net, classifier, deep_classifier

SIZE = 32
SHAPE = ("N", 3, SIZE, SIZE)


def _backbone(net: Net, x: str, name: str, *, channels: int = 3, stages: int = 2) -> str:
    for stage in range(stages):
        last = f"{name}_last" if stage == stages - 1 else ""
        x = net.node("Relu", net.conv(x, (channels, 8), strides=[2, 2]), name=last)
        channels = 8
    return x


def _vector(net: Net, x: str) -> str:
    return net.node("Flatten", net.node("GlobalAveragePool", x))


def _reversed(net: Net, x: str, axis: int) -> str:
    return net.node("Slice", x, net.ints(-1), net.ints(-1000), net.ints(axis), net.ints(-1))


def _sum_of(*branches: Callable[[Net, str, str], str]) -> Callable[[], onnx.ModelProto]:
    """Logits of each branch, added up."""

    def build() -> onnx.ModelProto:
        net = Net(seed=5)
        image = net.image(SHAPE)
        logits = [
            net.linear(_vector(net, branch(net, image, f"branch{i}")), 8, CLASSES) for i, branch in enumerate(branches)
        ]
        return net.model(net.node("Sum", *logits, name="logits"))

    return build


def _average() -> onnx.ModelProto:
    net = Net(seed=5)
    image = net.image(SHAPE)
    each = [
        net.node(
            "Mul",
            net.linear(_vector(net, _backbone(net, image, f"branch{i}")), 8, CLASSES),
            net.weight(np.float32(0.5)),
        )
        for i in range(2)
    ]
    return net.model(net.node("Add", *each, name="logits"))


def _joined_vectors() -> onnx.ModelProto:
    """Late fusion: the streams' vectors are joined, then a hidden layer."""
    net = Net(seed=5)
    image = net.image(SHAPE)
    vectors = [_vector(net, _backbone(net, image, f"branch{i}", stages=2 + i)) for i in range(2)]
    hidden = net.node("Relu", net.linear(net.node("Concat", *vectors, axis=1), 16, 12))
    return net.model(net.linear(hidden, 12, CLASSES, name="logits"))


def _streams_of_channels() -> onnx.ModelProto:
    """A colour stream and a stream for the third channel."""
    net = Net(seed=5)
    parts = net.node("Split", net.image(SHAPE), net.ints(2, 1), axis=1, outputs=2, name="part")
    vectors = [
        _vector(net, _backbone(net, part, f"branch{i}", channels=channels))
        for i, (part, channels) in enumerate([(parts, 2), (f"{parts}:1", 1)])
    ]
    return net.model(net.linear(net.node("Concat", *vectors, axis=1), 16, CLASSES, name="logits"))


def _plain(net: Net, x: str, name: str) -> str:
    return _backbone(net, x, name)


def _deep(net: Net, x: str, name: str) -> str:
    return _backbone(net, x, name, stages=3)


def _mirrored(net: Net, x: str, name: str) -> str:
    return _backbone(net, _reversed(net, x, 3), name)


def _upside_down(net: Net, x: str, name: str) -> str:
    return _backbone(net, _reversed(net, x, 2), name)


BRANCHED: dict[str, Callable[[], onnx.ModelProto]] = {
    "two backbones": _sum_of(_plain, _plain),
    "three backbones": _sum_of(_plain, _plain, _plain),
    "of two resolutions": _sum_of(_plain, _deep),
    "image and mirror image": _sum_of(_plain, _mirrored),
    "image and two turned ones": _sum_of(_plain, _upside_down, _mirrored),
    "average": _average,
    "joined vectors": _joined_vectors,
    "streams of channels": _streams_of_channels,
}


@pytest.mark.parametrize("name", BRANCHED)
def test_auto_takes_the_last_map_of_every_branch(name: str, tmp_path: Path) -> None:
    manifest = in_memory(BRANCHED[name](), tmp_path).manifest
    count = 3 if "three" in name or "two turned" in name else 2
    assert [layer.name for layer in manifest.layers] == [f"branch{i}_last" for i in range(count)]
    assert manifest.branches == count
    assert manifest.certificate.passed
    [note] = [note for note in manifest.notes if "branches" in note]
    assert f"takes {count} branches" in note
    assert all(repr(layer.name) in note for layer in manifest.layers)


def test_two_branches_show_what_one_layer_with_all_channels_shows(tmp_path: Path) -> None:
    """An ensemble of linear heads is one network, whose maps are joined: its heatmap is the oracle."""
    apart = _sum_of(_plain, _plain)()
    weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in apart.graph.initializer}
    heads = [node for node in apart.graph.node if node.op_type == "Gemm"]
    net = Net(seed=5)
    image = net.image(SHAPE)
    joined = net.node("Concat", *(_backbone(net, image, f"branch{i}") for i in range(2)), axis=1, name="joined")
    convolutions = [[node for node in graph if node.op_type == "Conv"] for graph in (apart.graph.node, net.nodes)]
    renamed = {
        new: weights[old]
        for before, after in zip(*convolutions, strict=True)
        for old, new in zip(before.input[1:], after.input[1:], strict=True)
    }
    net.weights = [onnx.numpy_helper.from_array(array, name) for name, array in renamed.items()]
    matrix = net.weight(np.concatenate([weights[head.input[1]] for head in heads], axis=1), "matrix")
    bias = net.weight(sum(weights[head.input[2]] for head in heads), "bias")
    net.node("Gemm", _vector(net, joined), matrix, bias, name="logits", transB=1)
    found = []
    for folder, model in (("apart", apart), ("joined", net.model("logits"))):
        (tmp_path / folder).mkdir()
        exported(model, tmp_path / folder)
        explainer = Explainer(tmp_path / folder / "cam.onnx")
        photo = np.random.default_rng(1).integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)
        found.append([each.heatmap for each in explainer.explain(photo, top_k=CLASSES).explanations])
    assert any(heatmap.max() > 0 for heatmap in found[0])
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)


def _bright(*strengths: float, flip: bool = False) -> onnx.ModelProto:
    """One branch per channel of the image; class 0 is how bright it is, times the branch's strength."""
    net = Net(seed=5)
    image = net.image(SHAPE)
    logits = []
    for channel, strength in enumerate(strengths):
        x = _reversed(net, image, 3) if flip and channel else image
        kernel = np.zeros((1, 3, 4, 4), np.float32)
        kernel[:, channel] = strength
        x = net.node("Relu", net.node("Conv", x, net.weight(kernel), strides=[4, 4], name=f"branch{channel}_conv"))
        logits.append(net.node("Gemm", _vector(net, x), net.weight(np.array([[1, -1]], np.float32))))
    return net.model(net.node("Sum", *logits, name="logits"), shapes={"logits": ("N", 2)})


def _square(channel: int, at: int) -> np.ndarray:
    photo = np.zeros((SIZE, SIZE, 3), np.uint8)
    photo[at : at + 4, at : at + 4, channel] = 255
    return photo


@pytest.mark.parametrize("flip", [False, True])
def test_a_branch_counts_by_its_evidence_and_in_its_place(flip: bool, tmp_path: Path) -> None:
    """The second branch says a tenth of what the first says; scaled by itself it would look as strong."""
    onnx.save(_bright(1.0, 0.1, flip=flip), tmp_path / "source.onnx")
    done = camgraph("export", tmp_path / "source.onnx", "-o", tmp_path / "cam.onnx", "--preset", "zero-one")
    assert done.exit_code == 0, done.output
    assert "takes 2 branches" in done.stderr
    explainer = Explainer(tmp_path / "cam.onnx")
    photo = _square(0, 4) + _square(1, 20)
    [explanation] = explainer.explain(photo, targets=[Target.index(0)]).explanations
    heat = explanation.heatmap
    assert heat[4:8, 4:8].max() > 0.9
    assert 0.05 < heat[20:24, 20:24].max() < 0.2
    assert heat[20:24, 8:12].max() < 0.01
    assert explanation.layers == tuple(layer.name for layer in explainer.manifest.layers)


def test_raw_maps_of_branches_add_up(tmp_path: Path) -> None:
    exported(_bright(1.0, 0.1), tmp_path)
    explainer = Explainer(tmp_path / "cam.onnx")
    [explanation] = explainer.explain(_square(0, 4), profile="raw").explanations
    np.testing.assert_allclose(explanation.heatmap, sum(explanation.raw_maps), atol=1e-7)


def test_a_named_layer_gets_a_note_that_names_the_other_branch(tmp_path: Path) -> None:
    manifest = in_memory(_sum_of(_plain, _mirrored)(), tmp_path, layers=("branch1_last",)).manifest
    [note] = [note for note in manifest.notes if "branches" in note]
    assert "the other, which ends in 'branch0_last'" in note
    assert manifest.branches == 0
    three = in_memory(_sum_of(_plain, _plain, _deep)(), tmp_path, layers=("branch1_last",)).manifest
    assert any("the others, which end in 'branch0_last' and 'branch2_last'" in note for note in three.notes)


def test_a_branch_without_a_place_is_named(tmp_path: Path) -> None:
    """The second branch sees the image's rows in an order of the image's own."""

    def sorted_rows(net: Net, x: str, name: str) -> str:
        values = net.node("TopK", x, net.ints(SIZE), axis=2, outputs=2)
        return _backbone(net, values, name)

    manifest = in_memory(_sum_of(_plain, sorted_rows)(), tmp_path).manifest
    assert [layer.name for layer in manifest.layers] == ["branch0_last"]
    assert manifest.branches == 0
    assert any("lacks the branch of layer 'branch1_last'" in note for note in manifest.notes)


def test_inspect_shows_branches(tmp_path: Path) -> None:
    onnx.save(_sum_of(_plain, _deep)(), tmp_path / "net.onnx")
    shown = json.loads(camgraph("inspect", tmp_path / "net.onnx", "--json").stdout)
    assert shown["branches"] == 2
    assert shown["auto_layers"] == ["branch0_last", "branch1_last"]
    assert {layer["branch"] for layer in shown["layers"]} == {1, 2}
    text = camgraph("inspect", tmp_path / "net.onnx")
    assert "branch" in text.stdout.splitlines()[2]
    assert "takes 2 branches" in text.stderr
    onnx.save(classifier(), tmp_path / "single.onnx")
    single = json.loads(camgraph("inspect", tmp_path / "single.onnx", "--json").stdout)
    assert single["branches"] == 1
    assert single["auto_layers"] == [single["auto_layer"]]


def _gated() -> onnx.ModelProto:
    net = Net(seed=6)
    x = _backbone(net, net.image(SHAPE), "trunk")
    gate = net.node("Sigmoid", net.conv(net.node("GlobalAveragePool", x), (8, 8), kernel=1))
    return net.model(net.pooled_head(net.node("Mul", x, gate), 8))


def _pooled_stages() -> onnx.ModelProto:
    """Vectors of two stages of one backbone."""
    net = Net(seed=6)
    first = _backbone(net, net.image(SHAPE), "early")
    second = _backbone(net, first, "late", channels=8)
    joined = net.node("Concat", _vector(net, first), _vector(net, second), axis=1)
    return net.model(net.linear(joined, 16, CLASSES, name="logits"))


def _joined_later() -> onnx.ModelProto:
    """Two streams whose maps meet in one."""
    net = Net(seed=6)
    image = net.image(SHAPE)
    streams = [_backbone(net, image, f"stream{i}") for i in range(2)]
    return net.model(net.pooled_head(net.conv(net.node("Concat", *streams, axis=1), (16, 8), name="last"), 8))


@pytest.mark.parametrize("build", [classifier, deep_classifier, _gated, _pooled_stages, _joined_later])
def test_ways_that_meet_in_a_map_are_one_branch(build: Callable[[], onnx.ModelProto], tmp_path: Path) -> None:
    onnx.save(build(), tmp_path / "net.onnx")
    prepared = prepare(load_onnx(tmp_path / "net.onnx").model)
    [chosen] = choose_layers(prepared, find_score(prepared))
    assert "branch" not in chosen.note


def test_images_stacked_along_the_batch_are_refused_with_the_node(tmp_path: Path) -> None:
    net = Net(seed=6)
    image = net.image((1, 3, SIZE, SIZE))
    both = net.node("Concat", image, _reversed(net, image, 3), axis=0, name="both")
    logits = net.linear(_vector(net, _backbone(net, both, "trunk")), 8, CLASSES)
    mean = net.node("ReduceMean", logits, axes=[0], keepdims=1, name="logits")
    with pytest.raises(LayerError, match=r"stacks several versions of each image along the batch, at node 'node/both'"):
        in_memory(net.model(mean, shapes={"logits": (1, CLASSES)}), tmp_path)
