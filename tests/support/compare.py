"""Whether a server says what the runtime says in this process, field by field."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple
from typing import Any

import numpy as np
import pytest

from camgraph_core.clips import AnyExplanation, AnyResult
from camgraph_core.errors import AbsentOutputError
from camgraph_core.outputs import DEFAULT_OUTPUTS, OUTPUTS
from camgraph_core.result import ClassScore

EXPLANATION_FIELDS = ("negative", "statistics", "layers", "method", "in_input_frame", "frame", "title", "note")


def attribute(name: str) -> str:
    """The attribute of an output."""
    return OUTPUTS[name].attribute or name.replace("-", "_")


def numbers(score: ClassScore | None) -> list[Any]:
    """What can be compared: not a number equals itself here."""
    values = [] if score is None else astuple(score)
    return ["nan" if isinstance(value, float) and math.isnan(value) else value for value in values]


def assert_same(remote: AnyResult, local: AnyResult, outputs: Sequence[str] = DEFAULT_OUTPUTS) -> None:
    """All but timings and the model's name are the same, and outputs that were not asked for are absent."""
    assert [numbers(score) for score in remote.predictions] == [numbers(score) for score in local.predictions]
    for field in ("warnings", "image_size", "request_id"):
        assert getattr(remote, field) == getattr(local, field), field
    for got, wanted in zip(remote.explanations, local.explanations, strict=True):
        assert numbers(got.target) == numbers(wanted.target)
        assert numbers(got.contrast) == numbers(wanted.contrast)
        for field in EXPLANATION_FIELDS:
            assert getattr(got, field) == getattr(wanted, field), field
        assert_equal(marked(got), marked(wanted))
        for name in outputs:
            assert_equal(getattr(got, attribute(name)), getattr(wanted, attribute(name)))
        for name in OUTPUTS.keys() - set(outputs):
            assert not hasattr(got, attribute(name))
            with pytest.raises(AbsentOutputError, match=f"The output '{name}' was not asked for; name it in outputs="):
                getattr(got, attribute(name))


def marked(explanation: AnyExplanation) -> Any:
    """The pixels that it is about, and where they lie."""
    return None if explanation.marked is None else (explanation.marked.cells, explanation.marked.frame)


def assert_equal(got: Any, wanted: Any) -> None:
    """Equal arrays of one type, tuples of such, bytes, or None."""
    if isinstance(wanted, tuple):
        assert len(got) == len(wanted)
        for one, two in zip(got, wanted, strict=True):
            assert_equal(one, two)
    elif isinstance(wanted, np.ndarray):
        np.testing.assert_array_equal(got, wanted)
        assert got.dtype == wanted.dtype
    else:
        assert got == wanted
