"""Finds the node at which a failed check went wrong, so that the error names it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.certificate import batches, differences
from camgraph_exporter.certificate.layer_to_score import is_quantised
from camgraph_exporter.certificate.measures import slope_errors
from camgraph_exporter.certificate.subject import Subject
from camgraph_exporter.certificate.telling import draw_telling
from camgraph_exporter.graph.measures import relative_to_largest
from camgraph_exporter.graph.node_gradient import NodeGradient
from camgraph_exporter.targets.draw import Arrays
from camgraph_exporter.tasks import task_of

_TOLERANCE = differences.TOLERANCE
_STEP = 1e-6
# Kinks at the real values are not faults: a second look is taken this far beside them, relative to their size.
_NUDGE = 1e-3


def name_wrong_nodes(certificate: pb.Certificate, subject: Subject, steps: Sequence[NodeGradient]) -> None:
    """Put the first wrong node in place of the location of failed checks, where one is found.

    Nodes of a quantised model are not looked at: float64 has no operators for its integers. Nor are those of a check
    that had nothing to compare.
    """
    for check in certificate.checks:
        if check.passed or is_quantised(subject) or not np.isfinite(check.error):
            continue
        node = None
        if check.name == differences.NAME:
            node = first_wrong_gradient(subject, steps)
        elif check.name == batches.NAME:
            node = first_batch_dependent(subject)
        check.location = node or check.location


def first_wrong_gradient(subject: Subject, steps: Sequence[NodeGradient]) -> str | None:
    """Return the node nearest to the score whose rule is wrong, or None if each is right by itself.

    Every node is taken alone: the cotangents that its rule returned, times a random direction, must be the cotangents
    of its outputs times the central differences of the outputs along that direction (float64).
    """
    feeds = draw_telling(subject, differences.NAME, subject.smallest_batch, 2).feeds
    seeds = _pruned_seeds(subject, steps, feeds)
    present = _names(subject.flat) | seeds.keys()
    checkable = [step for step in steps if set(_step_names(step)) <= present and _is_real(step)]
    names = list(dict.fromkeys(name for step in checkable for name in _step_names(step)))
    feeds = {**feeds, **seeds}
    values = subject.run_in_float64(feeds, names)
    for step in checkable:
        if _error(subject, step, values) > _TOLERANCE and _error_beside(subject, step, values, feeds) > _TOLERANCE:
            return _label(step.node.name or str(step.node.outputs[0].name), step.node.op_type)
    return None


def first_batch_dependent(subject: Subject) -> str | None:
    """Return the first node that treats an image differently within a batch than alone, though its inputs agree."""
    count = 2 if subject.batch_is_symbolic else subject.batch
    feeds = subject.samples(batches.NAME).feeds(count, 2)
    nodes = [node for node in subject.flat.graph.node if any(node.output)]
    names = [name for node in nodes for name in node.output if name]
    whole = subject.run_in_float64(feeds, names)
    singles = [subject.run_in_float64(subject.one_image(feeds, n), names) for n in range(2)]
    differing = {name for name in names if _differs(whole[name], [single[name] for single in singles], count)}
    for node in nodes:
        if differing.intersection(node.output) and not differing.intersection(node.input):
            return _label(node.name or node.output[0], node.op_type)
    return None


def _error(subject: Subject, step: NodeGradient, values: Arrays) -> float:
    """Return the largest relative error of one node's cotangents at the given values of its inputs and outputs."""
    rng = np.random.default_rng(0)
    return max(_input_error(subject, step, values, x, rng) for x in step.needed)


def _input_error(subject: Subject, step: NodeGradient, values: Arrays, x: ir.Value, rng: np.random.Generator) -> float:
    base = {str(value.name): values[str(value.name)] for value in step.node.inputs if value is not None}
    name = str(x.name)
    size = float(np.sqrt(np.mean(base[name] ** 2))) or 1.0
    direction = rng.standard_normal(base[name].shape)
    outputs = [str(y.name) for y, _ in step.outputs]
    at = {k: subject.evaluator.run(outputs, {**base, name: base[name] + k * _STEP * size * direction}) for k in (-1, 1)}
    expected = np.zeros(())
    for (y, g), up, down in zip(step.outputs, at[1], at[-1], strict=True):
        slope = (up - down) / (2 * _STEP * size)
        expected = expected + _pair(values[str(g.name)], slope, values[str(y.name)].shape)
    got, typical = np.zeros(()), np.zeros(())
    for value, g in step.inputs:
        if value is x:
            full = values[str(g.name)]
            got = got + _pair(full, direction, base[name].shape)
            typical = typical + np.sqrt(_pair(full, full, base[name].shape))
    return float(np.max(slope_errors(got, expected, typical)))


def _error_beside(subject: Subject, step: NodeGradient, values: Arrays, feeds: Arrays) -> float:
    rng = np.random.default_rng(1)
    moved = {}
    for x in step.needed:
        array = values[str(x.name)]
        size = float(np.sqrt(np.mean(array**2))) or 1.0
        moved[str(x.name)] = array + _NUDGE * size * np.abs(rng.standard_normal(array.shape))
    return _error(subject, step, subject.run_in_float64({**feeds, **moved}, _step_names(step)))


def _pruned_seeds(subject: Subject, steps: Sequence[NodeGradient], feeds: Arrays) -> Arrays:
    """Return the cotangents of the score that the graph lacks, where its task may lose one."""
    manifest = subject.manifest
    seed = task_of(manifest).lost_seed(manifest, subject.engine.run(feeds))
    if seed is None:
        return {}
    present = _names(subject.flat)
    return {
        str(g.name): seed
        for step in steps
        for y, g in step.outputs
        if y.name == subject.manifest.head.score_tensor and str(g.name) not in present
    }


def _pair(g: np.ndarray, tangent: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Multiply a cotangent [T, *shape], possibly un-expanded, with a tangent and sum over all but T."""
    product = np.broadcast_to(g, (g.shape[0], *shape)) * tangent
    return np.asarray(product.reshape(g.shape[0], -1).sum(axis=1))


def _step_names(step: NodeGradient) -> list[str]:
    values = [value for value in step.node.inputs if value is not None]
    values += [value for pair in (*step.outputs, *step.inputs) for value in pair]
    return [str(value.name) for value in values]


def _is_real(step: NodeGradient) -> bool:
    """Tell whether the node computes with real numbers only: straight-through gradients are not derivatives."""
    values = [*step.needed, *(y for y, _ in step.outputs)]
    return all(value.dtype is not None and value.dtype.is_floating_point() for value in values)


def _differs(whole: np.ndarray, singles: Sequence[np.ndarray], count: int) -> bool:
    """Tell whether the first rows of a batch of `count` are not those of the images alone, or among copies."""
    if not isinstance(whole, np.ndarray) or whole.ndim == 0 or not np.issubdtype(whole.dtype, np.floating):
        return False
    if whole.shape[0] != count or any(single.shape[1:] != whole.shape[1:] for single in singles):
        return False
    alone = np.concatenate([single[:1] for single in singles])
    return relative_to_largest(whole[: len(alone)], alone) > _TOLERANCE


def _names(model: onnx.ModelProto) -> set[str]:
    graph = model.graph
    names = {name for node in graph.node for name in node.output} | {value.name for value in graph.input}
    return names | {tensor.name for tensor in graph.initializer}


def _label(name: str, op_type: str) -> str:
    return f"{name} ({op_type})"
