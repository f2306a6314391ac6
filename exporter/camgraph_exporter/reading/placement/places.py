"""Where the feature maps of a prepared model lie on the image."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.graph.dims import Dim
from camgraph_exporter.graph.walk import leading_to
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.reading.axes import image_axes
from camgraph_exporter.reading.axis import Role
from camgraph_exporter.reading.layouts import MapLayout
from camgraph_exporter.reading.placement.elements import Elements, Lost, split
from camgraph_exporter.reading.placement.follow import follow
from camgraph_exporter.reading.placement.law import MapPlace, PlaceError, law_of, place_of_map, place_of_tokens
from camgraph_exporter.reading.placement.located import Located
from camgraph_exporter.reading.placement.rows_of_cells import RowOfCells, row_of_cells
from camgraph_exporter.running.probe import Sighting

_NOT_FOLLOWED = "it does not come from the image on a way that could be followed"


class Places:
    """The places of the maps on the way to a score.

    `front`: the values that the network looks at, the image itself or what is cut out of it, mirrored or resized.
    """

    def __init__(self, prepared: PreparedModel, score: ir.Value, front: Collection[ir.Value]) -> None:
        nodes = leading_to(prepared.graph, [score])
        self._runs = [_Run(prepared, nodes, sighting) for sighting in prepared.probe.sightings]
        self._sees_all = all(run.sees_all(front) for run in self._runs)

    def row_of_cells(self, value: ir.Value) -> RowOfCells | None:
        """Return which map a row of tokens [N, S, K] holds, by where its elements lie; None if it holds none."""
        first, *others = [run.row_of_cells(value) for run in self._runs]
        return first if all(other == first for other in others) else None

    def is_line(self, value: ir.Value, axis: int) -> bool:
        """Tell whether the elements along an axis follow each other down the image or across, and no other way."""
        axes = [run.axis(value, axis) for run in self._runs]
        return all(found is not None and _is_line(found) for found in axes)

    def is_in_one_place(self, value: ir.Value, axis: int) -> bool:
        """Tell whether all elements along an axis lie in one place, as channels do."""
        axes = [run.axis(value, axis) for run in self._runs]
        return all(found is not None and found.is_fixed for found in axes)

    def placement(self, value: ir.Value, layout: MapLayout) -> pb.Placement | None:
        """Return the place of a map; None if it covers the whole image, as Grad-CAM lays every map.

        That is so where every cell lies less than a cell away from where the stretch lays it: paddings shift maps by as
        much. A network that looks at a part of the image gets an exact place in any case.

        Raises:
            PlaceError: the place is not known.

        """
        places = [run.place(value, layout) for run in self._runs]
        if self._sees_all and all(place.is_stretch() for place in places):
            return None
        return law_of(places)


class _Run:
    """The places of all values in one run of the probe."""

    def __init__(self, prepared: PreparedModel, nodes: Sequence[ir.Node], sighting: Sighting) -> None:
        axes = image_axes(prepared.image)
        self._sizes = sighting.sizes
        dims = prepared.probe.shapes[str(prepared.image.name)]
        shape = [dim if isinstance(dim, int) else sighting.sizes[dim] for dim in dims]
        self._places = follow(nodes, prepared.image, axes, shape, sighting.sizes, sighting.constants)
        lengths = {axis.role: size for axis, size in zip(axes, shape, strict=True) if axis is not None}
        ways = (Role.HEIGHT, Role.WIDTH, Role.FRAMES)
        self._image = tuple(lengths.get(role, 1) for role in ways)
        self._ways = [i for i, role in enumerate(ways) if role in lengths]

    def place(self, value: ir.Value, layout: MapLayout) -> MapPlace:
        place = self._places.get(value)
        if place is None:
            raise PlaceError(_NOT_FOLLOWED)
        place, frames = self._with_frames(place, layout)
        axes = [*frames, *layout.map_axes(len(place.axes))]
        if layout.grid is None:
            return place_of_map(place, axes, self._image)
        return place_of_tokens(place, axes, layout.grid, [self._size(dim) for dim in layout.grid.sizes], self._image)

    def axis(self, value: ir.Value, axis: int) -> Elements | None:
        place = self._places.get(value)
        found = None if place is None else place.axes[axis]
        return found if isinstance(found, Elements) else None

    def row_of_cells(self, value: ir.Value) -> RowOfCells | None:
        place = self._places.get(value)
        return None if place is None else row_of_cells(place)

    def _with_frames(self, place: Located, layout: MapLayout) -> tuple[Located, Sequence[int]]:
        """Return a place with the frames on an axis of their own, and that axis; none where there are no frames."""
        if layout.frame_axis == pb.LAYER_FRAMES_BEFORE_CHANNELS:
            return place, [1]
        if layout.frame_axis == pb.LAYER_FRAMES_IN_BATCH:
            rows = place.axes[0]
            if isinstance(rows, Lost):
                raise PlaceError(rows.reason)
            parts = split(rows, (len(rows) // layout.frames, layout.frames))
            if parts is None:
                raise PlaceError("the order of its frames could not be followed")
            return Located(place.origin, (*parts, *place.axes[1:]), place.coarsest), [1]
        return place, []

    def _size(self, dim: Dim) -> int:
        size = dim if isinstance(dim, int) else self._sizes.get(dim)
        if size is None:
            raise PlaceError("the size of its map is not known")
        return size

    def sees_all(self, front: Collection[ir.Value]) -> bool:
        """Tell whether what the network looks at reaches to all edges of the image, but for a pixel of its own."""
        boxes = [_box(place) for value in front if (place := self._places.get(value)) is not None and not place.lost()]
        if not boxes:
            return True
        first, last, cell = (np.stack(part) for part in zip(*boxes, strict=True))
        within = cell.max(axis=0) + 1e-6
        begins, ends = first.min(axis=0) <= within, last.max(axis=0) >= np.array(self._image) - within
        return bool((begins & ends)[self._ways].all())


def _is_line(axis: Elements) -> bool:
    step = axis.step() if len(axis) > 1 else None
    return step is not None and np.flatnonzero(np.abs(step) > 1e-6).tolist() in ([0], [1])


def _box(place: Located) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the first and the last edge, [3] each, of what a tensor shows, and its cell."""
    axes = [axis for axis in place.axes if isinstance(axis, Elements) and np.isfinite(axis.offsets).any()]
    first = place.origin + sum(np.nanmin(axis.offsets, axis=0) for axis in axes) - place.cell / 2
    last = place.origin + sum(np.nanmax(axis.offsets, axis=0) for axis in axes) + place.cell / 2
    return first, last, place.cell
