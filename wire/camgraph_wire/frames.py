"""Where a photo lies on the network's input and on its scores, and the messages of it."""

from __future__ import annotations

import numpy as np

from camgraph.v1 import explanation_pb2 as pb
from camgraph_core.errors import InvalidInputError
from camgraph_core.frame import Axis, Frame
from camgraph_core.marked import Marked


def frame_message(frame: Frame) -> pb.Frame:
    """The message of a frame."""
    return pb.Frame(vertical=_axis_message(frame.vertical), horizontal=_axis_message(frame.horizontal))


def frame_from(message: pb.Frame) -> Frame:
    """The frame of a message."""
    return Frame(_axis_from(message.vertical), _axis_from(message.horizontal))


def _axis_message(axis: Axis) -> pb.FrameAxis:
    return pb.FrameAxis(photo=axis.photo, network=axis.network, scale=axis.scale, offset=axis.offset)


def _axis_from(message: pb.FrameAxis) -> Axis:
    return Axis(message.photo, message.network, message.scale, message.offset)


def marked_message(marked: Marked) -> pb.MarkedCells:
    """The message of marked cells."""
    rows, columns = marked.cells.shape
    bits = np.packbits(marked.cells).tobytes()
    return pb.MarkedCells(rows=rows, columns=columns, bits=bits, frame=frame_message(marked.frame))


def marked_from(message: pb.MarkedCells) -> Marked:
    """The marked cells of a message.

    Raises:
        InvalidInputError: There are not as many bits as cells, or the frame is not theirs.

    """
    size, frame = (message.rows, message.columns), frame_from(message.frame)
    count = message.rows * message.columns
    if len(message.bits) != (count + 7) // 8 or frame.network_size != size:
        raise InvalidInputError(f"The marked cells of an explanation are not {size[0]} x {size[1]} bits.")
    bits = np.unpackbits(np.frombuffer(message.bits, np.uint8), count=count)
    return Marked(bits.reshape(size).astype(bool), frame)
