"""Where the map of scores lies that the mask of a segmentation marks."""

from __future__ import annotations

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.choose.score import Score
from camgraph_exporter.prepare.prepare import Prepared
from camgraph_exporter.reading.image_path import image_path
from camgraph_exporter.reading.layouts import MapLayout
from camgraph_exporter.reading.pixels import front_of, pixels_of
from camgraph_exporter.reading.placement.law import PlaceError
from camgraph_exporter.reading.placement.places import Places


def mask_place(prepared: Prepared, score: Score) -> tuple[pb.Placement | None, str]:
    """Return the place of a segmentation's score map, None if it covers the whole image, and a note on it."""
    path = image_path(prepared, score.value)
    places = Places(prepared, score.value, front_of(path, pixels_of(prepared)))
    last = score.class_axis == 3
    layout = MapLayout(pb.LAYER_LAYOUT_CHANNELS_LAST if last else pb.LAYER_LAYOUT_CHANNELS_FIRST)
    try:
        return places.placement(score.value, layout), ""
    except PlaceError as error:
        note = (
            f"Where the scores of {score.name!r} lie on the image is not known: {error}. "
            "A mask is laid on them as if they covered the whole image."
        )
        return None, note
