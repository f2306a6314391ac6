"""The whole preparation: from a loaded model to one that can be read and differentiated.

It has three parts. Normalising is cheap: it brings the spellings of files to one. Probing is dear: it runs the model.
Settling is cheap again and uses what the runs showed. The lists below are the order of all passes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import onnx_ir as ir
from onnx_ir.passes import Sequential, common

from camgraph_exporter.graph.passes import notes_of, run, with_meta
from camgraph_exporter.prepare.batch import FreeBatchPass
from camgraph_exporter.prepare.branches import InlineConstantBranchesPass
from camgraph_exporter.prepare.casts import DropNeedlessCastsPass, SettleCastsPass
from camgraph_exporter.prepare.channels import SettleChannelsPass
from camgraph_exporter.prepare.fusions import WriteOutFusionsPass
from camgraph_exporter.prepare.image_input import image_input
from camgraph_exporter.prepare.opset import LiftOpsetPass
from camgraph_exporter.prepare.poolings import SettlePoolingsPass
from camgraph_exporter.prepare.probing import AnnotatePass, NameBatchPass, ProbePass, probe_of, remember
from camgraph_exporter.prepare.screen import ScreenPass
from camgraph_exporter.prepare.sequences import UnpackSequencesPass
from camgraph_exporter.prepare.spelling import InlineFunctionsPass, ListNoWeightsPass, OpenSizesPass, UseShortDomainPass
from camgraph_exporter.prepare.widen import WidenBfloat16Pass, is_widened
from camgraph_exporter.quantised.exact_weights import StoreExactlyPass
from camgraph_exporter.quantised.integer_maps import HideIntegerMapsPass, ShowIntegerMapsPass
from camgraph_exporter.running.probe import Probe

# From this version on, axes of Squeeze, Unsqueeze and ReduceSum are inputs and Softmax works on one axis: rules need to
# know one spelling.
LOWEST_OPSET = 13


def normalising(opset: int = LOWEST_OPSET) -> Sequential:
    """Return the passes that need no run. `opset`: the lowest that the result may have."""
    return Sequential(
        UseShortDomainPass(),
        OpenSizesPass(),
        InlineFunctionsPass(),
        InlineConstantBranchesPass(),
        ListNoWeightsPass(),
        LiftOpsetPass(opset),
        common.TopologicalSortPass(),
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        ListNoWeightsPass(),
        ScreenPass(),
        WidenBfloat16Pass(),
        StoreExactlyPass(),
    )


def _probing(sizes: Sequence[int] | None) -> Sequential:
    """Return the passes that run the model."""
    return Sequential(SettleChannelsPass(sizes), FreeBatchPass(sizes), NameBatchPass(), ProbePass(sizes))


def _settling() -> Sequential:
    """Return the passes that use what the runs showed."""
    return Sequential(
        AnnotatePass(),
        SettleCastsPass(),
        DropNeedlessCastsPass(),
        SettlePoolingsPass(),
        UnpackSequencesPass(),
        ShowIntegerMapsPass(),
    )


def _undoing() -> Sequential:
    """Return the passes that take out again what served the study of the model alone."""
    return Sequential(HideIntegerMapsPass(), common.RemoveUnusedNodesPass())


@dataclass
class PreparedModel:
    """A normalised model whose values all carry shapes and types.

    `notes`: what the user should know of it, one sentence each. `is_widened`: it computes in float32 what the source
    computes in bfloat16, so that the source itself cannot be run beside it. `probed`: the model before it was settled,
    from which others can be made without a second probe. `sizes`: height and width that it was probed with where the
    image leaves them open.
    """

    model: ir.Model
    image: ir.Value
    probe: Probe
    notes: list[str] = field(default_factory=list)
    is_widened: bool = False
    probed: ir.Model | None = None
    sizes: Sequence[int] | None = None

    def __post_init__(self) -> None:
        found = [*self.graph.inputs, *(value for node in self.graph for value in node.outputs)]
        self._values = {str(value.name): value for value in found if value.name}

    @property
    def graph(self) -> ir.Graph:
        """The main graph."""
        return self.model.graph

    def value(self, name: str) -> ir.Value | None:
        """Return a value of the model, as it was prepared, by name."""
        return self._values.get(name)

    def values(self) -> Mapping[str, ir.Value]:
        """Return the model's inputs and all node outputs by name, in topological order, without what is added later."""
        return self._values

    def take_back(self) -> None:
        """Take out again what served the study of the model alone, once everything is added that uses it."""
        run(_undoing(), self.model)


def prepare(model: ir.Model, *, sizes: Sequence[int] | None = None) -> PreparedModel:
    """Normalise, probe and settle a model.

    Args:
        model: a model as it was loaded; it is changed.
        sizes: height and width to use where the image leaves them open.

    Raises:
        ModelFileError: the model has no image input, is in training mode or random, or onnxruntime cannot run it.

    """
    run(normalising(), model)
    run(_probing(sizes), model)
    return _settled(model, sizes)


def lifted(prepared: PreparedModel, opset: int) -> PreparedModel:
    """Prepare a model once more, at a higher opset. It is probed again only if it has other values then.

    Raises:
        ModelFileError: the model cannot be lifted.

    """
    before = _probed(prepared)
    model = with_meta(before)
    run(normalising(opset), model)
    if _names(model) - _names(before):
        remember(model, None)
        run(_probing(prepared.sizes), model)
    return _settled(model, prepared.sizes)


def written_out(prepared: PreparedModel, names: Collection[str]) -> PreparedModel:
    """Prepare a model once more, with standard operators for the fused nodes that have these first outputs."""
    model = with_meta(_probed(prepared))
    run(Sequential(AnnotatePass(), WriteOutFusionsPass(names), ProbePass(prepared.sizes)), model)
    return _settled(model, prepared.sizes)


def _settled(probed: ir.Model, sizes: Sequence[int] | None) -> PreparedModel:
    model = with_meta(probed)
    run(_settling(), model)
    return PreparedModel(
        model, image_input(model), probe_of(model), notes_of(model), is_widened(model), probed=probed, sizes=sizes
    )


def _probed(prepared: PreparedModel) -> ir.Model:
    assert prepared.probed is not None, "A model is prepared once more from what `prepare` returned."
    return prepared.probed


def _names(model: ir.Model) -> set[str]:
    return {str(value.name) for node in model.graph for value in node.outputs}
