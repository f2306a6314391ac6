"""Every operator has its row of traits, and what a row says is true of the operator: float64 runs tell."""

from __future__ import annotations

import importlib
import re
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest

from camgraph_exporter.graph.traits import MEANINGS, OPERATORS, Operator, Trait, names, of
from camgraph_exporter.quantised.forms import FORMS
from camgraph_exporter.vjp import driver as _driver  # noqa: F401  importing the driver registers the rules
from camgraph_exporter.vjp import registry
from exporter import quantised_cases
from exporter.op_cases import ALL_CASES
from exporter.op_cases.case import Input, OpCase
from exporter.vjp_harness import Arrays, draw, forward

EXPORTER = Path(__file__).resolve().parents[2] / "exporter/camgraph_exporter"
FAMILIES = ["elementwise", "places", "sums", "integers", "others"]
STANDARD = {schema.name for schema in onnx.defs.get_all_schemas_with_history() if schema.domain == ""}


def row_of(case: OpCase) -> Operator:
    return OPERATORS[case.domain, case.op_type]


def cases_with(trait: Trait) -> list[OpCase]:
    found = [case for case in ALL_CASES if row_of(case).traits & trait]
    assert found, f"no case has {trait}, so that nothing shows what it means"
    return found


def by_id(case: OpCase) -> str:
    return case.id


# --- the rows ---------------------------------------------------------------------------------------------------------


def test_every_operator_of_the_standard_and_every_rule_has_its_row() -> None:
    ruled = {(entry.domain, entry.op_type) for entry in registry.entries()}
    assert not (ruled | {("", name) for name in STANDARD}) - OPERATORS.keys()


def test_rows_name_operators_that_exist_and_each_once() -> None:
    rows = [
        row for family in FAMILIES for row in importlib.import_module(f"camgraph_exporter.graph.traits.{family}").ROWS
    ]
    assert not [key for key, count in Counter((row.domain, row.name) for row in rows).items() if count > 1]
    assert {row.name for row in rows if not row.domain} <= STANDARD


@pytest.mark.parametrize("trait", list(Trait), ids=lambda trait: str(trait.name))
def test_a_trait_has_a_meaning_an_operator_and_a_reader(trait: Trait) -> None:
    assert MEANINGS[trait].endswith(".")
    assert names(trait)
    readers = [path for path in EXPORTER.rglob("*.py") if path.parent.name != "traits"]
    assert any(re.search(rf"\bTrait\.{trait.name}\b", path.read_text(encoding="utf-8")) for path in readers)


def test_an_operator_on_integers_has_a_form_and_the_reverse() -> None:
    assert {key for key, row in OPERATORS.items() if row.twin} == FORMS.keys()
    twins = {name: row.twin for (_, name), row in OPERATORS.items() if row.twin}
    assert {case.op_type: case.real[0] for case in quantised_cases.CASES if case.op_type in twins} == twins


def test_a_domain_of_its_own_makes_another_operator() -> None:
    standard, foreign = (onnx.helper.make_node("Relu", ["x"], ["y"], domain=domain) for domain in ("", "org.example"))
    assert of(standard).traits & Trait.ACTIVATION
    assert of(foreign).traits == Trait.NONE


# --- functions that operators with a trait need -----------------------------------------------------------------------

# What moves axes needs a reader of axes; an Expand, an Identity and all that is element-wise align to the right.
_MOVES_AXES = (
    Trait.RESHAPES | Trait.PERMUTES | Trait.CUTS | Trait.JOINS | Trait.REDUCES | Trait.PRODUCT | Trait.RESAMPLES
)
_MOVES_PLACES = Trait.MOVES | Trait.PADS | Trait.SLIDES | Trait.POOLS | Trait.REDUCES | Trait.RESAMPLES | Trait.PRODUCT


def test_readers_of_axes_are_there_for_all_that_move_axes_and_for_no_others() -> None:
    readers = importlib.import_module("camgraph_exporter.reading.axes")._READERS
    standard = {row.name for row in OPERATORS.values() if not row.domain}
    needed = set(names(_MOVES_AXES | Trait.CHANNELS_SECOND, without=Trait.INDEXES)) & standard
    assert needed <= readers.keys()
    assert readers.keys() <= set(names(_MOVES_AXES | Trait.CHANNELS_SECOND | Trait.PADS | Trait.PICKS))


def test_readers_of_places_are_there_for_all_that_move_elements_and_for_no_others() -> None:
    readers = importlib.import_module("camgraph_exporter.reading.placement.follow")._READERS
    needed = set(names(_MOVES_PLACES | Trait.LOSES_PLACES, without=Trait.COPIES)) - {"Expand"}
    assert needed <= readers.keys()
    quantised = {row.name for row in OPERATORS.values() if row.twin}
    assert readers.keys() <= needed | set(names(Trait.INDEXES)) | quantised


# --- what a row says, tried out ---------------------------------------------------------------------------------------


def given(case: OpCase, feeds: Arrays) -> list[np.ndarray]:
    """The inputs of a run, constants included."""
    items = [feeds.get(f"x{i}", item) for i, item in enumerate(case.inputs)]
    return [np.asarray(item, np.float64) for item in items if item is not None and not isinstance(item, Input)]


def data(case: OpCase, feeds: Arrays) -> np.ndarray:
    """The elements that a result is made of: of the first input, or of all where several are taken together."""
    arrays = given(case, feeds)
    several = row_of(case).traits & (Trait.ARITHMETIC | Trait.JOINS)
    return np.concatenate([array.ravel() for array in (arrays if several else arrays[:1])])


@pytest.mark.parametrize("case", [case for case in ALL_CASES if row_of(case).bounds], ids=by_id)
def test_bounds_hold(case: OpCase) -> None:
    bounds = row_of(case).bounds
    assert bounds is not None
    for result in forward(case, draw(case, 3)):
        assert (result >= bounds[0] - 1e-12).all()
        assert (result <= bounds[1] + 1e-12).all()


@pytest.mark.parametrize("case", cases_with(Trait.MOVES), ids=by_id)
def test_a_move_gives_the_inputs_own_elements(case: OpCase) -> None:
    feeds = draw(case, 2)
    for result in forward(case, feeds):
        assert np.isin(result, data(case, feeds)).all()


@pytest.mark.parametrize("case", cases_with(Trait.KEEPS_RANGE), ids=by_id)
def test_a_range_is_kept(case: OpCase) -> None:
    if case.op_type == "Pad" and len(case.inputs) > 2:
        pytest.skip("It pads with a value of its own, which `range_of` knows.")
    feeds = draw(case, 2)
    known = data(case, feeds)
    known = np.append(known, 0.0) if row_of(case).traits & Trait.OR_ZERO else known
    for result in forward(case, feeds):
        assert result.min() >= known.min() - 1e-12
        assert result.max() <= known.max() + 1e-12


def second_difference(case: OpCase, name: str, feeds: Arrays) -> float:
    """How far the result is from a straight line along a change of one input, relative to the change."""
    change = np.random.default_rng(5).uniform(0.01, 0.02, feeds[name].shape)
    a, b, c = (forward(case, {**feeds, name: feeds[name] + i * change})[0] for i in range(3))
    return float(np.abs(a - 2 * b + c).max() / np.abs(c - a).max())


@pytest.mark.parametrize("case", [*cases_with(Trait.LINEAR), *cases_with(Trait.AFFINE)], ids=by_id)
def test_a_straight_line_stays_straight(case: OpCase) -> None:
    feeds = draw(case, 2)
    given_first = isinstance(case.inputs[0], Input)
    every = row_of(case).traits & Trait.LINEAR and not row_of(case).traits & Trait.NORMALISES
    varied = [i for i, item in enumerate(case.inputs) if isinstance(item, Input) and (every or i == 0)]
    assert varied or not given_first
    for i in varied:
        if forward(case, feeds)[0].size:
            assert second_difference(case, f"x{i}", feeds) < 1e-9


@pytest.mark.parametrize("case", cases_with(Trait.ELEMENTWISE), ids=by_id)
def test_an_element_changes_the_element_at_its_place_alone(case: OpCase) -> None:
    feeds, rng = draw(case, 2), np.random.default_rng(6)
    before = forward(case, feeds)[0]
    for name, array in feeds.items():
        if array.shape != before.shape or not np.issubdtype(array.dtype, np.floating):
            continue
        place = tuple(int(rng.integers(size)) for size in array.shape)
        changed = array.copy()
        changed[place] = array[tuple(int(rng.integers(size)) for size in array.shape)]
        different = np.argwhere(forward(case, {**feeds, name: changed})[0] != before)
        assert {tuple(index) for index in different.tolist()} <= {place}
