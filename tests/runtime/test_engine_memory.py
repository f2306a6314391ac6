"""Memory of runs: a large one gives back what it took, and one that finds too little says so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from camgraph_core.errors import TooLargeError
from camgraph_runtime.run.engine import Engine
from camgraph_runtime.run.onnx_runtime import OnnxRuntime
from camgraph_runtime.run.stop import Stop
from support.tiny_graph import TinyGraph


class Watched(OnnxRuntime):
    """onnxruntime, and what was asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[bool] = []
        self.fails_with = ""

    def run_options(self, *, gives_back: bool) -> Any:
        self.asked.append(gives_back)
        if self.fails_with:
            raise RuntimeError(self.fails_with)
        return super().run_options(gives_back=gives_back)


@pytest.mark.parametrize(("side", "is_large"), [(16, False), (1200, True)])
def test_a_large_run_gives_its_memory_back(side: int, is_large: bool) -> None:
    backend = Watched()
    engine = Engine(TinyGraph(size=None).serialize(), backend=backend)
    feeds = {"image": np.ones((1, 3, side, side), np.float32), "target": np.array([[0]])}
    np.testing.assert_array_equal(engine.run(feeds, ["weights"], Stop())["weights"], engine.run(feeds)["weights"])
    assert backend.asked == [is_large]


@pytest.mark.parametrize(
    "message",
    [
        "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : bfc_arena.cc:376 Failed to allocate memory for requested buffer",
        "std::bad_alloc",
    ],
)
def test_a_run_that_finds_too_little_memory_says_so(message: str) -> None:
    backend = Watched()
    engine = Engine(TinyGraph().serialize(), backend=backend)
    backend.fails_with = message
    feeds = {"image": np.ones((1, 3, 16, 16), np.float32), "target": np.array([[0]])}
    with pytest.raises(TooLargeError, match="not enough memory"):
        engine.run(feeds, stop=Stop())
