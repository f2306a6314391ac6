"""The whole export: from a trained model to a proven explainable graph on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import onnx
import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import UsageError
from camgraph_exporter.assemble.build import BuildOptions, Built, build
from camgraph_exporter.assemble.direct_outputs import write_directly
from camgraph_exporter.certificate.certify import Progress, certify, require
from camgraph_exporter.certificate.forward_part import is_rewritten
from camgraph_exporter.certificate.locate import name_wrong_nodes
from camgraph_exporter.certificate.quantised.int8_kernels import remark_on, source_for_exact_kernels, state_kernels
from camgraph_exporter.certificate.subject import LoadSource, Subject, loader_of
from camgraph_exporter.choose.layers import AUTO, choose_layers
from camgraph_exporter.choose.score import ScoreOptions, find_score
from camgraph_exporter.choose.unfused import prepare_for
from camgraph_exporter.errors import Problems
from camgraph_exporter.frontends.fixed_inputs import fix_inputs
from camgraph_exporter.frontends.input_values import Values
from camgraph_exporter.frontends.onnx_file import LoadedModel, load_onnx
from camgraph_exporter.graph.gradient_path import GradientPath
from camgraph_exporter.graph.node_gradient import NodeGradient
from camgraph_exporter.input_spec import Input, InputOptions, make_input
from camgraph_exporter.labels import labels_in_maps, labels_in_metadata
from camgraph_exporter.layers.layers import TargetLayer
from camgraph_exporter.manifest import make_manifest
from camgraph_exporter.own_graph import explainable_graph, load_trained
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.running.engine import load_engine
from camgraph_exporter.storage import check_model, check_target, weights_folder, write
from camgraph_exporter.tasks import Score
from camgraph_exporter.vjp.driver import opset_of
from camgraph_runtime.manifest import METADATA_KEY, manifest_to_json

# From IR version 4 on, initializers need not be listed as inputs, and runtimes may fold them.
_LOWEST_IR_VERSION = 8


@dataclass(frozen=True)
class ExportOptions:
    """What to export.

    `layers`: tensor names (one may be given as it is), or "auto" for the last feature map before pooling or flattening.
    `fixed`: numbers or arrays for the inputs beside the image. `exact_int8`: whether 8-bit sums are computed exactly
    where this CPU's default kernels saturate.
    """

    layers: Sequence[str] = ("auto",)
    score: ScoreOptions = field(default_factory=ScoreOptions)
    build: BuildOptions = field(default_factory=BuildOptions)
    labels: Sequence[str] = ()
    input: InputOptions = field(default_factory=InputOptions)
    seed: int = 0
    fixed: Mapping[str, Values] = field(default_factory=dict)
    exact_int8: bool = True

    def __post_init__(self) -> None:
        if isinstance(self.layers, str):
            object.__setattr__(self, "layers", (self.layers,))


@dataclass(frozen=True)
class Exported:
    """A proven explainable graph in memory. Weights of more than 2 GiB stay in external files in `weights_folder`."""

    model: onnx.ModelProto
    manifest: pb.Manifest
    weights_folder: Path | None = None


def export_file(
    source: str | Path, target: str | Path, options: ExportOptions | None = None, *, progress: Progress | None = None
) -> Exported:
    """Export the model at `source` to `target`; nothing is written unless every check of the certificate passes.

    Raises:
        ExportError: the model cannot be made explainable, or the result did not pass its checks.

    """
    source, target, options = Path(source), Path(target), options or ExportOptions()
    check_target(target, source)
    loaded = fix_inputs(load_onnx(source), options.fixed, sizes=options.input.size)
    exported = export(loaded, options, load_source=_loader(source, loaded, options), progress=progress)
    write(exported.model, target, exported.weights_folder)
    return exported


def _loader(source: Path, loaded: LoadedModel, options: ExportOptions) -> LoadSource:
    """Return what loads the file itself, or the model that it becomes with inputs fixed or outputs left out."""
    exact = options.exact_int8
    if not loaded.is_as_stored:
        return loader_of(loaded.model, exact_int8=exact)
    return lambda optimize: load_trained(source, optimize=optimize, exact_int8=exact)


def export(
    loaded: LoadedModel,
    options: ExportOptions | None = None,
    *,
    load_source: LoadSource | None = None,
    progress: Progress | None = None,
) -> Exported:
    """Rewrite a loaded model into the explainable graph and prove it.

    `load_source` loads the trained model by itself, with or without optimisation of its graph.

    Raises:
        ExportError: the model cannot be made explainable, or the result did not pass its checks.

    """
    options = options or ExportOptions()
    prepared = prepare_for(loaded.model, options.score, sizes=options.input.size)
    choice = _choose(prepared, loaded, options)
    if choice.opset > prepared.model.opset_imports[""]:
        prepared = prepare_for(loaded.model, options.score, opset=choice.opset, sizes=options.input.size)
        choice = _choose(prepared, loaded, options)
    with explainable_graph():
        built = build(prepared, choice.score, choice.layers, options.build)
    manifest = make_manifest(built, loaded.source, choice.input, choice.labels)
    manifest.notes.extend([*loaded.notes, *choice.notes])
    manifest.branches = choice.branches if choice.branches > 1 else 0
    folder = weights_folder(built.prepared.model)
    # Of a widened model only the graph's own forward part can be run.
    source = None if prepared.is_widened else load_source
    outputs = [spec.name for spec in manifest.source_outputs]
    with explainable_graph():
        model = _assemble(built, manifest)
        engine = load_engine(model, folder, exact_int8=options.exact_int8)
        source = source_for_exact_kernels(loaded.model, source, exact=options.exact_int8)
        rewritten = source is not None and is_rewritten(loaded.model, model, outputs)
        subject = Subject(
            model, manifest, engine, load_source=source, folder=folder, is_rewritten=rewritten, seed=options.seed
        )
        state_kernels(subject)
        automatic = [layer.name for layer in choice.layers if not {layer.name, layer.alias} & set(options.layers)]
        return _prove(subject, built.trace, progress, automatic)


@dataclass(frozen=True)
class _Choice:
    """What the options mean for a prepared model.

    `branches`: so many of the first layers are the parallel branches of one model.
    `opset`: the lowest at which the rules on the path can be written. `notes`: what the user should know of it.
    """

    score: Score
    layers: list[TargetLayer]
    branches: int
    input: pb.InputSpec
    labels: Sequence[str]
    opset: int
    notes: Sequence[str]


def _choose(prepared: PreparedModel, loaded: LoadedModel, options: ExportOptions) -> _Choice:
    """Find what the options name; whatever is wrong with them is told at once."""
    score = find_score(prepared, replace(options.score, num_labels=_num_labels(loaded, options)))
    layers: list[TargetLayer] = []
    branches = 1
    made = Input(pb.InputSpec())
    problems = Problems()
    for name in options.layers:
        with problems.collect():
            chosen = choose_layers(prepared, score, name, loaded.aliases)
            branches = len(chosen) if name == AUTO and not layers else branches
            layers += chosen
    with problems.collect():
        _check_labels(options.labels, score.num_classes)
    with problems.collect():
        made = make_input(prepared, options.input)
    problems.raise_all()
    path = GradientPath(prepared.graph, [layer.value for layer in layers], [score.value])
    labels, note = _labels(loaded, options, score)
    return _Choice(score, layers, branches, made.spec, labels, opset_of(path), [*made.notes, *([note] if note else [])])


def _num_labels(loaded: LoadedModel, options: ExportOptions) -> int:
    """Return how many labels are known before the score is: those of the user, or two in the file's metadata."""
    return len(options.labels) or len(labels_in_metadata(loaded.model.metadata_props, 2)[0])


def _labels(loaded: LoadedModel, options: ExportOptions, score: Score) -> tuple[Sequence[str], str]:
    """Return the label of each target, and a note on where they come from."""
    if options.labels:
        return options.labels, ""
    if own := score.task.own_labels(score):
        return own, ""
    labels, note = labels_in_metadata(loaded.model.metadata_props, score.num_classes)
    return (labels, note) if labels else labels_in_maps(loaded.map_labels, score.num_classes)


def _check_labels(labels: Sequence[str], num_classes: int) -> None:
    if labels and len(labels) != num_classes:
        raise UsageError(
            f"The labels file has {len(labels)} labels, but the score has {num_classes} classes. "
            "Give one label per class, in the order of the classes."
        )


def _assemble(built: Built, manifest: pb.Manifest) -> onnx.ModelProto:
    """Drop what nothing uses, attach the manifest, and turn the graph into its file form."""
    model = built.prepared.model
    model.ir_version = max(model.ir_version, _LOWEST_IR_VERSION)
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


def _prove(
    subject: Subject, trace: Sequence[NodeGradient], progress: Progress | None, automatic: Sequence[str]
) -> Exported:
    certificate = certify(subject, progress=progress)
    name_wrong_nodes(certificate, subject, trace)
    require(certificate, remark_on(subject.engine), automatic=automatic)
    subject.manifest.certificate.CopyFrom(certificate)
    subject.manifest.notes.extend(check.remark for check in certificate.checks if check.remark)
    _attach(subject.model, subject.manifest)
    return Exported(subject.model, subject.manifest, subject.folder)
