"""Runs the source model with every intermediate value as an output, and reads shapes, types and constants off.

Shape inference gives up on many real files (constant-computed pads, shape chains, custom operators). A run does not:
every rank and every static size is a fact. Two runs with different batch sizes (and image sizes, where the model takes
several) tell static dimensions from dynamic ones.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from camgraph_core.errors import CamgraphError
from camgraph_exporter.errors import ModelFileError
from camgraph_exporter.graph.dims import BATCH, Dim, Dims, dims_of
from camgraph_exporter.graph.names import name_nodes
from camgraph_exporter.graph.traits import Trait, has
from camgraph_exporter.graph.walk import leading_to, reached_from, reads
from camgraph_exporter.running.engine import DEFAULT_SIZE, engine_with_outputs, random_input, reason_of
from camgraph_runtime.run.engine import Engine

_GROWTH = 64
_MOST_NUMBERS = 1 << 30  # of an input that is tried: 4 GiB, and as much again for each layer of that size
_CONSTANT_LIMIT = 1 << 20  # elements; larger constant values stay in the graph and are not copied


@dataclass(frozen=True)
class Sighting:
    """What one run showed beside shapes.

    `sizes`: for each symbol of a shape its size. `constants`: the values that do not depend on the image's content, by
    name, those included that depend on its size.
    """

    sizes: Mapping[str, int]
    constants: Mapping[str, np.ndarray]


@dataclass
class Probe:
    """What the runs showed.

    `examples`: for each symbol in `shapes` its size in the first run. `sightings`: one run for each size of image.
    `outputs`: what the first run gave for the model's outputs.
    """

    shapes: dict[str, Dims] = field(default_factory=dict)
    examples: dict[str, int] = field(default_factory=dict)
    dtypes: dict[str, ir.DataType] = field(default_factory=dict)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    batch_is_symbolic: bool = False
    sightings: list[Sighting] = field(default_factory=list)
    outputs: dict[str, np.ndarray] = field(default_factory=dict)

    def example(self, dim: Dim) -> int | None:
        """Return a size, or what a symbol stood for in the first run; None for one that no run has shown."""
        return dim if isinstance(dim, int) else self.examples.get(dim)


def probe(model: ir.Model, *, image: ir.Value, sizes: Sequence[int] | None = None, seed: int = 0) -> Probe:
    """Run the model two or three times and return what is known of its values.

    Args:
        model: normalised source model.
        image: the image input.
        sizes: height and width to use where the input leaves them open.
        seed: seed of the random inputs.

    Raises:
        ModelFileError: onnxruntime cannot run the model.

    """
    values = [value for node in model.graph for value in node.outputs if value.name]
    engine = engine_with_outputs(model, values)
    rng = np.random.default_rng(seed)
    runs = _runs(engine, image, rng, sizes)
    _check_repeatable(engine, model, runs[0])
    return _compare(model, image, values, runs)


@dataclass(frozen=True)
class _Run:
    batch: int
    feeds: Mapping[str, np.ndarray]
    arrays: Mapping[str, np.ndarray]


def _runs(engine: Engine, image: ir.Value, rng: np.random.Generator, sizes: Sequence[int] | None) -> list[_Run]:
    dims = dims_of(image)
    open_axes = [axis for axis in range(1, len(dims)) if not isinstance(dims[axis], int)]
    batches = (2, 3) if not isinstance(dims[0], int) else (dims[0], dims[0])
    runs = [_run(engine, image, rng, batch, open_axes, sizes, growth=0) for batch in batches]
    if open_axes:
        # A model that declares its size open but takes one size only is a model of that size.
        with contextlib.suppress(ModelFileError):
            runs.append(_run(engine, image, rng, batches[0], open_axes, sizes, growth=_GROWTH))
    return runs


def _run(
    engine: Engine,
    image: ir.Value,
    rng: np.random.Generator,
    batch: int,
    open_axes: Sequence[int],
    sizes: Sequence[int] | None,
    growth: int,
) -> _Run:
    shape = [batch, *dims_of(image)[1:]]
    for i, axis in enumerate(open_axes):
        shape[axis] = (sizes[i % len(sizes)] if sizes else DEFAULT_SIZE) + growth * (i + 1)
    assert image.dtype is not None
    if math.prod(int(dim) for dim in shape) > _MOST_NUMBERS:
        raise ModelFileError(
            f"An input of shape {shape} has more than {_MOST_NUMBERS} numbers, too many to try the model with. "
            "Export the model again with the size of its images."
        )
    try:
        feeds = {str(image.name): random_input(rng, [int(dim) for dim in shape], image.dtype)}
    except (MemoryError, ValueError) as error:
        raise ModelFileError(f"An input of shape {shape} does not fit into memory: {error}.") from error
    try:
        return _Run(batch, feeds, engine.run(feeds))
    except CamgraphError as error:
        advice = " The model leaves the size of its input open; state it with --input-size." if open_axes else ""
        raise ModelFileError(
            f"onnxruntime cannot run the model on an input of shape {list(shape)}: {reason_of(error)}{advice}"
        ) from error


def _check_repeatable(engine: Engine, model: ir.Model, run: _Run) -> None:
    """Run the same input again: the nodes where results begin to differ are random."""
    again = engine.run(run.feeds)
    differing = {name for name, array in run.arrays.items() if not _equal(array, again[name])}
    random = [
        node
        for node in leading_to(model.graph, model.graph.outputs)
        if any(value.name in differing for value in node.outputs)
        and not any(value.name in differing for value in reads(node))
    ]
    if random:
        raise ModelFileError(
            f"The model gives different results for the same image: {name_nodes(random)} random. "
            "Export the model again in evaluation mode."
        )


def _equal(a: np.ndarray | list[np.ndarray], b: np.ndarray | list[np.ndarray]) -> bool:
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_equal, a, b))
    if np.array_equal(a, b) or not isinstance(a, np.ndarray) or not np.issubdtype(a.dtype, np.floating):
        return bool(np.array_equal(a, b))
    return bool(np.allclose(a, b, rtol=1e-3, atol=1e-5, equal_nan=True))


def _compare(model: ir.Model, image: ir.Value, values: Sequence[ir.Value], runs: Sequence[_Run]) -> Probe:
    result = Probe(batch_is_symbolic=runs[0].batch != runs[1].batch)
    symbols: dict[tuple[int, ...], Dim] = {}
    if result.batch_is_symbolic:
        symbols[tuple(run.batch for run in runs)] = BATCH
    dependent = _depends_on(model, image)
    fixed: list[str] = []
    for value in values:
        arrays = [run.arrays[str(value.name)] for run in runs]
        if not all(isinstance(array, np.ndarray) for array in arrays):
            continue
        name = str(value.name)
        result.dtypes[name] = ir.DataType.from_numpy(arrays[0].dtype)
        if len({array.ndim for array in arrays}) == 1:
            result.shapes[name] = tuple(
                _dim(sizes, symbols) for sizes in zip(*(array.shape for array in arrays), strict=True)
            )
        if value.is_graph_output():
            result.outputs[name] = arrays[0]
        if value not in dependent and arrays[0].size <= _CONSTANT_LIMIT:
            fixed.append(name)
            if _all_same(arrays):
                result.constants[name] = arrays[0]
    images = [run.feeds[str(image.name)].shape for run in runs]
    result.shapes[str(image.name)] = tuple(_dim(sizes, symbols) for sizes in zip(*images, strict=True))
    result.examples = {str(symbol): sizes[0] for sizes, symbol in symbols.items()}
    shown = {image: number for number, image in reversed(list(enumerate(shape[1:] for shape in images)))}
    for number in sorted(shown.values()):
        sizes = {str(symbol): of_runs[number] for of_runs, symbol in symbols.items()}
        result.sightings.append(Sighting(sizes, {name: runs[number].arrays[name] for name in fixed}))
    return result


def _all_same(arrays: Sequence[np.ndarray]) -> bool:
    return all(np.array_equal(array, arrays[0], equal_nan=array.dtype.kind == "f") for array in arrays[1:])


def _dim(sizes: tuple[int, ...], symbols: dict[tuple[int, ...], Dim]) -> Dim:
    """Return the size if all runs agree, else a symbol: the same for sizes that agree in every run."""
    if len(set(sizes)) == 1:
        return sizes[0]
    return symbols.setdefault(sizes, f"dim{len(symbols)}")


def _depends_on(model: ir.Model, image: ir.Value) -> set[ir.Value]:
    """Return the values that depend on the image's pixels, or on chance.

    What depends on the image's shape alone is constant if it is the same in all runs, which differ in every open size.
    """
    random = [value for node in model.graph if has(node, Trait.RANDOM) for value in node.outputs]

    def passed_on(node: ir.Node) -> Collection[ir.Value]:
        return () if has(node, Trait.OF_SHAPE) else node.outputs

    return reached_from(model.graph, [image, *random], passed_on)
