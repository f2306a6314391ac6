"""Runs an explainable graph together with the forward values that its backward part reads.

Where the forward is rounded coarsely, its values in float64 are others: ReLU gates near zero flip, and comparing
gradients says little. With the values of one run on both sides, gradients are comparable to the last digits.
"""

from __future__ import annotations

import onnx

from camgraph_exporter.storage import load_engine
from camgraph_exporter.verify.float64 import reads
from camgraph_exporter.verify.samples import Arrays
from camgraph_exporter.verify.subject import Subject


def run_with_forward_values(subject: Subject, feeds: Arrays) -> tuple[Arrays, Arrays]:
    """Return the outputs of a run, and the values of the trained model that nodes outside of it read."""
    names = _read_by_backward(subject)
    model = onnx.ModelProto()
    model.CopyFrom(subject.model)
    own = {value.name for value in model.graph.output}
    for name in names:
        if name not in own:
            model.graph.output.add(name=name)
    found = load_engine(model, subject.folder, exact_int8=subject.engine.exact_int8).run(feeds)
    return found, {name: found[name] for name in names}


def _read_by_backward(subject: Subject) -> list[str]:
    graph = subject.model.graph
    wanted = {spec.name for spec in subject.manifest.source_outputs}
    forward: set[str] = set()
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            wanted.update(reads(node))
            forward.update(name for name in node.output if name)
    others = (node for node in graph.node if forward.isdisjoint(node.output))
    return sorted(forward & {name for node in others for name in reads(node)})
