"""How passes over a model are run: those of onnx_ir, in place. What they learn of a model goes with it as `meta`."""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes import PassError, Sequential

from camgraph_core.errors import CamgraphError

_NOTES = "camgraph.notes"


def run(passes: Sequential, model: ir.Model) -> None:
    """Run passes over a model, in place.

    Raises:
        CamgraphError: what a pass says is wrong with the model.
        PassError: a pass failed in another way; the error names it.

    """
    try:
        passes(model)
    except PassError as error:
        if isinstance(error.__cause__, CamgraphError):
            raise error.__cause__ from error.__cause__.__cause__
        raise


def notes_of(model: ir.Model) -> list[str]:
    """Return what passes have noted of a model for the user, one sentence each; passes append to it."""
    notes: list[str] = model.meta.setdefault(_NOTES, [])
    return notes


def with_meta(model: ir.Model) -> ir.Model:
    """Return a copy of a model that keeps what passes have learnt of it; weights are shared."""
    result = model.clone()
    result.meta.update(model.meta)
    result.meta[_NOTES] = list(notes_of(model))
    return result


def become(model: ir.Model, other: ir.Model) -> None:
    """Let a model be another one from here on."""
    model.graph, model.ir_version = other.graph, other.ir_version
    model.producer_name, model.producer_version = other.producer_name, other.producer_version
    model.domain, model.model_version, model.doc_string = other.domain, other.model_version, other.doc_string
    model.metadata_props.clear()
    model.metadata_props.update(other.metadata_props)
