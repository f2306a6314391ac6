"""From the options of `camgraph explain` to what is asked of each image."""

from __future__ import annotations

from typing import Any

from camgraph_client.cli.bank_option import OF_MODEL, is_file
from camgraph_client.cli.targets import targets_of
from camgraph_core.errors import UsageError
from camgraph_core.style import Style
from camgraph_core.target import Target
from camgraph_core.windows import window_from

GUIDED = "guided-grad-cam"
"""The method that also gives the image's gradient."""


def asked_of(options: dict[str, Any], *, with_regions: bool) -> dict[str, Any]:
    """The keyword arguments of `Explains.explain`, the same for each image."""
    targets, top_k = targets_of(
        named=[Target.parse(text) for text in options["target"]],
        top_k=options["top_k"],
        contrast=Target.parse(options["contrast"]) if options["contrast"] is not None else None,
        negative=options["negative"],
        mask=options["mask"],
        polygons=options["polygon"],
        regions=options["region"],
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
            *(["hot-regions"] if with_regions else []),
            *(["activations"] if is_file(options["bank"]) else []),
        ],
        "hot_from": options["hot_from"],
        "colormap": options["colormap"],
        "image_weight": options["image_weight"],
        "opacity": options["opacity"] or Style.opacity,
        "max_side": options["max_side"],
        "num_predictions": options["predictions"],
        "score_threshold": options["score_threshold"],
        "iou_threshold": options["iou_threshold"],
        "window": None if options["window"] is None else window_from(options["window"]),
        "frame": options["frame"],
        "scaled_decoding": options["scaled_decoding"],
        "nodata": options["nodata"],
        "display_bands": options["display_bands"].split(",") if options["display_bands"] is not None else (),
        "bank": options["bank"] == OF_MODEL,
        "stretch": _two_numbers("--stretch", options["stretch"], "2,98"),
    }


def _two_numbers(option: str, text: str | None, example: str) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"{option} is two numbers LOW,HIGH, such as {example}, not {text!r}.") from error
    return low, high
