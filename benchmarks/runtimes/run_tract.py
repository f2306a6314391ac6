"""Runs a graph in tract, an inference engine written in Rust."""

from __future__ import annotations

from importlib.metadata import version

import onnx
import tract
from runtimes.exchange import Run, Tensors, serve


def load(graph: str) -> Run:
    """Return the runnable's run."""
    model = tract.onnx().load(graph)
    names = [model.input_name(i) for i in range(model.input_count())]
    # tract calls an output after the node that computes it, in the order of the file.
    outputs = [output.name for output in onnx.load(graph, load_external_data=False).graph.output]
    runnable = model.into_model().into_runnable()

    def run(inputs: Tensors) -> Tensors:
        results = runnable.run([inputs[name] for name in names])
        return dict(zip(outputs, (result.to_numpy() for result in results), strict=True))

    return run


serve(version("tract"), load)
