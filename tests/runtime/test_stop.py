"""Ending a run from another thread."""

from __future__ import annotations

import threading

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from camgraph_runtime.run.engine import Engine, Threads
from camgraph_runtime.run.stop import Stop, StoppedError

SIDE, PRODUCTS = 256, 20_000  # minutes of products on one core


@pytest.fixture(scope="module")
def endless() -> Engine:
    """A graph that multiplies a matrix with itself for minutes."""
    names = ["x", *(f"y{number}" for number in range(PRODUCTS))]
    nodes = [helper.make_node("MatMul", [names[i], "x"], [names[i + 1]]) for i in range(PRODUCTS)]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "endless",
        [value("x", TensorProto.FLOAT, [SIDE, SIDE])],
        [value(names[-1], TensorProto.FLOAT, [SIDE, SIDE])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return Engine(model.SerializeToString(), threads=Threads(1), optimize=False)


FEEDS = {"x": np.eye(SIDE, dtype=np.float32)}


def test_a_run_ends_when_it_is_asked_to(endless):
    stop = Stop()
    timer = threading.Timer(0.2, stop.ask)
    timer.start()
    with pytest.raises(StoppedError, match="nobody waits"):
        endless.run(FEEDS, stop=stop)
    timer.join()


def test_a_run_that_was_ended_before_does_not_begin(endless):
    stop = Stop()
    stop.ask()
    with pytest.raises(StoppedError):
        endless.run(FEEDS, stop=stop)


def test_steps_are_ended_only_while_they_run():
    stop, ended = Stop(), []
    with stop.ending(lambda: ended.append("first")):
        pass
    with stop.ending(lambda: ended.append("second")):
        assert not stop.asked
        stop.ask()
    assert ended == ["second"]
    assert stop.asked
    with pytest.raises(StoppedError):
        stop.check()
