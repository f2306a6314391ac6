"""Removes the copies that make the explainable graph's outputs."""

from __future__ import annotations

from collections.abc import Collection

import onnx

from camgraph_exporter.graph.protos import names_read_by


def write_directly(graph: onnx.GraphProto, kept: Collection[str]) -> None:
    """Let the operators that compute outputs write them, in place of an Identity that copies what they compute.

    The Identity moves after them, to all other readers, with the name that the value had: inside a graph runtimes drop
    it when they load the file, while one that makes an output costs its bytes at each run. Outputs in `kept` stay as
    they are. So do the real forms of integers: runtimes recognise them only next to the integers.
    """
    outputs = [output.name for output in graph.output]
    for output in outputs:
        places = {name: place for place, node in enumerate(graph.node) for name in node.output}
        copy = graph.node[places[output]] if output in places and output not in kept else None
        if copy is None or copy.op_type != "Identity" or copy.input[0] in outputs:
            continue
        place = places.get(copy.input[0])
        if place is not None and graph.node[place].op_type != "DequantizeLinear":
            _swap(graph, place, places[output])


def _swap(graph: onnx.GraphProto, maker: int, copy: int) -> None:
    """Give the maker's value the copy's name and the copy the value's, and put the copy right after its maker."""
    moved = graph.node.pop(copy)
    value, output = moved.input[0], moved.output[0]
    outputs = graph.node[maker].output
    outputs[list(outputs).index(value)] = output
    moved.input[0], moved.output[0] = output, value
    if any(value in names_read_by(node) for node in graph.node):
        graph.node.insert(maker + 1, moved)
