"""Turns a PyTorch module into an ONNX model, through PyTorch's own exporters.

The module is exported in evaluation mode with a dynamic batch. The exporter that traces with `torch.export` comes
first; where it fails, the older one that records TorchScript stands in, and the manifest says so. Whatever they return
is run beside the module and must agree with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import onnx_ir as ir
import torch

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.errors import LayerError, closest
from camgraph_exporter.frontends.onnx_file import AUTO, LoadedModel
from camgraph_exporter.frontends.options import DEFAULT_FRAMES
from camgraph_exporter.frontends.pytorch.backward import backward_notes
from camgraph_exporter.frontends.pytorch.exporters import EXPORTERS, TorchExport, quiet
from camgraph_exporter.frontends.pytorch.inputs import Inputs, inputs_of
from camgraph_exporter.frontends.pytorch.kept import left_as_it_was
from camgraph_exporter.frontends.pytorch.layers import find_layers, run_recorded
from camgraph_exporter.frontends.pytorch.running import check_agrees, check_runs, random_like, refusal
from camgraph_exporter.frontends.pytorch.wrappers import core_name, unwrap


def load_module(
    module: torch.nn.Module,
    example: Any,
    *,
    layers: Sequence[str] = (),
    name: str = "",
    dynamic_size: bool = False,
    exporters: Sequence[str] = tuple(EXPORTERS),
    merge: bool = True,
) -> LoadedModel:
    """Export a module and find the tensors of the named modules in the result.

    Args:
        module: takes one image tensor and returns a tensor, or several. Its state is left as it was. Wrappers that
            compile it or run it in parallel are taken off meanwhile.
        example: a tensor [N, C, H, W], of which only shape, element type and device matter; or several inputs
            (`inputs.inputs_of`).
        layers: names as in `module.named_modules()`; names that are none are left to the exporter of the graph.
        name: what to call the source in the manifest; default: the module's class.
        dynamic_size: also leave height and width open.
        exporters: which of PyTorch's exporters to try, in order; names of `exporters.EXPORTERS`.
        merge: merge batch normalisation into convolutions and the like, where that leaves every named layer.

    Raises:
        ModuleError: the module does not run, or no exporter gives a model that agrees with it.
        LayerError: a name is neither of a module nor of a tensor; or a named module does not run exactly once, or its
            output is no tensor of the graph.

    """
    with left_as_it_was(module), torch.no_grad(), quiet():
        names = {layer: core_name(module, layer) for layer in layers}
        core = unwrap(module)
        _evaluate(core)
        inputs = inputs_of(core, example)
        check_runs(core, inputs)
        notes = [inputs.note, *backward_notes(inputs.module, random_like(inputs.image, batch=inputs.image.shape[0]))]
        exported = _export(core, inputs, exporters, dynamic_size=dynamic_size)
        parts = {layer: inputs.prefix + part for layer, part in names.items()}
        batch = exported.batch or 2
        recorded = run_recorded(inputs.module, random_like(inputs.image, batch=batch), parts.values())
        spellings = [lambda: exported.model, exported.plain] if merge else [exported.plain]
        model, tensors = find_layers(spellings, recorded)
        _check_names(names, core, model)
    _forget_origins(model)
    _own_weights(model)
    source = pb.Source(
        file_name=name or type(core).__name__,
        sha256=_digest(core),
        producer=f"pytorch {torch.__version__}",
        opset_version=model.opset_imports[""],
    )
    aliases = {layer: tensors[part] for layer, part in parts.items() if part in tensors}
    return LoadedModel(model, source, aliases=aliases, notes=tuple(filter(None, (exported.note, *notes))))


def default_example(module: torch.nn.Module, size: tuple[int, int] | None, frames: int | None) -> torch.Tensor:
    """Return an input [2, C, H, W] that fits the module's first convolution: 224 x 224 unless `size` says else.

    Where that slides over frames, or their number is stated, it is a clip [2, C, T, H, W] of 16 frames or so many.
    """
    config = getattr(module, "pretrained_cfg", None) or {}
    stated = config.get("input_size") if isinstance(config, dict) else None
    first = next((m for m in module.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Conv3d)), None)
    channels = int(stated[0]) if stated else first.in_channels if first is not None else 3
    height, width = size or (stated[1:] if stated else (224, 224))
    like = next(module.parameters(), torch.zeros(()))
    length = [frames or DEFAULT_FRAMES] if isinstance(first, torch.nn.Conv3d) or frames else []
    return torch.zeros(2, channels, *length, int(height), int(width), dtype=like.dtype, device=like.device)


def _evaluate(module: torch.nn.Module) -> None:
    try:
        module.eval()
    except NotImplementedError:
        # A program of torch.export was traced in one mode and has no other.
        return


def _export(core: torch.nn.Module, inputs: Inputs, exporters: Sequence[str], *, dynamic_size: bool) -> TorchExport:
    """Try the exporters in order, and return the first result that agrees with the module."""
    problems: list[Exception] = []
    for name in exporters:
        try:
            exported = EXPORTERS[name](inputs.module, inputs.image, dynamic_size=dynamic_size)
            check_agrees(inputs, exported)
        except Exception as error:  # the exporters raise whatever their passes raise
            problems.append(error)
        else:
            return exported
    raise refusal(core, inputs, problems)


def _check_names(layers: Mapping[str, str], module: torch.nn.Module, model: ir.Model) -> None:
    """Refuse names that mean nothing. `layers`: what the user wrote, and the same without wrappers."""
    modules = {name for name, _ in module.named_modules()}
    tensors = {str(value.name) for node in model.graph for value in node.outputs}
    for name, core in layers.items():
        if name != AUTO and name not in tensors and core not in modules:
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


def _digest(module: torch.nn.Module) -> str:
    """Return the SHA-256 of all parameters and buffers: name, element type, shape and bytes."""
    digest = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        if isinstance(tensor, torch.Tensor):
            digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
            for plain in _plain_tensors(tensor):
                digest.update(plain.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _plain_tensors(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    """Yield what a tensor is made of: those of quantised weights are several in one."""
    if not hasattr(tensor, "__tensor_flatten__"):
        yield tensor
        return
    for name in tensor.__tensor_flatten__()[0]:
        yield from _plain_tensors(getattr(tensor, name))
