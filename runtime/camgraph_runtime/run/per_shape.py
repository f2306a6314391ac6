"""Sessions of the same graph, of which each keeps to one shape of the images as long as there are enough of them."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from camgraph_core.types import AnyArray
from camgraph_runtime.run.backend import Runs

_IMAGE_AXES = 3  # Numbers of a target have fewer, and few convolutions depend on them.


class SessionPerShape:
    """Runs a graph as `Session.run` does; safe to use from several threads.

    A convolution of onnxruntime's CUDA provider keeps cuDNN's plan for the shape that it met last, and makes it anew
    when another comes (onnxruntime, `core/providers/cuda/nn/conv.cc`). For a whole graph that takes many times as long
    as a run. So each shape has a session to itself. If there are more shapes than sessions, a new one takes the session
    that was not used for longest.

    Args:
        sessions: Sessions of the same graph.

    """

    def __init__(self, sessions: Sequence[Runs]) -> None:
        self._free = list(reversed(sessions))
        self._by_shapes: dict[Hashable, Runs] = {}  # what was used last comes last
        self._lock = threading.Lock()

    def run(self, names: Sequence[str], feeds: Mapping[str, AnyArray], options: Any = None) -> Sequence[Any]:
        """The outputs of one run."""
        shapes = tuple((name, value.shape) for name, value in feeds.items() if value.ndim >= _IMAGE_AXES)
        return self._session(shapes).run(names, feeds, options)

    def _session(self, shapes: Hashable) -> Runs:
        with self._lock:
            session = self._by_shapes.pop(shapes, None)
            if session is None:
                session = self._free.pop() if self._free else self._by_shapes.pop(next(iter(self._by_shapes)))
            self._by_shapes[shapes] = session
            return session
