"""What the kernels for 8-bit sums change on this CPU, for the manifest (docs/int8.md)."""

from __future__ import annotations

import onnx
import onnx_ir as ir
from onnx_ir.passes import Sequential, common

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.certificate.subject import LoadSource, Subject, loader_of
from camgraph_exporter.graph.measures import relative_to_largest
from camgraph_exporter.graph.passes import run
from camgraph_exporter.graph.traits import Trait, has, of
from camgraph_exporter.quantised.exact_weights import StoreExactlyPass, has_int8_weights, may_saturate
from camgraph_exporter.running.engine import load_engine
from camgraph_runtime.run.engine import Engine
from camgraph_runtime.run.onnx_runtime import cpu_saturates_int8

_IMAGES = 8
_SATURATED = "On this CPU onnxruntime's default 8-bit kernels saturate; leave --fast-int8 out for exact ones."


def source_for_exact_kernels(model: ir.Model, load_source: LoadSource | None, *, exact: bool) -> LoadSource | None:
    """Return what loads the trained model so that its 8-bit sums are computed as the explainable graph's are.

    On a CPU that saturates, onnxruntime's exact kernels may refuse the file as it is; they take its weights as the
    explainable graph stores them.
    """
    if load_source is None or not exact or not has_int8_weights(model) or not cpu_saturates_int8():
        return load_source
    stored = model.clone()
    run(
        Sequential(
            common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
            StoreExactlyPass(),
        ),
        stored,
    )
    return loader_of(stored)


def state_kernels(subject: Subject) -> None:
    """Write into the manifest which kernels computed the certificate, and what onnxruntime's default ones change."""
    manifest, engine = subject.manifest, subject.engine
    if not _computes_with_integers(subject.model):
        return
    if engine.int8_notes and not may_saturate(ir.from_proto(subject.model)):
        # Exact kernels refuse the graph, and its sums need none: the default ones are exact for them.
        manifest.int8_kernels = pb.INT8_KERNELS_EXACT
        return
    manifest.int8_kernels = pb.INT8_KERNELS_EXACT if engine.exact_int8 else pb.INT8_KERNELS_SATURATING
    manifest.notes.extend(engine.int8_notes)
    note = _changes(subject) if cpu_saturates_int8() and not engine.int8_notes else None
    if note is not None:
        manifest.notes.append(note)


def remark_on(engine: Engine) -> str:
    """Return what a certificate that failed may owe to the kernels; empty where they are exact."""
    if engine.exact_int8:
        return ""
    return " ".join(engine.int8_notes) or _SATURATED


def _computes_with_integers(model: onnx.ModelProto) -> bool:
    return any(of(node).twin or has(node, Trait.QUANTISES) for node in model.graph.node)


def _changes(subject: Subject) -> str | None:
    """Compare default with exact kernels on random images; return a note if an output differs."""
    manifest, count = subject.manifest, _IMAGES if subject.batch_is_symbolic else subject.batch
    feeds = subject.samples("int8-kernels").feeds(count, 1)
    with load_engine(subject.model, subject.folder, exact_int8=not subject.engine.exact_int8) as other:
        pair = [subject.engine.run(feeds), other.run(feeds)]
    exact, default = pair if subject.engine.exact_int8 else reversed(pair)
    change = max(relative_to_largest(default[spec.name], exact[spec.name]) for spec in manifest.source_outputs)
    if change == 0:
        return None
    index = manifest.target.target_index_output
    classes = ""
    if index:
        changed = int((default[index] != exact[index]).any(axis=1).sum())
        classes = f", and the predicted class of {changed} of {count} random images"
    kept = (
        "camgraph computes with exact ones; another program must set session.x64quantprecision to 1."
        if subject.engine.exact_int8
        else "They were taken all the same, as --fast-int8 asks."
    )
    return (
        "On this CPU onnxruntime's default 8-bit kernels saturate. They change the model's outputs by up to "
        f"{change:.2g} of their largest value{classes}. {kept}"
    )
