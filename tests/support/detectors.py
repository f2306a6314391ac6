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
