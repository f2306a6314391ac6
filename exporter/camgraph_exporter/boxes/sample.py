"""What a value of the model is on random images."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.running.engine import engine_with_outputs, random_input


def sample_of(prepared: PreparedModel, value: ir.Value, *, seed: int = 0) -> np.ndarray:
    """Return a value of a few random images, of the size that the model was probed with."""
    known = prepared.probe.outputs.get(str(value.name))
    if known is not None:
        return known
    image = prepared.image
    sizes = [prepared.probe.example(dim) for dim in dims_of(image)]
    assert image.dtype is not None, "The probe ran the model with this image."
    assert all(size is not None for size in sizes), "The probe ran the model with this image."
    feed = random_input(np.random.default_rng(seed), [int(size or 0) for size in sizes], image.dtype)
    found: np.ndarray = engine_with_outputs(prepared.model, [value]).run({str(image.name): feed}, [str(value.name)])[
        str(value.name)
    ]
    return found
