"""The stations of a model's way: load, read, choose, assemble, prove. Export, inspect and verify pass through them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnx
import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.assemble.build import Built, build
from camgraph_exporter.assemble.direct_outputs import write_directly
from camgraph_exporter.certificate.certify import ProgressCallback, certify, require
from camgraph_exporter.certificate.forward_part import is_rewritten
from camgraph_exporter.certificate.locate import name_wrong_nodes
from camgraph_exporter.certificate.quantised.int8_kernels import remark_on, source_for_exact_kernels, state_kernels
from camgraph_exporter.certificate.subject import LoadSource, Subject, loader_of
from camgraph_exporter.choose.bytes_input import spec_of_bytes, take_bytes
from camgraph_exporter.choose.choice import Choice, choose, known_labels
from camgraph_exporter.choose.score import ScoreOptions, find_score
from camgraph_exporter.choose.unfused import prepare_for
from camgraph_exporter.frontends.onnx_file import LoadedModel
from camgraph_exporter.frontends.options import SourceOptions
from camgraph_exporter.frontends.source import Source, load
from camgraph_exporter.graph.node_gradient import NodeGradient
from camgraph_exporter.image.options import Input
from camgraph_exporter.manifest import make_manifest
from camgraph_exporter.options import ExportOptions
from camgraph_exporter.own_graph import explainable_graph, load_trained
from camgraph_exporter.prepare.fixed_inputs import fix_inputs
from camgraph_exporter.prepare.frames import settle_frames
from camgraph_exporter.prepare.joined_inputs import join_inputs
from camgraph_exporter.prepare.prepare import PreparedModel, lifted
from camgraph_exporter.running.engine import load_engine
from camgraph_exporter.storage import check_model, weights_folder, write
from camgraph_exporter.tasks import Score
from camgraph_runtime.digest import digest_of_bytes, digest_of_file
from camgraph_runtime.manifest import METADATA_KEY, manifest_to_json

# From IR version 4 on, initializers need not be listed as inputs, and runtimes may fold them.
_LOWEST_IR_VERSION = 8


@dataclass(frozen=True)
class Exported:
    """A proven explainable graph in memory. Weights of more than 2 GiB stay in external files in `weights_folder`."""

    model: onnx.ModelProto
    manifest: pb.Manifest
    weights_folder: Path | None = None

    def save(self, target: str | Path) -> None:
        """Write the graph to a file, in one step: a reader sees the whole graph or none."""
        has_files = self.weights_folder is not None
        write(self.model, Path(target), self.weights_folder, self._state_digest if has_files else None)

    def _state_digest(self, written: Path) -> None:
        """Weights in files of their own have names, and so the graph a digest, only when they are written."""
        model, manifest = onnx.load(written, load_external_data=False), pb.Manifest()
        manifest.CopyFrom(self.manifest)
        manifest.digest.CopyFrom(digest_of_file(written))
        _attach(model, manifest)
        written.write_bytes(model.SerializeToString())


@dataclass(frozen=True)
class ReadModel:
    """A loaded model that is prepared for differentiation, with its score.

    `options` and `num_labels` are what the score was found by.
    """

    loaded: LoadedModel
    prepared: PreparedModel
    score: Score
    options: ScoreOptions
    num_labels: int


def load_fixed(source: Source, options: SourceOptions, layers: Sequence[Any] = ()) -> LoadedModel:
    """Load a model of any kind, as `frontends.source.load` does, and fix or join the inputs that the options name."""
    loaded = load(source, options, layers)
    fixed = fix_inputs(loaded, options.fixed, sizes=loaded.open_size)
    return settle_frames(join_inputs(fixed, options.join), options.frames)


def read(loaded: LoadedModel, options: ScoreOptions, *, labels: Sequence[str] = ()) -> ReadModel:
    """Prepare a loaded model and find its score. `labels`: those that the user gives.

    Raises:
        ExportError: the model cannot be used, or has no score.

    """
    prepared = prepare_for(loaded.model, options, sizes=loaded.open_size)
    num_labels = known_labels(loaded, labels)
    return ReadModel(loaded, prepared, find_score(prepared, options, num_labels=num_labels), options, num_labels)


def rewrite(loaded: LoadedModel, options: ExportOptions) -> Exported:
    """Take a loaded model through all further stations: to a proven explainable graph.

    Raises:
        ExportError: the model cannot be made explainable, or the result did not pass its checks.
        UsageError: an option does not fit the model.

    """
    model, choice = _read_and_choose(loaded, options)
    if options.uint8_input:
        loaded, spec = take_bytes(loaded, choice.input), spec_of_bytes(choice.input)
        model, again = _read_and_choose(loaded, replace(options, input=Input()))
        choice = replace(again, input=spec, notes=choice.notes)
    with explainable_graph():
        built = build(model.prepared, model.score, choice.layers, options)
    manifest = make_manifest(built, loaded.source, choice.input, choice.labels)
    manifest.notes.extend([*loaded.notes, *choice.notes])
    manifest.branches = choice.branches if choice.branches > 1 else 0
    automatic = [layer.name for layer in choice.layers if not {layer.name, layer.alias} & set(loaded.layers)]
    with explainable_graph():
        subject = _subject(assemble(built, manifest), manifest, model, options)
        return prove(subject, built.trace, options.progress, automatic)


def _read_and_choose(loaded: LoadedModel, options: ExportOptions) -> tuple[ReadModel, Choice]:
    """Read the model, and choose again where the rules on the path need a higher opset."""
    labels = options.class_labels
    model = read(loaded, options, labels=labels)
    choice = choose(loaded, model.prepared, model.score, labels, options.input)
    if choice.opset > model.prepared.model.opset_imports[""]:
        prepared = lifted(model.prepared, choice.opset)
        model = replace(model, prepared=prepared, score=find_score(prepared, options, num_labels=model.num_labels))
        choice = choose(loaded, model.prepared, model.score, labels, options.input)
    return model, choice


def assemble(built: Built, manifest: pb.Manifest) -> onnx.ModelProto:
    """Drop what nothing uses, attach the manifest, and turn the graph into its file form."""
    model = built.prepared.model
    model.ir_version = max(model.ir_version, _LOWEST_IR_VERSION)
    model.graph.name = model.graph.name or "model"  # the standard asks for a name, and onnxruntime does not
    proto = ir.to_proto(model)
    # Shapes of inner values served the differentiation; runtimes infer their own.
    del proto.graph.value_info[:]
    write_directly(proto.graph, kept=[str(output.name) for output in built.source_outputs])
    _attach(proto, manifest)
    check_model(proto)
    return proto


def _attach(proto: onnx.ModelProto, manifest: pb.Manifest) -> None:
    kept = [prop for prop in proto.metadata_props if prop.key != METADATA_KEY]
    del proto.metadata_props[:]
    proto.metadata_props.extend(kept)
    proto.metadata_props.add(key=METADATA_KEY, value=manifest_to_json(manifest))


def _subject(graph: onnx.ModelProto, manifest: pb.Manifest, model: ReadModel, options: ExportOptions) -> Subject:
    """Return what the certificate is about: the graph in onnxruntime, beside the trained model."""
    exact, folder = options.exact_int8, weights_folder(model.prepared.model)
    engine = load_engine(graph, folder, exact_int8=exact)
    # Of a widened model only the graph's own forward part can be run.
    source = None if model.prepared.is_widened else _loader(model.loaded, exact_int8=exact)
    source = source_for_exact_kernels(model.loaded.model, source, exact=exact)
    outputs = [spec.name for spec in manifest.source_outputs]
    rewritten = source is not None and is_rewritten(model.loaded.model, graph, outputs)
    subject = Subject(
        graph, manifest, engine, load_source=source, folder=folder, is_rewritten=rewritten, seed=options.seed
    )
    state_kernels(subject)
    return subject


def _loader(loaded: LoadedModel, *, exact_int8: bool) -> LoadSource:
    """Return what loads the file itself, or the model that it becomes with inputs fixed or outputs left out."""
    file = loaded.file
    if file is None:
        return loader_of(loaded.model, exact_int8=exact_int8)
    return lambda optimize: load_trained(file, optimize=optimize, exact_int8=exact_int8)


def prove(
    subject: Subject, trace: Sequence[NodeGradient], progress: ProgressCallback | None, automatic: Collection[str]
) -> Exported:
    """Run the checks, and write the certificate into the graph.

    `trace`: how the backward part came about; `automatic`: layers that no user chose.

    Raises:
        CertificateError: a check failed; the message says where.

    """
    certificate = certify(subject, progress=progress)
    name_wrong_nodes(certificate, subject, trace)
    require(certificate, remark_on(subject.engine), automatic=automatic)
    subject.manifest.certificate.CopyFrom(certificate)
    subject.manifest.notes.extend(check.remark for check in certificate.checks if check.remark)
    if subject.folder is None:
        subject.manifest.digest.CopyFrom(digest_of_bytes(subject.model.SerializeToString()))
    _attach(subject.model, subject.manifest)
    return Exported(subject.model, subject.manifest, subject.folder)
