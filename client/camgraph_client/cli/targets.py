"""From the options of `camgraph explain` to targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from camgraph_core.errors import InvalidInputError, UsageError
from camgraph_core.place import Box, DetectedObject, Mask, Place, Point, Polygon, Region
from camgraph_core.target import Target
from camgraph_core.types import AnyArray
from camgraph_runtime.limits import Limits
from camgraph_runtime.preprocess import decode_mask
from camgraph_runtime.preprocess.arrays import map_numbers


def targets_of(
    *,
    named: Sequence[Target],
    top_k: int,
    contrast: Target | None,
    negative: bool,
    mask: Path | None = None,
    polygons: Sequence[str] = (),
    regions: Sequence[int] = (),
    anchor: str | None = None,
    objects: Sequence[int] = (),
    at: str | None = None,
    cotangent: Path | None = None,
) -> tuple[tuple[Target, ...], int]:
    """The targets of a run, and how many best classes come after them.

    What is said once holds for every target. Without named ones it holds for the best classes, which then are targets
    by rank.

    Args:
        named: The classes that were named.
        top_k: Number of best classes asked for.
        contrast: The class to hold each target against.
        negative: Whether to show what speaks against each target.
        mask: Picture or NumPy file of the region.
        polygons: Polygons, as written on the command line.
        regions: Ranks of connected regions of the prediction.
        anchor: The candidate box, as written on the command line.
        objects: Ranks of objects.
        at: The point of an object or of a region, as written on the command line.
        cotangent: `.npy` file with directions.

    Raises:
        UsageError: Options that do not go together.
        InvalidInputError: A file cannot be used.
        TargetError: The anchor is not a box, or a polygon or the point is not one.

    """
    if cotangent is not None:
        if named or top_k or contrast is not None:
            raise UsageError("--cotangent takes the place of --target, --top-k and --contrast; leave those out.")
        if mask is not None or polygons or regions or anchor is not None or objects or at is not None:
            raise UsageError(
                "--cotangent takes the place of --mask and the other options that name a place; leave those out."
            )
        return tuple(Target.direction(row, negative=negative) for row in read_directions(cotangent)), 0
    in_boxes: list[Place] = [*([] if anchor is None else [Box.parse(anchor)]), *map(DetectedObject, objects)]
    on_pixels: list[Place] = [*_masks(mask), *map(Polygon.parse, polygons), *map(Region, regions)]
    if in_boxes and on_pixels:
        raise UsageError(
            "--mask is for a segmentation, and so are --polygon and --region; --anchor and --object are for a "
            "detection: give one of them."
        )
    places: Sequence[Place] = [*on_pixels, *in_boxes, *([] if at is None else [Point.parse(at)])]
    shared = Target(contrast=contrast, negative=negative)
    if shared == Target() and not places:
        return tuple(named), top_k
    if not named and any(isinstance(place, DetectedObject | Point | Region) for place in places):
        named = [Target()]  # of whatever class the object or region is
    if not named:
        named, top_k = [Target.of_rank(rank) for rank in range(1, max(top_k, 1) + 1)], 0
    wanted: Sequence[Place | None] = places or [None]
    made = (replace(shared, selector=item.selector, place=place) for item in named for place in wanted)
    return tuple(made), top_k


def _masks(path: Path | None) -> Sequence[Mask]:
    return [] if path is None else [Mask(decode_mask(path, max_pixels=Limits().max_pixels))]


def read_directions(path: Path) -> AnyArray:
    """Directions [T, D] of a `.npy` file with the shape [D] or [T, D].

    Raises:
        InvalidInputError: It is not such a file.

    """
    array = map_numbers(path)
    if array.ndim not in (1, 2):
        raise InvalidInputError(f"{path} is {list(array.shape)}; a cotangent is an array [D], or several [T, D].")
    return np.atleast_2d(array)
