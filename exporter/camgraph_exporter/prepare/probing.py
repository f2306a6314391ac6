"""Probes a model on its way through the passes, and writes what the runs showed into its values."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir
from onnx_ir.passes import InPlacePass, PassResult, PreconditionError

from camgraph_exporter.graph.dims import BATCH, dims_of
from camgraph_exporter.prepare.image_input import image_input
from camgraph_exporter.running.probe import Probe, probe

_PROBE = "camgraph.probe"


def remember(model: ir.Model, result: Probe | None) -> None:
    """Keep what runs of a model showed; None where it has changed since."""
    model.meta[_PROBE] = result


def probe_of(model: ir.Model) -> Probe:
    """Return what runs of a model showed.

    Raises:
        PreconditionError: the model has not been run as it is.

    """
    result = model.meta.get(_PROBE)
    if not isinstance(result, Probe):
        raise PreconditionError("The model has not been probed.")
    return result


class NameBatchPass(InPlacePass):
    """Calls a dynamic batch axis `N`; other dynamic axes keep their names."""

    def call(self, model: ir.Model) -> PassResult:
        """Change the shape of the image."""
        image = image_input(model)
        dims = dims_of(image)
        if isinstance(dims[0], int):
            return PassResult(model, modified=False)
        image.shape = ir.Shape([BATCH, *dims[1:]])
        return PassResult(model, modified=True)


class ProbePass(InPlacePass):
    """Runs a model, unless it has been run as it is."""

    def __init__(self, sizes: Sequence[int] | None = None) -> None:
        self._sizes = sizes

    def call(self, model: ir.Model) -> PassResult:
        """Remember what the runs show.

        Raises:
            ModelFileError: onnxruntime cannot run the model.

        """
        if model.meta.get(_PROBE) is None:
            remember(model, probe(model, image=image_input(model), sizes=self._sizes))
        return PassResult(model, modified=False)


class AnnotatePass(InPlacePass):
    """Writes what the runs showed into a model's values, and sizes that it leaves open although it takes one only."""

    def requires(self, model: ir.Model) -> None:
        """Ask for a probe."""
        probe_of(model)

    def call(self, model: ir.Model) -> PassResult:
        """Set shapes and types."""
        result, image = probe_of(model), image_input(model)
        image.shape = ir.Shape(
            [
                have if isinstance(have, int) or isinstance(want, str) else want
                for have, want in zip(dims_of(image), result.shapes[str(image.name)], strict=True)
            ]
        )
        for node in model.graph:
            for value in node.outputs:
                if value.name in result.shapes:
                    value.shape = ir.Shape(result.shapes[value.name])
                if value.name in result.dtypes:
                    value.type = ir.TensorType(result.dtypes[value.name])
        return PassResult(model, modified=True)
