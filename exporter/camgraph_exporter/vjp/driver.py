"""The driver: walks from the score back to the target layers and applies the rules on the way.

Reverse mode (Griewank and Walther, Evaluating Derivatives, ch. 3): each value on a path between layer and score gets
one cotangent, the sum over its uses; a node is visited once, after all its consumers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx_ir as ir

from camgraph_exporter.errors import LATER_LAYER, GradientError
from camgraph_exporter.graph.dims import dims_of
from camgraph_exporter.graph.gradient_path import GradientPath
from camgraph_exporter.graph.node import NodeView
from camgraph_exporter.graph.node_gradient import NodeGradient
from camgraph_exporter.graph.walk import reached_from
from camgraph_exporter.quantised.score_integers import integers_of
from camgraph_exporter.quantised.unscaled import check_integers
from camgraph_exporter.vjp import registry
from camgraph_exporter.vjp import rules as _rules  # noqa: F401  importing the rules registers them
from camgraph_exporter.vjp.backward import Backward
from camgraph_exporter.vjp.composites import gated_slope
from camgraph_exporter.vjp.registry import Cotangent, Cotangents, NoFlow, Rule

_NAMED = 3  # nodes of one operator that an error names


def without_rule(path: GradientPath) -> list[ir.Node]:
    """Return the nodes on the path whose operator has no rule."""
    return [node for node in path.nodes if registry.find(node) is None]


def opset_of(path: GradientPath) -> int:
    """Return the lowest ai.onnx version at which every rule on the path can be written."""
    return max((entry.opset for node in path.nodes if (entry := registry.find(node)) is not None), default=13)


def check_rules(path: GradientPath, *, layer: str, score: str, others: Sequence[ir.Value] = ()) -> None:
    """Raise one error that names every operator on the path that has no rule.

    Args:
        path: What lies between layer and score.
        layer: Name of the layer.
        score: Name of the score.
        others: All maps of the model that can be explained, in its order.

    """
    check_integers(path.nodes, path.values)
    missing = without_rule(path)
    if not missing:
        return
    by_operator: dict[str, list[str]] = {}
    for node in missing:
        by_operator.setdefault(_operator(node), []).append(repr(node.name or node.outputs[0].name))
    named = "; ".join(f"{operator} at {_at(names)}" for operator, names in by_operator.items())
    count = "1 node" if len(missing) == 1 else f"{len(missing)} nodes"
    later = next((str(value.name) for value in others if _is_after(value, missing, path)), "")
    advice = (
        f"Choose a layer after them (closer to the output) with --layer, such as {later!r}"
        if later
        else "No layer after them can be explained: export the model without them"
    )
    raise GradientError(
        f"There is no derivative for {count} on the path from layer {layer!r} to score {score!r}: "
        f"{named}. {advice}, or add a rule as docs/adding-an-operator.md shows."
    )


def _is_after(value: ir.Value, missing: Sequence[ir.Node], path: GradientPath) -> bool:
    """Tell whether a value lies on the path, and no missing node between it and the score."""
    if value not in path.values:
        return False
    reached = reached_from(path.nodes, {value})
    return all(reached.isdisjoint(node.outputs) for node in missing)


def _operator(node: ir.Node) -> str:
    """Return operator and opset: `com.microsoft.QuickGelu (opset 1)`."""
    domain = f"{node.domain}." if node.domain else ""
    version = node.version or (node.graph.opset_imports.get(node.domain) if node.graph is not None else None) or "?"
    return f"{domain}{node.op_type} (opset {version})"


def _at(names: Sequence[str]) -> str:
    """Return `node 'a'`, or `nodes 'a', 'b', 'c' and 31 more`."""
    if len(names) == 1:
        return f"node {names[0]}"
    shown, rest = names[:_NAMED], len(names) - _NAMED
    return f"nodes {', '.join(shown)}" + (f" and {rest} more" if rest > 0 else "")


def differentiate(
    op: Backward,
    path: GradientPath,
    seeds: Mapping[ir.Value, ir.Value],
    wrt: Sequence[ir.Value],
    *,
    rules: Mapping[str, Rule] | None = None,
    trace: list[NodeGradient] | None = None,
) -> dict[ir.Value, ir.Value]:
    """Emit the backward part and return the cotangent `[T, N, ...]` of each value of `wrt` that the seeds depend on.

    `seeds` maps values to their cotangents; `rules` stand in for those of the registry, by operator; `trace` takes down
    each step. Cotangents come back un-expanded where they are constant along an axis.

    Raises:
        GradientError: nodes on the path have no derivative as they are used; all of them are named.

    """
    cotangents = dict(seeds)
    op.score_integers = integers_of(seeds)
    problems: list[str] = []
    for node in reversed(path.nodes):
        gs = [cotangents.get(value) for value in node.outputs]
        if all(g is None for g in gs):
            continue
        view = NodeView(node, op, path.values)
        needed = list(dict.fromkeys(value for value in node.inputs if value is not None and value in path.values))
        with op.scope(f"{view.name}_grad"):
            together = gated_slope(op, node, wrt) if not rules else None
            try:
                pairs = _apply(op, view, gs, rules or {}) if together is None else _chain(op, gs, *together)
            except GradientError as error:
                problems.append(str(error))
                pairs = _zeros(op, needed, gs)
            for value, g in pairs:
                before = cotangents.get(value)
                cotangents[value] = g if before is None else op.Add(before, g)
        # The trace is of nodes that can be looked at alone.
        if trace is not None and together is None:
            given = [(value, g) for value, g in zip(node.outputs, gs, strict=True) if g is not None]
            trace.append(NodeGradient(node, given, pairs, needed))
    if problems:
        raise GradientError(" ".join(problems))
    return {value: cotangents[value] for value in wrt if value in cotangents}


def _chain(
    op: Backward, gs: Sequence[ir.Value | None], x: ir.Value, slope: ir.Value
) -> list[tuple[ir.Value, ir.Value]]:
    """Multiply the cotangent of an element-wise function's one output by its slope."""
    (g,) = gs
    assert g is not None
    return [(x, op.Mul(g, slope))]


def _zeros(op: Backward, needed: Sequence[ir.Value], gs: Sequence[ir.Value | None]) -> list[tuple[ir.Value, ir.Value]]:
    """Let the walk go on after a node that failed, so that one error names every such node."""
    like = next(g for g in gs if g is not None)
    return [(x, op.zeros_like(x, like)) for x in needed]


def _apply(
    op: Backward, view: NodeView, gs: Sequence[ir.Value | None], rules: Mapping[str, Rule]
) -> list[tuple[ir.Value, ir.Value]]:
    """Apply the rule of one node; return the needed inputs with their cotangents, in the shapes of the inputs."""
    entry = registry.find(view.node)
    assert entry is not None, f"{view.op_type} has no rule: check_rules comes first."
    assert entry.rule is not None, f"{view.op_type} has no derivative: it is on no path."
    returned = _returned(view, rules.get(view.op_type, entry.rule)(op, view, *gs))
    pairs = []
    for index, g in enumerate(returned):
        if not view.needs(index) or isinstance(g, NoFlow):
            continue
        x = view.source(index)
        assert x is not None
        if g is None:
            raise _not_derived(view, index)
        summed = op.unbroadcast(g, view.y, x) if entry.broadcasts else g
        assert len(dims_of(summed)) == len(dims_of(x)) + 1, f"The rule of {view.op_type} returned a wrong rank."
        pairs.append((x, summed))
    return pairs


def _returned(view: NodeView, result: Cotangents) -> list[Cotangent]:
    """Return what a rule gave as one cotangent for each input of the node."""
    given = list(result) if isinstance(result, Sequence) else [result]
    surplus = [g for g in given[view.num_inputs :] if isinstance(g, ir.Value)]
    assert not surplus, f"The rule of {view.op_type} returned a cotangent for an input that the node does not have."
    return given[: view.num_inputs] + [None] * (view.num_inputs - len(given))


def _not_derived(view: NodeView, index: int) -> GradientError:
    return GradientError(
        f"Input {index} of {view.op_type} node {view.name!r} depends on the target layer, "
        f"and there is no derivative for that input. {LATER_LAYER}."
    )
