"""Models with a fixed batch: freed where the model allows it, else kept with a note and filled up by the runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from camgraph_core.request import Request
from camgraph_exporter import Exported, export
from camgraph_exporter.errors import CertificateError
from camgraph_runtime import Explainer, Target
from camgraph_runtime.run.engine import Engine
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
    return export(folder / "source.onnx", folder / "cam.onnx")


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
    ("model", "batch", "note"),
    [
        pytest.param(lambda: _flattened(_mixing), 1, "", id="results depend on the batch"),
        pytest.param(FREEABLE["moved to the end"], 1, "", id="batch is not the first axis"),
        pytest.param(
            lambda: _of_four(_moved),
            4,
            " A smaller batch is filled up with copies of its last image, which takes the time of a whole one.",
            id="batch of four is not the first axis",
        ),
    ],
)
def test_a_batch_that_cannot_be_freed_stays_and_is_noted(
    model: Callable[[], onnx.ModelProto], batch: int, note: str, tmp_path: Path
) -> None:
    manifest = _export(model(), tmp_path).manifest
    assert manifest.input.tensor.shape[0] == str(batch)
    assert manifest.batch_size == batch
    said = f"The model takes batches of exactly {batch}, and so does the explainable graph."
    assert list(manifest.notes) == [said + note]
    images = np.random.default_rng(1).standard_normal((batch, *ONE[1:])).astype(np.float32)
    found = Engine(tmp_path / "cam.onnx").run({"image": images, "target": np.full((batch, 2), -1)})
    assert found["weights"].shape == (batch, 2, 16)


# --- a batch of several -------------------------------------------------------------------------------------------


def _of_four(head: Callable[[Net, str], tuple[str, int]]) -> onnx.ModelProto:
    """A network whose batch is four; `head` makes rows [4, features] of the last map [4, 16, 8, 8]."""
    net = Net()
    rows, features = head(net, trunk(net, net.image((4, *ONE[1:]))))
    return net.model(net.linear(rows, features, CLASSES, name="logits"), shapes={"logits": (4, CLASSES)})


def _moved(net: Net, x: str) -> tuple[str, int]:
    """Rows by way of a batch that comes last: not found, as no size stands in front."""
    last = net.node("Reshape", net.node("Transpose", x, perm=[1, 2, 3, 0]), net.ints(FEATURES, 4))
    return net.node("Transpose", last, perm=[1, 0]), FEATURES


def _all_sizes(net: Net, x: str) -> tuple[str, int]:
    return net.node("Reshape", x, net.ints(4, FEATURES)), FEATURES


def _windows(net: Net, x: str) -> tuple[str, int]:
    """Four windows per image, counted in with the batch, with all sizes and with one left over."""
    parts = net.node("Reshape", x, net.ints(4, 16, 2, 4, 2, 4))
    windows = net.node("Reshape", net.node("Transpose", parts, perm=[0, 2, 4, 1, 3, 5]), net.ints(16, 16, 16))
    mixed = net.node("MatMul", windows, net.random(16, 16))
    again = net.node("Reshape", net.node("Relu", mixed), net.ints(16, -1))
    return net.node("Reshape", again, net.ints(4, FEATURES)), FEATURES


def _token(net: Net, x: str) -> tuple[str, int]:
    """A class token and an embedding of places, each written once per image; and a token that Expand repeats."""
    tokens = net.node("Transpose", net.node("Reshape", x, net.ints(4, 16, 64)), perm=[0, 2, 1])
    token = net.weight(np.repeat(net.rng.standard_normal((1, 1, 16)), 4, axis=0).astype(np.float32))
    places = net.weight(np.repeat(net.rng.standard_normal((1, 66, 16)), 4, axis=0).astype(np.float32))
    other = net.node("Expand", net.random(1, 1, 16), net.ints(4, 1, 16))
    joined = net.node("Relu", net.node("Add", net.node("Concat", token, other, tokens, axis=1), places))
    return net.node("ReduceMean", joined, axes=[1], keepdims=0), 16


def _state(net: Net, x: str) -> tuple[str, int]:
    """A sum that begins at zeros of the batch's size."""
    zeros = net.node("ConstantOfShape", net.ints(4, FEATURES))
    return net.node("Max", net.node("Flatten", x, axis=1), zeros), FEATURES


def _bound(net: Net, x: str) -> tuple[str, int]:
    """A lower bound for each feature, written once per image."""
    bounds = net.weight(np.repeat(net.rng.standard_normal((1, FEATURES)), 4, axis=0).astype(np.float32))
    return net.node("Max", net.node("Flatten", x, axis=1), bounds), FEATURES


def _neighbours(net: Net, x: str) -> tuple[str, int]:
    """Each image less the next of the batch."""
    shifted = net.node(
        "Concat",
        net.node("Slice", x, net.ints(1), net.ints(4), net.ints(0)),
        net.node("Slice", x, net.ints(0), net.ints(1), net.ints(0)),
        axis=0,
    )
    return net.node("Flatten", net.node("Sub", x, shifted), axis=1), FEATURES


SEVERAL = {"all sizes": _all_sizes, "windows": _windows, "tokens": _token, "state": _state, "bound": _bound}


@pytest.mark.parametrize("name", SEVERAL)
def test_a_batch_of_several_becomes_symbolic(name: str, tmp_path: Path) -> None:
    manifest = _export(_of_four(SEVERAL[name]), tmp_path).manifest
    assert manifest.input.tensor.shape[0] == "N"
    assert manifest.batch_size == 0
    assert not manifest.notes
    images = np.random.default_rng(1).standard_normal((4, *ONE[1:])).astype(np.float32)
    expected = Engine(tmp_path / "source.onnx").run({"image": images})["logits"]
    graph = Engine(tmp_path / "cam.onnx")
    for part in (slice(0, 1), slice(1, 4)):
        target = np.full((len(images[part]), 1), -1)
        found = graph.run({"image": images[part], "target": target})["logits"]
        np.testing.assert_allclose(found, expected[part], rtol=1e-4, atol=1e-5)


def test_a_photo_is_explained_by_a_graph_of_fixed_batch(tmp_path: Path) -> None:
    """One image, and six of them, equal what the source and the gradients of a free batch say."""
    _export(_of_four(_moved), tmp_path)
    (tmp_path / "free").mkdir()
    _export(_of_four(_all_sizes_of_moved), tmp_path / "free")
    explainer, free = Explainer(tmp_path / "cam.onnx"), Explainer(tmp_path / "free" / "cam.onnx")
    assert (explainer.batch_size, free.batch_size) == (4, None)
    images = np.random.default_rng(2).standard_normal((6, 1, *ONE[1:])).astype(np.float32)
    plans = [explainer.plan(Request(targets=[Target.index(i % CLASSES), Target.of_rank(1)])) for i in range(6)]
    subjects = [explainer.accept(image) for image in images]
    inferences = explainer.infer(subjects, plans)
    together = [explainer.finish(*one) for one in zip(plans, subjects, inferences, strict=True)]
    for i, result in enumerate(together):
        targets = [Target.index(i % CLASSES), Target.of_rank(1)]
        alone, expected = (each.explain(tensor=images[i], targets=targets) for each in (explainer, free))
        for one, two, three in zip(result.explanations, alone.explanations, expected.explanations, strict=True):
            np.testing.assert_allclose(one.raw_map, three.raw_map, rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(two.raw_map, three.raw_map, rtol=1e-4, atol=1e-5)
            assert one.target.class_index == two.target.class_index == three.target.class_index


def _all_sizes_of_moved(net: Net, x: str) -> tuple[str, int]:
    """The rows of `_moved` in an order that needs no batch at the end."""
    return net.node("Reshape", x, net.ints(4, FEATURES)), FEATURES


def test_images_that_depend_on_each_other_are_refused(tmp_path: Path) -> None:
    """Filled up with copies, an image would give another answer than among others."""
    with pytest.raises(CertificateError, match=r"batch-and-targets is off by"):
        _export(_of_four(_neighbours), tmp_path)
