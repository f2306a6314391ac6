"""Fills the manifest: what the explainable graph says about itself."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.assemble.build import Built
from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.graph.tensor_spec import tensor_spec
from camgraph_runtime.manifest import FORMAT_VERSION

_STRAIGHT_THROUGH = (
    "The model computes with quantised integers: gradients pass its rounding unchanged, and not where it clips "
    "(straight-through estimation)."
)
_TOOLS = ("camgraph", "onnx", "onnx-ir", "onnxruntime", "numpy")


def make_manifest(built: Built, source: pb.Source, input_spec: pb.InputSpec, labels: Sequence[str]) -> pb.Manifest:
    """Return the manifest of a graph that was built, without its certificate."""
    return pb.Manifest(
        format_version=FORMAT_VERSION,
        source=source,
        tool_versions=_tool_versions(),
        input=input_spec,
        head=built.score.head(),
        class_labels=labels,
        layers=built.layer_tensors,
        target=built.target,
        source_outputs=[tensor_spec(value) for value in built.source_outputs],
        task=built.score.task.kind,
        boxes=built.boxes,
        image_gradient_tensor=built.image_gradient_tensor,
        explain_switch=built.explain_switch,
        portable=built.op.portable,
        batch_size=0 if built.prepared.probe.batch_is_symbolic else int(dims_of(built.prepared.image)[0]),
        gradient_rule=pb.GRADIENT_RULE_STRAIGHT_THROUGH if built.is_quantised else pb.GRADIENT_RULE_EXACT,
        default_method=_default_method(built),
        notes=[
            *built.prepared.notes,
            *([built.score.note] if built.score.note else []),
            *([_STRAIGHT_THROUGH] if built.is_quantised else []),
            *built.notes,
            *(layer.note for layer in built.layers if layer.note),
        ],
    )


def _default_method(built: Built) -> str:
    """Return the method that keeps places apart where each score has one, if the graph has what it needs."""
    in_full = all(layer.gradients_tensor for layer in built.layer_tensors)
    return "hires-cam" if built.score.task.is_dense and in_full else "grad-cam"


def _tool_versions() -> dict[str, str]:
    versions = {}
    for name in _TOOLS:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
