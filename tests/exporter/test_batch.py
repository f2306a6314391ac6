"""Models with a batch that is fixed at one: freed where the model allows it, kept with a note where not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from camgraph_exporter.export import Exported, ExportOptions, export_file
from camgraph_runtime.engine import Engine
from support.nets import CLASSES, Net, classifier, trunk

ONE = (1, 3, 16, 16)
FEATURES = 16 * 8 * 8


def _flattened(flatten: Callable[[Net, str], str]) -> onnx.ModelProto:
    net = Net()
    rows = flatten(net, trunk(net, net.image(ONE)))
    return net.model(net.linear(rows, FEATURES, CLASSES, name="logits"), shapes={"logits": (1, CLASSES)})


def _by_shape(net: Net, x: str) -> str:
    """What toolkits write for `x.view(x.size(0), -1)`."""
    first = net.node("Gather", net.node("Shape", x), net.ints(0), axis=0)
    return net.node("Reshape", x, net.node("Concat", first, net.ints(-1), axis=0))


def _in_two_steps(net: Net, x: str) -> str:
    maps = net.node("Reshape", x, net.ints(1, 4, 4, 8, 8))
    return net.node("Reshape", net.node("Relu", maps), net.ints(1, FEATURES))


FREEABLE = {
    "no reshape": lambda: classifier(shape=ONE, softmax=True),
    "rest left open": lambda: _flattened(lambda net, x: net.node("Reshape", x, net.ints(1, -1))),
    "all sizes": lambda: _flattened(lambda net, x: net.node("Reshape", x, net.ints(1, FEATURES))),
    "batch left open": lambda: _flattened(lambda net, x: net.node("Reshape", x, net.ints(-1, FEATURES))),
    "computed": lambda: _flattened(_by_shape),
    "two steps": lambda: _flattened(_in_two_steps),
    "moved to the end": lambda: _flattened(
        lambda net, x: net.node(
            "Reshape", net.node("Transpose", x, perm=[1, 2, 3, 0]), net.ints(1, FEATURES)
        )
    ),
}  # fmt: skip  # a table, in rows of its own


def _export(model: onnx.ModelProto, folder: Path) -> Exported:
    onnx.save(model, folder / "source.onnx")
    return export_file(folder / "source.onnx", folder / "cam.onnx", ExportOptions())


@pytest.mark.parametrize("name", [name for name in FREEABLE if name != "moved to the end"])
def test_a_fixed_batch_becomes_symbolic(name: str, tmp_path: Path) -> None:
    manifest = _export(FREEABLE[name](), tmp_path).manifest
    assert manifest.input.tensor.shape[0] == "N"
    assert not manifest.notes
    source, graph = Engine(tmp_path / "source.onnx"), Engine(tmp_path / "cam.onnx")
    assert graph.inputs["target"].shape == ("N", "T")
    images = np.random.default_rng(1).standard_normal((3, *ONE[1:])).astype(np.float32)
    found = graph.run({"image": images, "target": np.full((3, 2), -1)})
    singles = [source.run({"image": images[i : i + 1]}) for i in range(3)]
    for output in manifest.source_outputs:
        expected = np.concatenate([single[output.name] for single in singles])
        np.testing.assert_allclose(found[output.name], expected, rtol=1e-5, atol=1e-6)


def _mixing(net: Net, x: str) -> str:
    """A shift by half of the batch's mean: every shape fits, every result depends on the neighbours."""
    mean = net.node("ReduceMean", x, axes=[0], keepdims=1)
    return net.node("Flatten", net.node("Sub", x, net.node("Mul", mean, net.weight(np.float32(0.5)))), axis=1)


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(lambda: _flattened(_mixing), id="results depend on the batch"),
        pytest.param(FREEABLE["moved to the end"], id="batch is not the first axis"),
        pytest.param(lambda: classifier(shape=(4, 3, 16, 16)), id="batch of four"),
    ],
)
def test_a_batch_that_cannot_be_freed_stays_and_is_noted(model: Callable[[], onnx.ModelProto], tmp_path: Path) -> None:
    source = model()
    batch = source.graph.input[0].type.tensor_type.shape.dim[0].dim_value
    manifest = _export(source, tmp_path).manifest
    assert manifest.input.tensor.shape[0] == str(batch)
    assert list(manifest.notes) == [f"The model takes batches of exactly {batch}, and so does the explainable graph."]
    images = np.random.default_rng(1).standard_normal((batch, *ONE[1:])).astype(np.float32)
    found = Engine(tmp_path / "cam.onnx").run({"image": images, "target": np.full((batch, 2), -1)})
    assert found["weights"].shape == (batch, 2, 16)
