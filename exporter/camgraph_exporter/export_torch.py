"""The whole export for PyTorch: from a module to a proven explainable graph on disk. Needs the extra `torch`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from camgraph_exporter.errors import ModuleError
from camgraph_exporter.export import Exported, ExportOptions, export
from camgraph_exporter.frontends.factory import call_factory
from camgraph_exporter.frontends.fixed_inputs import fix_inputs
from camgraph_exporter.frontends.onnx_file import LoadedModel
from camgraph_exporter.storage import check_target, write
from camgraph_exporter.verify.certificate import Progress
from camgraph_exporter.verify.subject import loader_of
from camgraph_runtime.errors import UsageError

if TYPE_CHECKING:
    import torch


def export_module(
    module: torch.nn.Module,
    example_input: torch.Tensor | None = None,
    target: str | Path | None = None,
    options: ExportOptions | None = None,
    *,
    name: str = "",
    dynamic_size: bool = False,
    progress: Progress | None = None,
) -> Exported:
    """Export a PyTorch module to an explainable graph, and prove it.

    Layers in `options` may be named as modules (`layer4.2`, `features.28`) or as tensors of the exported model.

    Args:
        module: takes one image tensor [N, C, H, W]. It is exported in evaluation mode; its own mode is left as it was.
        example_input: a tensor of the input's shape and element type; default: zeros that fit the first convolution.
        target: where to write the graph; None leaves it in memory.
        options: layers, score, labels, input and more.
        name: what the manifest calls the source; default: the module's class.
        dynamic_size: also leave height and width of the image open.
        progress: called as the checks go on.

    Raises:
        ExportError: the module cannot be exported or made explainable, or the result did not pass its checks.
        UsageError: PyTorch or onnxscript is not installed, or the target cannot be written to.

    """
    options, target = options or ExportOptions(), None if target is None else Path(target)
    if target is not None:
        check_target(target)
    loaded = _load(module, example_input, options, name, dynamic_size=dynamic_size)
    exported = export(
        loaded, options, load_source=loader_of(loaded.model, exact_int8=options.exact_int8), progress=progress
    )
    if target is not None:
        write(exported.model, target, exported.weights_folder)
    return exported


def export_factory(
    factory: str,
    target: str | Path,
    options: ExportOptions,
    *,
    dynamic_size: bool = False,
    progress: Progress | None = None,
) -> Exported:
    """Export what `package.module:factory` returns: a module, or a pair of a module and an example input.

    Raises:
        ExportError: as `export_module`; or the factory fails, or returns something else.
        UsageError: there is no such factory, PyTorch is not installed, or the target cannot be written to.

    """
    target = Path(target)
    check_target(target)
    loaded = load_factory(factory, options, dynamic_size=dynamic_size)
    exported = export(
        loaded, options, load_source=loader_of(loaded.model, exact_int8=options.exact_int8), progress=progress
    )
    write(exported.model, target, exported.weights_folder)
    return exported


def load_factory(factory: str, options: ExportOptions, *, dynamic_size: bool = False) -> LoadedModel:
    """Build a module and turn it into an ONNX model, with the tensors of the layers that `options` names as modules.

    Raises:
        ExportError: the factory fails or returns no module, or the module cannot be exported.
        UsageError: there is no such factory, or PyTorch is not installed.

    """
    module, example = _module_and_example(factory, call_factory(factory))
    return _load(module, example, options, factory, dynamic_size=dynamic_size)


def _load(
    module: torch.nn.Module, example: torch.Tensor | None, options: ExportOptions, name: str, *, dynamic_size: bool
) -> LoadedModel:
    try:
        from camgraph_exporter.frontends import torch_module
    except ImportError as error:
        raise _not_installed(error) from error
    if example is None:
        example = torch_module.default_example(module, options.input.size)
    loaded = torch_module.load_module(module, example, layers=options.layers, name=name, dynamic_size=dynamic_size)
    return fix_inputs(loaded, options.fixed, sizes=options.input.size)


def _module_and_example(factory: str, built: object) -> tuple[torch.nn.Module, torch.Tensor | None]:
    try:
        import torch
    except ImportError as error:
        raise _not_installed(error) from error
    module, example = built if isinstance(built, tuple) and len(built) == 2 else (built, None)
    if not isinstance(module, torch.nn.Module):
        raise ModuleError(
            f"The factory {factory!r} returned {type(module).__name__}, not a torch.nn.Module. "
            "Return the module, or a pair of the module and an example input."
        )
    return module, example


def _not_installed(error: ImportError) -> UsageError:
    return UsageError(
        f"PyTorch models need the package {error.name or 'torch'!r}, which is not installed. "
        "Install it with: pip install 'camgraph[torch]'."
    )
