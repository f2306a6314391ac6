"""What a target means for each kind of model: scores, ranks, masks, boxes, directions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter import Exported, export
from camgraph_exporter.errors import LayerError, ScoreError
from camgraph_runtime.run.engine import Engine
from support.exporting import images
from support.nets import Net, trunk

_IMAGE = images((2, 3, 16, 16))


def _export(model: onnx.ModelProto, folder: Path, layer: str = "block", **score: str | int) -> tuple[Exported, Engine]:
    """Export at a layer; the certificate checks the weights of the head against finite differences of its own score."""
    onnx.save(model, folder / "source.onnx")
    made = export(folder / "source.onnx", folder / "cam.onnx", layers=[layer], **score)
    return made, Engine(folder / "cam.onnx")


def _targets(*rows: list[int]) -> np.ndarray:
    return np.array(rows, dtype=np.int64)


def _binary() -> onnx.ModelProto:
    net = Net(seed=5)
    logit = net.pooled_head(trunk(net, net.image()), 16, 1, name="logit")
    return net.model(net.node("Sigmoid", logit, name="probability"), shapes={"probability": ("N", 1)})


def test_a_single_logit_counts_as_two_classes(tmp_path: Path) -> None:
    made, engine = _export(_binary(), tmp_path)
    found = engine.run({"image": _IMAGE, "target": _targets([0, 1, -1], [0, 1, -1])})
    assert made.manifest.head.single_logit
    assert made.manifest.head.num_classes == 2
    np.testing.assert_array_equal(found["weights"][:, 0], -found["weights"][:, 1])
    np.testing.assert_array_equal(found["target_score"][:, 0], -found["target_score"][:, 1])
    assert (found["target_score"][:, 2] >= 0).all(), "the predicted class has the greater score"
    np.testing.assert_array_equal(found["target_index"][:, 2], (found["probability"][:, 0] > 0.5).astype(int))


def _segmenter(*, classes: int = 3, last: bool = False, size: tuple[int | str, ...] = (16, 16)) -> onnx.ModelProto:
    net = Net(seed=6)
    x = trunk(net, net.image(("N", 3, *size)))
    up = net.node("ConvTranspose", x, net.random(16, 8, 2, 2), kernel_shape=[2, 2], strides=[2, 2])
    logits = net.conv(net.node("Relu", up), (8, classes), kernel=1, name="map")
    out = net.node("Transpose", logits, perm=[0, 2, 3, 1], name="map_last") if last else logits
    shape = ("N", *size, classes) if last else ("N", classes, *size)
    return net.model(out, shapes={out: shape})


@pytest.mark.parametrize("last", [False, True])
def test_a_segmentation_score_is_the_sum_under_the_mask(tmp_path: Path, last: bool) -> None:
    made, engine = _export(_segmenter(last=last), tmp_path)
    assert made.manifest.task == pb.TASK_SEGMENTATION
    mask = np.random.default_rng(0).integers(0, 2, (2, 2, 16, 16)).astype(np.uint8)
    found = engine.run({"image": _IMAGE, "target": _targets([0, 2], [1, 1]), "mask": mask})
    logits = found["map_last"].transpose(0, 3, 1, 2) if last else found["map"]
    for n, row in enumerate([[0, 2], [1, 1]]):
        for t, c in enumerate(row):
            assert found["target_score"][n, t] == pytest.approx((logits[n, c] * mask[n, t]).sum(), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("size", [(16, 16), ("H", "W")])
def test_the_automatic_layer_of_a_segmenter_is_its_bottleneck(tmp_path: Path, size: tuple[int | str, ...]) -> None:
    made, _ = _export(_segmenter(size=size), tmp_path, layer="auto")
    layer = made.manifest.layers[0]
    assert (layer.name, layer.stride_height, layer.stride_width) == ("last", 2, 2)
    assert bool(layer.height) == (size == (16, 16))


def test_scores_that_are_only_enlarged_are_no_layer_to_explain_them(tmp_path: Path) -> None:
    """DeepLab and FCN score coarse cells and enlarge the scores: the map before these is meant."""
    net = Net(seed=6)
    coarse = net.conv(trunk(net, net.image()), (16, 3), kernel=1, name="coarse")
    sizes = net.weight(np.array([1, 1, 2, 2], np.float32))
    enlarged = net.node("Resize", coarse, "", sizes, mode="linear", name="enlarged")
    made, _ = _export(net.model(enlarged, shapes={enlarged: ("N", 3, 16, 16)}), tmp_path, layer="auto")
    assert (made.manifest.layers[0].name, made.manifest.head.score_tensor) == ("last", "enlarged")


def _segmenter_ending_in(*nodes: onnx.NodeProto) -> onnx.ModelProto:
    """A segmenter of one class whose output is `end`."""
    segmenter = _segmenter(classes=1)
    del segmenter.graph.output[:]
    segmenter.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(0.5), "half"))
    segmenter.graph.node.extend(nodes)
    end = onnx.helper.make_tensor_value_info("end", onnx.TensorProto.FLOAT, ("N", 1, 16, 16))
    segmenter.graph.output.append(end)
    return segmenter


def test_a_mask_of_what_is_above_a_threshold_leads_to_its_scores(tmp_path: Path) -> None:
    node = onnx.helper.make_node
    model = _segmenter_ending_in(
        node("Sigmoid", ["map"], ["p"]),
        node("Greater", ["p", "half"], ["above"]),
        node("Cast", ["above"], ["end"], to=onnx.TensorProto.FLOAT),
    )
    made, _ = _export(model, tmp_path, layer="auto")
    assert (made.manifest.layers[0].name, made.manifest.head.score_tensor) == ("last", "map")


def test_the_scores_before_a_rounding_are_named(tmp_path: Path) -> None:
    model = _segmenter_ending_in(onnx.helper.make_node("Round", ["map"], ["end"]))
    with pytest.raises(LayerError, match=r"It ends at 'end' \(Round\).* give --score map\."):
        _export(model, tmp_path, layer="auto")
    made, _ = _export(model, tmp_path, layer="auto", score="map")
    assert made.manifest.layers[0].name == "last"


def test_an_empty_mask_means_where_the_class_wins(tmp_path: Path) -> None:
    _, engine = _export(_segmenter(), tmp_path)
    empty = np.zeros((2, 2, 16, 16), np.uint8)
    found = engine.run({"image": _IMAGE, "target": _targets([-1, -2], [-1, -2]), "mask": empty})
    winner = found["map"].argmax(axis=1)
    for n in range(2):
        areas = np.bincount(winner[n].ravel(), minlength=3)
        assert areas[found["target_index"][n, 0]] == areas.max()
        for t in range(2):
            c = found["target_index"][n, t]
            assert found["target_score"][n, t] == pytest.approx(found["map"][n, c][winner[n] == c].sum(), rel=1e-4)


def _detector(*, boxes_first: bool, opset: int = 17) -> onnx.ModelProto:
    net = Net(seed=7, opset=opset)
    maps = net.conv(trunk(net, net.image()), (16, 4), kernel=1)
    by_class = net.node("Reshape", maps, net.ints(0, 4, 64))
    out = net.node("Transpose", by_class, perm=[0, 2, 1], name="boxes") if boxes_first else by_class
    shape = ("N", 64, 4) if boxes_first else ("N", 4, 64)
    return net.model(net.node("Sigmoid", out, name="scores"), shapes={"scores": shape})


@pytest.mark.parametrize("opset", [11, 17])
@pytest.mark.parametrize("boxes_first", [True, False])
def test_a_detection_target_is_a_class_and_a_box(tmp_path: Path, boxes_first: bool, opset: int) -> None:
    made, engine = _export(_detector(boxes_first=boxes_first, opset=opset), tmp_path)
    assert made.manifest.task == pb.TASK_DETECTION
    assert (made.manifest.head.num_classes, made.manifest.head.num_anchors) == (4, 64)
    target, anchor = _targets([2, -1, 3], [0, -1, 3]), _targets([5, -1, -2], [9, -1, -2])
    found = engine.run({"image": _IMAGE, "target": target, "anchor": anchor})
    probability = found["scores"] if boxes_first else found["scores"].transpose(0, 2, 1)
    logits = np.log(probability / (1 - probability))
    for n in range(2):
        ranked = logits[n].max(axis=0).argsort()[::-1]
        assert found["target_index"][n].tolist() == [target[n, 0], ranked[0], 3]
        best = [logits[n, :, c].argsort()[::-1] for c in (ranked[0], 3)]
        assert found["anchor_index"][n].tolist() == [anchor[n, 0], best[0][0], best[1][1]]
        expected = [logits[n, b, c] for b, c in zip(found["anchor_index"][n], found["target_index"][n], strict=True)]
        np.testing.assert_allclose(found["target_score"][n], expected, rtol=1e-3, atol=1e-4)


def _joined_detector(*, boxes_first: bool) -> onnx.ModelProto:
    """One output of four box coordinates and three class probabilities for each box, as the YOLOs have."""
    net = Net(seed=7)
    maps = net.node("Reshape", net.conv(trunk(net, net.image()), (16, 7), kernel=1), net.ints(0, 7, 64))
    net.node("Split", maps, net.ints(4, 3), name="boxes", outputs=2, axis=1)
    coordinates = net.node("Mul", "boxes", net.weight(np.float32(640)))
    joined = net.node("Concat", coordinates, net.node("Sigmoid", "boxes:1"), axis=1, name="joined")
    out = net.node("Transpose", joined, perm=[0, 2, 1], name="rows") if boxes_first else joined
    return net.model(out, shapes={out: ("N", 64, 7) if boxes_first else ("N", 7, 64)})


@pytest.mark.parametrize("boxes_first", [True, False])
def test_the_classes_of_a_detector_are_found_beside_its_boxes(tmp_path: Path, boxes_first: bool) -> None:
    made, engine = _export(_joined_detector(boxes_first=boxes_first), tmp_path)
    head = made.manifest.head
    assert (head.score_tensor, head.kind, head.num_classes) == ("boxes:1", pb.HEAD_KIND_SIGMOID, 3)
    assert (head.class_slice.axis, head.class_slice.start) == (2 if boxes_first else 1, 4)
    found = engine.run({"image": _IMAGE, "target": _targets([-1, 2], [-1, 2]), "anchor": _targets([-1, 7], [-1, 7])})
    classes = found["rows"][:, :, 4:] if boxes_first else found["joined"].transpose(0, 2, 1)[:, :, 4:]
    logits = np.log(classes / (1 - classes))
    assert found["target_index"][:, 0].tolist() == logits.max(axis=1).argmax(axis=1).tolist()
    np.testing.assert_allclose(found["target_score"][:, 0], logits.max(axis=(1, 2)), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found["target_score"][:, 1], logits[:, 7, 2], rtol=1e-3, atol=1e-4)


def test_a_joined_classifier_keeps_all_its_classes(tmp_path: Path) -> None:
    """Only a detector's output is taken apart: the classes of a classifier are all of its values."""
    net = Net(seed=5)
    x = trunk(net, net.image())
    plain, probable = (
        net.pooled_head(x, 16, 2, name="plain"),
        net.node("Sigmoid", net.pooled_head(x, 16, 3, name="some")),
    )
    out = net.node("Concat", plain, probable, axis=1, name="joined")
    made, _ = _export(net.model(out), tmp_path)
    assert (made.manifest.head.score_tensor, made.manifest.head.num_classes) == ("joined", 5)
    assert not made.manifest.head.HasField("class_slice")


def test_naming_the_scores_that_are_found_changes_nothing(tmp_path: Path) -> None:
    found, _ = _export(_joined_detector(boxes_first=True), tmp_path)
    named, _ = _export(_joined_detector(boxes_first=True), tmp_path, score="boxes:1")
    assert named.manifest.head == found.manifest.head


def _two_sigmoids(sizes: tuple[int, int]) -> onnx.ModelProto:
    """Four coordinates and two groups of probabilities for each box, with a sigmoid each."""
    net = Net(seed=7)
    maps = net.node("Reshape", net.conv(trunk(net, net.image()), (16, 4 + sum(sizes)), kernel=1), net.ints(0, -1, 64))
    net.node("Split", maps, net.ints(4, *sizes), name="boxes", outputs=3, axis=1)
    sigmoids = [net.node("Sigmoid", f"boxes:{i}") for i in (1, 2)]
    out = net.node("Concat", "boxes", *sigmoids, axis=1, name="joined")
    return net.model(out, shapes={out: ("N", 4 + sum(sizes), 64)})


def test_a_sigmoid_of_its_own_is_that_of_an_object(tmp_path: Path) -> None:
    made, engine = _export(_two_sigmoids((1, 2)), tmp_path)
    head = made.manifest.head
    assert (head.num_classes, head.class_slice.start, head.kind) == (2, 5, pb.HEAD_KIND_SIGMOID)
    found = engine.run({"image": _IMAGE, "target": _targets([1], [0]), "anchor": _targets([5], [9])})
    rows = found["joined"].transpose(0, 2, 1)
    product = (rows[..., 4:5] * rows[..., 5:])[[0, 1], [5, 9], [1, 0]]
    np.testing.assert_allclose(found["target_score"][:, 0], np.log(product / (1 - product)), rtol=1e-4, atol=1e-4)


def test_two_sigmoids_of_several_classes_are_classes(tmp_path: Path) -> None:
    made, _ = _export(_two_sigmoids((2, 3)), tmp_path)
    head = made.manifest.head
    assert (head.num_classes, head.class_slice.start, head.kind) == (5, 4, pb.HEAD_KIND_SIGMOID)
    assert any("The first number after the boxes is taken for a class." in note for note in made.manifest.notes)


def _recogniser(*, opset: int, characters: int = 30) -> onnx.ModelProto:
    """A row of 8 steps, each with a softmax over more characters than there are steps."""
    net = Net(seed=4, opset=opset)
    row = net.node("AveragePool", trunk(net, net.image()), kernel_shape=[8, 1], strides=[8, 1])
    steps = net.node("Transpose", net.node("Reshape", row, net.ints(0, 16, 8)), perm=[0, 2, 1])
    logits = net.node("MatMul", steps, net.random(16, characters), name="logits")
    out = net.node("Softmax", logits, axis=2, name="text")
    return net.model(out, shapes={out: ("N", 8, characters)})


@pytest.mark.parametrize("opset", [12, 17])  # up to opset 12 a softmax counts the axes in front of its own in
def test_a_softmax_says_where_the_classes_are(tmp_path: Path, opset: int) -> None:
    made, engine = _export(_recogniser(opset=opset), tmp_path)
    assert (made.manifest.head.num_classes, made.manifest.head.num_anchors) == (30, 8)
    found = engine.run({"image": _IMAGE, "target": _targets([-1], [-1]), "anchor": _targets([-1], [-1])})
    for n in range(2):
        step, character = found["anchor_index"][n, 0], found["target_index"][n, 0]
        logits = np.log(found["text"][n, step])
        assert logits.argmax() == character


@pytest.mark.parametrize("softmax", [False, True])
def test_the_index_of_the_best_class_leads_to_its_scores(tmp_path: Path, softmax: bool) -> None:
    net = Net(seed=5)
    logits = net.pooled_head(trunk(net, net.image()), 16, 5)
    before = net.node("Softmax", logits, axis=1) if softmax else logits
    label = net.node("Cast", net.node("ArgMax", before, axis=1, keepdims=0), to=onnx.TensorProto.FLOAT, name="label")
    made, engine = _export(net.model(label, shapes={label: ("N",)}), tmp_path)
    head = made.manifest.head
    assert (head.score_tensor, head.num_classes, head.output_name) == ("logits", 5, "label")
    assert head.kind == (pb.HEAD_KIND_SOFTMAX if softmax else pb.HEAD_KIND_NONE)
    found = engine.run({"image": _IMAGE, "target": _targets([-1], [-1])})
    assert found["target_index"][:, 0].tolist() == found["label"].tolist()


def test_a_map_of_best_classes_leads_to_its_scores(tmp_path: Path) -> None:
    segmenter = _segmenter()
    del segmenter.graph.output[:]
    argmax = onnx.helper.make_node("ArgMax", ["map"], ["classes"], axis=1, keepdims=0)
    segmenter.graph.node.append(argmax)
    output = onnx.helper.make_tensor_value_info("classes", onnx.TensorProto.INT64, ("N", 16, 16))
    segmenter.graph.output.append(output)
    made, engine = _export(segmenter, tmp_path)
    assert made.manifest.task == pb.TASK_SEGMENTATION
    assert (made.manifest.head.score_tensor, made.manifest.head.num_classes) == ("map", 3)
    empty = np.zeros((2, 1, 16, 16), np.uint8)
    found = engine.run({"image": _IMAGE, "target": _targets([-1], [-1]), "mask": empty})
    areas = [np.bincount(classes.ravel(), minlength=3).argmax() for classes in found["classes"]]
    assert found["target_index"][:, 0].tolist() == areas


def test_a_score_without_the_batch_in_front_is_refused(tmp_path: Path) -> None:
    net = Net(seed=4)
    row = net.node("Reshape", net.node("AveragePool", trunk(net, net.image()), kernel_shape=[8, 1]), net.ints(0, 16, 8))
    steps = net.node("Transpose", row, perm=[2, 0, 1])
    out = net.node("MatMul", steps, net.random(16, 6), name="logits")
    with pytest.raises(ScoreError, match=r"\[8, N, 6\], whose first axis does not count the images"):
        _export(net.model(out, shapes={out: (8, "N", 6)}), tmp_path)


def test_an_embedding_is_explained_along_a_direction(tmp_path: Path) -> None:
    net = Net(seed=8)
    model = net.model(net.pooled_head(trunk(net, net.image()), 16, 6, name="embedding"), shapes={"embedding": ("N", 6)})
    made, engine = _export(model, tmp_path, task="embedding")
    assert made.manifest.head.embedding_size == 6
    assert "target" not in engine.inputs
    direction = np.random.default_rng(1).standard_normal((2, 3, 6)).astype(np.float32)
    found = engine.run({"image": _IMAGE, "cotangent": direction})
    np.testing.assert_allclose(
        found["target_score"], np.einsum("ntd,nd->nt", direction, found["embedding"]), rtol=1e-4, atol=1e-5
    )
    twice = engine.run({"image": _IMAGE, "cotangent": 2 * direction})
    np.testing.assert_allclose(twice["weights"], 2 * found["weights"], rtol=1e-5)
    assert made.manifest.target.embedding_output == "embedding"


def test_an_inner_tensor_is_the_embedding_of_a_classifier(tmp_path: Path) -> None:
    net = Net(seed=8)
    features = net.node("Flatten", net.node("GlobalAveragePool", trunk(net, net.image())), name="features")
    model = net.model(net.linear(features, 16, 5, name="logits"), shapes={"logits": ("N", 5)})
    made, engine = _export(model, tmp_path, task="embedding", score="features")
    assert made.manifest.target.embedding_output == "embedding"
    assert made.manifest.head.embedding_size == 16
    direction = np.random.default_rng(1).standard_normal((2, 3, 16)).astype(np.float32)
    found = engine.run({"image": _IMAGE, "cotangent": direction})
    np.testing.assert_allclose(
        found["target_score"], np.einsum("ntd,nd->nt", direction, found["embedding"]), rtol=1e-4, atol=1e-5
    )


def _two_outputs() -> onnx.ModelProto:
    net = Net(seed=9)
    x = trunk(net, net.image())
    first, second = net.pooled_head(x, 16, 5, name="species"), net.pooled_head(x, 16, 3, name="pose")
    return net.model(first, net.node("Softmax", second, name="pose_probability"), shapes={"pose_probability": ("N", 3)})


def test_one_of_several_outputs_can_be_explained(tmp_path: Path) -> None:
    first, _ = _export(_two_outputs(), tmp_path, score="species")
    assert (first.manifest.head.score_tensor, first.manifest.head.num_classes) == ("species", 5)
    second, _ = _export(_two_outputs(), tmp_path)
    assert (second.manifest.head.num_classes, second.manifest.head.kind) == (3, pb.HEAD_KIND_SOFTMAX)
    assert second.manifest.head.output_name == "pose_probability"
    assert [spec.name for spec in second.manifest.source_outputs] == ["species", "pose_probability"]


def test_a_wrong_guess_of_the_head_can_be_overruled(tmp_path: Path) -> None:
    made, _ = _export(_two_outputs(), tmp_path, score="species", head="sigmoid")
    assert made.manifest.head.kind == pb.HEAD_KIND_SIGMOID


def test_a_tensor_that_is_no_score_of_the_task_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScoreError, match=r"'map' has the shape .* not one score for each class.*--task"):
        _export(_segmenter(), tmp_path, task="classification")
