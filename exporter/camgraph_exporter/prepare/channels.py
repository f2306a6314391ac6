"""Settles how many channels an image has whose file leaves them open, as common exporters write by default."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir
from onnx_ir.passes import InPlacePass, PassResult

from camgraph_core.errors import CamgraphError
from camgraph_exporter.errors import ModelFileError
from camgraph_exporter.graph.dims import Dims
from camgraph_exporter.image.layout import possible_shapes
from camgraph_exporter.prepare.image_input import image_input
from camgraph_exporter.running.engine import DEFAULT_SIZE, engine_with_outputs, random_input
from camgraph_runtime.run.engine import Engine


class SettleChannelsPass(InPlacePass):
    """Declares the channels of an image: of the shapes that its operators allow the first that runs.

    Where none runs it is the likeliest, and the probe says why.
    """

    def __init__(self, sizes: Sequence[int] | None = None) -> None:
        self._sizes = sizes

    def call(self, model: ir.Model) -> PassResult:
        """Change the shape of an image whose channels are open.

        Raises:
            ModelFileError: the model has no image input.

        """
        image = image_input(model)
        shapes = possible_shapes(image)
        if len(shapes) == 1:
            return PassResult(model, modified=False)
        try:
            engine = engine_with_outputs(model, [])
        except ModelFileError:
            return PassResult(model, modified=False)  # the probe says why
        found = next((shape for shape in shapes if _runs(engine, image, shape, self._sizes)), shapes[0])
        image.shape = ir.Shape([None if str(dim).startswith("?") else dim for dim in found])
        return PassResult(model, modified=True)


def _runs(engine: Engine, image: ir.Value, shape: Dims, sizes: Sequence[int] | None) -> bool:
    assert image.dtype is not None
    open_sizes = iter(sizes or ())
    batch, *rest = shape
    whole = [batch if isinstance(batch, int) else 1]
    whole += [dim if isinstance(dim, int) else next(open_sizes, DEFAULT_SIZE) for dim in rest]
    try:
        engine.run({str(image.name): random_input(np.random.default_rng(0), whole, image.dtype)})
    except CamgraphError:
        return False
    return True
