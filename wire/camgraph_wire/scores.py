"""What is said of classes and maps: scores, statistics and timings, and their messages."""

from __future__ import annotations

import math
from dataclasses import fields

from camgraph.v1 import explanation_pb2 as pb
from camgraph_core.result import ClassScore, Timings
from camgraph_core.statistics import MapStatistics
from camgraph_wire.regions import rectangle_from, rectangle_message


def score_message(score: ClassScore) -> pb.ClassScore:
    """The message of a class with its score."""
    return pb.ClassScore(
        class_index=score.class_index,
        label=score.label,
        score=score.score,
        probability=score.probability if math.isfinite(score.probability) else None,
        anchor_index=score.anchor,
        area=score.area,
        value=score.value,
        box=rectangle_message(score.box) if score.box is not None else None,
        below_threshold=score.below_threshold,
    )


def score_from(message: pb.ClassScore) -> ClassScore:
    """The class of a message, with its score."""
    return ClassScore(
        class_index=message.class_index,
        label=message.label,
        score=message.score,
        probability=message.probability if message.HasField("probability") else math.nan,
        anchor=message.anchor_index if message.HasField("anchor_index") else None,
        area=message.area if message.HasField("area") else None,
        value=message.value if message.HasField("value") else None,
        box=rectangle_from(message.box) if message.HasField("box") else None,
        below_threshold=message.below_threshold,
    )


def statistics_message(statistics: MapStatistics) -> pb.MapStatistics:
    """The message of a map's statistics, whose fields have the same names."""
    return pb.MapStatistics(**vars(statistics))


def statistics_from(message: pb.MapStatistics) -> MapStatistics:
    """The statistics of a message."""
    return MapStatistics(**{field.name: getattr(message, field.name) for field in fields(MapStatistics)})


def timings_message(timings: Timings) -> pb.Timings:
    """The message of timings, whose fields have the same names."""
    return pb.Timings(**vars(timings))


def timings_from(message: pb.Timings) -> Timings:
    """The timings of a message."""
    return Timings(**{field.name: getattr(message, field.name) for field in fields(Timings)})
