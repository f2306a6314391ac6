"""Where the axes of an input tensor are."""

from __future__ import annotations

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.types import AnyArray

_AXES = {
    pb.LAYOUT_NHWC: "NHWC",
    pb.LAYOUT_NHW: "NHW",
    pb.LAYOUT_NCTHW: "NCTHW",
    pb.LAYOUT_NTCHW: "NTCHW",
    pb.LAYOUT_NTHWC: "NTHWC",
}


def _axis(layout: pb.Layout, name: str) -> int | None:
    place = _AXES.get(layout, "NCHW").find(name)
    return None if place < 0 else place


def rank_of(layout: pb.Layout) -> int:
    """The number of axes, the batch counted."""
    return len(_AXES.get(layout, "NCHW"))


def channel_axis(layout: pb.Layout) -> int | None:
    """The axis of the channels, the batch counted; None where one channel has no axis."""
    return _axis(layout, "C")


def frame_axis(layout: pb.Layout) -> int | None:
    """The axis of the frames of a clip or the slices of a volume, the batch counted; None for single images."""
    return _axis(layout, "T")


def spatial_axes(layout: pb.Layout) -> tuple[int, int]:
    """The axes of height and width, the batch counted."""
    rows = _axis(layout, "H")
    assert rows is not None
    return rows, rows + 1


def spatial_size(tensor: AnyArray, layout: pb.Layout) -> tuple[int, int]:
    """Height and width of an input tensor [1, ...]."""
    rows, columns = spatial_axes(layout)
    return tensor.shape[rows], tensor.shape[columns]


def channel_count(spec: pb.InputSpec) -> int:
    """The number of channels of an input; 0 where the graph leaves it open."""
    if spec.channel_order in {pb.CHANNEL_ORDER_RGB, pb.CHANNEL_ORDER_BGR}:
        return 3
    axis = channel_axis(spec.layout)
    if spec.channel_order == pb.CHANNEL_ORDER_GRAY or axis is None:
        return 1
    text = spec.tensor.shape[axis] if len(spec.tensor.shape) > axis else ""
    return int(text) if text.isdecimal() else 0
