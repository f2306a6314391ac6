"""What is made of the record of a call: the level of its line in the log, and Triton's counts."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from camgraph_server.access.client import Client
from camgraph_server.budget import Budget, Share
from camgraph_server.call import Call
from camgraph_server.observe.call_log import CallLog
from camgraph_server.observe.inference import InferenceCounts

BEGAN = 1000.0
TIMELINE = [("receive", 0.0), ("decode", 1.0), ("queue", 1.5), ("prepare", 3.5), ("infer", 4.0), ("post", 9.0)]
"""Stages with the seconds since the call came. It ends after 10 s."""


def call(**fields: Any) -> Call:
    return Call("camgraph.v1.ExplanationService", "Explain", "", Client(""), None, Share(Budget(1)), **fields)


def answered(**fields: Any) -> Call:
    timeline = [(stage, BEGAN + at) for stage, at in TIMELINE]
    found = {"model": "tiny", "version": "1", "status": "OK", **fields}
    return call(started=BEGAN, ended=BEGAN + 10.0, timeline=timeline, **found)


@pytest.mark.parametrize(
    ("is_quiet", "status", "level"),
    [(False, "OK", "INFO"), (True, "OK", "DEBUG"), (True, "UNAVAILABLE", "INFO"), (False, "CANCELLED", "INFO")],
)
def test_what_is_quiet_is_logged_only_where_it_fails(is_quiet, status, level, caplog):
    caplog.set_level(logging.DEBUG, "camgraph.request")
    CallLog().ended(call(is_quiet=is_quiet, status=status))
    assert [record.levelname for record in caplog.records] == [level]


def test_the_wait_for_a_batch_counts_as_queue_and_a_batch_as_one_run():
    counts = InferenceCounts()
    for _ in range(4):
        counts.ended(answered(inference_ms=2000.0, batch_size=4))  # of the 5 s in `infer`, 3 s were for the batch
    assert counts.of_model == {
        ("tiny", "1"): {
            "request_success": 4,
            "count": 4,
            "exec_count": 1.0,
            "request_duration_us": 40e6,
            "queue_duration_us": 4 * (2.0 + 3.0) * 1e6,
            "compute_input_duration_us": 2e6,
            "compute_infer_duration_us": 8e6,
            "compute_output_duration_us": 4e6,
        }
    }


def test_failures_are_counted_by_the_model_that_was_found():
    counts = InferenceCounts()
    counts.ended(answered(status="INTERNAL"))
    counts.ended(answered(status="NOT_FOUND", model="what a caller wrote", version=None))
    assert counts.failures == {(("tiny", "1"), "BACKEND"): 1, (("", ""), "OTHER"): 1}
    assert counts.failed(("tiny", "1")) == 1
    assert counts.of_model == {}


def test_a_call_about_several_images_is_not_counted_beside_them():
    counts = InferenceCounts()
    for whole in (answered(kind="bidi_stream", items=2), answered(items=2)):
        counts.ended(whole)
        for item in "01":
            counts.ended(answered(kind=whole.kind, item=item))
    assert counts.of_model["tiny", "1"]["request_success"] == 4
