"""`camgraph explain` with the graph of a model that takes clips or volumes: all frames are one input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from camgraph_client.cli.photos import photos_of
from camgraph_client.cli.pictures import slug
from camgraph_client.cli.tables import print_report
from camgraph_client.cli.video.options import VideoOptions
from camgraph_core.errors import InvalidGraphError, InvalidInputError, UsageError
from camgraph_core.result import Result
from camgraph_core.style import Style
from camgraph_runtime import ClipExplainer
from camgraph_runtime.clips.source import ClipSource
from camgraph_runtime.manifest import manifest_of_file

_SUFFIXES = (".gif", ".mkv", ".mov", ".mp4", ".png", ".webm")


def takes_clips(graph: Path | None) -> bool:
    """Whether a graph explains clips or volumes; what is wrong with its file is told when it is loaded."""
    try:
        return graph is not None and manifest_of_file(graph).input.HasField("clip")
    except InvalidGraphError:
        return False


def explain_clip(
    images: Sequence[Path], options: VideoOptions, asked: dict[str, Any], given: dict[str, Any], output: Path
) -> None:
    """Explains one clip or volume, and writes pictures that play it.

    Args:
        images: The path of a video or of an array [T, H, W] or [T, H, W, C], or images, a folder or a pattern.
        options: Which part of a video.
        asked: The keywords of `Explains.explain`.
        given: What the command line says beside that.
        output: The file that is written, or the folder for a contact sheet and an animated picture.

    Raises:
        UsageError: Options do not fit a clip.
        InvalidInputError: The clip cannot be read.

    """
    if options.every != 1 or options.follow:
        raise UsageError("This graph takes clips, and says itself which frames; leave out --every and --follow.")
    if output.suffix and output.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"A clip is written as {', '.join(_SUFFIXES)}, not as {output.name!r}.")
    video = options.video_among(images)
    source: ClipSource = video if video is not None else _frames(images, output)
    keywords = ("targets", "top_k", "method", "layers", "window", "num_predictions")
    style = Style(**{field.name: asked[field.name] for field in fields(Style) if field.name in asked})
    with ClipExplainer(given["graph"], device=given["device"]) as explainer:
        said = {name: asked[name] for name in keywords}
        result = explainer.explain(source, start=options.start, end=options.end, style=style, **said)
    files = []
    for number, item in enumerate(result.explanations, start=1):
        for file in _files(output, images[0].stem, f"{number}-{slug(item.title)}", alone=len(result.explanations) == 1):
            item.save(file)
            files.append(file)
    shown = Result(result.predictions, [], result.explanations[0].frames[0].canvas, warnings=result.warnings)
    print_report(Console(), f"{images[0].name}: frames {', '.join(map(str, result.numbers))}", shown, files)


def _frames(images: Sequence[Path], output: Path) -> ClipSource:
    if len(images) == 1 and images[0].suffix.lower() == ".npy":
        try:
            return np.asarray(np.load(images[0], allow_pickle=False))
        except (OSError, ValueError, EOFError) as error:
            raise InvalidInputError(f"{images[0]} cannot be read as a NumPy file: {error}.") from error
    return [photo.path for photo in photos_of(images, output)]


def _files(output: Path, stem: str, name: str, *, alone: bool) -> list[Path]:
    """Where one explanation goes: to the file that is named, with several to one beside it each."""
    if output.suffix:
        output.parent.mkdir(parents=True, exist_ok=True)
        return [output if alone else output.with_name(f"{output.stem}.{name}{output.suffix}")]
    output.mkdir(parents=True, exist_ok=True)
    return [output / f"{stem}.{name}.sheet.png", output / f"{stem}.{name}.gif"]
