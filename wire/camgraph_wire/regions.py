"""Rectangles and hot regions, and their messages, whose fields have the same names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from camgraph.v1 import explanation_pb2 as pb
from camgraph_core.rectangle import Rectangle
from camgraph_core.regions import HotRegion


def rectangle_message(rectangle: Rectangle) -> pb.Rectangle:
    """The message of a rectangle."""
    return pb.Rectangle(**asdict(rectangle))


def rectangle_from(message: pb.Rectangle) -> Rectangle:
    """The rectangle of a message."""
    return Rectangle(message.left, message.top, message.right, message.bottom)


def regions_message(regions: Iterable[HotRegion]) -> pb.HotRegions:
    """The message of hot regions."""
    return pb.HotRegions(regions=[pb.HotRegion(**asdict(region)) for region in regions])


def regions_from(message: pb.HotRegions) -> tuple[HotRegion, ...]:
    """The hot regions of a message."""
    return tuple(
        HotRegion(rectangle_from(region.box), region.area, region.mean, region.peak, region.energy)
        for region in message.regions
    )
