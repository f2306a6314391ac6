"""Every vjp rule against float64 finite differences and onnxruntime, row by row of the table in op_cases."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from camgraph_exporter.certificate.operators import is_portable
from camgraph_exporter.vjp import registry
from camgraph_runtime.run.engine import Engine
from exporter import vjp_harness as harness
from exporter.op_cases import ALL_CASES
from exporter.op_cases.case import OpCase
from exporter.quantised_cases import COVERED


# Module scope: pytest runs all tests of a case in a row, so that each of its graphs is made once.
@pytest.fixture(scope="module", params=ALL_CASES, ids=str)
def case(request: pytest.FixtureRequest) -> OpCase:
    given: OpCase = request.param
    return given


def _error(case: OpCase, gradient: harness.Gradient, batch: int, targets: int) -> float:
    feeds = harness.draw(case, batch)
    seeds = harness.draw_seeds(case, harness.forward(case, feeds), targets)
    found = harness.gradients(gradient, {**feeds, **seeds})
    return harness.finite_difference_error(case, found, feeds, seeds)


@pytest.mark.parametrize(("batch", "targets"), [(1, 1), (3, 3)])
def test_agrees_with_finite_differences(case: OpCase, batch: int, targets: int) -> None:
    assert _error(case, harness.gradient_model(case, np.float64), batch, targets) <= case.tolerance


def test_a_broken_rule_is_caught(case: OpCase, monkeypatch: pytest.MonkeyPatch) -> None:
    """The row proves that it can fail: a rule that is off by one per mille in its first cotangent does not pass."""
    key = (case.domain, case.op_type)
    entry = registry._entries[key]

    def broken(op: Any, node: Any, *gs: Any) -> Any:
        assert entry.rule is not None
        result = entry.rule(op, node, *gs)
        parts = [result] if isinstance(result, ir.Value) else list(result)
        first = next(i for i, g in enumerate(parts) if isinstance(g, ir.Value) and node.needs(i))
        parts[first] = op.Mul(parts[first], 1.001)
        return parts

    monkeypatch.setitem(registry._entries, key, dataclasses.replace(entry, rule=broken))
    made_with_it = harness.gradient_model.__wrapped__(case, np.float64)  # not the one that is kept
    assert _error(case, made_with_it, 1, 1) > case.tolerance


def test_float32_agrees_in_onnxruntime(case: OpCase) -> None:
    """The same graph in float32: standard operators only, one graph for any batch and any number of targets."""
    gradient = harness.gradient_model(case, np.float32)
    assert harness.standard_operators_only(gradient)
    assert not any(map(harness.may_lose_sums, gradient.emitted))
    if case.without_onnxruntime:
        return
    harness.assert_float32_agrees(case, Engine(gradient.model.SerializeToString()))


def test_unexpanded_cotangents_mean_the_same(case: OpCase) -> None:
    """A cotangent with size 1 on the spatial axes gives what its expanded form gives."""
    feeds = harness.draw(case, 2)
    outputs = harness.forward(case, feeds)
    if all(y.ndim < 3 for y in outputs):
        return
    lazy = harness.draw_seeds(case, outputs, 2, lazy=True)
    full = {
        name: np.broadcast_to(seed, (2, *y.shape)).copy() for (name, seed), y in zip(lazy.items(), outputs, strict=True)
    }
    got = harness.gradients(harness.gradient_model(case, np.float64, lazy=True), {**feeds, **lazy})
    expected = harness.gradients(harness.gradient_model(case, np.float64), {**feeds, **full})
    for name, array in expected.items():
        np.testing.assert_allclose(got[name], array, rtol=1e-9, atol=1e-12)


def test_the_portable_form_means_the_same(case: OpCase) -> None:
    """Rows that the portable form writes differently pass the same checks in it; the others are the same graph."""
    portable = harness.gradient_model(case, np.float64, portable=True)
    assert not [node.name for node in portable.emitted if not is_portable(node)]
    if _nodes_and_constants(portable) == _nodes_and_constants(harness.gradient_model(case, np.float64)):
        return
    engine = Engine(harness.gradient_model(case, np.float32, portable=True).model.SerializeToString())
    for batch, targets in [(1, 1), (3, 3)]:
        feeds = harness.draw(case, batch)
        seeds = harness.draw_seeds(case, harness.forward(case, feeds), targets)
        found = harness.gradients(portable, {**feeds, **seeds})
        assert harness.finite_difference_error(case, found, feeds, seeds) <= case.tolerance
        in_float32 = engine.run(harness.in_precision({**feeds, **seeds}, np.float32))
        for name, array in found.items():
            np.testing.assert_allclose(in_float32[name], array, atol=1e-5)


def _nodes_and_constants(gradient: harness.Gradient) -> tuple[list[bytes], list[bytes]]:
    graph = gradient.model.graph
    nodes, constants = ([item.SerializeToString() for item in items] for items in (graph.node, graph.initializer))
    return nodes, constants


@pytest.mark.parametrize("op_type", ["GatherElements", "GatherND"])
def test_computed_gathers_have_a_form_of_their_own(op_type: str) -> None:
    """Else the test above would compare nothing."""
    case = next(case for case in ALL_CASES if case.id == f"{op_type}-computed")
    assert not all(map(is_portable, harness.gradient_model(case, np.float64).emitted))


def test_every_rule_has_rows() -> None:
    covered = {(case.domain, case.op_type) for case in ALL_CASES} | COVERED
    missing = [
        entry.op_type
        for entry in registry.entries()
        if entry.rule is not None and (entry.domain, entry.op_type) not in covered
    ]
    assert not missing, f"rules without a row in op_cases: {missing}"


def test_rows_have_names_of_their_own() -> None:
    assert len({case.id for case in ALL_CASES}) == len(ALL_CASES)
