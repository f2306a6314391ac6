"""Exports one model of torchvision or timm with random weights and compares its gradients with PyTorch's autograd.

Prints one line of JSON. `sweep_models.py` runs this in a process of its own for each model.
"""

from __future__ import annotations

import itertools
import json
import resource
import sys
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx_ir as ir
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from camgraph_core.errors import CamgraphError
from camgraph_exporter.assemble.build import BuildOptions, Built, build
from camgraph_exporter.choose.layers import candidate_layers, choose_layer
from camgraph_exporter.choose.score import find_score
from camgraph_exporter.float64 import Float64Evaluator
from camgraph_exporter.frontends.pytorch.exporters import EXPORTERS
from camgraph_exporter.frontends.pytorch.module import default_example, load_module
from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.graph.gradient_path import GradientPath
from camgraph_exporter.layers.layers import TargetLayer
from camgraph_exporter.options import ExportOptions
from camgraph_exporter.pipeline import rewrite
from camgraph_exporter.prepare.prepare import PreparedModel, lifted, prepare
from camgraph_exporter.tasks import Score
from camgraph_exporter.vjp.driver import opset_of
from camgraph_runtime.run.engine import Engine
from exporter.matrix.compare import Recorder, channels_first, distance

# Models that take any size are run on small images.
_SMALL = 160
_FIXED_SIZE = ("vit", "swin", "maxvit", "alexnet", "vgg")
_TARGETS = np.asarray([[0, 3, 7]], dtype=np.int64)
_TOLERANCE = 1e-5
_SAME_TENSOR = 1e-3
_TWINS = 6
_STEPS = (1e-6, 1e-7, 1e-8)


@dataclass
class Result:
    """What became of one model. `errors`: layer to relative L2 distance of its gradients from autograd."""

    library: str
    model: str
    exporter: str
    verdict: str = "pass"
    reason: str = ""
    auto: str = ""
    shape: str = ""
    errors: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    parameters: int = 0
    seconds: float = 0.0
    memory_gb: float = 0.0


@click.command(help=__doc__.partition("\n")[0])
@click.option("--library", type=click.Choice(["torchvision", "timm"]), required=True)
@click.option("--model", required=True)
@click.option("--exporter", type=click.Choice(list(EXPORTERS)), default="trace", show_default=True)
@click.option("--max-parameters", type=float, default=400e6, show_default=True)
def main(library: str, model: str, exporter: str, max_parameters: float) -> None:
    """Prints the result as JSON."""
    torch.set_num_threads(1)
    started = time.monotonic()
    result = Result(library, model, exporter)
    try:
        _judge(result, exporter, max_parameters)
    except CamgraphError as error:
        result.verdict, result.reason = "refused", f"{type(error).__name__}: {error}"
    except Exception as error:  # a model that cannot be built or a fault of the exporter: the table shows which
        result.verdict, result.reason = (
            "fault",
            f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
        )
    result.seconds = round(time.monotonic() - started, 1)
    result.memory_gb = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 1)
    click.echo(json.dumps(asdict(result)))


def _judge(result: Result, exporter: str, max_parameters: float) -> None:
    module = _build(result.library, result.model)
    result.parameters = sum(parameter.numel() for parameter in module.parameters())
    if result.parameters > max_parameters:
        result.verdict, result.reason = "skipped", f"more than {max_parameters / 1e6:.0f} million parameters"
        return
    example = _example(module, result.library, result.model)
    loaded = load_module(module, example, exporters=[exporter])
    _compare(result, module, loaded.model)
    if result.verdict == "wrong":
        # Merging a batch normalisation rounds weights to float32, and a gate near zero may flip. Unmerged, none may.
        merged = f"Merged normalisations differ by {max(result.errors.values(), default=np.inf):.0e}."
        plain = load_module(module.float(), example, exporters=[exporter], merge=False)
        _compare(result, module, plain.model, doubts=[merged])
    if result.verdict == "pass":
        del module  # the certificate's float64 needs the room
        rewrite(replace(loaded, layers=("auto",)), ExportOptions())


def _compare(result: Result, module: nn.Module, model: ir.Model, doubts: list[str] | None = None) -> None:
    """Compare the model's gradients with autograd, and note what was found."""
    built = _explain(model)
    chosen = choose_layer(built.prepared, built.score)
    result.auto, result.shape = chosen.name, f"{chosen.channels} x {chosen.height} x {chosen.width}"
    result.errors = _errors(module, built, doubts)
    result.notes = [note for note in (chosen.note, *(doubts or ())) if note]
    right = result.errors and all(error <= _TOLERANCE for error in result.errors.values())
    result.verdict = "pass" if right else "wrong"
    result.reason = (
        "" if right else "gradients differ from autograd" if result.errors else "no layer was found in PyTorch"
    )


def _build(library: str, name: str) -> nn.Module:
    torch.manual_seed(0)
    if library == "timm":
        import timm  # noqa: PLC0415 - only one of the two is needed

        module: nn.Module = timm.create_model(name, pretrained=False, num_classes=10)
    else:
        from torchvision import models  # noqa: PLC0415 - as above

        options: dict[str, Any] = {"init_weights": True} if name in {"googlenet", "inception_v3"} else {}
        module = models.get_model(name, weights=None, num_classes=10, **options)
    return _wake(module.eval())


def _wake(module: nn.Module) -> nn.Module:
    """Randomise what is zero or one at the start: idle branches would prove nothing."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim <= 1 or float(parameter.abs().max()) < 1e-3:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d) and part.running_var is not None and part.running_mean is not None:
                part.running_mean.add_(0.1 * torch.randn(part.running_mean.shape, generator=generator))
                part.running_var.mul_(1 + 0.2 * torch.rand(part.running_var.shape, generator=generator))
            if getattr(part, "inplace", False) is True:
                part.inplace = False
    return module


def _example(module: nn.Module, library: str, name: str) -> torch.Tensor:
    """Return a small image, or one of the model's own size where it takes no other."""
    small = default_example(module, (_SMALL, _SMALL), None)
    fixed = module.pretrained_cfg.get("fixed_input_size") if library == "timm" else name.startswith(_FIXED_SIZE)
    if not fixed and default_example(module, None, None).shape[-1] > _SMALL:
        try:
            with torch.no_grad():
                module(small)
        except (RuntimeError, AssertionError, ValueError):
            return default_example(module, None, None)
        return small
    return default_example(module, None, None)


def _explain(model: ir.Model) -> Built:
    """Build one graph with the layer that `auto` takes and three candidates before it."""
    prepared, score, layers = _layers(prepare(model.clone()))
    needed = opset_of(GradientPath(prepared.graph, [layer.value for layer in layers], [score.value]))
    if needed > prepared.model.opset_imports[""]:
        prepared, score, layers = _layers(lifted(prepared, needed))
    return build(prepared, score, layers, BuildOptions(gradients=True))


def _layers(prepared: PreparedModel) -> tuple[PreparedModel, Score, list[TargetLayer]]:
    score = find_score(prepared)
    auto, candidates = choose_layer(prepared, score), candidate_layers(prepared, score)
    last = len(candidates) - 1
    picked = [auto, *(candidates[i] for i in (3 * last // 4, last // 2, min(1, last)))]
    return prepared, score, list({layer.name: layer for layer in picked}.values())


def _errors(module: nn.Module, built: Built, doubts: list[str] | None) -> dict[str, float]:
    """Compare the gradients of each layer in float64, both sides from the same activations.

    With `doubts`, where they differ and PyTorch's finite differences do not support its autograd either, the export is
    judged by the former, and a remark is added.
    """
    image = str(built.prepared.image.name)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn([1, *(int(dim) for dim in dims_of(built.prepared.image)[1:])], generator=generator)
    feeds = {image: x.numpy(), built.target.target_input: _TARGETS}
    proto = ir.to_proto(built.prepared.model)
    found = Engine(proto.SerializeToString()).run(feeds)
    forward = Forward(module.double(), x.double())
    evaluator = Float64Evaluator(proto)
    errors = {}
    for layer, tensors in zip(built.layers, built.layer_tensors, strict=True):
        matches = _equal_tensors(forward.tensors, layer, found[tensors.activations_tensor])
        if not matches:
            # What PyTorch does in one function, such as a GELU, may be several nodes in ONNX.
            continue
        at_layer = {**feeds, layer.name: forward.tensors[matches[0]].detach().numpy()}
        got = evaluator.run([tensors.gradients_tensor], at_layer)[0]
        gradients = {i: channels_first(layer, forward.gradients(i)) for i in matches[:_TWINS]}
        distances = {i: distance(got, gradient) for i, gradient in gradients.items()}
        nearest = min(distances, key=lambda i: distances[i])
        # Equal functions of one tensor, computed apart in PyTorch, may be one value in ONNX that has all their readers.
        merged = [
            distance(got, np.sum([gradients[i] for i in group], axis=0))
            for size in range(2, len(gradients) + 1)
            for group in itertools.combinations(gradients, size)
        ]
        distances[nearest] = min([distances[nearest], *merged])
        errors[layer.name] = distances[nearest]
        if distances[nearest] > _TOLERANCE and doubts is not None:
            by_autograd = forward.slope_error(nearest, forward.gradients(nearest))
            by_export = forward.slope_error(nearest, got, layer)
            if by_export <= min(_TOLERANCE, 0.1 * by_autograd):
                doubts.append(
                    f"At {layer.name}, PyTorch's own finite differences contradict autograd ({by_autograd:.0e})."
                )
                errors[layer.name] = by_export
    return errors


class Forward:
    """A forward pass in float64 with its intermediate tensors, their gradients, and finite differences at them."""

    def __init__(self, module: nn.Module, x: torch.Tensor) -> None:
        self.module, self.x = module, x
        recorder = Recorder()
        # The fused kernels of attention round to float32 inside, in float64 too.
        with sdpa_kernel(SDPBackend.MATH), recorder:
            self.scores = module(x)
        self.tensors = recorder.tensors

    def gradients(self, index: int) -> np.ndarray:
        """Return d score / d tensor for each target, [1, T, ...]."""
        tensor = self.tensors[index]
        rows = [torch.autograd.grad(self.scores[:, c].sum(), tensor, retain_graph=True)[0] for c in _TARGETS[0]]
        stacked: np.ndarray = torch.stack(rows, 1).numpy()
        return stacked

    def slope_error(self, index: int, gradients: np.ndarray, layer: TargetLayer | None = None) -> float:
        """Compare gradients [1, T, ...], of the layer's map [1, T, K, h, w] if one is given, with finite differences.

        The best of several steps: a gate that switches between two evaluations spoils a difference, a smaller step
        misses it, and a wrong gradient stays wrong at every step.
        """
        generator = torch.Generator().manual_seed(2)
        direction = torch.randn(self.tensors[index].shape, generator=generator, dtype=torch.float64)
        if layer is not None and layer.grid is not None:
            # Tokens that belong to no cell are no part of the map.
            cells = direction[:, layer.grid.prefix : layer.grid.prefix + (layer.height or 0) * (layer.width or 0)]
            direction = torch.zeros_like(direction)
            direction[:, layer.grid.prefix : layer.grid.prefix + cells.shape[1]] = cells
        along = direction.numpy() if layer is None else channels_first(layer, direction.numpy())
        slopes = (gradients * along).sum(tuple(range(2, gradients.ndim)))[0]
        distances = (float(distance(slopes, self._slopes(index, direction, step))) for step in _STEPS)
        return min(distances)

    def _slopes(self, index: int, direction: torch.Tensor, step: float) -> np.ndarray:
        ends = []
        for sign in (1, -1):
            with sdpa_kernel(SDPBackend.MATH), Recorder(index, sign * step * direction):
                ends.append(self.module(self.x)[0, _TARGETS[0]].detach().numpy())
        return np.asarray((ends[0] - ends[1]) / (2 * step))


def _equal_tensors(tensors: list[torch.Tensor], layer: TargetLayer, activations: np.ndarray) -> list[int]:
    """Return the places of the tensors of PyTorch's forward pass that the layer's activations show, nearest first."""
    want = dims_of(layer.value)
    distances = {}
    for i, tensor in enumerate(tensors):
        same = tensor.ndim == len(want) and all(
            not isinstance(dim, int) or dim == size for dim, size in zip(want, tensor.shape, strict=True)
        )
        if same:
            distances[i] = distance(activations, channels_first(layer, tensor.detach().numpy()))
    near = sorted((error, i) for i, error in distances.items() if error <= _SAME_TENSOR)
    return [i for error, i in near if error <= 2 * near[0][0]]


def _load_torchvision() -> None:
    """Declare two operators that torchvision's wheel expects of PyTorch's own build, before it is imported."""
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    # The declarations live as long as the library object.
    _load_torchvision.library = library  # type: ignore[attr-defined]  # kept there


if __name__ == "__main__":
    _load_torchvision()
    main()
