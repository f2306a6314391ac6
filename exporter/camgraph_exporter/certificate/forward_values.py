"""Runs an explainable graph together with the forward values that its backward part reads.

The forward values of float32 and of float64 differ by rounding. A ReLU whose input is next to zero, or a max pooling of
two equal numbers, turns that into a gate that is open in one and shut in the other, and the gradients differ by a
hundredth and more although both are right. With the values of one run on both sides they agree to the last digits.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx

from camgraph_exporter.certificate.forward_part import split_forward
from camgraph_exporter.certificate.subject import Subject
from camgraph_exporter.graph.protos import names_read_by
from camgraph_exporter.targets.draw import Arrays

# Forward operators that the branch of a skippable graph computes again are named like this.
_AGAIN = "camgraph/again/"


class ForwardRun:
    """A graph, as onnxruntime optimises it, that also gives the forward values which its backward part reads."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._names = _read_by_backward(subject)
        model = onnx.ModelProto()
        model.CopyFrom(subject.flat)
        own = {value.name for value in model.graph.output}
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in self._names if name not in own)
        self._engine = subject.load(model)

    def run(self, feeds: Arrays, names: Sequence[str]) -> tuple[Arrays, Arrays]:
        """Return outputs as onnxruntime computes them, and the same in float64 from the same forward values."""
        found = self._engine.run(feeds)
        held = {**feeds, **{name: found[name] for name in self._names}}
        return {name: found[name] for name in names}, self._subject.run_in_float64(held, names)


def _read_by_backward(subject: Subject) -> list[str]:
    """Return the values of the forward part that nodes outside of it read."""
    outputs = [spec.name for spec in subject.manifest.source_outputs]
    forward, added = split_forward(subject.flat.graph, outputs, also=_AGAIN)
    made = {name for node in forward for name in node.output if name}
    return sorted(made & {name for node in added for name in names_read_by(node)})
