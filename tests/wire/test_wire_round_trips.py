"""Every value that travels arrives as it was sent, whatever it is."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camgraph.v1 import explanation_pb2 as pb
from camgraph_core.errors import InvalidInputError, UsageError
from camgraph_core.models import ModelInfo, RepositoryEntry
from camgraph_core.request import Addressed, Request
from camgraph_core.result import ClassScore, Timings
from camgraph_core.statistics import MapStatistics
from camgraph_core.style import COLORMAPS as CORE_COLORMAPS
from camgraph_core.target import Target
from camgraph_runtime.maps.profiles import PROFILES as RUNTIME_PROFILES
from camgraph_wire.arrays import array_from, tensor_message
from camgraph_wire.enums import COLORMAPS, MODEL_STATES, OUTPUTS, PROFILES, EnumNames
from camgraph_wire.items import item_from, item_message
from camgraph_wire.models import index_from, index_message, model_from, model_message
from camgraph_wire.requests import request_from, request_message
from camgraph_wire.scores import (
    score_from,
    score_message,
    statistics_from,
    statistics_message,
    timings_from,
    timings_message,
)
from camgraph_wire.targets import target_from, target_message
from support.wire_values import (
    ENTRIES,
    MODELS,
    NUMBER,
    REQUESTS,
    SCORES,
    STATISTICS,
    TARGETS,
    TEXT,
    TIMINGS,
    arrays,
    over_the_wire,
)


@given(arrays())
def test_arrays(array: np.ndarray) -> None:
    for sent in (array, np.asarray(array, order="F"), array.astype(array.dtype.newbyteorder(">"))):
        got = array_from(over_the_wire(tensor_message(sent)))
        np.testing.assert_array_equal(got, array)
        assert (got.dtype, got.shape) == (array.dtype, array.shape)


@given(TARGETS)
def test_targets(target: Target) -> None:
    assert target_from(over_the_wire(target_message(target))) == target


@settings(max_examples=200)
@given(
    REQUESTS,
    st.none() | st.tuples(NUMBER, NUMBER),
    st.none() | st.integers(1, 2**32 - 1),
    st.none() | NUMBER,
    st.booleans(),
    st.binary(),
    TEXT,
    TEXT,
)
def test_requests_about_an_image(
    request: Request,
    window: Any,
    frame: int | None,
    nodata: float | None,
    scaled: bool,
    image: bytes,
    model: str,
    version: str,
) -> None:
    request = replace(request, window=window, frame=frame, nodata=nodata, scaled_decoding=scaled)
    sent = Addressed(request=request, image=image, model=model, version=version)
    assert request_from(over_the_wire(request_message(sent))) == sent


@given(REQUESTS, st.none() | st.tuples(NUMBER, NUMBER), st.lists(st.binary(), max_size=4), TEXT)
def test_requests_about_a_clip(request: Request, window: Any, frames: list[bytes], model: str) -> None:
    sent = Addressed(request=replace(request, window=window), frames=tuple(frames), model=model)
    assert request_from(over_the_wire(request_message(sent))) == sent


@given(REQUESTS, arrays())
def test_requests_about_a_tensor(request: Request, tensor: np.ndarray) -> None:
    got = request_from(over_the_wire(request_message(Addressed(request=request, tensor=tensor))))
    assert got.request == request
    assert got.image is None
    np.testing.assert_array_equal(got.tensor, tensor)


@given(SCORES)
def test_scores(score: ClassScore) -> None:
    assert score_from(over_the_wire(score_message(score))) == score


def test_a_probability_that_is_not_known_is_not_a_number() -> None:
    unknown = ClassScore(1, "cat", 2.0, math.nan)
    assert not score_message(unknown).HasField("probability")
    assert math.isnan(score_from(over_the_wire(score_message(unknown))).probability)


@given(STATISTICS)
def test_statistics(statistics: MapStatistics) -> None:
    assert statistics_from(over_the_wire(statistics_message(statistics))) == statistics


@given(TIMINGS)
def test_timings(timings: Timings) -> None:
    assert timings_from(over_the_wire(timings_message(timings))) == timings


@given(MODELS)
def test_models(model: ModelInfo) -> None:
    assert model_from(over_the_wire(model_message(model))) == model


@given(ENTRIES)
def test_entries_of_a_repository(entries: list[RepositoryEntry]) -> None:
    assert index_from(over_the_wire(index_message(entries))) == entries


@pytest.mark.parametrize(("timeout", "arrives"), [(None, None), (0.25, 0.25), (1e9, (2**32 - 1) / 1e3)])
def test_items_and_how_long_they_may_take(timeout: float | None, arrives: float | None) -> None:
    addressed = Addressed(request=Request(top_k=2), image=b"image")
    item = item_from(over_the_wire(item_message("seven", addressed, timeout)))
    assert (item.id, item.asked, item.timeout) == ("seven", addressed, arrives)


def test_what_is_left_out_has_the_defaults_of_python() -> None:
    bare = pb.ExplainRequest(image=pb.EncodedImage(data=b"image"))
    assert request_from(bare).request == Request()


@pytest.mark.parametrize(
    "names", [PROFILES, COLORMAPS, OUTPUTS, MODEL_STATES], ids=["profile", "map", "output", "state"]
)
def test_every_value_of_an_enum_has_its_name(names: EnumNames) -> None:
    for name in names:
        assert names.name(names.value(name)) == name
    with pytest.raises(InvalidInputError, match="the value 99, which is not known here"):
        names.name(99)
    with pytest.raises(InvalidInputError, match="the value 0"):
        names.name(0)
    with pytest.raises(UsageError, match="There is no"):
        names.value("nothing")


def test_core_and_runtime_have_what_the_wire_names() -> None:
    assert set(PROFILES) == set(RUNTIME_PROFILES)
    assert set(COLORMAPS) == set(CORE_COLORMAPS)


@pytest.mark.parametrize(
    "request_", [Request(top_k=2**32), Request(targets=[Target.index(2**63)]), Request(layers=["\ud800"])], ids=str
)
def test_what_does_not_fit_the_protocol_is_refused(request_: Request) -> None:
    with pytest.raises(UsageError, match="The request cannot be sent: "):
        request_message(Addressed(request=request_, image=b""))


def test_an_array_that_does_not_travel_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="dtype 'complex128'"):
        tensor_message(np.zeros(3, complex))
