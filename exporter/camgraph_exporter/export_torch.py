"""The whole export for PyTorch: from a module to a proven explainable graph on disk. Needs the extra `torch`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camgraph_core.errors import UsageError
from camgraph_exporter.certificate.certify import Progress
from camgraph_exporter.certificate.subject import loader_of
from camgraph_exporter.errors import ModuleError
from camgraph_exporter.frontends.factory import call_factory
from camgraph_exporter.frontends.fixed_inputs import fix_inputs
from camgraph_exporter.frontends.onnx_file import LoadedModel
from camgraph_exporter.frontends.pytorch import files
from camgraph_exporter.frontends.pytorch.preprocessing import merged, stated_preprocessing
from camgraph_exporter.pipeline import Exported, ExportOptions, export
from camgraph_exporter.storage import check_target, write

if TYPE_CHECKING:
    import torch


def export_module(
    module: torch.nn.Module | torch.export.ExportedProgram,
    example_input: Any = None,
    target: str | Path | None = None,
    options: ExportOptions | None = None,
    *,
    name: str = "",
    preprocessing: object | None = None,
    dynamic_size: bool = False,
    progress: Progress | None = None,
) -> Exported:
    """Export a PyTorch module to an explainable graph, and prove it.

    Layers in `options` may be named as modules (`layer4.2`, `features.28`), given as modules (`net.layer4[2]`), or
    named as tensors of the exported model.

    Args:
        module: takes one image tensor [N, C, H, W]. It is exported in evaluation mode and left as it was. Wrappers that
            compile it or run it in parallel are looked through. TorchScript and programs of torch.export work as well.
        example_input: a tensor of the input's shape and element type; default: what the module brings itself, or zeros
            that fit the first convolution. For a module of several inputs a tuple of them, or a dict by argument: the
            first tensor of three axes or more is the image, the others are fixed at the given values.
        target: where to write the graph; None leaves it in memory.
        options: layers, score, labels, input and more.
        name: what the manifest calls the source; default: the module's class.
        preprocessing: what states how photos were prepared in training: torchvision weights or their `transforms()`, a
            timm `pretrained_cfg`, a Hugging Face image processor. A module of timm states it by itself.
        dynamic_size: also leave height and width of the image open.
        progress: called as the checks go on.

    Raises:
        ExportError: the module cannot be exported or made explainable, or the result did not pass its checks.
        UsageError: PyTorch or onnxscript is not installed, or the target cannot be written to.

    """
    options, target = options or ExportOptions(), None if target is None else Path(target)
    if target is not None:
        check_target(target)
    source = _Source(module, example_input, preprocessing, name)
    return _export(*_load(source, options, dynamic_size=dynamic_size), target, progress)


def export_torch_file(
    source: str | Path,
    target: str | Path,
    options: ExportOptions,
    *,
    dynamic_size: bool = False,
    progress: Progress | None = None,
) -> Exported:
    """Export a TorchScript file or a program that `torch.export.save` wrote.

    Raises:
        ExportError: the file holds no network, or as `export_module`.
        UsageError: PyTorch is not installed, or the target cannot be written to.

    """
    target = Path(target)
    check_target(target, Path(source))
    return _export(*load_torch_file(Path(source), options, dynamic_size=dynamic_size), target, progress)


def export_factory(
    factory: str,
    target: str | Path,
    options: ExportOptions,
    *,
    dynamic_size: bool = False,
    progress: Progress | None = None,
) -> Exported:
    """Export what `package.module:factory` returns.

    That is a module; or a tuple of a module, an example input (or None) and, if you like, the preprocessing, as
    `export_module` takes them.

    Raises:
        ExportError: as `export_module`; or the factory fails, or returns something else.
        UsageError: there is no such factory, PyTorch is not installed, or the target cannot be written to.

    """
    target = Path(target)
    check_target(target)
    return _export(*load_factory(factory, options, dynamic_size=dynamic_size), target, progress)


def _export(loaded: LoadedModel, options: ExportOptions, target: Path | None, progress: Progress | None) -> Exported:
    load_source = loader_of(loaded.model, exact_int8=options.exact_int8)
    exported = export(loaded, options, load_source=load_source, progress=progress)
    if target is not None:
        write(exported.model, target, exported.weights_folder)
    return exported


def load_factory(
    factory: str, options: ExportOptions, *, dynamic_size: bool = False
) -> tuple[LoadedModel, ExportOptions]:
    """Build a module and turn it into an ONNX model; return it with the options that it completes.

    Layers that the options name as modules become aliases of their tensors, and what the module states of its
    preprocessing stands in the options' `input`.

    Raises:
        ExportError: the factory fails or returns no module, or the module cannot be exported.
        UsageError: there is no such factory, or PyTorch is not installed.

    """
    return _load(_source_of(factory, call_factory(factory)), options, dynamic_size=dynamic_size)


def load_torch_file(
    path: Path, options: ExportOptions, *, dynamic_size: bool = False
) -> tuple[LoadedModel, ExportOptions]:
    """Read a TorchScript file or a program of torch.export, which hold a network; return it as `load_factory` does.

    Raises:
        ModuleError: the file holds something else, such as weights alone; the message says what and what to do.
        UsageError: PyTorch is not installed.

    """
    kind = files.kind_of(path)
    if kind not in ("torchscript", "program"):
        raise ModuleError(files.what_it_is(path))
    try:
        import torch
    except ImportError as error:
        raise _not_installed(error) from error
    try:
        module = torch.jit.load(str(path), map_location="cpu") if kind == "torchscript" else torch.export.load(path)
    except Exception as error:  # whatever the file makes PyTorch raise
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ModuleError(
            f"{str(path)!r} cannot be read by PyTorch {torch.__version__}: {reason[0].rstrip('.')}. Save it again."
        ) from error
    return _load(_Source(module, name=path.name), options, dynamic_size=dynamic_size)


@dataclass(frozen=True)
class _Source:
    """What is exported: a module (or what a user takes for one), its example inputs, its preprocessing, its name."""

    module: Any
    example: Any = None
    preprocessing: object | None = None
    name: str = ""


def _load(source: _Source, options: ExportOptions, *, dynamic_size: bool) -> tuple[LoadedModel, ExportOptions]:
    try:
        from camgraph_exporter.frontends.pytorch import kinds
        from camgraph_exporter.frontends.pytorch.module import default_example, load_module
    except ImportError as error:
        raise _not_installed(error) from error
    module = kinds.module_of(source.module)
    example = source.example if source.example is not None else kinds.example_of(source.module)
    stated = stated_preprocessing(module, source.preprocessing)
    if stated is not None:
        options = replace(options, input=merged(options.input, stated.options))
    if example is None:
        example = default_example(module, options.input.size)
    options = replace(options, layers=tuple(kinds.layer_name(module, layer) for layer in options.layers))
    loaded = load_module(module, example, layers=options.layers, name=source.name, dynamic_size=dynamic_size)
    if stated is not None and options.input == merged(options.input, stated.options):
        note = f"The preprocessing is that of {stated.origin}."
        loaded = replace(loaded, notes=(*loaded.notes, note))
    return fix_inputs(loaded, options.fixed, sizes=options.input.size), options


def _source_of(factory: str, built: object) -> _Source:
    try:
        from camgraph_exporter.frontends.pytorch import kinds
    except ImportError as error:
        raise _not_installed(error) from error
    parts = built if isinstance(built, tuple) and len(built) in (2, 3) else (built,)
    if not kinds.is_module(parts[0]):
        raise ModuleError(
            f"The factory {factory!r} returned {type(parts[0]).__name__}, not a torch.nn.Module. "
            "Return the module, or a tuple of the module, an example input and its preprocessing."
        )
    module, example, preprocessing = (*parts, None, None)[:3]
    return _Source(module, example, preprocessing, factory)


def _not_installed(error: ImportError) -> UsageError:
    return UsageError(
        f"PyTorch models need the package {error.name or 'torch'!r}, which is not installed. "
        "Install it with: pip install 'camgraph[torch]'."
    )
