"""Targets and `camgraph.v1.Target`."""

from __future__ import annotations

from camgraph.v1 import explanation_pb2 as pb
from camgraph_core.errors import InvalidInputError
from camgraph_core.place import Box, DetectedObject, Direction, Mask, Place, Point, Polygon, References, Region
from camgraph_core.target import Rank, Selector, Target
from camgraph_wire.arrays import array_from, tensor_message
from camgraph_wire.enums import REFERENCE_MODES


def target_message(target: Target) -> pb.Target:
    """The message of a target."""
    message = pb.Target(
        contrast=target_message(target.contrast) if target.contrast is not None else None, negative=target.negative
    )
    match target.selector:
        case int(index):
            message.class_index = index
        case str(label):
            message.label = label
        case Rank(number):
            message.rank = number
    match target.place:
        case Mask(array, on_scores):
            (message.score_mask if on_scores else message.mask).CopyFrom(tensor_message(array))
        case Polygon(corners):
            message.polygon.corners.extend(pb.Point(x=x, y=y) for x, y in corners)
        case Region(rank):
            message.region_rank = rank
        case Box(index=int(index)):
            message.anchor_index = index
        case Box(rank=int(rank)):
            message.anchor_rank = rank
        case DetectedObject(rank):
            message.object_rank = rank
        case Point(x, y):
            message.point.CopyFrom(pb.Point(x=x, y=y))
        case Direction(array):
            message.cotangent.CopyFrom(tensor_message(array))
        case References(array, names, mode):
            sent = pb.References(embeddings=tensor_message(array), names=names, mode=REFERENCE_MODES.value(mode))
            message.references.CopyFrom(sent)
    return message


def target_from(message: pb.Target) -> Target:
    """The target of a message.

    Raises:
        TargetError: It contradicts itself.
        InvalidInputError: An array of it cannot be used.

    """
    contrast = message.contrast
    if contrast.HasField("contrast"):
        raise InvalidInputError("A contrast cannot have a contrast of its own; name a plain class there.")
    return Target(
        _selector(message),
        _place(message),
        contrast=target_from(contrast) if message.HasField("contrast") else None,
        negative=message.negative,
    )


def _selector(message: pb.Target) -> Selector | None:
    match message.WhichOneof("selector"):
        case "class_index":
            return message.class_index
        case "label":
            return message.label
        case "rank":
            return Rank(message.rank)
    return None


def _place(message: pb.Target) -> Place | None:
    match message.WhichOneof("place"):
        case "mask" if message.mask.ByteSize():
            return Mask(array_from(message.mask))
        case "score_mask":
            return Mask(array_from(message.score_mask), on_scores=True)
        case "polygon":
            return Polygon([(corner.x, corner.y) for corner in message.polygon.corners])
        case "region_rank":
            return Region(message.region_rank)
        case "anchor_index":
            return Box(message.anchor_index)
        case "anchor_rank":
            return Box(rank=message.anchor_rank)
        case "object_rank":
            return DetectedObject(message.object_rank)
        case "point":
            return Point(message.point.x, message.point.y)
        case "cotangent" if message.cotangent.ByteSize():
            return Direction(array_from(message.cotangent))
        case "references":
            given = message.references
            mode = REFERENCE_MODES.name(given.mode, References.mode)
            return References(array_from(given.embeddings), tuple(given.names), mode)
    return None
