"""Inputs beside the image: refused with advice, or fixed at numbers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from camgraph_runtime.engine import Engine
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
        (("--set", "scale=1,2"), r"shape \['N', 5\], which 2 numbers do not fill. Give one number, or 5\."),
        (("--set", "scale"), r"--set is NAME=NUMBER\[,NUMBER\]"),
        (("--set", "scale=one"), "--set is a list of numbers"),
    ],
)
def test_what_is_wrong_with_a_setting_is_said(settings: tuple[str, ...], message: str, tmp_path: Path) -> None:
    onnx.save(_two_inputs(("N", CLASSES)), tmp_path / "source.onnx")
    outcome = camgraph("export", tmp_path / "source.onnx", "-o", tmp_path / "cam.onnx", *settings)
    assert outcome.exit_code != 0
    assert re.search(message, complaint(outcome, exit_code=outcome.exit_code))
    assert not (tmp_path / "cam.onnx").exists()
