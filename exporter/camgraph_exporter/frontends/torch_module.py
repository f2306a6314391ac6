"""Turns a PyTorch module into an ONNX model, through PyTorch's own exporters.

The module is exported in evaluation mode with a dynamic batch. The exporter that traces with `torch.export` comes
first; where it fails, the older one that records TorchScript stands in, and the manifest says so. Whatever they return
is run beside the module and must agree with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import onnx_ir as ir
import torch

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.cam.choose import AUTO
from camgraph_exporter.errors import LayerError, ModuleError, closest
from camgraph_exporter.frontends.onnx_file import LoadedModel
from camgraph_exporter.frontends.torch_exporters import EXPORTERS, Exported, quiet
from camgraph_exporter.frontends.torch_layers import find_layers, record
from camgraph_exporter.prepare.probe import engine_with_outputs
from camgraph_runtime.errors import CamgraphError

_OUTPUT_TOLERANCE = 1e-3


def load_module(
    module: torch.nn.Module,
    example: torch.Tensor,
    *,
    layers: Sequence[str] = (),
    name: str = "",
    dynamic_size: bool = False,
    exporters: Sequence[str] = tuple(EXPORTERS),
    merge: bool = True,
) -> LoadedModel:
    """Export a module and find the tensors of the named modules in the result.

    Args:
        module: takes one image tensor and returns a tensor, or several. Its state is left as it was.
        example: an input, float [N, C, H, W]; only shape, element type and device matter.
        layers: names as in `module.named_modules()`; names that are none are left to the exporter of the graph.
        name: what to call the source in the manifest; default: the module's class.
        dynamic_size: also leave height and width open.
        exporters: which of PyTorch's exporters to try, in order; names of `torch_exporters.EXPORTERS`.
        merge: merge batch normalisation into convolutions and the like, where that leaves every named layer.

    Raises:
        ModuleError: the module does not run, or no exporter gives a model that agrees with it.
        LayerError: a name is neither of a module nor of a tensor; or a named module does not run exactly once, or its
            output is no tensor of the graph.

    """
    with _evaluating(module), torch.no_grad():
        _check_runs(module, example)
        exported = _export(module, example, exporters, dynamic_size=dynamic_size)
        recorded = record(module, _random_like(example, batch=exported.batch or 2), layers)
        spellings = [lambda: exported.model, exported.plain] if merge else [exported.plain]
        model, aliases = find_layers(spellings, recorded)
    _check_names(layers, module, model)
    _forget_origins(model)
    _own_weights(model)
    source = pb.Source(
        file_name=name or type(module).__name__,
        sha256=_digest(module),
        producer=f"pytorch {torch.__version__}",
        opset_version=model.opset_imports[""],
    )
    return LoadedModel(model, source, aliases=aliases, notes=(exported.note,) if exported.note else ())


def default_example(module: torch.nn.Module, size: tuple[int, int] | None) -> torch.Tensor:
    """Return an input [2, C, H, W] that fits the module's first convolution: 224 x 224 unless `size` says else."""
    config = getattr(module, "pretrained_cfg", None) or {}
    stated = config.get("input_size") if isinstance(config, dict) else None
    first = next((m for m in module.modules() if isinstance(m, torch.nn.Conv2d)), None)
    channels = int(stated[0]) if stated else first.in_channels if first is not None else 3
    height, width = size or (stated[1:] if stated else (224, 224))
    like = next(module.parameters(), torch.zeros(()))
    return torch.zeros(2, channels, int(height), int(width), dtype=like.dtype, device=like.device)


def _export(
    module: torch.nn.Module, example: torch.Tensor, exporters: Sequence[str], *, dynamic_size: bool
) -> Exported:
    """Try the exporters in order, and return the first result that agrees with the module."""
    problems = []
    for name in exporters:
        try:
            with quiet():
                exported = EXPORTERS[name](module, example, dynamic_size=dynamic_size)
            _check_agrees(module, example, exported)
        except ModuleError as error:
            problems.append(str(error))
        except Exception as error:  # the exporters raise whatever their passes raise
            problems.append(f"{type(error).__name__}: {_cause(error)}")
        else:
            return exported
    reasons = "; ".join(dict.fromkeys(problems))
    raise ModuleError(
        f"PyTorch could not export {type(module).__name__} to ONNX: {reasons}. "
        "Export it to an .onnx file yourself and give that file."
    )


def _check_runs(module: torch.nn.Module, example: torch.Tensor) -> None:
    if not isinstance(example, torch.Tensor) or example.ndim < 3:
        raise ModuleError("The example input must be one image tensor such as torch.zeros(1, 3, 224, 224).")
    try:
        result = module(_random_like(example, batch=example.shape[0]))
    except Exception as error:
        raise ModuleError(
            f"{type(module).__name__} does not run on an input of shape {list(example.shape)}: {_cause(error)}. "
            "Give an example input that fits."
        ) from error
    if not all(isinstance(leaf, torch.Tensor) for leaf in _leaves(result)):
        raise ModuleError(
            f"{type(module).__name__} returns {type(result).__name__} with something else than tensors in it. "
            "Wrap it in a module that returns the scores."
        )


def _check_agrees(module: torch.nn.Module, example: torch.Tensor, exported: Exported) -> None:
    """Run a batch through the exported model, and its images one by one through the module."""
    engine = engine_with_outputs(exported.model, [])
    image = str(exported.model.graph.inputs[0].name)
    for batch in (exported.batch,) if exported.batch else (1, 3):
        x = _random_like(example, batch=batch)
        try:
            found = list(engine.run({image: x.cpu().numpy()}).values())
        except CamgraphError as error:
            raise ModuleError(f"the exported model does not run with a batch of {batch} ({error})") from error
        singles = [_leaves(module(x[i : i + 1])) for i in range(batch)]
        for array, *leaves in zip(found, *singles, strict=True):
            if not _agrees(array, torch.cat(leaves).cpu().numpy()):
                raise ModuleError(f"the exported model's outputs differ from the module's with a batch of {batch}")


def _agrees(found: np.ndarray, expected: np.ndarray) -> bool:
    if found.shape != expected.shape:
        return False
    distance = np.linalg.norm(np.asarray(found, np.float64) - expected)
    return bool(distance <= _OUTPUT_TOLERANCE * max(float(np.linalg.norm(expected)), 1e-30))


def _check_names(layers: Sequence[str], module: torch.nn.Module, model: ir.Model) -> None:
    modules = {name for name, _ in module.named_modules()}
    tensors = {str(value.name) for node in model.graph for value in node.outputs}
    for name in layers:
        if name != AUTO and name not in modules | tensors:
            raise LayerError(f"There is no module or tensor {name!r}.{closest(name, sorted(modules))}")


def _forget_origins(model: ir.Model) -> None:
    """Drop the exporter's remarks on where nodes came from: they hold stack traces with paths of this machine."""
    for node in model.graph.all_nodes():
        node.metadata_props.clear()
        for value in node.outputs:
            value.metadata_props.clear()


def _own_weights(model: ir.Model) -> None:
    """Copy the weights: the exporter's tensors are views of the module's parameters, which may change later."""
    for value in model.graph.initializers.values():
        if value.const_value is not None:
            value.const_value = ir.tensor(value.const_value.numpy().copy(), name=value.name)


def _random_like(example: torch.Tensor, *, batch: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn((batch, *example.shape[1:]), generator=generator)
    return x.to(dtype=example.dtype, device=example.device)


def _leaves(result: Any) -> list[Any]:
    leaves: list[Any] = torch.utils._pytree.tree_leaves(result)
    return leaves


@contextmanager
def _evaluating(module: torch.nn.Module) -> Iterator[None]:
    """Put the module in evaluation mode, and each part of it back in its own mode afterwards."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, training in modes.items():
            part.training = training


def _cause(error: BaseException) -> str:
    """Return one line that says why: the innermost error's first line."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".")[:300] if lines else type(error).__name__


def _digest(module: torch.nn.Module) -> str:
    """Return the SHA-256 of all parameters and buffers: name, element type, shape and bytes."""
    digest = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        if isinstance(tensor, torch.Tensor):
            digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
