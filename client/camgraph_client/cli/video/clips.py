"""`camgraph explain` with a model that takes clips or volumes: all frames are one input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from camgraph_client.cli.connection import ServerOptions
from camgraph_client.cli.photos import photos_of
from camgraph_client.cli.pictures import slug
from camgraph_client.cli.source import check_place
from camgraph_client.cli.tables import print_report
from camgraph_client.cli.video.options import VideoOptions
from camgraph_core.errors import CamgraphError, UsageError
from camgraph_core.explains_clips import ClipSource
from camgraph_core.result import Result
from camgraph_core.style import Style
from camgraph_runtime import ClipExplainer
from camgraph_runtime.manifest import manifest_of_file
from camgraph_runtime.preprocess.arrays import map_numbers
from camgraph_runtime.video.live import LiveSource

if TYPE_CHECKING:
    from camgraph_client.clips import RemoteClipModel

_SUFFIXES = (".gif", ".mkv", ".mov", ".mp4", ".png", ".webm")
_OF_IMAGES = ("bank", "frame", "nodata", "scaled_decoding")
"""What is asked of images alone."""


def takes_clips(where: ServerOptions, given: dict[str, Any]) -> bool:
    """Whether the graph or the model of the server explains clips; what is wrong with it is told when it is asked.

    Args:
        where: The server, if there is one.
        given: What else the command line says: the graph, or the model of the server.

    """
    try:
        if given["graph"] is not None:
            return manifest_of_file(given["graph"]).input.HasField("clip")
        if where.server is None:
            return False
        with closing(where.open(attempts=1)) as client:
            return client.get_model(given["model"], given["model_version"]).manifest.input.HasField("clip")
    except CamgraphError:
        return False


def open_clips(where: ServerOptions, given: dict[str, Any]) -> ClipExplainer | RemoteClipModel:
    """What explains clips, to be closed after the run; the arguments are those of `takes_clips`.

    Raises:
        CamgraphError: The graph cannot be loaded, the server's address cannot be used, or options do not go together.

    """
    check_place(where, given)
    if given["tile"] is not None:
        raise UsageError("--tile is for scenes, not for clips; leave it out.")
    if given["graph"] is not None:
        return ClipExplainer(given["graph"], device=given["device"], exact_int8=not given["fast_int8"])
    return where.open().clip_model(given["model"], given["model_version"])


def explain_clip(
    images: Sequence[Path | LiveSource],
    options: VideoOptions,
    asked: dict[str, Any],
    opened: Callable[[], ClipExplainer | RemoteClipModel],
    output: Path,
) -> None:
    """Explains one clip or volume, and writes pictures that play it.

    Args:
        images: The path of a video or of an array [T, H, W] or [T, H, W, C], or images, a folder or a pattern.
        options: Which part of a video.
        asked: The keywords of `Explains.explain`.
        opened: Gives what explains.
        output: The file that is written, or the folder for a contact sheet and an animated picture.

    Raises:
        UsageError: Options do not fit a clip.
        InvalidInputError: The clip cannot be read.

    """
    ignored = [name for name in _OF_IMAGES if asked[name] is not None and asked[name] is not False]
    if ignored:
        named = " and ".join(f"--{name.replace('_', '-')}" for name in ignored)
        raise UsageError(f"The model takes clips, and only images have {named}. Leave that out.")
    if options.every != 1 or options.follow:
        raise UsageError("The model takes clips, and says itself which frames; leave out --every and --follow.")
    if output.suffix and output.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"A clip is written as {', '.join(_SUFFIXES)}, not as {output.name!r}.")
    video = options.video_among(images)
    if isinstance(video, LiveSource):
        raise UsageError(f"The model takes clips, and {video} has no end to choose frames from. Record a file first.")
    paths = [path for path in images if isinstance(path, Path)]
    source: ClipSource = video if video is not None else _frames(paths, output)
    keywords = ("targets", "top_k", "method", "layers", "window", "num_predictions", "outputs")
    style = Style(**{field.name: asked[field.name] for field in fields(Style) if field.name in asked})
    with closing(opened()) as explains:
        said = {name: asked[name] for name in keywords}
        result = explains.explain(source, start=options.start, end=options.end, style=style, **said)
    files = []
    for number, item in enumerate(result.explanations, start=1):
        for file in _files(output, paths[0].stem, f"{number}-{slug(item.title)}", alone=len(result.explanations) == 1):
            item.save(file)
            files.append(file)
    shown = Result(result.predictions, [], result.canvas, warnings=result.warnings)
    print_report(Console(), f"{paths[0].name}: frames {', '.join(map(str, result.numbers))}", shown, files)


def _frames(images: Sequence[Path], output: Path) -> ClipSource:
    if len(images) == 1 and images[0].suffix.lower() == ".npy":
        return map_numbers(images[0])
    return [photo.path for photo in photos_of(images, output)]


def _files(output: Path, stem: str, name: str, *, alone: bool) -> list[Path]:
    """Where one explanation goes: to the file that is named, with several to one beside it each."""
    if output.suffix:
        output.parent.mkdir(parents=True, exist_ok=True)
        return [output if alone else output.with_name(f"{output.stem}.{name}{output.suffix}")]
    output.mkdir(parents=True, exist_ok=True)
    return [output / f"{stem}.{name}.sheet.png", output / f"{stem}.{name}.gif"]
