"""Models that give numbers: what tells a quantity from the logit of two classes, and what the targets mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter import export
from camgraph_exporter.errors import ScoreError
from camgraph_runtime.run.engine import Engine
from support.exporting import images, in_memory
from support.nets import Net, trunk


def _net(name: str, *, shape: tuple[int | str, ...] = ("N", 1)) -> onnx.ModelProto:
    net = Net(seed=5)
    number = net.pooled_head(trunk(net, net.image()), 16, 1, name=name if len(shape) == 2 else "number")
    return net.model(
        net.node("Squeeze", number, net.ints(1), name=name) if len(shape) == 1 else number, shapes={name: shape}
    )


@pytest.mark.parametrize(
    ("name", "labels", "stated", "task"),
    [
        ("output", (), {}, pb.TASK_REGRESSION),
        ("predicted_age", (), {}, pb.TASK_REGRESSION),
        ("regressionValue", ("young", "old"), {"task": "regression"}, pb.TASK_REGRESSION),
        ("logit", (), {}, pb.TASK_CLASSIFICATION),
        ("isCatLogits", (), {}, pb.TASK_CLASSIFICATION),
        ("class_score", (), {}, pb.TASK_CLASSIFICATION),
        ("output", ("cat", "dog"), {}, pb.TASK_CLASSIFICATION),
        ("output", (), {"task": "classification"}, pb.TASK_CLASSIFICATION),
        ("output", (), {"head": "sigmoid"}, pb.TASK_CLASSIFICATION),
        ("logit", (), {"task": "regression"}, pb.TASK_REGRESSION),
        ("image_class_age", (), {}, pb.TASK_REGRESSION),  # the name says both: the claim that is less
    ],
)
def test_one_number_is_a_quantity_unless_something_speaks_of_classes(
    tmp_path: Path, name: str, labels: tuple[str, ...], stated: dict[str, str], task: pb.Task
) -> None:
    made = in_memory(_net(name), tmp_path, **stated, labels=labels)
    manifest = made.manifest
    assert manifest.task == task
    assert (manifest.head.single_logit, manifest.head.num_classes) == (True, 2)
    expected = labels or (("less", "more") if task == pb.TASK_REGRESSION else ())
    assert tuple(manifest.class_labels) == tuple(expected)
    told = [note for note in manifest.notes if "one number without a sigmoid" in note]
    assert len(told) == (0 if stated else 1)
    if told:
        other = "classification" if task == pb.TASK_REGRESSION else "regression"
        assert f"--task {other}" in told[0]


@pytest.mark.parametrize("shape", [("N", 1), ("N",)])
def test_more_and_less_are_the_number_and_its_negative(tmp_path: Path, shape: tuple[int | str, ...]) -> None:
    onnx.save(_net("years", shape=shape), tmp_path / "source.onnx")
    export(tmp_path / "source.onnx", tmp_path / "cam.onnx")
    engine, image = Engine(tmp_path / "cam.onnx"), images((2, 3, 16, 16))
    target = np.array([[1, 0, -1, -2]] * 2)
    found = engine.run({"image": image, "target": target})
    assert found["target_index"].tolist() == [[1, 0, 1, 0]] * 2, "whatever the sign of the number"
    years = found["years"].reshape(2, 1)
    np.testing.assert_array_equal(found["target_score"], np.concatenate([years, -years, years, -years], axis=1))
    np.testing.assert_array_equal(found["weights"][:, 1], -found["weights"][:, 0])
    assert np.abs(found["weights"]).max() > 0


@pytest.mark.parametrize(("last", "task"), [("Softplus", "regression"), ("Sigmoid", "regression"), ("Softplus", None)])
def test_the_number_is_what_the_model_gives_even_where_it_could_be_a_head(
    tmp_path: Path, last: str, task: str | None
) -> None:
    net = Net(seed=5)
    number = net.pooled_head(trunk(net, net.image()), 16, 1, name="before")
    model = net.model(net.node(last, number, name="years"), shapes={"years": ("N", 1)})
    made = in_memory(model, tmp_path, task=task)
    assert made.manifest.task == pb.TASK_REGRESSION
    onnx.save(made.model, tmp_path / "cam.onnx")
    found = Engine(tmp_path / "cam.onnx").run({"image": images((2, 3, 16, 16)), "target": np.array([[1, 0]] * 2)})
    years = found["years"]
    np.testing.assert_allclose(found["target_score"], np.concatenate([years, -years], axis=1), rtol=1e-6)


def test_a_map_is_not_a_number(tmp_path: Path) -> None:
    net = Net(seed=6)
    maps = net.conv(trunk(net, net.image()), (16, 3), kernel=1, name="map")
    model = net.model(maps, shapes={maps: ("N", 3, 8, 8)})
    with pytest.raises(ScoreError, match=r"'map' has the shape \[N, 3, 8, 8\], not one number for each image"):
        in_memory(model, tmp_path, task="regression")
