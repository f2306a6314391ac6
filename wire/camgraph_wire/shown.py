"""How bands are shown and `camgraph.v1.ShownBands`."""

from __future__ import annotations

from camgraph.v1 import explanation_pb2 as pb
from camgraph_core.shown import Shown


def shown_message(shown: Shown) -> pb.ShownBands:
    """The message of it."""
    return pb.ShownBands(
        bands=shown.bands, low=shown.low, high=shown.high, nodata=shown.nodata, channel_axis=shown.channel_axis
    )


def shown_from(shown: pb.ShownBands) -> Shown | None:
    """How a message says that bands are shown; None where it does not, or not of as many ends as bands."""
    if len(shown.bands) not in (1, 3) or not len(shown.bands) == len(shown.low) == len(shown.high):
        return None
    return Shown(
        bands=tuple(shown.bands),
        low=tuple(shown.low),
        high=tuple(shown.high),
        nodata=shown.nodata if shown.HasField("nodata") else None,
        channel_axis=shown.channel_axis if shown.HasField("channel_axis") else None,
    )
