"""What is known of each call of a run: one row per call, in columns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Seconds: TypeAlias = NDArray[np.float64]
Records: TypeAlias = NDArray[Any]

STAGES = ("queue", "decode", "preprocess", "inference", "postprocess", "render")
"""The stages of an answer, as `camgraph.v1.Timings` names them."""

NO_STAGES: tuple[float, ...] = (0.0,) * len(STAGES)
"""Of a call whose answer was not read."""

OK = 0
"""gRPC's code of success."""

RECORD = np.dtype(
    [
        ("call", np.int16),  # index in the mix
        ("due", np.float64),  # when the schedule wanted it, in seconds after the start; a closed loop's is `sent`
        ("sent", np.float64),
        ("done", np.float64),
        ("code", np.uint8),  # gRPC's status code
        ("wrong", np.bool_),  # an answer that is not what was asked for
        ("size", np.int64),  # of the answer, in bytes
        ("stages", np.float32, (len(STAGES),)),  # milliseconds on the server
    ]
)


def joined(parts: Iterable[Records]) -> Records:
    """The records of several processes, in the order in which calls were due."""
    whole = np.concatenate([np.zeros(0, RECORD), *parts])
    return whole[np.argsort(whole["due"], kind="stable")]
