"""Runs a graph in OpenVINO on the CPU, in float32 throughout."""

from __future__ import annotations

import openvino
from runtimes.exchange import Run, Tensors, serve


def load(graph: str) -> Run:
    """Return the compiled model's run. Without the hint it may compute in bfloat16 where the processor can."""
    model = openvino.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(inputs: Tensors) -> Tensors:
        results = model(dict(inputs))
        return {name: results[output] for output in model.outputs for name in output.names}

    return run


serve(openvino.__version__.partition("-")[0], load)
