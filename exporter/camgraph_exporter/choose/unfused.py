"""Prepares a model for a score: writes out what onnxruntime's optimiser fused on the way to it, and keeps the rest."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from camgraph_exporter.choose.score import ScoreOptions, find_score
from camgraph_exporter.errors import ExportError
from camgraph_exporter.graph.traits import Trait, has
from camgraph_exporter.prepare.fusions import can_be_written_out
from camgraph_exporter.prepare.prepare import PreparedModel, prepare, written_out
from camgraph_exporter.reading.image_path import image_path


def prepare_for(model: ir.Model, options: ScoreOptions, *, sizes: Sequence[int] | None = None) -> PreparedModel:
    """Prepare a model so that its layers and their gradients can be found.

    Raises:
        ModelFileError: as `prepare`.

    """
    prepared = prepare(model.clone(), sizes=sizes)
    names = _fused_after_features(prepared, options) if any(map(can_be_written_out, prepared.graph)) else set()
    return written_out(prepared, names) if names else prepared


def _fused_after_features(prepared: PreparedModel, options: ScoreOptions) -> set[str]:
    """Return the fused nodes between the first features and the score, by their first outputs."""
    try:
        score = find_score(prepared, options)
    except ExportError:
        return set()  # raised again by what looks for the score
    # Products with weights make features of pixels: no layer lies before the first of them.
    features, fused = set[ir.Value](), set[str]()
    for node in image_path(prepared, score.value).nodes:
        if has(node, Trait.PRODUCT) or any(value in features for value in node.inputs):
            features.update(node.outputs)
            if can_be_written_out(node):
                fused.add(str(node.outputs[0].name))
    return fused
