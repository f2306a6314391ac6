"""The tiny graph's explainer, and inputs for it."""

from __future__ import annotations

import numpy as np

from camgraph_runtime import (
    Explainer,
    Threads,
)
from support.tiny_graph import TinyGraph

ONE = Threads(intra_op=1)
TINY = TinyGraph()
PHOTO = np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8)


def load(graph: TinyGraph, **options: object) -> Explainer:
    return Explainer(graph.serialize(), threads=ONE, **options)


def tensor(seed: int = 0, size: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(1, 3, size, size)).astype(np.float32)
