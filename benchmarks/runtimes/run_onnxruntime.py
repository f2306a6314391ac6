"""Runs a graph in onnxruntime; CAMGRAPH_PROVIDER names an execution provider in front of the CPU's."""

from __future__ import annotations

import os

import onnxruntime
from runtimes.exchange import Run, Tensors, serve


def load(graph: str) -> Run:
    """Return a session's run; a provider that is asked for and does not load is an error."""
    provider = os.environ.get("CAMGRAPH_PROVIDER", "CPUExecutionProvider")
    session = onnxruntime.InferenceSession(graph, providers=list(dict.fromkeys([provider, "CPUExecutionProvider"])))
    if provider not in session.get_providers():
        raise RuntimeError(f"{provider} did not load")
    names = [output.name for output in session.get_outputs()]

    def run(inputs: Tensors) -> Tensors:
        return dict(zip(names, session.run(names, dict(inputs)), strict=True))

    return run


serve(onnxruntime.__version__, load)
