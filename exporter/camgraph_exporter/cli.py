"""The commands `camgraph inspect`, `camgraph export` and `camgraph verify`."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import onnx_ir as ir
from google.protobuf import json_format
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from camgraph_core.errors import UsageError
from camgraph_exporter.assemble.build import BuildOptions
from camgraph_exporter.certificate.certify import Progress as Report
from camgraph_exporter.certificate.certify import certify
from camgraph_exporter.certificate.subject import Subject
from camgraph_exporter.choose.score import HEADS, ScoreOptions
from camgraph_exporter.choose.unfused import prepare_for
from camgraph_exporter.errors import CertificateError
from camgraph_exporter.export_torch import export_factory, export_torch_file, load_factory, load_torch_file
from camgraph_exporter.frontends.factory import is_factory
from camgraph_exporter.frontends.fixed_inputs import fix_inputs
from camgraph_exporter.frontends.input_values import Values, parse_values
from camgraph_exporter.frontends.onnx_file import LoadedModel, load_onnx
from camgraph_exporter.frontends.pytorch.files import is_torch_file
from camgraph_exporter.input_spec import CHANNEL_ORDERS, FILTERS, PRESETS, RESIZES, InputOptions
from camgraph_exporter.inspection import Inspection, inspect_model, measure_costs
from camgraph_exporter.labels import read_labels
from camgraph_exporter.pipeline import Exported, ExportOptions, export_file
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.report import (
    candidate_table,
    check_table,
    describe_image,
    describe_score,
    inspection_json,
    summarise,
)
from camgraph_exporter.storage import weights_folder, written_bytes
from camgraph_exporter.tasks import TASKS
from camgraph_runtime.manifest import manifest_from_metadata
from camgraph_runtime.run.engine import Device, Engine

_FILE = click.Path(path_type=Path)
_fast_int8 = click.option(
    "--fast-int8",
    is_flag=True,
    help="Keep onnxruntime's default 8-bit kernels, also where they saturate on this CPU.",
)


def _score_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say where the score is; the command gets them as one `ScoreOptions`."""

    @click.option("--score", metavar="TENSOR", help="The scores before softmax, if they are not found by themselves.")
    @click.option(
        "--task",
        type=click.Choice([task.name for task in TASKS]),
        help="What a target is, if the score's shape does not tell.",
    )
    @click.option("--head", type=click.Choice(list(HEADS)), help="What the model applies to the scores.")
    @click.option("--class-axis", type=click.IntRange(1, 3), help="Axis of the classes in a detector's scores.")
    @functools.wraps(command)
    def wrapped(
        *args: Any, score: str | None, task: str | None, head: str | None, class_axis: int | None, **options: Any
    ) -> None:
        command(*args, score=ScoreOptions(score, task, head, class_axis), **options)

    return wrapped


def _model_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say what a file leaves open: `size` and `fixed` of the command."""

    @click.option("--input-size", metavar="HxW", help="Size of the input where the model leaves it open.")
    @click.option(
        "--set",
        "settings",
        metavar="NAME=VALUES",
        multiple=True,
        help="Fix an input beside the image: NAME=1,0,3, rows as NAME=1,2;3,4, or NAME=FILE.npy; repeat for several.",
    )
    @functools.wraps(command)
    def wrapped(*args: Any, input_size: str | None, settings: Sequence[str], **options: Any) -> None:
        command(*args, size=_size(input_size), fixed=_settings(settings), **options)

    return wrapped


@click.command()
@click.argument("model", type=_FILE)
@_score_options
@_model_options
@click.option("--measure", is_flag=True, help="Time every layer on this machine instead of estimating its cost.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def inspect(
    model: Path,
    score: ScoreOptions,
    size: tuple[int, int] | None,
    fixed: Mapping[str, Values],
    measure: bool,
    as_json: bool,
) -> None:
    """List the layers of MODEL that can be explained, its head, and a guess of its input.

    MODEL is an .onnx file, a TorchScript or .pt2 file, or package.module:factory for a PyTorch module.
    """
    options = ExportOptions(input=InputOptions(size=size), fixed=fixed)
    loaded, options = _load(model, options)
    prepared = prepare_for(loaded.model, score, sizes=options.input.size)
    inspection = inspect_model(prepared, score)
    if measure:
        inspection = _measured(prepared, inspection, score)
    if as_json:
        click.echo(json.dumps(inspection_json(inspection), indent=2))
        return
    console = _console()
    console.print(candidate_table(f"Layers of {model.name} that can be explained", inspection))
    spec = inspection.input.spec
    console.print(describe_score(inspection), highlight=False)
    console.print(describe_image(str(prepared.image.name), spec), highlight=False)
    layer = inspection.candidates[0].layer
    for note in (*loaded.notes, *prepared.notes, inspection.score.note, layer.note, *inspection.input.notes):
        if note:
            click.echo(f"Note: {note}", err=True)


def _load(model: Path, options: ExportOptions) -> tuple[LoadedModel, ExportOptions]:
    if is_factory(str(model)):
        return load_factory(str(model), options)
    if is_torch_file(model) and model.is_file():
        return load_torch_file(model, options)
    return fix_inputs(load_onnx(model), options.fixed, sizes=options.input.size), options


def _measured(prepared: PreparedModel, inspection: Inspection, score: ScoreOptions) -> Inspection:
    candidates = []
    with _progress_bar("Measuring") as report:
        for done, candidate in enumerate(measure_costs(prepared, inspection, score), start=1):
            candidates.append(candidate)
            report(candidate.layer.name, done, len(inspection.candidates))
    return replace(inspection, candidates=candidates)


@click.command()
@click.argument("model", type=_FILE, required=False)
@click.option("--torch", "factory", metavar="PACKAGE.MODULE:FACTORY", help="Function that builds a PyTorch module.")
@click.option("-o", "--output", type=_FILE, required=True, help="Where to write the explainable graph.")
@click.option(
    "--layer",
    "layers",
    multiple=True,
    default=("auto",),
    show_default=True,
    help="Target layer by the name of its tensor or PyTorch module; repeat for several.",
)
@_score_options
@click.option("--gradients", is_flag=True, help="Also output the full gradients, for the element-wise methods.")
@click.option("--skippable", is_flag=True, help="Add a boolean input that turns the gradients off.")
@click.option("--portable", is_flag=True, help="Leave out the operators that some runtimes refuse.")
@click.option("--guided", is_flag=True, help="Also output the guided image gradient, for Guided Grad-CAM.")
@click.option("--labels", type=_FILE, help="File with one class label per line, or JSON.")
@click.option("--preset", type=click.Choice(sorted(PRESETS)), help="How photos were prepared in training.")
@click.option("--divisor", type=float, help="Pixels 0..255 are divided by this first.")
@click.option("--mean", metavar="M[,M,M]", help="Then this is subtracted, a channel.")
@click.option("--std", metavar="S[,S,S]", help="Then this divides, a channel.")
@click.option("--channel-order", type=click.Choice(list(CHANNEL_ORDERS)), help="Order of the colour channels.")
@click.option("--resize", type=click.Choice(RESIZES), help="How a photo gets the input's size.")
@click.option("--shorter-side", type=click.IntRange(1), help="Length of the shorter side before the crop.")
@click.option("--filter", "filter_", type=click.Choice(list(FILTERS)), help="Resampling filter.")
@_model_options
@click.option("--dynamic-size", is_flag=True, help="Leave height and width of a PyTorch module's input open.")
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the certificate's random inputs."
)
@_fast_int8
def export(
    model: Path | None,
    factory: str | None,
    output: Path,
    layers: Sequence[str],
    score: ScoreOptions,
    gradients: bool,
    guided: bool,
    skippable: bool,
    portable: bool,
    labels: Path | None,
    preset: str | None,
    divisor: float | None,
    mean: str | None,
    std: str | None,
    channel_order: str | None,
    resize: str | None,
    shorter_side: int | None,
    filter_: str | None,
    size: tuple[int, int] | None,
    fixed: Mapping[str, Values],
    dynamic_size: bool,
    seed: int,
    fast_int8: bool,
) -> None:
    """Rewrite MODEL into a graph that also computes Grad-CAM's activations and weights, and prove it.

    MODEL is an .onnx file, a TorchScript or .pt2 file, or package.module:factory for a PyTorch module, which --torch
    names as well.
    """
    stated = InputOptions(
        preset=preset,
        divisor=divisor,
        mean=_numbers("--mean", mean),
        std=_numbers("--std", std),
        channel_order=channel_order,
        resize=resize,
        shorter_side=shorter_side,
        filter=filter_,
        size=size,
    )
    options = ExportOptions(
        tuple(layers),
        score,
        BuildOptions(gradients, guided, skippable, portable),
        read_labels(labels) if labels else (),
        stated,
        seed,
        fixed,
        exact_int8=not fast_int8,
    )
    with _progress_bar("Checking") as report:
        exported = _export(model, factory, output, options, dynamic_size, report)
    summarise(output, written_bytes(output, exported.weights_folder), exported.manifest)


def _export(
    model: Path | None, factory: str | None, output: Path, options: ExportOptions, dynamic_size: bool, report: Report
) -> Exported:
    if model is not None and factory is not None:
        raise UsageError("Give either MODEL or --torch, not both.")
    if factory is None and model is not None and is_factory(str(model)):
        factory = str(model)
    if factory is not None:
        return export_factory(factory, output, options, dynamic_size=dynamic_size, progress=report)
    if model is None:
        raise UsageError("Give MODEL, the path of an .onnx file, or --torch package.module:factory.")
    if is_torch_file(model) and model.is_file():
        return export_torch_file(model, output, options, dynamic_size=dynamic_size, progress=report)
    if dynamic_size:
        raise UsageError("--dynamic-size is for PyTorch modules; an .onnx file has its sizes already.")
    return export_file(model, output, options, progress=report)


@click.command()
@click.argument("graph", type=_FILE)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--device",
    type=click.Choice(["cpu", "cuda", "auto"]),
    default="cpu",
    show_default=True,
    help="Where to run the float32 checks.",
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Seed of the random inputs.")
@_fast_int8
def verify(graph: Path, as_json: bool, device: Device, seed: int, fast_int8: bool) -> None:
    """Run the certificate's checks on GRAPH again, here. Exit code 1 if one fails."""
    loaded = load_onnx(graph)
    model, folder = ir.to_proto(loaded.model), weights_folder(loaded.model)
    engine = Engine(graph, device=device, exact_int8=not fast_int8)
    manifest = manifest_from_metadata(engine.metadata, str(graph))
    subject = Subject(model, manifest, engine, folder=folder, device=device, seed=seed)
    with _progress_bar("Checking") as report:
        certificate = certify(subject, progress=report)
    if as_json:
        click.echo(json_format.MessageToJson(certificate, preserving_proto_field_name=True))
    else:
        _console().print(check_table(certificate))
    for note in engine.notes:
        click.echo(f"Note: {note}", err=True)
    if not certificate.passed:
        failed = ", ".join(check.name for check in certificate.checks if not check.passed)
        raise CertificateError(f"{graph} did not pass: {failed}.")


def _numbers(option: str, text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(float(part) for part in str(text).split(","))
    except ValueError as error:
        raise UsageError(f"{option} is a list of numbers such as 0.485,0.456,0.406, not {text!r}.") from error


def _settings(texts: Sequence[str]) -> dict[str, Values]:
    settings = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not (name and equals and values):
            raise UsageError(f"--set is NAME=NUMBER[,NUMBER] or NAME=FILE.npy, such as scale_factor=1,1, not {text!r}.")
        settings[name] = parse_values(values)
    return settings


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) not in (1, 2) or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise UsageError(f"--input-size is HxW in pixels, such as 224x224, not {text!r}.")
    return int(parts[0]), int(parts[-1])


def _console() -> Console:
    """Return the console for tables; a pipe has no width, and names of layers are long."""
    return Console() if sys.stdout.isatty() else Console(width=160)


@contextmanager
def _progress_bar(title: str) -> Iterator[Report]:
    """Show a progress bar on a terminal, and nothing when stderr is piped."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(title, total=None)

        def report(name: str, done: int, total: int) -> None:
            bar.update(task, description=f"{title}: {name}", completed=done, total=total)

        yield report
