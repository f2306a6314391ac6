"""`--skippable`: a boolean input turns the gradients off."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

from camgraph_exporter.cam.build import BuildOptions
from camgraph_exporter.export import Exported, ExportOptions, export_file
from camgraph_runtime.engine import Engine
from support.exporting import images
from support.nets import Net, deep_classifier


def _export(folder: Path, name: str, **build: bool) -> Exported:
    onnx.save(deep_classifier(), folder / "source.onnx")
    options = ExportOptions(layers=["block", "auto"], build=BuildOptions(gradients=True, **build))
    return export_file(folder / "source.onnx", folder / name, options)


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


def test_cheap_values_are_computed_again_instead_of_kept(tmp_path: Path) -> None:
    """SiLU: the branch reads what the convolution gave, not the sigmoid and the product that follow from it."""
    net = Net(seed=5)
    x = net.node("Relu", net.conv(net.image(), (3, 8)), name="layer")
    before = net.conv(x, (8, 8), name="before")
    after = net.node("Mul", before, net.node("Sigmoid", before, name="gate"), name="after")
    scale = net.node("Sigmoid", net.node("GlobalAveragePool", after), name="scale")
    onnx.save(net.model(net.pooled_head(net.node("Mul", after, scale), 8)), tmp_path / "source.onnx")
    for name, skippable in (("switch.onnx", True), ("flat.onnx", False)):
        options = ExportOptions(layers=["layer"], build=BuildOptions(skippable=skippable))
        export_file(tmp_path / "source.onnx", tmp_path / name, options)
    graph = onnx.load(tmp_path / "switch.onnx").graph
    branch = next(a.g for node in graph.node if node.op_type == "If" for a in node.attribute if a.name == "then_branch")
    read = {name for node in branch.node for name in node.input}
    assert "before" in read
    assert read.isdisjoint({"gate", "after"})
    on, flat = _run(tmp_path / "switch.onnx", explain=np.array(True)), _run(tmp_path / "flat.onnx")
    np.testing.assert_allclose(on["weights"], flat["weights"], rtol=1e-4, atol=1e-7)
