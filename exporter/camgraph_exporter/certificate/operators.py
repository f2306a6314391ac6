"""Checks of which operators were added. Operators of the trained model are not checked."""

from __future__ import annotations

from collections.abc import Sequence

import onnx

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.certificate.forward_part import split_forward
from camgraph_exporter.certificate.outcome import make_check
from camgraph_exporter.certificate.subject import Subject
from camgraph_exporter.graph.traits import Trait, has


def operators_standard(subject: Subject) -> pb.Check:
    """(e) Every added node is of the standard domain; nodes of other domains are the source's own."""
    foreign = [node for node in _added(subject) if node.domain not in ("", "ai.onnx")]
    return _count("operators-standard", "Number of added nodes outside the standard operators.", foreign)


def operators_portable(subject: Subject) -> pb.Check:
    """(e) In a portable graph, no added node is one that runtimes are known to refuse."""
    refused = [node for node in _added(subject) if not is_portable(node)] if subject.manifest.portable else []
    return _count(
        "operators-portable",
        "Number of MaxPool Indices outputs, scatters with a reduction and control flow added to a portable graph.",
        refused,
    )


def is_portable(node: onnx.NodeProto) -> bool:
    """Tell whether a node is not a MaxPool with an Indices output, a scatter with a reduction, or control flow."""
    if has(node, Trait.SCATTERS):
        reduction = next((attribute.s for attribute in node.attribute if attribute.name == "reduction"), b"none")
        return reduction == b"none"
    if node.op_type == "MaxPool":
        return len([name for name in node.output if name]) == 1
    return not has(node, Trait.CONTROL)


def _count(name: str, description: str, nodes: Sequence[onnx.NodeProto]) -> pb.Check:
    errors = {node.name or node.output[0]: float(len(nodes)) for node in nodes} or {"graph": 0.0}
    return make_check(name, description, errors, 0.0)


def _added(subject: Subject) -> list[onnx.NodeProto]:
    """Return the nodes that the source's outputs do not need."""
    return split_forward(subject.model.graph, [spec.name for spec in subject.manifest.source_outputs])[1]
