"""Export, inspect and verify: what a program calls, and the commands too."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import InvalidGraphError
from camgraph_exporter.certificate.certify import certify
from camgraph_exporter.certificate.subject import Subject
from camgraph_exporter.frontends.onnx_file import load_onnx
from camgraph_exporter.frontends.source import Source
from camgraph_exporter.inspection import Inspection, inspect_model, measure_costs
from camgraph_exporter.keywords import keywords_after_target, keywords_of
from camgraph_exporter.options import ExportOptions, InspectOptions, VerifyOptions
from camgraph_exporter.pipeline import Exported, load_fixed, read, rewrite
from camgraph_exporter.storage import check_target, weights_folder
from camgraph_runtime.digest import check_digest
from camgraph_runtime.manifest import manifest_from_metadata
from camgraph_runtime.run.engine import Engine


@keywords_after_target(ExportOptions)
def export(options: ExportOptions, source: Source, target: str | Path | None = None) -> Exported:
    """Export a trained model to an explainable graph, and prove it.

    Args:
        options: See the keywords below.
        source: The path of an .onnx file, of a TorchScript file or of a program of `torch.export`; an
            `onnx.ModelProto`; a PyTorch module; or `package.module:factory`, a function that builds one. A module is
            exported in evaluation mode and left as it was.
        target: Where to write the graph. None leaves it in memory. Nothing is written unless every check passes.

    Raises:
        ExportError: The model cannot be made explainable, or the result did not pass its checks.
        UsageError: An option is wrong, the target cannot be written to, or PyTorch is not installed.

    """
    if target is not None:
        check_target(Path(target), Path(source) if isinstance(source, str | Path) else None)
    exported = rewrite(load_fixed(source, options, options.layers), options)
    if target is not None:
        exported.save(target)
    return exported


@keywords_of(InspectOptions)
def inspect(options: InspectOptions, source: Source) -> Inspection:
    """List the layers of a model that can be explained, its score, and how a photo becomes its input.

    Args:
        options: See the keywords below.
        source: As for `export`.

    Raises:
        ExportError: The model cannot be read, or has no score or no feature map.
        UsageError: An option is wrong, or PyTorch is not installed.

    """
    model = read(load_fixed(source, options), options)
    inspection = inspect_model(model)
    if not options.measure:
        return inspection
    candidates = []
    for candidate in measure_costs(model, inspection):
        candidates.append(candidate)
        if options.progress is not None:
            options.progress(candidate.layer.name, len(candidates), len(inspection.candidates))
    return replace(inspection, candidates=candidates)


@dataclass(frozen=True)
class Verification:
    """What the checks of an explainable graph gave here.

    `notes`: what the user should know of this machine. `has_changed`: whether the files are others than those that were
    proven, by the digest in the manifest.
    """

    certificate: pb.Certificate
    notes: tuple[str, ...] = ()
    has_changed: bool = False

    @property
    def passed(self) -> bool:
        """Whether every check passed, and the files are those that were proven."""
        return self.certificate.passed and not self.has_changed

    @property
    def failed(self) -> list[str]:
        """Names of the checks that did not pass; "digest" for files that have changed."""
        failed = [check.name for check in self.certificate.checks if not check.passed]
        return [*failed, "digest"] if self.has_changed else failed


@keywords_of(VerifyOptions)
def verify(options: VerifyOptions, graph: str | Path) -> Verification:
    """Repeat the certificate's checks on an explainable graph, here.

    Args:
        options: See the keywords below.
        graph: The path of the graph.

    Raises:
        ModelFileError: The file cannot be read.
        InvalidGraphError: It is not an explainable graph.

    """
    loaded = load_onnx(graph)
    folder = weights_folder(loaded.model)
    engine = Engine(graph, device=options.device, exact_int8=options.exact_int8)
    manifest = manifest_from_metadata(engine.metadata, str(graph))
    subject = Subject(
        ir.to_proto(loaded.model), manifest, engine, folder=folder, device=options.device, seed=options.seed
    )
    certificate = certify(subject, progress=options.progress)
    try:
        check_digest(Path(graph), manifest.digest)
    except InvalidGraphError as error:
        return Verification(certificate, (*engine.notes, str(error)), has_changed=True)
    return Verification(certificate, tuple(engine.notes))
