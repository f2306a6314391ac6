"""A classifier of clips whose weights were set by hand: what it sees in a clip is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from camgraph_exporter import Input, export
from support.nets import Net

FRAMES, HEIGHT, WIDTH = 8, 32, 48
LAYOUTS = {"NCTHW": (0, 1, 2, 3, 4), "NTCHW": (0, 2, 1, 3, 4), "NTHWC": (0, 4, 1, 2, 3)}


def write_clip_graph(folder: Path, layout: str = "NCTHW", **stated: object) -> Path:
    """A classifier of clips, whose class 0 is how much red there is, and whose cells see 2 frames of 4 x 4 pixels."""
    net = Net()
    sizes: dict[str, int | str] = {"N": "N", "C": 3, "T": FRAMES, "H": HEIGHT, "W": WIDTH}
    x = net.image(tuple(sizes[axis] for axis in layout))
    x = net.node("Transpose", x, perm=LAYOUTS[layout]) if layout != "NCTHW" else x
    red_only = np.zeros((2, 3, 2, 4, 4), np.float32)
    red_only[0, 0], red_only[1, 1] = 1 / 32, 1 / 32
    x = net.node("Conv", x, net.weight(red_only), strides=[2, 4, 4])
    x = net.node("Relu", x, name="map")
    rows = net.node("Flatten", net.node("GlobalAveragePool", x))
    scores = net.node("MatMul", rows, net.weight(np.array([[9, 0], [0, 9]], np.float32)), name="logits")
    model = net.model(scores, shapes={"logits": ("N", 2)})
    path = folder / f"{layout}.onnx"
    state = {"divisor": 255, "mean": (0,), "std": (1,), "resize": "stretch", **stated}
    export(model, path, input=Input(**state), gradients=True)  # type: ignore[arg-type]  # a table of keywords
    return path


def moving(count: int = FRAMES, *, size: tuple[int, int] = (HEIGHT, WIDTH)) -> np.ndarray:
    """A red square that goes from the left to the right, uint8 [T, H, W, 3]."""
    frames = np.zeros((count, *size, 3), np.uint8)
    for number, frame in enumerate(frames):
        left = round(number * (size[1] - 8) / max(count - 1, 1))
        frame[12:20, left : left + 8, 0] = 250
    return frames
