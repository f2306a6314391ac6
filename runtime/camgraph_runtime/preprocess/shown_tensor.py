"""A ready tensor with pictures: of the bands that are to be shown."""

from __future__ import annotations

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import UsageError
from camgraph_core.frame import Frame
from camgraph_core.shown import as_image
from camgraph_core.style import Style
from camgraph_core.types import AnyArray
from camgraph_runtime.preprocess import PreparedPhoto
from camgraph_runtime.preprocess.layout import channel_axis
from camgraph_runtime.preprocess.shown import choose_shown, remark_on


def shown_tensor(tensor: AnyArray, frame: Frame, spec: pb.InputSpec, style: Style) -> PreparedPhoto:
    """A ready tensor with a picture of the bands that are to be shown.

    Args:
        tensor: The network's input, [1, ...].
        frame: That of the network's input.
        spec: The input.
        style: Which bands, and how.

    Raises:
        UsageError: There is no such band, or the graph does not say where the channels are.

    """
    if spec.layout == pb.LAYOUT_UNSPECIFIED:
        raise UsageError("The graph does not say which axis has the bands, so there are none to show.")
    axis = channel_axis(spec.layout) or 0
    pixels = as_image(tensor, axis)
    shown = choose_shown(pixels, spec, style, None, axis)
    photo = shown.picture(tensor)
    remark = remark_on(shown, spec, pixels.shape[2])
    return PreparedPhoto(tensor, photo, frame, photo, (remark,) if remark else (), shown=shown)
