"""Runs a graph in the reference evaluator of the package onnx."""

from __future__ import annotations

import onnx
from onnx.reference import ReferenceEvaluator
from runtimes.exchange import Run, Tensors, serve


def load(graph: str) -> Run:
    """Return the evaluator's run."""
    evaluator = ReferenceEvaluator(graph)

    def run(inputs: Tensors) -> Tensors:
        return dict(zip(evaluator.output_names, evaluator.run(None, dict(inputs)), strict=True))

    return run


serve(onnx.__version__, load)
