"""How many cells a map has on an image of any size.

Strides round sizes, up or down, and decoders multiply what is left. Every such chain is one law,

    cells = up * floor((length + offset) / down) + margin,

as floor(floor(x / a) / b) = floor(x / (a b)) for whole a and b. The model is run at sizes that tell the laws apart that
hold so far, until one is left.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import CamgraphError
from camgraph_exporter.errors import ScoreError
from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.image.layout import side_axes
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.running.engine import engine_with_outputs, random_input

_MOST = 64  # of `up` and `down`
_REACH = 2 * _MOST  # pixels beyond the first size: two whole steps of every law
_EVERYWHERE = (128, 64, 37, 91)  # pixels beyond the first size that are tried whatever laws say of them
_STEPS = (1, 8, 32)  # between sizes that are tried; coarser ones where the model takes no others
_MOST_REFUSALS = 3  # per step
_MOST_RUNS = 24


def map_size(prepared: PreparedModel, value: ir.Value, axes: tuple[int, int], *, transposed: bool) -> pb.MapSize:
    """Return the law for the rows and the columns of a map.

    Args:
        prepared: the model.
        value: the tensor that holds the map.
        axes: where its rows and columns are.
        transposed: whether its rows lie along the image's width.

    Raises:
        ScoreError: no such law holds.

    """
    dims = dims_of(value)
    counts = [pb.CellCount(margin=dim if isinstance(dim, int) else 0) for dim in (dims[axis] for axis in axes)]
    laws = {i: _Laws() for i, axis in enumerate(axes) if not isinstance(dims[axis], int)}
    if laws:
        _tell_apart(_Runs(prepared, value, axes), laws, (1, 0) if transposed else (0, 1))
    for i, law in laws.items():
        if not law.holds:
            raise ScoreError(
                f"How large the score map {value.name!r} is does not follow from the image's size in a way that "
                "could be found. Export the model again with a fixed --input-size."
            )
        counts[i] = law.simplest()
    return pb.MapSize(rows=counts[0], columns=counts[1])


def _tell_apart(runs: _Runs, laws: Mapping[int, _Laws], along: Sequence[int]) -> None:
    """Run the model until one law is left for each axis, or no size that it takes tells those apart that are left."""

    def run(lengths: Sequence[int]) -> bool:
        cells = runs.cells(lengths)
        if cells is None:
            return False
        for i, law in laws.items():
            law.keep(lengths[along[i]], cells[i])
        return True

    first = runs.first
    for more in (0, *_EVERYWHERE):
        run([length + more for length in first])
    for step in _STEPS:
        refused: list[Sequence[int]] = []
        while len(refused) < _MOST_REFUSALS and runs.number < _MOST_RUNS:
            lengths = list(first)
            for i, law in laws.items():
                start, tried = first[along[i]], {sizes[along[i]] for sizes in refused}
                lengths[along[i]] = law.telling(start, range(start + step, start + _REACH + 1, step), tried)
            if lengths == first:
                break
            if not run(lengths):
                refused.append(lengths)


class _Runs:
    """Runs the model to see the sizes of a map."""

    def __init__(self, prepared: PreparedModel, value: ir.Value, axes: tuple[int, int]) -> None:
        self._engine = engine_with_outputs(prepared.model, [value])
        self._image, self._name, self._axes = prepared.image, str(value.name), axes
        dims = prepared.probe.shapes[str(prepared.image.name)]
        self._shape = [prepared.probe.example(dim) for dim in dims]
        self._places = side_axes(prepared.image)
        self._is_open = [isinstance(dims[place], str) for place in self._places]
        self._rng = np.random.default_rng(0)
        self.number = 0

    @property
    def first(self) -> list[int]:
        """Height and width of the image in the first run of the probe."""
        return [int(self._shape[place] or 1) for place in self._places]

    def cells(self, lengths: Sequence[int]) -> Sequence[int] | None:
        """Return the number of rows and columns for an image of some height and width; None if the model refuses it."""
        self.number += 1
        shape = list(self._shape)
        for place, length, is_open in zip(self._places, lengths, self._is_open, strict=True):
            shape[place] = length if is_open else shape[place]
        assert self._image.dtype is not None
        image = random_input(self._rng, [int(size or 1) for size in shape], self._image.dtype)
        try:
            found = self._engine.run({str(self._image.name): image}, [self._name])[self._name]
        except CamgraphError:
            return None
        return found.shape[self._axes[0]], found.shape[self._axes[1]]


@dataclass
class _Laws:
    """The laws of one axis that hold for all sizes that were seen."""

    _laws: np.ndarray | None = None  # [4, laws]: up, offset, down, margin

    @property
    def holds(self) -> bool:
        """Whether a law is left."""
        return self._laws is not None and self._laws.shape[1] > 0

    def keep(self, length: int, cells: int) -> None:
        """Keep the laws by which an axis of `length` pixels has so many cells."""
        if self._laws is None:
            up, down, offset = np.meshgrid(*(np.arange(1, _MOST + 1),) * 2, np.arange(_MOST), indexing="ij")
            fits = offset < down
            up, down, offset = up[fits], down[fits], offset[fits]
            self._laws = np.stack([up, offset, down, cells - up * ((length + offset) // down)])
        else:
            self._laws = self._laws[:, self._count(length) == cells]

    def telling(self, first: int, lengths: Iterable[int], tried: Collection[int]) -> int:
        """Return the length that tells the laws apart best and was not tried; the first, if none does."""
        best, fewest = first, len(self._count(first))
        for length in lengths:
            largest = int(np.unique(self._count(length), return_counts=True)[1].max(initial=0))
            if length not in tried and largest < fewest:
                best, fewest = length, largest
        return best

    def simplest(self) -> pb.CellCount:
        """Return the law of the smallest numbers."""
        assert self._laws is not None
        up, offset, down, margin = min(self._laws.T.tolist(), key=lambda law: (law[2], law[0], abs(law[3]), law[1]))
        return pb.CellCount(up=up, offset=offset, down=down, margin=margin)

    def _count(self, length: int) -> np.ndarray:
        assert self._laws is not None
        up, offset, down, margin = self._laws
        return np.asarray(up * ((length + offset) // down) + margin)
