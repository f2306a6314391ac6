"""Draws one class at the last, a middle and an early layer of the example model: where it looks, and how finely.

    python examples/compare_layers.py docs/images/layers.jpg

Above Grad-CAM, below LayerCAM, which weighs each cell by its own gradient; first below, the three layers fused. The
graph is exported on the way. Needs `camgraph[cpu,export]`.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from camgraph_exporter import Input, export
from camgraph_runtime import Explainer, Target
from camgraph_runtime.pictures.jpeg import encode_jpeg
from camgraph_runtime.pictures.panel import Tile, panel

EXAMPLES = Path(__file__).resolve().parent
LAYERS = {
    "/_swish_1/Clip_output_0": "last, 7 x 7",
    "/_blocks.10/Add_output_0": "middle, 14 x 14",
    "/_blocks.2/Add_output_0": "early, 56 x 56",
}
TIGER_CAT = 282


def main(picture: str) -> None:
    """Exports the model, explains the cat and writes the picture."""
    explainer = explain_layers()
    with Image.open(EXAMPLES / "photos/chelsea.png") as file:
        photo = np.asarray(file.convert("RGB"))
    tiles = [Tile(photo, "tiger cat", "EfficientNet-Lite0")]
    for method, title in (("grad-cam", "Grad-CAM"), ("layer-cam", "LayerCAM")):
        first = [] if method == "grad-cam" else [list(LAYERS)]
        for layers in [*first, *([layer] for layer in LAYERS)]:
            result = explainer.explain(photo, targets=[Target.index(TIGER_CAT)], method=method, layers=layers)
            note = LAYERS[layers[0]] if len(layers) == 1 else "all three layers"
            drawn, view = result.explanations[0].overlay(outline=False), result.canvas.view_within(photo.shape[:2])
            tiles.append(Tile(drawn, title, note, view=view))
    Path(picture).write_bytes(encode_jpeg(panel(tiles), quality=80))


def explain_layers() -> Explainer:
    """An explainer of the example model at the three layers, with full gradients."""
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / "efficientnet_lite0.onnx"
        export(
            EXAMPLES / "models/efficientnet_lite0.onnx",
            graph,
            layers=tuple(LAYERS),
            gradients=True,
            input=Input.preset("efficientnet-lite"),
        )
        return Explainer(graph)


if __name__ == "__main__":
    main(*sys.argv[1:])
