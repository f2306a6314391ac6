"""Targets that are pixels: the mask that names them, and where the map that it marks lies on the image."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.graph.dims import Dim
from camgraph_exporter.image.layout import side_axes
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.reading.axes import axes_on
from camgraph_exporter.reading.axis import is_spatial_pair
from camgraph_exporter.reading.image_path import image_path
from camgraph_exporter.reading.layouts import MapLayout
from camgraph_exporter.reading.map_size import map_size
from camgraph_exporter.reading.pixels import front_of, pixels_of
from camgraph_exporter.reading.placement.law import PlaceError
from camgraph_exporter.reading.placement.places import Places
from camgraph_exporter.targets.draw import Arrays, Draw
from camgraph_exporter.targets.interface import Interface
from camgraph_exporter.vjp.backward import TARGETS, Backward
from camgraph_runtime.maps.placement import mask_size
from camgraph_runtime.preprocess.layout import spatial_size

_PIXELWISE = "They are as many as its pixels, so a mask is laid on them pixel by pixel."
_STRETCHED = "A mask is laid on them as if they covered the whole image."


def add_mask_input(op: Backward, interface: Interface, size: tuple[Dim, Dim]) -> tuple[str, ir.Value, ir.Value]:
    """Add the input `mask` uint8 [N, T, h, w].

    Returns:
        Its name, which pixels are marked, bool [N, T, h, w], and whether any is, bool [N, T, 1, 1].

    """
    mask = interface.add_input("mask", ir.DataType.UINT8, [interface.batch, TARGETS, *size])
    pixels = op.Cast(mask, to=int(ir.DataType.INT32))
    marked = op.Greater(pixels, 0)
    return str(mask.name), marked, op.Greater(op.reduce("ReduceMax", pixels, [2, 3], keepdims=True), 0)


def channels_first(op: Backward, value: ir.Value, *, last: bool) -> ir.Value:
    """Return a map [N, H, W, C] as [N, C, H, W]."""
    return op.Transpose(value, perm=[0, 3, 1, 2]) if last else value


def place_of_scores(prepared: PreparedModel, value: ir.Value, *, last: bool) -> tuple[pb.TargetTensors, str]:
    """Return where a map of scores lies and how large it is, for the manifest, and a remark for the user.

    `last`: its rows and columns are the axes 1 and 2, not 2 and 3.
    """
    path = image_path(prepared, value)
    places = Places(prepared, value, front_of(path, pixels_of(prepared)))
    layout = MapLayout(pb.LAYER_LAYOUT_CHANNELS_LAST if last else pb.LAYER_LAYOUT_CHANNELS_FIRST)
    along = (1, 2) if last else (2, 3)
    place, note, unknown, off_image = None, "", "", False
    try:
        place = places.placement(value, layout)
    except PlaceError as error:
        axes = axes_on(path, prepared.image, prepared.probe.constants).get(value, ())
        off_image = not is_spatial_pair(*(axes[axis] if axis < len(axes) else None for axis in along))
        unknown = str(error)
    size = map_size(prepared, value, along, transposed=place is not None and place.transposed)
    if unknown:
        note = f"How the scores of {value.name!r} come from the image could not be followed: {unknown}. " + (
            _PIXELWISE if _is_pixelwise(prepared, size) else _STRETCHED
        )
    if off_image:
        cells = f"{size.rows.margin} rows and {size.columns.margin} columns"
        note = (
            f"The scores of {value.name!r} are not a map of the image: their {cells} may be the rows and lanes of a "
            "lane detector. Targets are classes, and cells named by a mask of that size; no place of a photo can be "
            "named."
        )
    return pb.TargetTensors(mask_placement=place, mask_size=size, mask_off_image=off_image), note


def _is_pixelwise(prepared: PreparedModel, size: pb.MapSize) -> bool:
    """Tell whether a map has a cell for each pixel of the image, in every run that was seen."""
    dims = [prepared.probe.shapes[str(prepared.image.name)][axis] for axis in side_axes(prepared.image)]
    manifest = pb.Manifest(target=pb.TargetTensors(mask_size=size))
    for sighting in prepared.probe.sightings:
        height, width = (dim if isinstance(dim, int) else sighting.sizes[dim] for dim in dims)
        if mask_size(manifest, (height, width)) != (height, width):
            return False
    return True


def draw_masks(draw: Draw) -> Arrays:
    """Draw masks on the map."""
    size = mask_size(draw.manifest, spatial_size(draw.images, draw.manifest.input.layout))
    return {draw.names.mask_input: draw.rng.integers(0, 2, (*draw.shape, *size)).astype(np.uint8)}
