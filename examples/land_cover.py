"""Makes the network and the scene of docs/remote-sensing.md: land cover from six bands, as Sentinel-2 has them.

    python examples/land_cover.py

writes land.onnx, land.txt and scene.tif. Nothing is trained: the weights are differences of bands that people use as
indices (NDVI, NDWI, ...), so that it is known what the network looks at. It needs the extras `export` and `geo`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import tifffile
from onnx import helper, numpy_helper

BANDS = ("B02", "B03", "B04", "B08", "B11", "B12")
CLASSES = ("water", "vegetation", "bare ground", "cloud")
MEAN = np.array([0.07, 0.09, 0.08, 0.26, 0.2, 0.13])
STD = np.array([0.07, 0.06, 0.07, 0.12, 0.09, 0.08])
HEIGHT, WIDTH = 480, 640

# Reflectance of each class in each band.
SPECTRA = {
    "water": (0.06, 0.05, 0.03, 0.02, 0.01, 0.01),
    "vegetation": (0.03, 0.06, 0.04, 0.38, 0.18, 0.08),
    "bare ground": (0.1, 0.13, 0.17, 0.24, 0.33, 0.27),
    "cloud": (0.6, 0.58, 0.58, 0.6, 0.45, 0.35),
}
# What speaks for each class: how much of each band, and from where on.
INDICES = {
    "water": ((0, 40, 0, -40, -20, 0), 0.5),
    "vegetation": ((0, 0, -6, 6, 0, 0), -0.6),
    "bare ground": ((-2, 0, 0, -4, 6, 2), -0.4),
    "cloud": ((6, 0, 0, 0, -1, 0), -1.2),
}


def network() -> onnx.ModelProto:
    """Logits [N, 4, H, W] of normalised bands [N, 6, H, W]: an index of each pixel, then a look at the neighbours."""
    weights = np.array([INDICES[name][0] for name in CLASSES], np.float64)
    offsets = np.array([INDICES[name][1] for name in CLASSES])
    blur = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256
    constants = {
        "index_weight": (weights * STD)[:, :, None, None],
        "index_bias": offsets + weights @ MEAN,
        "near_weight": np.tile(blur, (4, 1, 1, 1)),
        "class_weight": (np.eye(4) * 6 - 1)[:, :, None, None],
        "scales": np.array([1, 1, 2, 2]),
    }
    nodes = [
        helper.make_node("Conv", ["bands", "index_weight", "index_bias"], ["sums"], kernel_shape=[1, 1]),
        helper.make_node("Relu", ["sums"], ["indices"]),
        helper.make_node(
            "Conv", ["indices", "near_weight"], ["near"], kernel_shape=[5, 5], pads=[2] * 4, strides=[2, 2], group=4
        ),
        helper.make_node("Relu", ["near"], ["neighbourhood"]),
        helper.make_node("Conv", ["neighbourhood", "class_weight"], ["coarse"], kernel_shape=[1, 1]),
        helper.make_node("Resize", ["coarse", "", "scales"], ["classes"], mode="linear"),
    ]
    graph = helper.make_graph(
        nodes,
        "land",
        [helper.make_tensor_value_info("bands", onnx.TensorProto.FLOAT, ["N", 6, "H", "W"])],
        [helper.make_tensor_value_info("classes", onnx.TensorProto.FLOAT, ["N", 4, "H", "W"])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def truth() -> np.ndarray:
    """Index of the class of each pixel, [H, W]: fields and bare ground, a river and a lake, clouds above all of it."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    rng = np.random.default_rng(7)
    fields = rng.random((8, 10)) < 0.35
    cover = np.where(fields[rows // 60, columns // 64], 2, 1)
    river = np.abs(rows - 200 - 60 * np.sin(columns / 90)) < 12
    lake = ((rows - 360) / 55) ** 2 + ((columns - 470) / 80) ** 2 < 1
    cover[river | lake] = 0
    for top, left, size in ((90, 180, 46), (120, 240, 34), (400, 180, 40)):
        cover[((rows - top) / size) ** 2 + ((columns - left) / (1.6 * size)) ** 2 < 1] = 3
    return cover


def scene(cover: np.ndarray) -> np.ndarray:
    """Reflectance times 10000, uint16 [H, W, 6]; 0 beside the swath, where there is no data."""
    rng = np.random.default_rng(8)
    spectra = np.array([SPECTRA[name] for name in CLASSES])
    texture = np.kron(rng.normal(1, 0.12, (HEIGHT // 4, WIDTH // 4)), np.ones((4, 4)))
    reflectance = spectra[cover] * texture[:, :, None] + rng.normal(0, 0.004, (*cover.shape, 6))
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    values: np.ndarray = np.clip(10_000 * reflectance, 1, 65_535).astype(np.uint16)
    values[columns + rows // 4 > WIDTH + 20] = 0
    return values


def write(folder: Path) -> None:
    """Writes the network, its labels and the scene, which lies in UTM zone 32 with pixels of 10 m."""
    onnx.save(network(), folder / "land.onnx")
    (folder / "land.txt").write_text("\n".join(CLASSES), encoding="utf-8")
    tags = [
        (33550, "d", 3, (10.0, 10.0, 0.0), True),
        (33922, "d", 6, (0.0, 0.0, 0.0, 600_000.0, 5_700_000.0, 0.0), True),
        (34735, "H", 16, (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32632), True),
        (42113, "s", 0, "0", True),
    ]
    tifffile.imwrite(
        folder / "scene.tif",
        scene(truth()),
        photometric="minisblack",
        planarconfig="contig",
        tile=(128, 128),
        compression="deflate",
        extratags=tags,
        metadata=None,
    )


if __name__ == "__main__":
    write(Path())
