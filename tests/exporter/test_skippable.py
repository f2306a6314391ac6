"""`--skippable`: a boolean input turns the gradients off."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

from camgraph_exporter import Exported, export
from camgraph_runtime.run.engine import Engine
from support.exporting import images
from support.nets import deep_classifier


def _export(folder: Path, name: str, **build: bool) -> Exported:
    onnx.save(deep_classifier(), folder / "source.onnx")
    return export(folder / "source.onnx", folder / name, layers=["block", "auto"], gradients=True, **build)


def _run(path: Path, **more: np.ndarray) -> dict[str, np.ndarray]:
    target = np.array([[0, -1], [3, -2]], dtype=np.int64)
    return Engine(path).run({"image": images((2, 3, 16, 16)), "target": target, **more})


def test_switched_on_it_is_the_flat_graph(tmp_path: Path) -> None:
    made = _export(tmp_path, "switch.onnx", skippable=True)
    _export(tmp_path, "flat.onnx")
    assert made.manifest.explain_switch == "explain"
    on, flat = _run(tmp_path / "switch.onnx", explain=np.array(True)), _run(tmp_path / "flat.onnx")
    assert on.keys() == flat.keys()
    for name, array in flat.items():
        np.testing.assert_allclose(on[name], array, rtol=1e-4, atol=1e-6, err_msg=name)


def test_switched_off_it_predicts_and_has_no_targets(tmp_path: Path) -> None:
    _export(tmp_path, "switch.onnx", skippable=True)
    source = Engine(tmp_path / "source.onnx").run({"image": images((2, 3, 16, 16))})
    off = _run(tmp_path / "switch.onnx", explain=np.array(False))
    np.testing.assert_array_equal(off["logits"], source["logits"])
    for name in ("weights", "weights_1", "gradients", "gradients_1"):
        assert off[name].shape[:2] == (2, 0)


def test_the_weights_of_the_model_are_there_once(tmp_path: Path) -> None:
    model = _export(tmp_path, "switch.onnx", skippable=True).model
    branch = next(a.g for node in model.graph.node if node.op_type == "If" for a in node.attribute)
    assert not branch.initializer
    sizes = [int(np.prod(tensor.dims)) for tensor in model.graph.initializer]
    source = onnx.load(tmp_path / "source.onnx")
    # Small constants are folded at export, larger ones by the runtime.
    assert sum(sizes) < 1.25 * sum(int(np.prod(tensor.dims)) for tensor in source.graph.initializer)


def test_the_branch_reads_layers_only(tmp_path: Path) -> None:
    """Values after the layer are computed again inside: reading them would cost a copy in every run."""
    made = _export(tmp_path, "switch.onnx", skippable=True)
    branch = next(
        a.g for node in made.model.graph.node if node.op_type == "If" for a in node.attribute if a.name == "then_branch"
    )
    read = {name for node in branch.node for name in node.input}
    forward = {name for node in onnx.load(tmp_path / "source.onnx").graph.node for name in node.output}
    assert "block" in read
    assert read & forward <= {layer.name for layer in made.manifest.layers}
