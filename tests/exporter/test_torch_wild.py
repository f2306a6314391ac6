"""PyTorch modules as people have them: looked through, bound to further inputs, left as they were, or refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed (extra `torch`).")
pytest.importorskip("onnxscript", reason="onnxscript is not installed (extra `torch`), so PyTorch cannot export.")

import torch
from torch import nn

from camgraph_exporter import Exported, export
from camgraph_exporter.errors import LayerError, ModuleError
from camgraph_exporter.frontends.pytorch.backward import backward_notes
from camgraph_runtime.run.engine import Engine
from exporter import torch_wild as wild

_IMAGE = torch.zeros(2, 3, 16, 16)
_BATCH = {0: torch.export.Dim("batch", min=1)}


def _export(module: Any, example: Any = _IMAGE, layer: Any = "auto") -> Exported:
    return export(module, example_input=example, layers=(layer,))


def _run(exported: Exported, x: torch.Tensor, classes: list[int]) -> dict[str, np.ndarray]:
    engine = Engine(exported.model.SerializeToString())
    return engine.run({exported.manifest.input.tensor.name: x.numpy(), "target": np.asarray([classes] * len(x))})


def _random(batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, 3, 16, 16, generator=torch.Generator().manual_seed(5))


def _seeded(make: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return make().eval()


WRAPPED: dict[str, tuple[Callable[[], Any], str]] = {
    "compiled": (lambda: torch.compile(_seeded(wild.Net), backend="eager"), "norm2"),
    "compiled, by the wrapper's name": (lambda: torch.compile(_seeded(wild.Net), backend="eager"), "_orig_mod.norm2"),
    "parallel": (lambda: nn.DataParallel(_seeded(wild.Net)), "module.norm2"),
    "parallel and compiled": (lambda: torch.compile(nn.DataParallel(_seeded(wild.Net)), backend="eager"), "norm2"),
    "averaged weights": (lambda: torch.optim.swa_utils.AveragedModel(_seeded(wild.Net)), "module.norm2"),
}


def _compiled_in_place() -> nn.Module:
    module = _seeded(wild.Net)
    module.compile(backend="eager")
    return module


WRAPPED["compiled in place"] = (_compiled_in_place, "norm2")


@pytest.mark.parametrize("case", WRAPPED)
def test_wrappers_are_looked_through(case: str) -> None:
    make, layer = WRAPPED[case]
    plain = _export(_seeded(wild.Net), layer="norm2")
    wrapped = _export(make(), layer=layer)
    assert wrapped.manifest.input.tensor.shape[0] == "N"
    assert list(wrapped.manifest.notes) == list(plain.manifest.notes)
    assert wrapped.manifest.layers[0].alias == layer
    x = _random()
    np.testing.assert_array_equal(_run(wrapped, x, [0, 3])["weights"], _run(plain, x, [0, 3])["weights"])


@pytest.mark.parametrize(
    ("wrap", "layer"),
    [
        (nn.DataParallel, "features.module.2"),
        (nn.DataParallel, "features.2"),
        (lambda body: torch.compile(body, backend="eager"), "features._orig_mod.2"),
    ],
)
def test_wrapped_parts_are_looked_through_and_wrapped_again(wrap: Any, layer: str) -> None:
    module = _seeded(lambda: wild.Nested(wrap))
    wrapper = module.features
    exported = _export(module, layer=layer)
    assert exported.manifest.layers[0].alias == layer
    assert exported.manifest.input.tensor.shape[0] == "N"
    assert module.features is wrapper


@pytest.mark.parametrize(
    ("make", "example"),
    [
        (wild.WithMeta, (_IMAGE, torch.arange(10.0).reshape(2, 5) % 5)),
        (wild.WithMeta, (_IMAGE, torch.arange(5.0))),
        (wild.WithMeta, {"x": _IMAGE, "meta": torch.arange(5.0), "scale": 2.0}),
        (wild.MetaFirst, (torch.ones(2, 4), _IMAGE)),
    ],
)
def test_further_inputs_are_fixed_at_the_examples_values(make: Callable[[], nn.Module], example: Any) -> None:
    module = _seeded(make)
    exported = _export(module, example, layer="norm2")
    assert exported.manifest.layers[0].alias == "norm2"
    (note,) = [note for note in exported.manifest.notes if "further inputs" in note]
    assert "meta" in note
    x = _random(3)
    given = list(example.items() if isinstance(example, dict) else enumerate(example))
    rows = {key: value[:1] if getattr(value, "ndim", 0) == 2 else value for key, value in given}
    rows |= {key: x for key, value in given if value is _IMAGE}
    positional = [rows[key] for key in sorted(key for key in rows if isinstance(key, int))]
    expected = module(*positional, **{key: value for key, value in rows.items() if isinstance(key, str)})
    found = _run(exported, x, [1])[exported.manifest.head.output_name]
    np.testing.assert_allclose(found, expected.detach().numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (wild.Detached, "(detach())"),
        (wild.DataAttribute, "(.data)"),
        (wild.WithoutGradients, "(torch.no_grad())"),
        (wild.Reversal, "a backward of its own (_Reversed)"),
        (wild.DetachedWeights, None),
        (wild.Net, None),
    ],
)
def test_gradients_of_the_modules_own_are_noted(make: Callable[[], nn.Module], expected: str | None) -> None:
    notes = backward_notes(_seeded(make), _random())
    if expected is None:
        assert notes == []
    else:
        (note,) = notes
        assert expected in note


def test_a_noted_graph_has_the_derivative_of_what_is_computed() -> None:
    module = _seeded(wild.Detached)
    wants = [parameter.requires_grad for parameter in module.parameters()]
    exported = _export(module, layer="conv2")
    assert any("detach()" in note for note in exported.manifest.notes)
    assert [parameter.requires_grad for parameter in module.parameters()] == wants
    x = _random(1)
    found = _run(exported, x, [1])
    step = 1e-3 * torch.randn(12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    module.double()
    maps = module.conv2(torch.relu(module.norm1(module.conv1(x.double())))).detach()

    def score(shift: torch.Tensor) -> torch.Tensor:
        changed = torch.relu(module.norm2(maps + shift[None, :, None, None]))
        return module.head(changed.mean((2, 3)) + changed.amax((2, 3)))[0, 1]

    slope = (score(step) - score(-step)).item() / 2
    np.testing.assert_allclose(found["weights"][0, 0] @ step.numpy() * maps[0, 0].numel(), slope, rtol=1e-2)


@pytest.mark.parametrize("map_first", [True, False])
def test_a_part_that_returns_a_vector_and_a_map_is_a_layer(map_first: bool) -> None:
    module = _seeded(lambda: wild.UsesVectorAndMap(map_first=map_first))
    exported = _export(module, layer="both")
    x = _random()
    maps = torch.relu(module.both.conv(x)).detach().numpy()
    np.testing.assert_allclose(_run(exported, x, [1])["activations"], maps, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("from_end", [True, False])
def test_tokens_after_the_map_belong_to_no_cell(from_end: bool) -> None:
    """The last map has no gradients, as after its last attention only the queries are read."""
    exported = _export(_seeded(lambda: wild.QueryTokens(from_end=from_end)))
    (layer,) = exported.manifest.layers
    assert (layer.height, layer.width, layer.prefix_tokens) == (4, 4, 1)
    assert exported.manifest.head.num_anchors == 4
    assert any("the gradients of its map are zero" in note for note in exported.manifest.notes)


def test_a_layer_can_be_given_as_a_module() -> None:
    module = _seeded(wild.Net)
    assert _export(module, layer=module.norm2).manifest.layers[0].alias == "norm2"
    with pytest.raises(LayerError, match="not a part of the Net"):
        _export(module, layer=nn.BatchNorm2d(12))


def test_one_layer_can_be_named_by_itself() -> None:
    exported = export(_seeded(wild.Net), example_input=_IMAGE, layers="norm2")
    assert [layer.alias for layer in exported.manifest.layers] == ["norm2"]


PROGRAMS: dict[str, tuple[Callable[[nn.Module], Any], str]] = {
    "scripted": (torch.jit.script, "N"),
    "recorded": (lambda module: torch.jit.trace(module, _IMAGE), "N"),
    "frozen": (lambda module: torch.jit.freeze(torch.jit.script(module)), "N"),
    "program of any batch": (lambda module: torch.export.export(module, (_IMAGE,), dynamic_shapes=(_BATCH,)), "N"),
    "module of a program": (
        lambda module: torch.export.export(module, (_IMAGE,), dynamic_shapes=(_BATCH,)).module(),
        "N",
    ),
    # Its batch is fixed by the program, and freed in the graph.
    "program of two images": (lambda module: torch.export.export(module, (_IMAGE,)), "N"),
}


# PyTorch 2.13 warns that TorchScript will go, which users of it know.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("case", PROGRAMS)
def test_programs_are_exported(case: str) -> None:
    make, batch = PROGRAMS[case]
    module = _seeded(wild.Net)
    program = make(module)
    exported = _export(program, None if isinstance(program, torch.export.ExportedProgram) else _IMAGE)
    assert exported.manifest.input.tensor.shape[0] == batch
    x = _random()
    found = _run(exported, x, [1])[exported.manifest.head.output_name]
    np.testing.assert_allclose(found, module(x).detach().numpy(), rtol=1e-4, atol=1e-5)
    assert not any("recorded one run" in note for note in exported.manifest.notes)
    with pytest.raises(LayerError, match=r"'norm2' is part of a program|no module or tensor 'norm2'"):
        _export(program, None if isinstance(program, torch.export.ExportedProgram) else _IMAGE, layer="norm2")


REFUSED: dict[str, tuple[Callable[[], Any], Any, str]] = {
    "state dict": (lambda: wild.Net().state_dict(), _IMAGE, "A state dict holds weights, but not the network"),
    "checkpoint": (
        lambda: {"epoch": 3, "model": wild.Net().state_dict()},
        _IMAGE,
        "A checkpoint is a dict, not a module; its weights may be in 'model'",
    ),
    "class": (lambda: wild.Net, _IMAGE, r"Net is a class, not a module. Give an instance, such as Net\(\)"),
    "number": (lambda: 3, _IMAGE, "A int is not a module"),
    "function": (lambda: torch.relu, _IMAGE, "is not a module"),
    "input missing": (wild.WithMeta, _IMAGE, "WithMeta also takes 'meta'. Give an example of every input"),
    "no image": (wild.Net, torch.zeros(3), "must be one image tensor"),
    "always random": (wild.AlwaysRandom, _IMAGE, "different results for the same image"),
    "noise": (wild.NoisyInput, _IMAGE, "different results for the same image"),
    "branch": (wild.BranchOnData, _IMAGE, "depends on the values in the image"),
    "index": (wild.IndexFromData, _IMAGE, "depends on the values in the image"),
    "float64": (lambda: wild.Net().double(), _IMAGE.double(), r"computes in float64, .* Give module.float\(\)"),
    "bfloat16": (lambda: wild.Net().bfloat16(), _IMAGE.bfloat16(), r"computes in bfloat16, .* Give module.float\(\)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_is_one_sentence_and_nothing_else(case: str, capfd: pytest.CaptureFixture[str]) -> None:
    make, example, message = REFUSED[case]
    with pytest.raises(ModuleError, match=message):
        _export(make(), example)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("make", [wild.Remembers, wild.BranchOnData, wild.AlwaysRandom])
def test_a_refusal_leaves_the_module_as_it_was(make: Callable[[], nn.Module]) -> None:
    module = make().train()
    module.norm1.eval()
    before = copy.deepcopy(module.state_dict())
    attributes = {name: dict(vars(part)) for name, part in module.named_modules()}
    with pytest.raises(ModuleError):
        _export(module)
    assert module.training
    assert not module.norm1.training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    for name, part in module.named_modules():
        assert vars(part).keys() == attributes[name].keys()
    assert getattr(module, "last", None) is None
