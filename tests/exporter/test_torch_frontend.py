"""PyTorch modules: exported, their layers found by module name, and everything that can go wrong said in a sentence."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed (extra `torch`).")
pytest.importorskip("onnxscript", reason="onnxscript is not installed (extra `torch`), so PyTorch cannot export.")

import onnx
import torch
from click.testing import CliRunner
from torch import nn

from camgraph_cli.main import cli
from camgraph_exporter import export
from camgraph_exporter.errors import ExportError, LayerError, ModuleError
from camgraph_exporter.frontends.factory import is_factory
from camgraph_exporter.frontends.pytorch.module import load_module
from camgraph_runtime.manifest import manifest_from_metadata
from camgraph_runtime.run.engine import Engine
from exporter import torch_models
from support.exporting import camgraph, complaint

_SIZE = (3, 32, 32)
_SPEC = "exporter.torch_models:{}"


def gradients_at(module: nn.Module, name: str, x: torch.Tensor, classes: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return what hooks on the named module see: its output, and d score / d output for each class, [N, T, ...]."""
    kept: list[torch.Tensor] = []

    def hook(_part: nn.Module, _inputs: object, output: torch.Tensor) -> torch.Tensor:
        # Later operations work in place on a copy, not on what the hook has seen.
        kept.append(output)
        return output.clone()

    handle = module.get_submodule(name).register_forward_hook(hook)
    scores = module.eval()(x)
    handle.remove()
    rows = [torch.autograd.grad(scores[:, c].sum(), kept[0], retain_graph=True)[0] for c in classes]
    return kept[0].detach().numpy(), torch.stack(rows, 1).numpy()


@pytest.mark.parametrize("name", ["layer2", "layer2.1.relu", "layer1.0.conv", "layer1.0.drop", "layer1.1.norm", "stem"])
def test_a_module_name_means_what_the_modules_hook_sees(name: str) -> None:
    """`layer1.0.conv` is merged with its normalisation by the exporter's optimiser: the plain graph still has it."""
    module = torch_models.network()
    exported = export(module, example_input=torch.zeros(1, *_SIZE), layers=name, gradients=True)
    (layer,) = exported.manifest.layers
    assert layer.alias == name
    x = torch.randn(2, *_SIZE, generator=torch.Generator().manual_seed(3))
    feeds = {exported.manifest.input.tensor.name: x.numpy(), "target": np.asarray([[0, 4], [1, 2]])}
    found = Engine(exported.model.SerializeToString()).run(feeds)
    for image, classes in enumerate(([0, 4], [1, 2])):
        activations, gradients = gradients_at(module, name, x[image : image + 1], classes)
        np.testing.assert_allclose(found[layer.activations_tensor][image], activations[0], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found[layer.gradients_tensor][image], gradients[0], rtol=1e-3, atol=1e-6)


def test_modules_and_tensors_can_be_named_together() -> None:
    loaded = load_module(torch_models.network(), torch.zeros(1, *_SIZE), layers=["layer1", "auto"])
    tensor = loaded.aliases["layer1"]
    layers = ("layer2.1", tensor, "auto")
    exported = export(torch_models.network(), example_input=torch.zeros(1, *_SIZE), layers=layers)
    assert [(layer.alias, layer.name == tensor) for layer in exported.manifest.layers] == [
        ("layer2.1", False),
        ("", True),
        ("", False),
    ]


def test_the_module_is_left_as_it_was() -> None:
    module = torch_models.network().train()
    module.layer1.eval()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    loaded = load_module(module, torch.zeros(2, *_SIZE), layers=["layer1"])
    assert module.training
    assert not module.layer1.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert not any(part._forward_hooks for part in module.modules())
    with torch.no_grad():
        module.head.weight.zero_()
    kept = [
        value.const_value.numpy() for value in loaded.model.graph.initializers.values() if "head" in str(value.name)
    ]
    assert kept
    assert all(np.abs(array).max() > 0 for array in kept)


def test_the_file_tells_nothing_of_the_machine(tmp_path: Path) -> None:
    export(torch_models.network(), tmp_path / "out.onnx", example_input=torch.zeros(1, *_SIZE))
    content = (tmp_path / "out.onnx").read_bytes()
    assert b"stack_trace" not in content
    assert str(Path(__file__).parent).encode() not in content


def test_the_source_is_identified_by_its_parameters() -> None:
    module = torch_models.network()
    first = load_module(module, torch.zeros(1, *_SIZE)).source
    again = load_module(torch_models.network(), torch.zeros(1, *_SIZE)).source
    with torch.no_grad():
        module.head.bias[0] += 1e-3
    changed = load_module(module, torch.zeros(1, *_SIZE)).source
    assert first.sha256 == again.sha256 != changed.sha256
    assert (first.file_name, first.producer) == ("Network", f"pytorch {torch.__version__}")


def test_the_examples_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "pytorch.md"
    monkeypatch.chdir(tmp_path)
    first, factory = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    exec(compile(first, str(page), "exec"), {})
    assert (tmp_path / "model.cam.onnx").exists()
    names: dict[str, Any] = {}
    exec(compile(factory, str(page), "exec"), names)
    weights = names["network"]().state_dict()
    torch.save(weights, "weights.pth")
    module, example = names["build"]()
    assert torch.equal(module[0].weight, weights["0.weight"])
    module(example)


def test_height_and_width_can_stay_open() -> None:
    exported = export(torch_models.network(), example_input=torch.zeros(1, *_SIZE), dynamic_size=True)
    engine, name = Engine(exported.model.SerializeToString()), exported.manifest.input.tensor.name
    for height, width in ((32, 32), (48, 40)):
        x = np.random.default_rng(0).standard_normal((2, 3, height, width)).astype(np.float32)
        found = engine.run({name: x, "target": np.asarray([[-1], [-1]])})
        assert found["activations"].shape[2:] == (height // 4, width // 4)


def test_attention_within_windows_is_traced() -> None:
    module = torch_models.window_attention().eval()
    attention = torch.nn.functional.scaled_dot_product_attention
    exported = export(module, example_input=torch.zeros(1, 3, 32, 32), layers=("stem",))
    assert torch.nn.functional.scaled_dot_product_attention is attention
    assert not any("recorded one run" in note for note in exported.manifest.notes)
    x = np.random.default_rng(0).standard_normal((2, 3, 32, 32)).astype(np.float32)
    feeds = {exported.manifest.input.tensor.name: x, "target": np.asarray([[-1], [-1]])}
    found = Engine(exported.model.SerializeToString()).run(feeds)[exported.manifest.head.output_name]
    np.testing.assert_allclose(found, module(torch.from_numpy(x)).detach().numpy(), atol=1e-5)


def test_control_flow_is_recorded_and_the_manifest_says_so() -> None:
    exported = export(torch_models.branches(), example_input=torch.zeros(1, *_SIZE))
    assert any("recorded one run" in note for note in exported.manifest.notes)
    assert exported.manifest.input.tensor.shape[0] == "N"


def test_a_batch_that_cannot_vary_stays_one() -> None:
    exported = export(torch_models.one_image(), example_input=torch.zeros(1, *_SIZE))
    assert any("one image at a time" in note for note in exported.manifest.notes)
    assert exported.manifest.input.tensor.shape[0] == "1"


@pytest.mark.parametrize(
    ("factory", "layer", "message"),
    [
        ("network", "layer2.2", "no module or tensor 'layer2.2'. Did you mean layer2.1"),
        ("network", "spare", "'spare' does not run"),
        ("network", "idle", "'idle' passes its input on unchanged"),
        ("network", "head", "not a feature map"),
        ("shared", "relu", "'relu' runs 2 times in a forward pass. Name the tensor that is meant: "),
        ("lists", "pyramid", "'pyramid' returns dict, not a tensor"),
    ],
)
def test_layers_that_are_none(factory: str, layer: str, message: str) -> None:
    module = getattr(torch_models, factory)()
    with pytest.raises(LayerError, match=message):
        export(module, example_input=torch.zeros(1, *_SIZE), layers=(layer,))


def test_an_example_that_does_not_fit() -> None:
    with pytest.raises(ModuleError, match=r"Network does not run on an input of shape \[1, 4, 8, 8\]: .*4 channels"):
        export(torch_models.network(), example_input=torch.zeros(1, 4, 8, 8))


def test_nothing_is_written_where_the_export_fails(tmp_path: Path) -> None:
    example = torch.zeros(1, *_SIZE)
    with pytest.raises(ExportError):
        export(torch_models.network(), tmp_path / "out.onnx", example_input=example, layers="layer2.2")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("spec", "exit_code", "message"),
    [
        ("exporter.torch_modells:network", 2, "no Python module 'exporter.torch_modells'"),
        (_SPEC.format("netwrk"), 2, "has no 'netwrk'. Did you mean network"),
        (_SPEC.format("not_callable"), 2, "is not a function but int"),
        ("no colon", 2, "does not name a factory"),
        (_SPEC.format("failing"), 1, "raised RuntimeError: the checkpoint is missing. It is called"),
        (_SPEC.format("number"), 1, "returned int, not a torch.nn.Module"),
    ],
)
def test_factories_that_are_none(spec: str, exit_code: int, message: str, tmp_path: Path) -> None:
    result = camgraph("export", "--torch", spec, "-o", tmp_path / "out.onnx")
    assert message in complaint(result, exit_code=exit_code)


def test_a_file_is_not_a_factory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd:name").touch()
    assert is_factory("package.module:factory")
    assert not is_factory("odd:name")
    assert not is_factory("folder/model.onnx")


@pytest.mark.parametrize("spelling", [["--torch", _SPEC.format("with_example")], [_SPEC.format("with_example")]])
def test_the_command_takes_a_factory(spelling: list[str], tmp_path: Path) -> None:
    target = tmp_path / "out.onnx"
    ended = CliRunner().invoke(cli, ["export", *spelling, "-o", str(target), "--layer", "layer2.1"])
    assert ended.exit_code == 0, ended.stderr
    assert "5 classes" in ended.stdout
    manifest = manifest_from_metadata({prop.key: prop.value for prop in onnx.load(target).metadata_props}, str(target))
    assert manifest.source.file_name == _SPEC.format("with_example")
    assert manifest.layers[0].alias == "layer2.1"
    assert list(manifest.input.tensor.shape) == ["N", "3", "24", "40"]


def test_the_layers_of_a_factory_are_listed(tmp_path: Path) -> None:
    ended = CliRunner().invoke(cli, ["inspect", "--torch", _SPEC.format("with_example"), "--json"])
    assert ended.exit_code == 0, ended.stderr
    assert json.loads(ended.stdout)["score"]["num_classes"] == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Give MODEL"),
        (["model.onnx", "--torch", "a:b"], "not both"),
        (["model.onnx", "--dynamic-size"], "--dynamic-size is for PyTorch modules"),
    ],
)
def test_wrong_usage(arguments: list[str], message: str, tmp_path: Path) -> None:
    ended = CliRunner().invoke(cli, ["export", *arguments, "-o", str(tmp_path / "out.onnx")])
    assert ended.exit_code == 2
    assert message in ended.stderr
