"""Detectors whose weights were set by hand, in the forms that people have: what they find in a picture is known.

They see red and green squares of 16 x 16 pixels on black. Every cell of 8 x 8 pixels looks at 24 x 24 pixels around it.
The class's score is how much of its colour is there, the box has the centre of what is there; so the four cells around
the middle of a square find the same box, and other cells find little.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from camgraph_core.rectangle import Rectangle
from support.detectors import best_class, cut, pick_rows, rows_of, top
from support.nets import Net

HEIGHT, WIDTH = 64, 96
SQUARE, CELL, SEEN = 16, 8, 24
ROWS, COLUMNS = HEIGHT // CELL, WIDTH // CELL
BOXES = ROWS * COLUMNS
CLASSES = ("red", "green")


@dataclass(frozen=True)
class Square:
    """A square of a class, by its upper left corner; multiples of 8 pixels."""

    name: str
    left: int
    top: int

    @property
    def box(self) -> Rectangle:
        return Rectangle(self.left, self.top, self.left + SQUARE, self.top + SQUARE)


def picture(squares: Sequence[Square], *, brightness: Sequence[float] = (1.0, 0.97, 0.94)) -> np.ndarray:
    """The squares on black, each a little darker than the one before, so that the order of their scores is known."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for square, light in zip(squares, brightness, strict=False):
        place = pixels[square.top : square.top + SQUARE, square.left : square.left + SQUARE]
        place[..., CLASSES.index(square.name)] = round(255 * light)
    return pixels


def features(net: Net) -> str:
    """The picture itself, as a layer that can be explained."""
    image = net.image(("N", 3, HEIGHT, WIDTH))
    same = net.weight(np.eye(3, dtype=np.float32)[:, :, None, None])
    return net.node("Relu", net.node("Conv", image, same), name="features")


def raw(net: Net) -> tuple[str, str]:
    """Rows [N, 96, 2] of the offsets dx, dy in pixels, and [N, 96, 2] of the classes' scores."""
    x = features(net)
    moments, masses, bias = weights()
    return _rows(net, x, moments, np.zeros(2)), _rows(net, x, masses, bias)


def weights() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights [2, 3, 24, 24] of the offsets and of the classes' scores, and the bias [2] of the latter."""
    steps = np.arange(SEEN) - (SEEN - 1) / 2
    moments = np.stack([np.tile(steps, (SEEN, 1)), np.tile(steps[:, None], (1, SEEN))]) / SQUARE**2
    both = np.zeros((2, 3, SEEN, SEEN))
    both[:, :2] = moments[:, None]
    masses = np.zeros((2, 3, SEEN, SEEN))
    masses[[0, 1], [0, 1]] = 20 / SQUARE**2
    masses[:, 2] = -40 / SQUARE**2  # nothing is found in noise, which has blue in it
    return both, masses, np.full(2, -17.0)


def _rows(net: Net, x: str, weights: np.ndarray, bias: np.ndarray) -> str:
    w, b = net.weight(weights.astype(np.float32)), net.weight(bias.astype(np.float32))
    y = net.node("Conv", x, w, b, strides=[CELL, CELL], pads=[8] * 4)
    return net.node("Reshape", net.node("Transpose", y, perm=[0, 2, 3, 1]), net.ints(0, -1, len(bias)))


def centres() -> np.ndarray:
    """The cells' centres x, y in rows [96, 2]."""
    down, across = np.mgrid[:ROWS, :COLUMNS].reshape(2, -1) * CELL + CELL / 2
    return np.stack([across, down], axis=1).astype(np.float32)


def decoded(net: Net, offsets: str, form: str, *, scale: Sequence[float] = (1, 1)) -> str:
    """Boxes [N, 96, 4] in a format, in pixels times `scale` across and down."""
    middle = net.node("Add", offsets, net.weight(centres()))
    half = net.weight(np.full(2, SQUARE / 2, np.float32))
    low, high = net.node("Sub", middle, half), net.node("Add", middle, half)
    sides = np.array(scale, np.float32)
    size = net.node("Mul", net.node("Sub", high, low), net.weight(sides))
    low, middle, high = (net.node("Mul", x, net.weight(sides)) for x in (low, middle, high))
    if form == "yxyx":
        low, high = (net.node("Gather", x, net.ints(1, 0), axis=2) for x in (low, high))
    first, second = {"cxcywh": (middle, size), "xywh": (low, size)}.get(form, (low, high))
    return net.node("Concat", first, second, axis=2)


SHARES = (1 / WIDTH, 1 / HEIGHT)


def yolo_v8() -> onnx.ModelProto:
    net = Net()
    offsets, logits = raw(net)
    both = net.node("Concat", decoded(net, offsets, "cxcywh"), net.node("Sigmoid", logits), axis=2)
    out = net.node("Transpose", both, perm=[0, 2, 1], name="output0")
    return net.model(out, shapes={out: ("N", 4 + len(CLASSES), BOXES)})


def yolo_v5() -> onnx.ModelProto:
    """One convolution for all, one sigmoid, and boxes decoded from that: (2 s - 1/2 + cell) 8 and (2 s)^2 16."""
    net = Net()
    x = features(net)
    moments, masses, bias = weights()
    steep = np.log(3) / 4  # an offset of 4 pixels, half a cell, has the sigmoid 3/4
    sizes, some = np.zeros((2, *masses.shape[1:])), masses.max(axis=0, keepdims=True)
    wide = np.concatenate([moments * steep, sizes, some, masses])
    s = net.node("Sigmoid", _rows(net, x, wide, np.concatenate([np.zeros(4), bias[:1], bias])))
    xy, wh, scores = cut(net, s, (2, 2, 1 + len(CLASSES)), axis=2)
    cell = net.weight((centres() / CELL - 1).astype(np.float32))
    xy = net.node("Mul", net.node("Add", net.node("Mul", xy, _number(net, 2)), cell), _number(net, CELL))
    twice = net.node("Mul", wh, _number(net, 2))
    wh = net.node("Mul", net.node("Pow", twice, _number(net, 2)), _number(net, SQUARE))
    out = net.node("Concat", xy, wh, scores, axis=2, name="output0")
    return net.model(out, shapes={out: ("N", BOXES, 5 + len(CLASSES))})


def yolox() -> onnx.ModelProto:
    """Convolutions of their own, and boxes that count in cells of 8 pixels: the program after it decodes them."""
    net = Net()
    x = features(net)
    moments, masses, bias = weights()
    wide = np.concatenate([moments / CELL, np.zeros((2, *masses.shape[1:]))])
    boxes = _rows(net, x, wide, np.array([0.5, 0.5, *np.log([SQUARE / CELL] * 2)]))
    some = _rows(net, x, masses.max(axis=0, keepdims=True), bias[:1])
    scores = [net.node("Sigmoid", y) for y in (some, _rows(net, x, masses, bias))]
    out = net.node("Concat", boxes, *scores, axis=2, name="output0")
    return net.model(out, shapes={out: ("N", BOXES, 5 + len(CLASSES))})


def yolo_v4() -> onnx.ModelProto:
    """Probabilities that the graph multiplied with those of an object, beside corners in shares [N, boxes, 1, 4]."""
    net = Net()
    offsets, logits = raw(net)
    _, masses, bias = weights()
    some = net.node("Sigmoid", _rows(net, "features", masses.max(axis=0, keepdims=True), bias[:1]))
    confs = net.node("Mul", net.node("Sigmoid", logits), some, name="confs")
    boxes = net.node("Unsqueeze", decoded(net, offsets, "xyxy", scale=SHARES), net.ints(2), name="boxes")
    return net.model(boxes, confs, shapes={boxes: ("N", BOXES, 1, 4), confs: ("N", BOXES, 2)})


def _number(net: Net, number: float) -> str:
    return net.weight(np.float32(number))


def with_background(net: Net, logits: str, *, first: bool) -> str:
    """A score of 0 for "no object", before or after the others."""
    zero = net.node("Mul", net.node("Slice", logits, net.ints(0), net.ints(1), net.ints(2)), net.weight(np.float32(0)))
    return net.node("Concat", *((zero, logits) if first else (logits, zero)), axis=2)


def ssd() -> onnx.ModelProto:
    """As UltraFace, too: probabilities with the background first, and corners in shares, as two outputs."""
    net = Net()
    offsets, logits = raw(net)
    scores = net.node("Softmax", with_background(net, logits, first=True), axis=2, name="scores")
    boxes = net.node("Identity", decoded(net, offsets, "xyxy", scale=SHARES), name="boxes")
    return net.model(scores, boxes, shapes={scores: ("N", BOXES, 3), boxes: ("N", BOXES, 4)})


def detr() -> onnx.ModelProto:
    """Scores as they are with the background last, and centre and size in shares."""
    net = Net()
    offsets, logits = raw(net)
    scores = net.node("Identity", with_background(net, logits, first=False), name="logits")
    boxes = net.node("Identity", decoded(net, offsets, "cxcywh", scale=SHARES), name="pred_boxes")
    return net.model(scores, boxes, shapes={scores: ("N", BOXES, 3), boxes: ("N", BOXES, 4)})


def coco_boxes() -> onnx.ModelProto:
    """Corner and size in pixels, turned, beside turned sigmoids."""
    net = Net()
    offsets, logits = raw(net)
    scores = net.node("Sigmoid", net.node("Transpose", logits, perm=[0, 2, 1]), name="scores")
    boxes = net.node("Transpose", decoded(net, offsets, "xywh"), perm=[0, 2, 1], name="boxes")
    return net.model(scores, boxes, shapes={scores: ("N", 2, BOXES), boxes: ("N", 4, BOXES)})


def tensorflow() -> onnx.ModelProto:
    """Down before across, and only the best twenty, sorted."""
    net = Net()
    offsets, logits = raw(net)
    best, labels = best_class(net, net.node("Sigmoid", logits))
    scores, index = top(net, best, 20, name="detection_scores")
    boxes = pick_rows(net, decoded(net, offsets, "yxyx", scale=SHARES), index, 4)
    picked = net.node("GatherElements", labels, index, axis=1)
    out = rows_of(net, boxes, scores, picked)
    return net.model(out, shapes={out: ("N", 20, 6)})


def suppressing() -> onnx.ModelProto:
    """Non-maximum suppression within the graph; the output is the rows (image, class, box) that it keeps."""
    net = Net()
    offsets, logits = raw(net)
    turned = net.node("Transpose", net.node("Sigmoid", logits), perm=[0, 2, 1])
    limits = (net.ints(5), net.weight(np.float32([0.5])), net.weight(np.float32([0.1])))
    kept = net.node("NonMaxSuppression", decoded(net, offsets, "xyxy"), turned, *limits, name="kept")
    model = net.model(kept, shapes={"kept": ("M", 3)})
    model.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    return model


@dataclass(frozen=True)
class Form:
    """A detector, what export is told of it, and what its manifest must say."""

    build: Callable[[], onnx.ModelProto]
    source: str
    format: str
    is_normalised: bool
    options: tuple[tuple[str, str], ...] = ()
    background: int | None = None
    labels: tuple[str, ...] = CLASSES


FORMS = {
    "yolo v4": Form(yolo_v4, "boxes", "xyxy", is_normalised=True),
    "yolo v5": Form(yolo_v5, "output0", "cxcywh", is_normalised=False),
    "yolo v8": Form(yolo_v8, "output0", "cxcywh", is_normalised=False),
    "yolox": Form(yolox, "output0", "yolox", is_normalised=False, options=(("box_format", "yolox"),)),
    "ssd": Form(ssd, "boxes", "xyxy", is_normalised=True, background=0, labels=("background", *CLASSES)),
    "detr": Form(
        detr, "pred_boxes", "cxcywh", is_normalised=True, background=2, labels=(*CLASSES, "no object"),
        options=(("head", "softmax"),),
    ),
    "corner and size": Form(coco_boxes, "boxes", "xywh", is_normalised=False, options=(("box_format", "xywh"),)),
    "tensorflow": Form(tensorflow, "", "yxyx", is_normalised=True),
    "suppressing": Form(suppressing, "", "xyxy", is_normalised=False),
}  # fmt: skip  # a table, in rows of its own
