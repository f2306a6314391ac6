"""The whole preparation: from a loaded model to one that can be read and differentiated."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import onnx_ir as ir

from camgraph_exporter.graph.dims import BATCH, dims_of
from camgraph_exporter.prepare.batch import free_batch
from camgraph_exporter.prepare.casts import drop_needless_casts, settle_casts
from camgraph_exporter.prepare.channels import settle_channels
from camgraph_exporter.prepare.fusions import write_out_fusions
from camgraph_exporter.prepare.image_input import image_input
from camgraph_exporter.prepare.normalise import LOWEST_OPSET, normalise
from camgraph_exporter.prepare.poolings import settle_poolings
from camgraph_exporter.prepare.screen import screen
from camgraph_exporter.prepare.sequences import unpack_sequences
from camgraph_exporter.prepare.widen import NOTE, widen_bfloat16
from camgraph_exporter.quantised.exact_weights import store_exactly
from camgraph_exporter.quantised.integer_maps import show_integer_maps
from camgraph_exporter.running.probe import Probe, annotate, probe


@dataclass
class PreparedModel:
    """A normalised model whose values all carry shapes and types.

    `notes`: what the user should know of it, one sentence each. `is_widened`: it computes in float32 what the source
    computes in bfloat16, so that the source itself cannot be run beside it.
    """

    model: ir.Model
    image: ir.Value
    probe: Probe
    notes: list[str] = field(default_factory=list)
    is_widened: bool = False

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


def prepare(
    model: ir.Model,
    *,
    opset: int = LOWEST_OPSET,
    sizes: Sequence[int] | None = None,
    fused: Collection[str] = (),
) -> PreparedModel:
    """Normalise and probe a model.

    Args:
        model: a model as it was loaded; it is changed.
        opset: the lowest opset that the result may have.
        sizes: height and width to use where the image leaves them open.
        fused: first outputs of nodes of onnxruntime's optimiser that are to be written out.

    Raises:
        ModelFileError: the model has no image input, is in training mode or random, or onnxruntime cannot run it.

    """
    model = normalise(model, opset=opset)
    screen(model)
    is_widened = widen_bfloat16(model)
    stored = store_exactly(model)
    settle_channels(model, image_input(model), sizes)
    model, notes = _with_any_batch(model, sizes)
    image = image_input(model)
    _name_batch(image)
    result = probe(model, image=image, sizes=sizes)
    _fix_sizes(image, result)
    annotate(model, result)
    if fused:
        model, note = write_out_fusions(model, fused, result)
        image, notes = image_input(model), [*notes, *([note] if note else [])]
        result = probe(model, image=image, sizes=sizes)
        annotate(model, result)
    settle_casts(model)
    drop_needless_casts(model)
    settle_poolings(model)
    unpack_sequences(model)
    show_integer_maps(model)
    return PreparedModel(model, image, result, notes + stored + [NOTE] * is_widened, is_widened)


def _with_any_batch(model: ir.Model, sizes: Sequence[int] | None) -> tuple[ir.Model, list[str]]:
    batch = dims_of(image_input(model))[0]
    if not isinstance(batch, int):
        return model, []
    freed = free_batch(model, sizes=sizes)
    if freed is not None:
        return freed, []
    note = f"The model takes batches of exactly {batch}, and so does the explainable graph."
    filled = " A smaller batch is filled up with copies of its last image, which takes the time of a whole one."
    return model, [note + filled * (batch > 1)]


def _fix_sizes(image: ir.Value, result: Probe) -> None:
    """Declare sizes that the model leaves open although it takes one only."""
    known = result.shapes[str(image.name)]
    dims = [
        have if isinstance(have, int) or isinstance(want, str) else want
        for have, want in zip(dims_of(image), known, strict=True)
    ]
    image.shape = ir.Shape(dims)


def _name_batch(image: ir.Value) -> None:
    """Call a dynamic batch axis `N`; other dynamic axes keep their names."""
    assert image.shape is not None
    if not isinstance(image.shape[0], int):
        image.shape = ir.Shape([BATCH, *dims_of(image)[1:]])
