"""Runs a graph in OpenCV's dnn module."""

from __future__ import annotations

import cv2
from runtimes.exchange import Run, Tensors, serve


def load(graph: str) -> Run:
    """Return the network's run."""
    net = cv2.dnn.readNetFromONNX(graph)
    names = net.getUnconnectedOutLayersNames()

    def run(inputs: Tensors) -> Tensors:
        for name, tensor in inputs.items():
            net.setInput(tensor, name)
        results = zip(names, net.forward(names), strict=True)
        # An array without elements comes back as None.
        return {name: result for name, result in results if result is not None}

    return run


serve(cv2.__version__, load)
