"""The command `camgraph explain`."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from camgraph_cli.options import Text, options_of
from camgraph_client.cli.asking import asked_of
from camgraph_client.cli.bank_option import BankFile, is_file
from camgraph_client.cli.banks import good_images, measure_of
from camgraph_client.cli.connection import ServerOptions
from camgraph_client.cli.photos import photos_of
from camgraph_client.cli.pictures import Wanted
from camgraph_client.cli.references import Compared
from camgraph_client.cli.report.journal import stamp
from camgraph_client.cli.report.kept import Kept
from camgraph_client.cli.run import Run, summary_of
from camgraph_client.cli.source import open_source
from camgraph_client.cli.video.clips import explain_clip, open_clips, takes_clips
from camgraph_client.cli.video.live import PathOrLive
from camgraph_client.cli.video.options import VideoOptions
from camgraph_client.cli.video.run import VideoRun
from camgraph_core.errors import CamgraphError, UsageError
from camgraph_core.style import COLORMAPS, OPACITIES
from camgraph_core.windows import WINDOWS
from camgraph_runtime.maps.cam import METHODS
from camgraph_runtime.preprocess.shown import usual_bands
from camgraph_runtime.video.live import LiveSource

_READABLE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...", type=PathOrLive())
@click.option(
    "--graph",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Explainable graph to run in this process.",
)
@options_of(where=ServerOptions, kept=Kept, compared=Compared, video=VideoOptions)
@click.option(
    "--model",
    default="",
    show_default=False,
    help="Model on the server; may be left out if it has exactly one.",
)
@click.option(
    "--model-version", default="", show_default=False, help="Version of the model on the server; default: the newest."
)
@click.option(
    "--target",
    multiple=True,
    type=Text(),
    metavar="N|LABEL|-R",
    help="Class to explain: index, label, or -R for the class of rank R; repeatable.",
)
@click.option(
    "--top-k",
    type=click.IntRange(min=0),
    default=0,
    help="Also explain the K best classes; of a detection the K best objects.",
)
@click.option("--contrast", metavar="N|LABEL|-R", help="Hold each target against this class: why it, and not this one?")
@click.option("--negative", is_flag=True, help="Show what speaks against each target.")
@click.option(
    "--mask",
    type=_READABLE,
    help="Segmentation: picture or .npy file of the pixels to explain, as large as the photo or the score map; "
    "black or zero is outside. Default: where the class wins.",
)
@click.option(
    "--polygon",
    multiple=True,
    metavar="'X,Y X,Y ...'",
    help="Segmentation: polygon to explain, by its corners in pixels of the photo; repeatable.",
)
@click.option(
    "--region",
    multiple=True,
    type=click.IntRange(min=1),
    metavar="R",
    help="Segmentation: connected region of the prediction to explain, by its rank by area, or with --target among "
    "those of that class; repeatable.",
)
@click.option(
    "--anchor",
    metavar="N|-R",
    help="Detection: candidate box to explain, before non-maximum suppression: index, or -R for the class's box of "
    "rank R. Default: its best.",
)
@click.option(
    "--object",
    "objects",
    multiple=True,
    type=click.IntRange(min=1),
    metavar="R",
    help="Detection: object to explain by its rank in the table, or with --target among those of that class; "
    "repeatable.",
)
@click.option(
    "--at",
    metavar="X,Y",
    help="Object (detection) or connected region of the prediction (segmentation) to explain, by a pixel of the photo "
    "that it holds.",
)
@click.option(
    "--score-threshold",
    type=click.FloatRange(0, 1),
    default=0.25,
    help="Detection: least score of an object that is listed.",
)
@click.option(
    "--iou-threshold",
    type=click.FloatRange(0, 1),
    default=0.45,
    help="Detection: two boxes of a class that overlap by more than this share are one object.",
)
@click.option(
    "--cotangent",
    type=_READABLE,
    help="Embedding: .npy file with a direction [D], or several [T, D], in place of targets.",
)
@click.option(
    "--bank",
    type=BankFile(exists=True, path_type=Path),
    metavar="FILE|FOLDER|model",
    help="Memory bank (camgraph build-bank): also show how far each part of an IMAGE is from good images. A folder of "
    "good images becomes a bank for this run, with the layers of --layer. The word model stands for the bank that lies "
    "beside the graph, here or on the server.",
)
@click.option("--method", type=click.Choice(list(METHODS)), help="How the map is made; default: as the graph says.")
@click.option(
    "--layer",
    multiple=True,
    type=Text(),
    help="Target layer; repeatable, several are fused. Default: the graph's first.",
)
@click.option(
    "--window",
    metavar="LOW,HIGH|NAME",
    help="Values that are black and white in a picture of more than 8 bits, such as 0,4095, or their name: "
    f"{', '.join(WINDOWS)}. Default: its whole range, or what a DICOM file says.",
)
@click.option("--frame", type=click.IntRange(min=1), help="Frame of a DICOM file that has several.")
@click.option(
    "--tensor",
    "as_tensor",
    is_flag=True,
    help="Each IMAGE is a .npy or .npz file with a ready input tensor [1, ...], which goes in as it is.",
)
@click.option(
    "--nodata",
    type=float,
    metavar="VALUE",
    help="Value that stands for no data in an image of bands, beside NaN and what a TIFF itself names so.",
)
@click.option(
    "--display-bands",
    metavar="NAME[,NAME,NAME]",
    help="Bands that pictures show, one as grey or three as red, green and blue, by name or by number from 1. Default: "
    "those that are called so, or the first ones.",
)
@click.option(
    "--stretch",
    metavar="LOW,HIGH",
    help="Percentiles of these bands that are black and white. Default: 2,98, and pixels of 8 bits as they are.",
)
@click.option(
    "--tile",
    type=click.IntRange(min=1),
    metavar="PIXELS",
    help="Explain a scene that is larger than what the network sees window by window, each of so many pixels to a "
    "side, as one map. A TIFF or .npy file is never read as a whole.",
)
@click.option(
    "--overlap",
    type=click.IntRange(min=0),
    metavar="PIXELS",
    show_default=False,
    help="With --tile: pixels that neighbouring windows share, over which they are blended. Default: an eighth.",
)
@click.option(
    "--scaled-decoding",
    is_flag=True,
    help="Decode a large JPEG at 1/2, 1/4 or 1/8 of its size, as far as the network and --max-side allow: faster, and "
    "scores move a little.",
)
@click.option(
    "--colormap",
    type=click.Choice(COLORMAPS),
    default="jet",
    help="Colours of overlays. Of viridis and inferno what is hotter is lighter, also in print without colours and for "
    "those who see few of them.",
)
@click.option(
    "--image-weight",
    type=click.FloatRange(0, 1),
    default=0.5,
    help="Weight of the photo against the colours in overlays.",
)
@click.option(
    "--opacity",
    type=click.Choice(OPACITIES),
    help="Where the colours cover the photo: everywhere alike, or more where it is hotter. Default: even for overlays, "
    "heat for panels.",
)
@click.option(
    "--own-scale",
    is_flag=True,
    help="Paint each class of a panel by its own largest value. Default: one scale for all.",
)
@click.option(
    "--max-side",
    type=click.IntRange(min=1),
    metavar="PIXELS",
    help="Longest side of the overlays; nothing larger is computed. Default: the photo's size.",
)
@click.option(
    "--hot-regions",
    is_flag=True,
    help="Print the connected regions of each heatmap that are hot, with box, area, mean, peak and share of the heat.",
)
@click.option(
    "--hot-from",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.5,
    help="Heat from which on a part of the heatmap is hot.",
)
@click.option(
    "--predictions",
    type=click.IntRange(min=1),
    default=5,
    help="Number of best classes (of a detection, objects) to print.",
)
@click.option(
    "--device",
    metavar="DEVICE",
    default="cpu",
    help="Where --graph runs: cpu, auto (CUDA where it works), or a provider of onnxruntime as NAME[:KEY=VALUE,...].",
)
@click.option(
    "--fast-int8",
    is_flag=True,
    help="With --graph: keep onnxruntime's default 8-bit kernels, also where they saturate on this CPU.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("explanations"),
    help="Directory for overlays and panels; of a video also the file to write.",
)
def explain(
    images: tuple[Path | LiveSource, ...],
    where: ServerOptions,
    kept: Kept,
    compared: Compared,
    video: VideoOptions,
    output: Path,
    **options: Any,
) -> None:
    """Show where a model looked in each IMAGE, for the classes asked.

    An IMAGE is a file, a folder, which stands for all pictures in it, or a quoted pattern such as "photos/**/*.jpg".
    A video is explained frame by frame, and becomes a video with a contact sheet; so is a camera (/dev/video0) or a
    stream (rtsp://, http://, tcp://, udp://) until --end, or until Ctrl-C. Prints the best classes and writes
    one overlay for each target (with guided-grad-cam a second picture), and one side-by-side panel for each image. A
    run that was broken off goes on where it ended when it is started again.
    Give either --graph, or --server with --model.
    """
    compared.check(options)
    asked = asked_of(options, with_regions=options["hot_regions"] or kept.needs_rows)
    if kept.truth is not None and (asked["targets"] or asked["top_k"] or compared.reference):
        raise UsageError("--truth chooses what is explained; leave out the options that name targets.")
    path = video.video_among(images) if not (of_clips := takes_clips(where, options)) else None
    if of_clips or path is not None:
        _check_moving(options, kept, compared)
    if of_clips:
        explain_clip(images, video, asked, partial(open_clips, where, options), output)
        return
    if path is not None:
        with closing(open_source(where, options)) as source:
            VideoRun(source, asked, video, output).over(path)
        return
    if output.is_file():
        raise UsageError(f"{output} is a file; for images -o names a folder.")
    paths = [path for path in images if isinstance(path, Path)]
    photos = photos_of(paths, output, are_tensors=options["as_tensor"])
    references = compared.photos(output)
    good = good_images(options["bank"], output)
    wanted = Wanted(output, options["opacity"], not options["own_scale"], options["hot_regions"], kept.maps)
    read = {"references": [photo.path for group in references for photo in group], "good": good}
    said = _said(options, kept, where) | {name: list(map(stamp, paths)) for name, paths in read.items()}
    with closing(open_source(where, options)) as source:
        if options["as_tensor"] and not asked["display_bands"]:
            asked["display_bands"] = usual_bands(source.manifest.input)
        if compared.reference:
            asked["targets"] = compared.targets(source, references, asked, negative=options["negative"])
        measure = measure_of(options["bank"], good, source, asked)
        problems = Run(source, asked, wanted, kept, said | {"compared": asdict(compared)}, measure).over(photos)
    if problems:
        raise CamgraphError(summary_of(problems, len(photos)))


def _check_moving(options: dict[str, Any], kept: Kept, compared: Compared) -> None:
    """Refuses what is for images alone, where a video or a clip is explained."""
    if kept != Kept() or compared.reference:
        raise UsageError("Tables, maps, reports and references are for images, not for a video; leave them out.")
    named = ["bank"] * is_file(options["bank"])
    named += [name for name in ("hot_regions", "as_tensor", "own_scale") if options[name]]
    if named:
        shown = " and ".join(f"--{name.removeprefix('as_').replace('_', '-')}" for name in named)
        raise UsageError(f"For images, not for a video: {shown}. Leave that out.")


def _said(options: dict[str, Any], kept: Kept, where: ServerOptions) -> dict[str, Any]:
    """What decides what a run writes of an image, in plain values."""
    files = {name: stamp(options[name]) for name in ("mask", "cotangent", "bank") if isinstance(options[name], Path)}
    has = {"rows": kept.needs_rows, "page": kept.report is not None, "maps": kept.maps}
    return {**options, "server": where.server, "files": files, "kept": has, "version": version("camgraph")}
