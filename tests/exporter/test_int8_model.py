"""A trained int8 network: its prediction stays bit for bit, and its maps are those of the float model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from camgraph_exporter import export
from camgraph_runtime.run.engine import Engine


@pytest.fixture(scope="module")
def graphs(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Explainable graphs of EfficientNet-Lite0 in float and in int8, at the layer that is found by itself."""
    folder = tmp_path_factory.mktemp("int8")
    made = {}
    for name in ("efficientnet_lite0", "efficientnet_lite0_int8_qdq"):
        made[name] = folder / f"{name}.onnx"
        export(shared / "models" / f"{name}.onnx", made[name])
    return made


@pytest.mark.parametrize("photo", ["chelsea", "coffee"])
def test_maps_agree_with_the_float_model(photo: str, shared: Path, graphs: dict[str, Path]) -> None:
    reference = np.load(shared / "reference" / f"efficientnet_lite0.{photo}.npz")
    feeds = {"input": reference["input"], "target": reference["classes"][None]}
    maps = []
    for graph in graphs.values():
        found = Engine(graph).run(feeds)
        maps.append(np.einsum("nkhw,ntk->nthw", found["activations"], found["weights"])[0])
    for ours, theirs in zip(*maps, strict=True):
        assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] >= 0.99
        assert np.argmax(ours) == np.argmax(theirs)


def test_the_prediction_is_bit_identical(shared: Path, graphs: dict[str, Path]) -> None:
    source = shared / "models" / "efficientnet_lite0_int8_qdq.onnx"
    images = np.concatenate([np.load(file)["input"] for file in sorted((shared / "reference").glob("efficientnet*"))])
    before = Engine(source).run({"input": images})
    after = Engine(graphs[source.stem]).run({"input": images, "target": np.full((len(images), 1), -1)})
    np.testing.assert_array_equal(after["logits"], before["logits"])


def test_the_file_hardly_grows(shared: Path, graphs: dict[str, Path]) -> None:
    name = "efficientnet_lite0_int8_qdq"
    assert graphs[name].stat().st_size <= 1.01 * (shared / "models" / f"{name}.onnx").stat().st_size
