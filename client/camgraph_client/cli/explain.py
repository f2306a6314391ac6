"""The command `camgraph explain`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import track

from camgraph_cli.options import Text, options_of
from camgraph_client.cli.connection import ServerOptions
from camgraph_client.cli.report import Wanted, print_report, unique_names, write_pictures
from camgraph_client.cli.targets import targets_of
from camgraph_core.errors import (
    CamgraphError,
    DeviceError,
    InvalidGraphError,
    TargetError,
    UnavailableError,
    UnsupportedError,
    UsageError,
)
from camgraph_core.request import Window
from camgraph_core.result import Result
from camgraph_core.style import OPACITIES, Style
from camgraph_runtime import Explainer, Target
from camgraph_runtime.maps.cam import METHODS
from camgraph_runtime.pictures.colormaps import COLORMAPS
from camgraph_runtime.run.blas import limit_blas_threads

if TYPE_CHECKING:
    from camgraph_client.sync import RemoteModel

GUIDED = "guided-grad-cam"
"""The method that also gives the image's gradient."""

_READABLE = click.Path(exists=True, dir_okay=False, path_type=Path)

# These are about the whole run, not about one image: going on would only repeat them.
_FATAL = (UsageError, TargetError, UnsupportedError, DeviceError, InvalidGraphError, UnavailableError)


@click.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--graph",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Explainable graph to run in this process.",
)
@options_of(where=ServerOptions)
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
    help="Segmentation: picture of the region to explain, as large as the photo; black is outside. "
    "Default: where the class wins.",
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
@click.option("--at", metavar="X,Y", help="Detection: object to explain by a pixel of the photo that its box holds.")
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
@click.option("--method", type=click.Choice(list(METHODS)), help="How the map is made; default: as the graph says.")
@click.option(
    "--layer",
    multiple=True,
    type=Text(),
    help="Target layer; repeatable, several are fused. Default: the graph's first.",
)
@click.option(
    "--window",
    metavar="LOW,HIGH",
    help="Values that are black and white in a picture of more than 8 bits, such as 0,4095. Default: its whole range.",
)
@click.option(
    "--scaled-decoding",
    is_flag=True,
    help="Decode a large JPEG at 1/2, 1/4 or 1/8 of its size, as far as the network and --max-side allow: faster, and "
    "scores move a little.",
)
@click.option("--colormap", type=click.Choice(list(COLORMAPS)), default="jet", help="Colours of overlays.")
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
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("explanations"),
    help="Directory for overlays and panels.",
)
def explain(images: tuple[Path, ...], where: ServerOptions, output: Path, **options: Any) -> None:
    """Show where a model looked in each IMAGE, for the classes asked.

    Prints the best classes and writes one overlay for each target (with guided-grad-cam a second picture), and one
    side-by-side panel for each image.
    Give either --graph, or --server with --model.
    """
    asked = _asked(options)
    with closing(_source(where, options)) as source:
        wanted = Wanted(output, options["opacity"], not options["own_scale"], options["hot_regions"])
        problems = _explain_all(images, source, asked, wanted)
    if problems:
        raise CamgraphError(_summary(problems, len(images)))


def _asked(options: dict[str, Any]) -> dict[str, Any]:
    """The keyword arguments of `Explains.explain`, the same for each image."""
    targets, top_k = targets_of(
        named=[Target.parse(text) for text in options["target"]],
        top_k=options["top_k"],
        contrast=Target.parse(options["contrast"]) if options["contrast"] is not None else None,
        negative=options["negative"],
        mask=options["mask"],
        anchor=options["anchor"],
        objects=options["objects"],
        at=options["at"],
        cotangent=options["cotangent"],
    )
    method = options["method"]
    return {
        "targets": targets,
        "top_k": top_k,
        "method": method,
        "layers": options["layer"],
        # Pictures of any size are drawn here, from the map of the network's input: the same from a graph and a server.
        "outputs": [
            "input-heatmap",
            *(["guided"] if method == GUIDED else []),
            *(["hot-regions"] if options["hot_regions"] else []),
        ],
        "hot_from": options["hot_from"],
        "colormap": options["colormap"],
        "image_weight": options["image_weight"],
        "opacity": options["opacity"] or Style.opacity,
        "max_side": options["max_side"],
        "num_predictions": options["predictions"],
        "score_threshold": options["score_threshold"],
        "iou_threshold": options["iou_threshold"],
        "window": _window(options["window"]),
        "scaled_decoding": options["scaled_decoding"],
    }


def _window(text: str | None) -> Window | None:
    if text is None:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"--window is two numbers LOW,HIGH, such as 0,4095, not {text!r}.") from error
    return low, high


def _source(where: ServerOptions, options: dict[str, Any]) -> Explainer | RemoteModel:
    graph = options["graph"]
    if (graph is None) == (where.server is None):
        raise UsageError("Say where to explain: either --graph FILE, or --server HOST:PORT with --model NAME.")
    if graph is not None:
        if options["model"] or options["model_version"]:
            raise UsageError("--model and --model-version name a model on a server; leave them out with --graph.")
        limit_blas_threads()
        explainer = Explainer(graph, device=options["device"], exact_int8=not options["fast_int8"])
        for note in explainer.engine.notes:
            click.echo(f"Note: {note}", err=True)
        return explainer
    if options["fast_int8"]:
        raise UsageError("--fast-int8 goes with --graph; a server is told by its own option at its start.")
    return where.open().model(options["model"], options["model_version"])


def _explain_all(
    images: Sequence[Path], source: Explainer | RemoteModel, asked: dict[str, Any], wanted: Wanted
) -> list[str]:
    """Explains image by image; returns the problems of those that failed."""
    console, problems = Console(), []
    answers = _answers(images, source, asked)
    for path, name, answer in zip(_with_progress(images), unique_names(images), answers, strict=True):
        try:
            result = answer()
            files = write_pictures(result, name, path.name, wanted)
        except _FATAL:
            raise
        except CamgraphError as error:
            problems.append(_named(path, str(error)))
        else:
            print_report(console, str(path), result, files, with_regions=wanted.with_regions)
    return problems


def _answers(
    images: Sequence[Path], source: Explainer | RemoteModel, asked: dict[str, Any]
) -> Iterator[Callable[[], Result]]:
    """For each image what gives its result, or raises; a server works on the next ones while one is drawn here."""
    if isinstance(source, Explainer) or len(images) == 1:
        yield from (partial(source.explain, image, **asked) for image in images)
    else:
        for outcome in source.explain_many(images, **asked):
            yield partial(getattr, outcome, "result")


def _with_progress(images: Sequence[Path]) -> Iterator[Path]:
    """The images, with a progress bar on stderr if there are several and somebody looks on."""
    console = Console(stderr=True)
    if len(images) > 1 and console.is_terminal:
        yield from track(images, description="explaining", console=console, transient=True)
    else:
        yield from images


def _named(path: Path, problem: str) -> str:
    return problem if str(path) in problem else f"{path}: {problem}"


def _summary(problems: list[str], count: int) -> str:
    if count == 1:
        return problems[0]
    listed = "\n".join(f"  {problem}" for problem in problems)
    return f"{len(problems)} of {count} images could not be explained:\n{listed}"
