"""Whatever can travel between a server and a client, drawn at random."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
from google.protobuf.message import Message
from hypothesis import strategies as st

from camgraph_core.models import ModelInfo, RepositoryEntry
from camgraph_core.place import REFERENCE_MODES, Box, DetectedObject, Mask, Point, Polygon, Region
from camgraph_core.rectangle import Rectangle
from camgraph_core.regions import HotRegion
from camgraph_core.request import Request
from camgraph_core.result import ClassScore, Timings
from camgraph_core.statistics import MapStatistics
from camgraph_core.style import Style
from camgraph_core.target import Rank, Target
from camgraph_wire.enums import COLORMAPS, MODEL_STATES, OPACITIES, OUTPUTS, PROFILES

M = TypeVar("M", bound=Message)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBER = st.floats(allow_nan=False)
COUNT = st.integers(0, 2**32 - 1)
ELEMENT_TYPES = ["float16", "float32", "float64", "int8", "uint8", "int32", "int64"]


def over_the_wire(message: M) -> M:
    """The message as the other end reads it."""
    return type(message).FromString(message.SerializeToString())


@st.composite
def arrays(draw: st.DrawFn, dtype: str | None = None, axes: int | None = None) -> np.ndarray:
    shape = draw(st.lists(st.integers(1, 4), min_size=axes or 0, max_size=axes or 4))
    values = np.asarray(np.random.default_rng(draw(st.integers(0, 1000))).normal(size=shape) * 50)
    return np.asarray(values).astype(dtype or draw(st.sampled_from(ELEMENT_TYPES)))


BOXES = st.one_of(st.builds(Box, st.integers(0, 2**63 - 1)), st.builds(Box, st.none(), st.integers(1, 2**32 - 1)))
FINITE = st.floats(allow_nan=False, allow_infinity=False)
OBJECTS = st.builds(DetectedObject, st.integers(1, 2**32 - 1)) | st.builds(Point, FINITE, FINITE)
MARKS = st.builds(Mask, arrays("uint8", 2), st.booleans()) | st.builds(Region, st.integers(1, 2**32 - 1))
CORNER = st.floats(-1e9, 1e9)  # what is further away is no polygon
POLYGONS = st.builds(Polygon, st.lists(st.tuples(CORNER, CORNER), min_size=3, max_size=5))
PLACES = st.none() | MARKS | POLYGONS | BOXES | OBJECTS
NONZERO = arrays("float32", 2).filter(lambda rows: rows.ndim == 2 and rows.any(axis=1).all())
PLAIN_TARGETS = st.one_of(
    st.builds(Target, st.none(), PLACES),
    st.builds(Target, st.integers(0, 2**63 - 1), PLACES),
    st.builds(Target, TEXT, PLACES),
    st.builds(Target, st.builds(Rank, st.integers(1, 2**32 - 1)), PLACES),
    st.builds(Target.direction, arrays("float32", 1)),
    st.builds(Target.similar_to, NONZERO, mode=st.sampled_from(REFERENCE_MODES)),
    st.builds(lambda rows, name: Target.similar_to(rows, names=[name] * len(rows)), NONZERO, TEXT),
)
TARGETS = st.builds(
    lambda target, contrast, negative: replace(target, contrast=contrast, negative=negative),
    PLAIN_TARGETS,
    st.none() | PLAIN_TARGETS,
    st.booleans(),
)
STYLES = st.builds(
    Style,
    colormap=st.sampled_from(list(COLORMAPS)),
    image_weight=st.floats(0, 1),
    opacity=st.sampled_from(list(OPACITIES)),
    jpeg_quality=st.integers(1, 100),
    png_level=st.none() | st.integers(0, 9),
    max_side=st.none() | st.integers(1, 2**32 - 1),
    hot_from=st.floats(0, 1, exclude_min=True),
    display_bands=st.lists(TEXT, min_size=3, max_size=3) | st.just([]),
    stretch=st.none() | st.tuples(st.floats(0, 50), st.floats(51, 100)),
)
REQUESTS = st.builds(
    Request,
    targets=st.lists(TARGETS, max_size=3),
    top_k=st.integers(-(2**31), 2**31 - 1),
    method=st.none() | TEXT.filter(bool),
    layers=st.lists(TEXT, max_size=3),
    profile=st.sampled_from(list(PROFILES)),
    num_predictions=COUNT,
    score_threshold=st.floats(0, 1),
    iou_threshold=st.floats(0, 1),
    outputs=st.lists(st.sampled_from(list(OUTPUTS)), max_size=4),
    style=STYLES,
    bank=st.booleans(),
    request_id=TEXT,
)
RECTANGLES = st.builds(Rectangle, *(NUMBER,) * 4)
SCORES = st.builds(
    ClassScore,
    class_index=st.integers(-1, 2**63 - 1),
    label=TEXT,
    score=NUMBER,
    probability=st.floats(0, 1),
    anchor=st.none() | st.integers(0, 2**63 - 1),
    area=st.none() | st.floats(0, 1),
    value=st.none() | NUMBER,
    box=st.none() | RECTANGLES,
    below_threshold=st.booleans(),
)
REGIONS = st.lists(st.builds(HotRegion, RECTANGLES, *(NUMBER,) * 4), max_size=3).map(tuple)
STATISTICS = st.builds(
    MapStatistics,
    *(NUMBER,) * 4,
    all_nonpositive=st.booleans(),
    constant=st.booleans(),
    nonfinite=st.booleans(),
    no_gradient=st.booleans(),
)
TIMINGS = st.builds(Timings, *(NUMBER,) * 7)
MODELS = st.builds(
    ModelInfo,
    *(TEXT, TEXT, st.sampled_from(list(MODEL_STATES)), TEXT, COUNT),
    st.lists(TEXT, max_size=3).map(tuple),
    TEXT,
    st.booleans(),
)
ENTRIES = st.lists(st.builds(RepositoryEntry, MODELS, TEXT, st.integers(0, 2**64 - 1)), max_size=3)
