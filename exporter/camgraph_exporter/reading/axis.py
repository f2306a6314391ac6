"""What an axis of a tensor means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

import onnx_ir as ir

from camgraph_exporter.graph.dims import Dim


class Role(Enum):
    """What the elements along an axis are."""

    BATCH = auto()
    CHANNELS = auto()
    HEIGHT = auto()
    WIDTH = auto()
    FRAMES = auto()  # of a clip, or slices of a volume
    TOKENS = auto()  # the cells of a map in rows, with tokens before and after them that belong to no cell
    PREFIX = auto()  # only tokens that belong to no cell
    MERGED = auto()  # the batch and what was counted in with it, such as the frames of each clip


@dataclass(frozen=True)
class TokenGrid:
    """The map that a row of tokens holds: `prefix` tokens that belong to no cell, then height x width cells by rows.

    `source` is a map of these sizes, whose `axes` tell height and width at run time where they are dynamic. `frames`
    of a clip have such a map each, one after the other; 0 for a single map.
    """

    prefix: int
    height: Dim
    width: Dim
    source: ir.Value
    axes: tuple[int, int]
    frames: int = 0

    @property
    def sizes(self) -> tuple[Dim, ...]:
        """The frames, if there are any, height and width."""
        return (self.frames, self.height, self.width) if self.frames else (self.height, self.width)


@dataclass(frozen=True)
class Axis:
    """One axis: its role; for tokens the map that they hold, for merged axes each of them with its size."""

    role: Role
    grid: TokenGrid | None = None
    parts: tuple[tuple[Axis | None, Dim], ...] = ()


# One entry a dimension; None where the meaning is lost.
Axes = tuple[Axis | None, ...]

BATCH, CHANNELS, HEIGHT, WIDTH, FRAMES = (
    Axis(role) for role in (Role.BATCH, Role.CHANNELS, Role.HEIGHT, Role.WIDTH, Role.FRAMES)
)
CHANNELS_FIRST: Axes = (BATCH, CHANNELS, HEIGHT, WIDTH)
CHANNELS_LAST: Axes = (BATCH, HEIGHT, WIDTH, CHANNELS)


def is_role(axis: Axis | None, *roles: Role) -> bool:
    """Tell whether an axis is known to have one of the roles."""
    return axis is not None and axis.role in roles


def is_spatial_pair(one: Axis | None, other: Axis | None) -> bool:
    """Tell whether two axes are rows and columns of a map: height and width, or a transposed map's width and height."""
    return one is not None and other is not None and {one.role, other.role} == {Role.HEIGHT, Role.WIDTH}


def is_images_of_clips(axis: Axis | None) -> bool:
    """Tell whether an axis holds the frames of all clips of a batch, one clip after the other."""
    return axis is not None and [part.role for part, _ in axis.parts if part] == [Role.BATCH, Role.FRAMES]


def tokens_axis(axes: Sequence[Axis | None]) -> int | None:
    """Return the index of the axis of tokens, or None where there is none or more than one."""
    found = [i for i, axis in enumerate(axes) if is_role(axis, Role.TOKENS)]
    return found[0] if len(found) == 1 else None
