"""What the exporter's commands print: tables, JSON and summaries."""

from __future__ import annotations

import math
from pathlib import Path

import click
from google.protobuf import json_format
from rich.table import Table

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.inspection import Candidate, Inspection
from camgraph_exporter.tasks import task_of


def candidate_table(title: str, inspection: Inspection) -> Table:
    """Return the candidate layers as a table, best first.

    "sees": receptive field of a cell, "all" where it is as large as the image; "weights after": weights between the
    layer and the score; "cost": extra time of the explainable graph; "branch": in a model of parallel branches, which;
    "boxes": of a detector, how many boxes depend on the layer.
    """
    image_side = _longer_side(inspection.input)
    measured = any(candidate.measured_cost is not None for candidate in inspection.candidates)
    branched = any(candidate.branch for candidate in inspection.candidates)
    table = Table(title=title, title_justify="left")
    table.add_column("")
    table.add_column("layer", overflow="fold", min_width=24)
    of_clips = any(candidate.layer.frames for candidate in inspection.candidates)
    for name in (
        "K x t x h x w" if of_clips else "K x h x w",
        "stride",
        "sees",
        "weights after",
        "cost" if measured else "cost (est.)",
    ):
        table.add_column(name, justify="right", no_wrap=True)
    if branched:
        table.add_column("branch", justify="right")
    boxed = any(candidate.boxes for candidate in inspection.candidates)
    if boxed:
        table.add_column("boxes", justify="right", no_wrap=True)
    for candidate in inspection.candidates:
        layer = candidate.layer
        stride = f"{layer.stride[0]:.3g}" if layer.stride else "?"
        cost = candidate.estimated_cost if candidate.measured_cost is None else candidate.measured_cost
        mark = "auto" if candidate.is_chosen else ""
        sees = f"{candidate.receptive_field:.0f} px" if candidate.receptive_field < image_side else "all"
        row = [mark, layer.name, cells(layer), stride, sees, _short(candidate.weights_after), f"{cost:+.0%}"]
        row += [str(candidate.branch)] if branched else []
        table.add_row(*row, *([candidate.boxes] if boxed else []))
    return table


def cells(layer: Candidate | object) -> str:
    """Return `K x h x w` of a layer, of a clip `K x t x h x w`; a question mark where a size is open."""
    frames = ["frames"] if getattr(layer, "frames", 0) else []
    sizes = (getattr(layer, name) for name in ("channels", *frames, "height", "width"))
    return " x ".join(str(size or "?") for size in sizes)


def inspection_json(inspection: Inspection) -> dict[str, object]:
    """Return an inspection for programs."""
    return {
        "score": json_format.MessageToDict(inspection.score.head(), preserving_proto_field_name=True),
        "task": inspection.score.task.name,
        "auto_layer": next(candidate.layer.name for candidate in inspection.candidates if candidate.is_chosen),
        "auto_layers": [candidate.layer.name for candidate in inspection.candidates if candidate.is_chosen],
        "branches": max(1, *(candidate.branch for candidate in inspection.candidates)),
        "layers": [_candidate_json(candidate) for candidate in inspection.candidates],
        "input": json_format.MessageToDict(inspection.input, preserving_proto_field_name=True),
        "notes": list(inspection.notes),
    }


def _candidate_json(candidate: Candidate) -> dict[str, object]:
    layer, field = candidate.layer, candidate.receptive_field
    return {
        "name": layer.name,
        "channels": layer.channels,
        "height": layer.height,
        "width": layer.width,
        "frames": layer.frames,
        "stride": layer.stride,
        "receptive_field": None if math.isinf(field) else field,
        "weights_after": candidate.weights_after,
        "extra_cost": candidate.estimated_cost,
        "measured_cost": candidate.measured_cost,
        "branch": candidate.branch,
        "boxes": candidate.boxes,
    }


def describe_score(inspection: Inspection) -> str:
    """Return one line on the score."""
    score = inspection.score
    head = pb.HeadKind.Name(score.kind).removeprefix("HEAD_KIND_").lower().replace("_", "-")
    wide = score.task.extent(score.head())
    return f"Score  {score.name}: {score.task.name}, {wide}, head {head}, output {score.output.name}"


def describe_image(inspection: Inspection) -> str:
    """Return one line on the image input."""
    spec = inspection.input
    known = "values told by the graph, order of channels and resize guessed" if spec.told_by_graph else "guessed"
    known = "stated" if spec.stated else known
    return f"Input  {inspection.image} {list(spec.tensor.shape)} {spec.tensor.dtype}; {known}: {describe_input(spec)}"


def describe_input(spec: pb.InputSpec) -> str:
    """Return one line on how a photo becomes the tensor."""
    order = pb.ChannelOrder.Name(spec.channel_order).removeprefix("CHANNEL_ORDER_")
    layout = pb.Layout.Name(spec.layout).removeprefix("LAYOUT_")
    mean, std = (", ".join(f"{value:g}" for value in values) for values in (spec.mean, spec.std))
    steps = ", ".join(map(_describe_step, spec.steps)) or "no resize"
    clip = f", {_describe_clip(spec.clip)}" if spec.HasField("clip") else ""
    return f"{order} {layout}{_describe_bands(spec)}, (x / {spec.divisor:g} - [{mean}]) / [{std}], {steps}{clip}"


def _describe_bands(spec: pb.InputSpec) -> str:
    """Return the names and values of an image's channels, as far as they were stated."""
    names = f", bands {' '.join(spec.band_names)}" if spec.band_names else ""
    ends = [f"{low:g}..{high:g}" for low, high in zip(spec.value_low, spec.value_high, strict=True)]
    return f"{names}, values {ends[0] if len(set(ends)) == 1 else ' '.join(ends)}" if ends else names


def _describe_clip(clip: pb.Clip) -> str:
    """Return which frames the network gets: "16 frames, one of every 2"."""
    what = "slices" if clip.is_volume else "frames"
    return f"{clip.frames} {what}, " + (f"one of every {clip.step}" if clip.step else "spread evenly")


def _describe_step(step: pb.GeometryStep) -> str:
    """Return what a step does, with its size: "resize shorter side to 256", "center crop to 224 x 224"."""
    name = step.WhichOneof("step")
    if name is None:
        return "nothing"
    chosen = getattr(step, name)
    words, fields = name.replace("_", " "), chosen.DESCRIPTOR.fields_by_name
    if "width" in fields:
        return f"{words.removesuffix(' to')} to {chosen.width} x {chosen.height}"
    return f"{words} to {chosen.size}" if "size" in fields else words


def check_table(certificate: pb.Certificate) -> Table:
    """Return a certificate's checks as a table."""
    table = Table(title="Certificate", title_justify="left")
    table.add_column("check", overflow="fold")
    table.add_column("error", justify="right")
    table.add_column("allowed", justify="right")
    table.add_column("verdict")
    table.add_column("where", overflow="fold")
    for check in certificate.checks:
        verdict = "passed" if check.passed else "FAILED"
        allowed = "any" if check.is_statement else f"{check.tolerance:g}"
        table.add_row(check.name, f"{check.error:.2e}", allowed, verdict, check.location)
    return table


def summarise(output: Path, size: int, manifest: pb.Manifest) -> None:
    """Print what was written (`size` in bytes), what was proven, and what the user should know (the last on stderr)."""
    megabytes, head = size / 1e6, manifest.head
    wide = task_of(manifest).extent(head)
    for layer in manifest.layers:
        click.echo(f"{output}: {layer.name} ({cells(layer)}), score {head.score_tensor}, {wide}, {megabytes:.1f} MB")
    checks = {check.name: check for check in manifest.certificate.checks}
    gradient = next((check for name, check in checks.items() if name.startswith("gradient-f")), None)
    accuracy = f"; gradients are right to {gradient.error:.1e}" if gradient is not None else ""
    click.echo(f"Certificate: {len(checks)} checks passed{accuracy}.")
    for note in manifest.notes:
        click.echo(f"Note: {note}", err=True)
    if not manifest.input.stated:
        click.echo(f"Note: {_note_on_guess(manifest.input)}", err=True)


def _note_on_guess(spec: pb.InputSpec) -> str:
    if spec.told_by_graph:
        return f"the order of channels and the resize were guessed ({describe_input(spec)}). State them if they differ."
    return f"the input was guessed ({describe_input(spec)}). State it with --preset or --mean and --std."


def _longer_side(spec: pb.InputSpec) -> float:
    """Return the longer side of the network's input in pixels; infinite where it is open."""
    sizes = [int(text) for text in spec.tensor.shape[1:] if text.isdecimal()]
    return max(sizes) if len(sizes) == len(spec.tensor.shape) - 1 else math.inf


def _short(count: int) -> str:
    for unit, name in ((1e6, "M"), (1e3, "k")):
        if count >= unit:
            return f"{count / unit:.1f}{name}"
    return str(count)
