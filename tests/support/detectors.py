"""Small detectors with random weights: how their heads lie on the scales, what they do to their boxes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx

from support.nets import Net

SIDE = 64


def _image(net: Net) -> str:
    return net.image(("N", 3, SIDE, SIDE))


def backbone(net: Net, levels: int) -> list[str]:
    """Maps `C1`, `C2`, ... of eight channels, each of half the size of the one before."""
    x, channels, maps = _image(net), 3, []
    for level in range(1, levels + 1):
        x = net.node("Relu", net.conv(x, (channels, 8), strides=[2, 2]), name=f"C{level}")
        channels = 8
        maps.append(x)
    return maps


def head(net: Net, x: str, values: int, *, name: str = "", per_cell: int = 1) -> str:
    """Rows [N, boxes, values] that a convolution reads from a map."""
    y = net.node("Transpose", net.conv(x, (8, per_cell * values), name=name), perm=[0, 2, 3, 1])
    return net.node("Reshape", y, net.ints(0, -1, values))


def enlarged(net: Net, x: str) -> str:
    return net.node("Resize", x, "", net.weight(np.array([1, 1, 2, 2], np.float32)), mode="nearest")


def one_way(*, classes: int = 2, softmax: bool = True) -> onnx.ModelProto:
    """As SSD and UltraFace: three scales, each made from the finer one; 672 boxes `scores`, `boxes`."""
    net = Net(seed=1)
    maps = backbone(net, 4)[1:]
    scores = [head(net, x, classes, name=f"class_head{i}", per_cell=2) for i, x in enumerate(maps)]
    boxes = [head(net, x, 4, name=f"box_head{i}", per_cell=2) for i, x in enumerate(maps)]
    net.node("Concat", *scores, axis=1, name="logits")
    net.node("Concat", *boxes, axis=1, name="boxes")
    out = net.node("Softmax" if softmax else "Sigmoid", "logits", name="scores", **({"axis": 2} if softmax else {}))
    return net.model(out, "boxes", shapes={out: ("N", 672, classes), "boxes": ("N", 672, 4)})


def pyramid(*, classes: int = 3) -> onnx.ModelProto:
    """As RetinaNet: from the deepest map C5 back to finer ones, and on to a coarser one; 85 boxes."""
    net = Net(seed=2)
    c3, c4, c5 = backbone(net, 5)[2:]
    p5 = net.conv(c5, (8, 8), kernel=1, name="P5")
    p4 = net.node("Add", enlarged(net, p5), net.conv(c4, (8, 8), kernel=1), name="P4")
    p3 = net.node("Add", enlarged(net, p4), net.conv(c3, (8, 8), kernel=1), name="P3")
    p6 = net.conv(c5, (8, 8), strides=[2, 2], name="P6")
    rows = []
    for i, x in enumerate((p3, p4, p5, p6)):
        rows.append(head(net, net.node("Relu", net.conv(x, (8, 8)), name=f"tower{i}"), classes))
    out = net.node("Sigmoid", net.node("Concat", *rows, axis=1, name="logits"), name="scores")
    return net.model(out, shapes={out: ("N", 85, classes)})


def two_way(*, classes: int = 3, cut_by: str = "Split") -> onnx.ModelProto:
    """As YOLOv8: up and down again; boxes and classes joined for each scale, joined over scales, then cut apart."""
    net = Net(seed=3)
    c3, c4 = backbone(net, 4)[2:]
    n3 = net.node("Relu", net.conv(net.node("Concat", enlarged(net, c4), c3, axis=1), (16, 8)), name="N3")
    down = net.node("Relu", net.conv(n3, (8, 8), strides=[2, 2]), name="D4")
    n4 = net.node("Relu", net.conv(net.node("Concat", down, c4, axis=1), (16, 8)), name="N4")
    rows = []
    for i, x in enumerate((n3, n4)):
        both = net.node(
            "Concat", net.conv(x, (8, 4), name=f"box{i}"), net.conv(x, (8, classes), name=f"class{i}"), axis=1
        )
        rows.append(net.node("Reshape", both, net.ints(0, 4 + classes, -1)))
    joined = net.node("Concat", *rows, axis=2)
    boxes, logits = cut(net, joined, (4, classes), axis=1, by=cut_by)
    scaled = net.node("Mul", boxes, net.weight(np.float32(8)))
    out = net.node("Concat", scaled, net.node("Sigmoid", logits), axis=1, name="output0")
    return net.model(out, shapes={out: ("N", 4 + classes, 80)})


def neck(*, classes: int = 3) -> onnx.ModelProto:
    """As YOLOv5 and later ones, for images of any size: five steps down, and up again beside the maps of before.

    The paddings of each step shift its map, so that what is joined lies up to a cell of the coarsest map apart.
    """
    net = Net(seed=20)
    x, channels, maps = net.image(("N", 3, "height", "width")), 3, []
    for level, wide in enumerate((8, 8, 8, 8, 16), start=1):
        x = net.node("Relu", net.conv(x, (channels, wide), strides=[2, 2]), name=f"C{level}")
        channels = wide
        maps.append(x)
    n4 = net.node("Relu", net.conv(net.node("Concat", enlarged(net, maps[4]), maps[3], axis=1), (24, 8), kernel=1))
    both = net.node("Concat", enlarged(net, n4), maps[2], axis=1, name="joined")
    n3 = net.node("Relu", net.conv(both, (16, 8), kernel=1), name="N3")
    down = net.node("Relu", net.conv(n3, (8, 8), strides=[2, 2]), name="D4")
    rows = [head(net, x, classes) for x in (n3, down)]
    out = net.node("Sigmoid", net.node("Concat", *rows, axis=1), name="scores")
    return net.model(out, shapes={out: ("N", "boxes", classes)})


def cut(net: Net, x: str, sizes: Sequence[int], *, axis: int, by: str = "Split") -> list[str]:
    """The parts of a tensor along an axis, by one Split or several Slices."""
    if by == "Split":
        first = net.node("Split", x, net.ints(*sizes), axis=axis, outputs=len(sizes), name=f"{x}_parts")
        return [first, *(f"{first}:{i}" for i in range(1, len(sizes)))]
    ends = np.cumsum([0, *sizes])
    return [
        net.node("Slice", x, net.ints(start), net.ints(stop), net.ints(axis))
        for start, stop in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)
    ]


def candidates(net: Net, classes: int, *, levels: int = 3) -> tuple[str, str]:
    """Boxes `places` [N, 64, 4] and class scores `class_rows` [N, 64, classes] of one map of 8 x 8 cells."""
    x = backbone(net, levels)[-1]
    places = net.node("Identity", head(net, x, 4, name="box_head"), name="places")
    return places, net.node("Identity", head(net, x, classes, name="class_head"), name="class_rows")


def pick_rows(net: Net, rows: str, places: str, width: int) -> str:
    """The rows [N, k, width] at the places [N, k]."""
    wide = net.node("Tile", net.node("Unsqueeze", places, net.ints(2)), net.ints(1, 1, width))
    return net.node("GatherElements", rows, wide, axis=1)


def top(net: Net, scores: str, count: int, *, name: str = "") -> tuple[str, str]:
    """Values and places of the best elements along axis 1."""
    values = net.node("TopK", scores, net.ints(count), axis=1, outputs=2, name=name)
    return values, f"{values}:1"


def best_class(net: Net, scores: str, *, axis: int = 2) -> tuple[str, str]:
    """The best class's score and its index, for each box."""
    return (
        net.node("ReduceMax", scores, axes=[axis], keepdims=0),
        net.node("ArgMax", scores, axis=axis, keepdims=0),
    )


def rows_of(net: Net, boxes: str, scores: str, labels: str, *, name: str = "output0") -> str:
    """Joins boxes [N, k, 4], scores [N, k] and int labels [N, k] to rows of six numbers."""
    wide = [
        net.node("Unsqueeze", x, net.ints(2)) for x in (scores, net.node("Cast", labels, to=onnx.TensorProto.FLOAT))
    ]
    return net.node("Concat", boxes, *wide, axis=2, name=name)


def topk_of_joined(*, classes: int = 3) -> onnx.ModelProto:
    """As YOLOv10: boxes and probabilities joined, turned, split; the best boxes first, then their best classes."""
    net = Net(seed=11)
    places, rows = candidates(net, classes)
    turned = [net.node("Transpose", x, perm=[0, 2, 1]) for x in (places, rows)]
    joined = net.node("Concat", turned[0], net.node("Sigmoid", turned[1]), axis=1)
    boxes, scores = cut(net, net.node("Transpose", joined, perm=[0, 2, 1]), (4, classes), axis=2)
    _, places = top(net, net.node("ReduceMax", scores, axes=[2], keepdims=0), 10)
    boxes, scores = pick_rows(net, boxes, places, 4), pick_rows(net, scores, places, classes)
    best, flat = top(net, net.node("Flatten", scores, axis=1), 10, name="best")
    labels = net.node("Mod", flat, net.ints(classes))
    boxes = pick_rows(net, boxes, net.node("Div", flat, net.ints(classes)), 4)
    return net.model(rows_of(net, boxes, best, labels), shapes={"output0": ("N", 10, 6)})


def topk_of_flat(*, classes: int = 5) -> onnx.ModelProto:
    """As RT-DETR: box and class are sorted at once; three outputs, the labels first."""
    net = Net(seed=12)
    places, rows = candidates(net, classes)
    flat = net.node("Reshape", net.node("Sigmoid", rows), net.ints(0, -1))
    scores, index = top(net, flat, 10, name="scores")
    box = net.node("Div", index, net.ints(classes))
    labels = net.node("Sub", index, net.node("Mul", box, net.ints(classes)), name="labels")
    scaled = net.node("Mul", pick_rows(net, places, box, 4), net.weight(np.float32(64)), name="boxes")
    model = net.model(labels, scaled, scores, shapes={"labels": ("N", 10), "boxes": ("N", 10, 4), "scores": ("N", 10)})
    model.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    return model


def tensorflow_style(*, classes: int = 4) -> onnx.ModelProto:
    """Four outputs with TensorFlow's names; the first class is a background that is cut off before the sorting."""
    net = Net(seed=13)
    places, rows = candidates(net, classes)
    softmax = net.node("Softmax", rows, axis=2)
    objects = net.node("Slice", softmax, net.ints(1), net.ints(classes), net.ints(2))
    best, labels = best_class(net, objects)
    scores, index = top(net, best, 10, name="detection_scores")
    boxes = net.node("Identity", pick_rows(net, places, index, 4), name="detection_boxes")
    classes_of = net.node("GatherElements", labels, index, axis=1)
    net.node("Cast", classes_of, to=onnx.TensorProto.FLOAT, name="detection_classes")
    likely = net.node("Cast", net.node("Greater", scores, net.weight(np.float32(0.5))), to=onnx.TensorProto.FLOAT)
    net.node("ReduceSum", likely, net.ints(1), keepdims=0, name="num_detections")
    names = {"detection_boxes": ("N", 10, 4), "detection_scores": ("N", 10), "detection_classes": ("N", 10)}
    return net.model(boxes, scores, "detection_classes", "num_detections", shapes={**names, "num_detections": ("N",)})


def suppressed(*, classes: int = 3, objectness: bool = False, by: str = "Sigmoid") -> onnx.ModelProto:
    """Non-maximum suppression by ONNX's own operator; the output is the rows (image, class, box) that it keeps.

    `objectness`: scores are multiplied with a number for each box, which `by` makes.
    """
    net = Net(seed=14)
    places, rows = candidates(net, classes + objectness)
    some = ""
    if objectness:
        some, rows = cut(net, rows, (1, classes), axis=2)
    scores = net.node("Sigmoid", rows)
    if objectness:
        scores = net.node("Mul", scores, net.node(by, some))
    turned = net.node("Transpose", scores, perm=[0, 2, 1], name="by_class")
    kept = net.node(
        "NonMaxSuppression", places, turned, net.ints(5), net.weight(np.float32([0.5])), net.weight(np.float32([0.1])),
        name="kept",
    )  # fmt: skip  # the operator's inputs in one line
    model = net.model(kept, shapes={"kept": ("M", 3)})
    model.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    return model


def suppressed_rows(*, classes: int = 3) -> onnx.ModelProto:
    """As YOLOv7 with the suppression in the graph: rows of a box, objectness and classes are joined, then cut apart."""
    net = Net(seed=21)
    s = net.node("Sigmoid", head(net, backbone(net, 3)[-1], 5 + classes))
    middle, size, scores = cut(net, s, (2, 2, 1 + classes), axis=2)
    boxes = [net.node("Mul", x, net.weight(np.float32(SIDE))) for x in (middle, size)]
    rows = net.node("Concat", *boxes, scores, axis=2)
    places, some, of_class = cut(net, rows, (4, 1, classes), axis=2, by="Slice")
    turned = net.node("Transpose", net.node("Mul", of_class, some), perm=[0, 2, 1], name="by_class")
    limits = (net.ints(5), net.weight(np.float32([0.5])), net.weight(np.float32([0.1])))
    kept = net.node("NonMaxSuppression", places, turned, *limits, name="kept", center_point_box=1)
    model = net.model(kept, shapes={"kept": ("M", 3)})
    model.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    return model


def best_of_each(*, classes: int = 6) -> onnx.ModelProto:
    """Boxes, the best class's probability and its index for every box, unsorted, as three outputs."""
    net = Net(seed=15)
    places, rows = candidates(net, classes)
    best, labels = best_class(net, net.node("Sigmoid", rows))
    net.node("Identity", best, name="scores")
    model = net.model(places, "scores", labels, shapes={places: ("N", 64, 4), "scores": ("N", 64), labels: ("N", 64)})
    model.graph.output[2].type.tensor_type.elem_type = onnx.TensorProto.INT64
    return model


def head_after_sorting(*, classes: int = 3) -> onnx.ModelProto:
    """Logits are sorted, and only those that are kept go through the sigmoid."""
    net = Net(seed=16)
    places, rows = candidates(net, classes)
    best, labels = best_class(net, rows)
    logits, index = top(net, best, 10, name="best")
    boxes = pick_rows(net, places, index, 4)
    labels = net.node("GatherElements", labels, index, axis=1)
    return net.model(rows_of(net, boxes, net.node("Sigmoid", logits), labels), shapes={"output0": ("N", 10, 6)})


def one_class() -> onnx.ModelProto:
    """A detector of faces: one score a box, without an axis of classes when it is sorted."""
    net = Net(seed=17)
    places, rows = candidates(net, 1)
    scores, index = top(net, net.node("Squeeze", net.node("Sigmoid", rows), net.ints(2)), 10, name="scores")
    boxes = net.node("Identity", pick_rows(net, places, index, 4), name="boxes")
    return net.model(scores, boxes, shapes={scores: ("N", 10), boxes: ("N", 10, 4)})


def heads_per_scale(*, classes: int = 3) -> onnx.ModelProto:
    """Two scales, each with its own sigmoid before they are joined: no tensor has all logits."""
    net = Net(seed=18)
    maps = backbone(net, 4)[2:]
    places = net.node("Concat", *(head(net, x, 4) for x in maps), axis=1)
    scores = net.node("Concat", *(net.node("Sigmoid", head(net, x, classes)) for x in maps), axis=1, name="joined")
    best, labels = best_class(net, scores)
    values, index = top(net, best, 10, name="best")
    labels = net.node("GatherElements", labels, index, axis=1)
    return net.model(rows_of(net, pick_rows(net, places, index, 4), values, labels), shapes={"output0": ("N", 10, 6)})


def peaks(*, classes: int = 3) -> onnx.ModelProto:
    """As CenterNet: the peaks of class maps [N, C, h, w] are sorted; there are no candidate boxes."""
    net = Net(seed=19)
    x = backbone(net, 3)[-1]
    heat = net.node("Sigmoid", net.conv(x, (8, classes)), name="heat")
    pooled = net.node("MaxPool", heat, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    is_peak = net.node("Cast", net.node("Equal", heat, pooled), to=onnx.TensorProto.FLOAT)
    flat = net.node("Reshape", net.node("Mul", heat, is_peak), net.ints(0, -1))
    scores, index = top(net, flat, 10, name="scores")
    sizes = net.node("Reshape", net.node("Transpose", net.conv(x, (8, 4)), perm=[0, 2, 3, 1]), net.ints(0, -1, 4))
    boxes = net.node("Identity", pick_rows(net, sizes, net.node("Mod", index, net.ints(64)), 4), name="boxes")
    return net.model(scores, boxes, shapes={scores: ("N", 10), boxes: ("N", 10, 4)})
