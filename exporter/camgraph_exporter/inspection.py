"""What an inspection tells of a model: its layers with what they see and cost, its score, and its input."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.assemble.build import build
from camgraph_exporter.choose.choice import choose_input
from camgraph_exporter.choose.layers import branches_of, candidate_layers, choose_layer, choose_layers
from camgraph_exporter.choose.score import find_score
from camgraph_exporter.graph.dims import Dim, dims_of
from camgraph_exporter.image.options import Input
from camgraph_exporter.layers.layers import TargetLayer, spatial_layers
from camgraph_exporter.pipeline import ReadModel
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.reading.image_path import image_path
from camgraph_exporter.reading.receptive_field import receptive_fields
from camgraph_exporter.running.engine import load_engine
from camgraph_exporter.storage import weights_folder
from camgraph_exporter.tasks import Score
from camgraph_runtime.run.engine import Engine

Arrays = dict[str, np.ndarray]

_PAIRS = 15


@dataclass(frozen=True)
class Candidate:
    """A layer that can be explained.

    `receptive_field`: pixels of the image that one cell can see, infinite for all. `weights_after`: weights between
    the layer and the score, which the layer's map does not show. `estimated_cost`: multiply-accumulates of the backward
    part over those of the forward pass. `measured_cost`: extra time of the explainable graph over the trained model,
    median of pairs; None where it was not measured. `branch`: the number of its parallel branch, from 1; 0 where the
    model has no branches. `boxes`: how many boxes of a detector depend on it, "32 of 672" or "all"; empty for other
    models.
    """

    layer: TargetLayer
    is_chosen: bool
    receptive_field: float
    weights_after: int
    estimated_cost: float
    measured_cost: float | None = None
    branch: int = 0
    boxes: str = ""


@dataclass(frozen=True)
class Inspection:
    """A model as the exporter sees it; the best candidate comes first, then back towards the image.

    `image`: name of the image input. `notes`: what the user should know, one sentence each.
    """

    score: Score
    candidates: list[Candidate]
    input: pb.InputSpec
    image: str
    notes: tuple[str, ...] = ()


def inspect_model(model: ReadModel) -> Inspection:
    """Rank the layers of a model that was read.

    Raises:
        ExportError: the model has no feature map.

    """
    prepared, score = model.prepared, model.score
    chosen = choose_layers(prepared, score)
    names = {layer.name for layer in chosen}
    others = [layer for layer in reversed(candidate_layers(prepared, score)) if layer.name not in names]
    branches = branches_of(prepared, score, spatial_layers(prepared, score.value))
    branch_of = {layer.name: number for number, branch in enumerate(branches, start=1) for layer in branch}
    fields = receptive_fields(prepared, score.value)
    after = _weights_after(prepared, score.value)
    listed = [*chosen, *others]
    reached = score.task.reached(prepared, score, listed) or [""] * len(listed)
    candidates = [
        Candidate(
            layer=layer,
            is_chosen=layer.name in names,
            receptive_field=fields[layer.value].size if layer.value in fields else math.inf,
            weights_after=after.get(layer.value, 0),
            estimated_cost=layer.extra_cost,
            branch=branch_of.get(layer.name, 0) if len(branches) > 1 else 0,
            boxes=boxes,
        )
        for layer, boxes in zip(listed, reached, strict=True)
    ]
    made = choose_input(model.loaded, prepared, Input())
    notes = (*model.loaded.notes, *prepared.notes, score.note, candidates[0].layer.note, *made.notes)
    return Inspection(score, candidates, made.spec, str(prepared.image.name), tuple(filter(None, notes)))


def _weights_after(prepared: PreparedModel, score: ir.Value) -> dict[ir.Value, int]:
    """Count for each value the weights of the nodes after it on the path to the score."""
    path = image_path(prepared, score)
    after: dict[ir.Value, int] = {}
    seen: set[ir.Value] = set()
    total = 0
    for node in reversed(path.nodes):
        after.update(dict.fromkeys(node.outputs, total))
        weights = {value for value in node.inputs if value is not None and value.is_initializer()} - seen
        seen |= weights
        total += sum(math.prod(int(dim) for dim in dims_of(value)) for value in weights if _is_real(value))
    return after


def _is_real(value: ir.Value) -> bool:
    return value.dtype is not None and value.dtype not in (ir.DataType.INT64, ir.DataType.BOOL, ir.DataType.STRING)


def measure_costs(model: ReadModel, inspection: Inspection) -> Iterator[Candidate]:
    """Time each candidate's explainable graph against the trained model, in pairs on this machine."""
    prepared = model.prepared
    folder = weights_folder(prepared.model)
    plain = load_engine(ir.to_proto(prepared.model), folder)
    feeds = _feeds(prepared)
    for candidate in inspection.candidates:
        clone = prepared.model.clone()
        copy = PreparedModel(
            clone, next(v for v in clone.graph.inputs if v.name == prepared.image.name), prepared.probe
        )
        score = find_score(copy, model.options, num_labels=model.num_labels)
        build(copy, score, [choose_layer(copy, score, candidate.layer.name)])
        explained = load_engine(ir.to_proto(clone), folder)
        full = {**feeds, **_targets(prepared, explained, feeds)}
        yield replace(candidate, measured_cost=_median_ratio(plain, explained, feeds, full) - 1)


def _feeds(prepared: PreparedModel) -> Arrays:
    """Draw one image, of the probe's size where the model takes several."""
    dims = prepared.probe.shapes[str(prepared.image.name)]
    shape = [1 if axis == 0 and isinstance(dim, str) else _size(prepared, dim) for axis, dim in enumerate(dims)]
    assert prepared.image.dtype is not None
    image = np.random.default_rng(0).standard_normal(shape).astype(prepared.image.dtype.numpy())
    return {str(prepared.image.name): image}


def _size(prepared: PreparedModel, dim: Dim) -> int:
    size = prepared.probe.example(dim)
    assert size is not None, "Dimensions of the image and of the score are the probe's."
    return size


def _median_ratio(plain: Engine, explained: Engine, feeds: Arrays, full: Arrays) -> float:
    """Return the median of the ratios of runs that take turns, after two rounds of warm-up."""
    ratios = [_seconds(explained, full) / _seconds(plain, feeds) for _ in range(_PAIRS + 2)]
    return statistics.median(ratios[2:])


def _targets(prepared: PreparedModel, engine: Engine, feeds: Arrays) -> Arrays:
    """Ask for the best class (and box) of every image; masks and directions are ones."""
    batch = len(next(iter(feeds.values())))
    made = {}
    for name, info in engine.inputs.items():
        if name in feeds:
            continue
        tail = [_size(prepared, size if size is not None else "") for size in info.shape[2:]]
        fill = -1 if info.dtype == "int64" else 1
        made[name] = np.full([batch, 1, *tail], fill, dtype=info.dtype)
    return made


def _seconds(engine: Engine, feeds: Arrays) -> float:
    start = time.perf_counter()
    engine.run(feeds)
    return time.perf_counter() - start
