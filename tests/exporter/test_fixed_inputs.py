"""Inputs beside the image: refused with advice, or fixed at numbers."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from camgraph_core.errors import UsageError
from camgraph_exporter import export
from camgraph_runtime.run.engine import Engine
from support.exporting import camgraph, complaint, images
from support.nets import CLASSES, IMAGE, Net, trunk


def _two_inputs(shape: tuple[int | str, ...]) -> onnx.ModelProto:
    """A classifier whose logits are multiplied by a second input."""
    net = Net()
    logits = net.pooled_head(trunk(net, net.image()), 16, name="plain")
    net.inputs.append(helper.make_tensor_value_info("scale", TensorProto.FLOAT, shape))
    return net.model(net.node("Mul", logits, "scale", name="logits"))


def _run(path: Path, **more: np.ndarray) -> dict[str, np.ndarray]:
    image = images((2, *IMAGE[1:]))
    return Engine(path).run({"image": image, **more})


@pytest.mark.parametrize(
    ("shape", "numbers"),
    [
        ((), [2.0]),
        ((1,), [2.0]),
        (("N", CLASSES), [2.0]),
        (("N", CLASSES), [1.0, 2.0, 3.0, 4.0, -5.0]),
        ((1, CLASSES), [1.0, 2.0, 3.0, 4.0, -5.0]),
    ],
)
def test_a_further_input_is_fixed(shape: tuple[int | str, ...], numbers: list[float], tmp_path: Path) -> None:
    onnx.save(_two_inputs(shape), tmp_path / "source.onnx")
    setting = "scale=" + ",".join(map(str, numbers))
    said = camgraph("export", tmp_path / "source.onnx", "-o", tmp_path / "cam.onnx", "--set", setting)
    assert said.exit_code == 0, said.output
    assert "The model's input is fixed: 'scale' at " in said.stderr
    assert list(Engine(tmp_path / "cam.onnx").inputs) == ["image", "target"]
    found = _run(tmp_path / "cam.onnx", target=np.full((2, 1), 4))
    full = [size if isinstance(size, int) else 2 for size in shape]
    expected = _run(tmp_path / "source.onnx", scale=np.resize(np.float32(numbers), full))
    np.testing.assert_allclose(found["logits"], expected["logits"], rtol=1e-5)
    doubled = camgraph("inspect", tmp_path / "source.onnx", "--set", setting, "--json")
    assert json.loads(doubled.stdout)["auto_layer"] == "last"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ((), r"inputs are: image .*, scale \[.*\]\. Give the others numbers with --set NAME=NUMBERS\."),
        (("--set", "scal=1"), "There is no input 'scal' to fix. Did you mean scale?"),
        (("--set", "scale=1,2"), r"shape \[N, 5\], which 2 numbers do not fill. Give one number, or 5\."),
        (("--set", "scale"), r"--set is NAME=NUMBER\[,NUMBER\]"),
        (("--set", "scale=one"), "--set is a list of numbers"),
        (("--set", "scale=nan"), "--set has a number that is not finite"),
        (("--set", "scale=1e400"), "--set has a number that is not finite"),
        (("--set", "scale=1,2;3"), "--set has rows of different lengths"),
        (("--set", "scale=1,2,3,4,5;1,2,3,4,5"), r"an array of shape \[2, 5\] does not fill. Give one row, which"),
        (("--set", "scale=nowhere.npy"), "There is no file 'nowhere.npy'"),
    ],
)
def test_what_is_wrong_with_a_setting_is_said(settings: tuple[str, ...], message: str, tmp_path: Path) -> None:
    onnx.save(_two_inputs(("N", CLASSES)), tmp_path / "source.onnx")
    outcome = camgraph("export", tmp_path / "source.onnx", "-o", tmp_path / "cam.onnx", *settings)
    assert outcome.exit_code != 0
    assert re.search(message, complaint(outcome, exit_code=outcome.exit_code))
    assert not (tmp_path / "cam.onnx").exists()


# --- values that follow the batch, and arrays ---------------------------------------------------------------------

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
OPEN = ("batch", 3, 16, 16)


def _beside(
    shape: tuple[int | str | None, ...],
    join: Callable[[Net, str, str], str],
    *,
    image: tuple[int | str, ...] = OPEN,
    dtype: int = FLOAT,
) -> onnx.ModelProto:
    """A classifier with a second input; `join` makes scores of the pooled map [N, 16] and of that input."""
    net = Net()
    last = trunk(net, net.image(image))
    net.inputs.append(helper.make_tensor_value_info("other", dtype, shape))
    pooled = net.node("Flatten", net.node("GlobalAveragePool", last), axis=1)
    return net.model(join(net, pooled, "other"), shapes={"scores": (image[0], None)})


def _beside_features(net: Net, pooled: str, other: str) -> str:
    """A row of three numbers per image, as age and sex beside an X-ray."""
    return net.linear(net.node("Concat", pooled, other, axis=1), 19, CLASSES, name="scores")


def _old_row() -> onnx.ModelProto:
    """A file from before there was an operator Expand."""
    model = _beside(("batch", 3), _beside_features)
    model.opset_import[0].version, model.ir_version = 7, 3
    return model


def _second_image(net: Net, pooled: str, other: str) -> str:
    """Two views of one thing, by networks of their own."""
    view = net.node("Relu", net.conv(other, (3, 4)))
    seen = net.node("Flatten", net.node("GlobalAveragePool", view), axis=1)
    return net.linear(net.node("Concat", pooled, seen, axis=1), 20, CLASSES, name="scores")


def _prompts(net: Net, pooled: str, other: str) -> str:
    """A class per prompt: the mean of its words' vectors."""
    words = net.node("ReduceMean", net.node("Gather", net.random(50, 16), other), axes=[1], keepdims=0)
    return net.node("MatMul", pooled, net.node("Transpose", words, perm=[1, 0]), name="scores")


def _table(net: Net, pooled: str, other: str) -> str:
    """A table of class vectors that the user brings along."""
    return net.node("MatMul", pooled, other, name="scores")


ROW = np.array([[1.0, 0.0, 3.0]], np.float32)
VIEW = images((1, 3, 16, 16), seed=5)
TABLE = images((16, 7), seed=6)
WORDS = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
# How to build the model; the value given; the second input of the source for two images.
SECOND: dict[str, tuple[Callable[[], onnx.ModelProto], str | np.ndarray | list[float], np.ndarray]] = {
    "row, same name": (lambda: _beside(("batch", 3), _beside_features), "1,0,3", ROW.repeat(2, 0)),
    "row, other name": (lambda: _beside(("rows", 3), _beside_features), "1,0,3", ROW.repeat(2, 0)),
    "row, no name": (lambda: _beside((None, 3), _beside_features), [1, 0, 3], ROW.repeat(2, 0)),
    "row, batch of one": (
        lambda: _beside((1, 3), _beside_features, image=(1, 3, 16, 16)), "1,0,3", ROW),
    "row, batch of two": (
        lambda: _beside((2, 3), _beside_features, image=(2, 3, 16, 16)), "1,0,3", ROW.repeat(2, 0)),
    "row, opset 7": (_old_row, "1,0,3", ROW.repeat(2, 0)),
    "row, as an array": (lambda: _beside(("batch", 3), _beside_features), ROW, ROW.repeat(2, 0)),
    "one number": (lambda: _beside(("batch", 3), _beside_features), "2", np.full((2, 3), 2, np.float32)),
    "second image": (lambda: _beside(OPEN, _second_image), VIEW, VIEW.repeat(2, 0)),
    "second image without batch": (lambda: _beside(OPEN, _second_image), VIEW[0], VIEW.repeat(2, 0)),
    "prompts": (lambda: _beside(("prompts", "length"), _prompts, dtype=INT64), WORDS, WORDS),
    "prompts as text": (
        lambda: _beside(("prompts", "length"), _prompts, dtype=INT64), "1,2,3;4,5,6;7,8,9", WORDS),
    "two prompts": (lambda: _beside((None, None), _prompts, dtype=INT64), WORDS[:2], WORDS[:2]),
    "table": (lambda: _beside((16, "classes"), _table), TABLE, TABLE),
    "table of doubles": (lambda: _beside((16, 7), _table), TABLE.astype(np.float64), TABLE),
}  # fmt: skip  # a table, in rows of its own


@pytest.mark.parametrize("form", ["option", "program"])
@pytest.mark.parametrize("name", SECOND)
def test_a_second_input_is_what_the_source_would_get(name: str, form: str, tmp_path: Path) -> None:
    build, given, full = SECOND[name]
    onnx.save(build(), tmp_path / "source.onnx")
    if form == "program" and not isinstance(given, str):
        export(tmp_path / "source.onnx", tmp_path / "cam.onnx", fixed={"other": given})
    else:
        setting = given if isinstance(given, str) else _written(given, tmp_path)
        said = camgraph("export", tmp_path / "source.onnx", "-o", tmp_path / "cam.onnx", "--set", f"other={setting}")
        assert said.exit_code == 0, said.output
    graph, source = Engine(tmp_path / "cam.onnx"), Engine(tmp_path / "source.onnx")
    assert list(graph.inputs) == ["image", "target"]
    assert graph.inputs["image"].shape[0] == "N"
    count = source.inputs["image"].shape[0] if isinstance(source.inputs["image"].shape[0], int) else 2
    image = images((count, *IMAGE[1:]))
    expected = source.run({"image": image, "other": full})["scores"]
    found = graph.run({"image": image, "target": np.zeros((count, 1), np.int64)})["scores"]
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def _written(array: np.ndarray | list[float], folder: Path) -> Path:
    np.save(folder / "other.npy", np.asarray(array))
    return folder / "other.npy"


def test_what_follows_the_batch_is_noted(tmp_path: Path) -> None:
    onnx.save(_beside(("batch", 3), _beside_features), tmp_path / "source.onnx")
    notes = list(export(tmp_path / "source.onnx", tmp_path / "cam.onnx", fixed={"other": [1, 0, 3]}).manifest.notes)
    assert "The model's input is fixed: 'other' at 1, 0, 3." in notes
    assert "The values are the same for every image of a batch: 'other'." in notes


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([{}]), "holds no array of numbers"),
        (np.array(["a"]), "holds no array of numbers"),
        (np.zeros((2, 4)), r"has the shape \[batch, 3\], which an array of shape \[2, 4\] does not fill"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(array: np.ndarray, message: str, tmp_path: Path) -> None:
    onnx.save(_beside(("batch", 3), _beside_features), tmp_path / "source.onnx")
    np.save(tmp_path / "other.npy", array, allow_pickle=True)
    setting = f"other={tmp_path / 'other.npy'}"
    outcome = camgraph("export", tmp_path / "source.onnx", "-o", tmp_path / "cam.onnx", "--set", setting)
    assert re.search(message, complaint(outcome, exit_code=2))


def _header_alone() -> bytes:
    """The start of a file that says it has 4 TB of numbers."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (10**6, 10**6)})
    return file.getvalue()


@pytest.mark.parametrize("content", [b"numbers", b"", b"PK\3\4", _header_alone()])
def test_a_file_that_is_no_array_is_refused(content: bytes, tmp_path: Path) -> None:
    onnx.save(_beside(("batch", 3), _beside_features), tmp_path / "source.onnx")
    (tmp_path / "other.npy").write_bytes(content)
    setting = f"other={tmp_path / 'other.npy'}"
    outcome = camgraph("export", tmp_path / "source.onnx", "-o", tmp_path / "cam.onnx", "--set", setting)
    assert "holds no array of numbers, or it is damaged" in complaint(outcome, exit_code=2)


def test_integers_are_not_cut_off(tmp_path: Path) -> None:
    onnx.save(_beside(("prompts", "length"), _prompts, dtype=INT64), tmp_path / "source.onnx")
    with pytest.raises(UsageError, match="holds int64, which cannot be all of the values"):
        export(tmp_path / "source.onnx", tmp_path / "cam.onnx", fixed={"other": [1.5, 2.0]})
