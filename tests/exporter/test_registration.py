"""The check `registration`: it fails wherever a map lies elsewhere than the manifest says, and nowhere else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter import Exported
from camgraph_exporter.certificate.certify import require
from camgraph_exporter.certificate.movement import Movement
from camgraph_exporter.certificate.patches import corners, ring
from camgraph_exporter.certificate.registration import layer_registered
from camgraph_exporter.certificate.subject import Subject
from camgraph_exporter.errors import CertificateError
from camgraph_runtime.maps.placement import CellAxis, Placement
from camgraph_runtime.run.engine import Engine
from support.cells import rectangle_of
from support.exporting import in_memory
from support.nets import Net, classifier

SIZE = 32
Front = Callable[[Net, str], str]


def _slice(starts: list[int], ends: list[int], axes: list[int], steps: list[int]) -> Front:
    def front(net: Net, x: str) -> str:
        return net.node("Slice", x, net.ints(*starts), net.ints(*ends), net.ints(*axes), net.ints(*steps))

    return front


def _gather(axis: int, *order: int) -> Front:
    return lambda net, x: net.node("Gather", x, net.ints(*order), axis=axis)


def _pad(*pads: int) -> Front:
    return lambda net, x: net.node("Pad", x, net.ints(*pads))


def _transpose(net: Net, x: str) -> str:
    return net.node("Transpose", x, perm=[0, 1, 3, 2])


def _quarter_turn(net: Net, x: str) -> str:
    return _transpose(net, _slice([-1], [-1000], [3], [-1])(net, x))


FRONTS: dict[str, Front] = {
    "horizontal flip": _slice([-1], [-1000], [3], [-1]),
    "vertical flip": _slice([-1], [-1000], [2], [-1]),
    "flip by a gather": _gather(3, *reversed(range(SIZE))),
    "half turn": _slice([-1, -1], [-1000, -1000], [2, 3], [-1, -1]),
    "quarter turn": _quarter_turn,
    "height and width exchanged": _transpose,
    "centre crop": _slice([8, 8], [24, 24], [2, 3], [1, 1]),
    "crop at one side": _slice([16], [1000], [3], [1]),
    "crop of rows by a gather": _gather(2, *range(16)),
    "zeros around": _pad(0, 0, 12, 12, 0, 0, 12, 12),
    "zeros below": _pad(0, 0, 0, 0, 0, 0, 16, 0),
}


def _placed(front: Front | None, *, size: tuple[int, int] = (SIZE, SIZE)) -> onnx.ModelProto:
    net = Net(seed=3)
    x = net.image(("N", 3, *size))
    x = front(net, x) if front is not None else x
    x = net.node("Relu", net.conv(x, (3, 8), strides=[2, 2]))
    return net.model(net.pooled_head(net.node("Relu", net.conv(x, (8, 16), strides=[2, 2]), name="last"), 16))


def _tokens(front: Front | None) -> onnx.ModelProto:
    """Patches of 4 x 4 pixels as a row of 64 tokens."""
    net = Net(seed=3)
    patches = net.node("Conv", net.image(("N", 3, SIZE, SIZE)), net.random(12, 3, 4, 4), strides=[4, 4])
    row = net.node("Transpose", net.node("Reshape", patches, net.ints(0, 12, 64)), perm=[0, 2, 1])
    row = front(net, row) if front is not None else row
    mixed = net.node("Tanh", net.node("MatMul", net.node("Relu", row, name="last"), net.random(12, 12)))
    return net.model(net.linear(net.node("ReduceMean", mixed, axes=[1], keepdims=0), 12, 5, name="logits"))


WRONG = {name: _placed(front) for name, front in FRONTS.items()}
WRONG["reversed tokens"] = _tokens(_slice([-1], [-1000], [1], [-1]))
ORDERS = {
    "halves exchanged": np.roll(np.arange(64).reshape(8, 8), 4, axis=1).ravel(),
    "columns for rows": np.arange(64).reshape(8, 8).T.ravel(),
    "every other token first": np.arange(64).reshape(32, 2).T.ravel(),
    "shuffled tokens": np.random.default_rng(0).permutation(64),
    "windows of four": np.arange(64).reshape(4, 2, 4, 2).transpose(0, 2, 1, 3).ravel(),
}


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let exports through without a certificate, so that a wrong one can be looked at."""
    monkeypatch.setattr(sys.modules["camgraph_exporter.certificate.certify"], "ALL", [])


def check(exported: Exported, *, seed: int = 0) -> pb.Check:
    engine = Engine(exported.model.SerializeToString())
    return layer_registered(Subject(exported.model, exported.manifest, engine, seed=seed))


def check_without_placement(exported: Exported, *, seed: int = 0) -> pb.Check:
    for layer in exported.manifest.layers:
        layer.ClearField("placement")
    return check(exported, seed=seed)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", WRONG)
def test_a_map_that_lies_elsewhere_is_caught(name: str, tmp_path: Path) -> None:
    """The tracking switched off, the manifest says of each that the map covers the whole image, upright."""
    exported = in_memory(WRONG[name], tmp_path, layers=("last",))
    for seed in range(2):
        found = check_without_placement(exported, seed=seed)
        assert not found.passed
        assert found.location == "last"
        assert not found.remark
    with pytest.raises(CertificateError, match=r"other cells of layer 'last' move .* wrong place"):
        require(pb.Certificate(checks=[found]))


@pytest.mark.parametrize("name", WRONG)
def test_the_same_map_passes_where_the_manifest_places_it(name: str, tmp_path: Path) -> None:
    exported = in_memory(WRONG[name], tmp_path, layers=("last",))
    assert exported.manifest.layers[0].HasField("placement")
    for seed in range(2):
        found = check(exported, seed=seed)
        assert found.passed
        assert found.error > 0
        assert not found.remark


class Reordering(Engine):
    """An engine that gives the cells of the map in another order, as a graph would that sorts its tokens."""

    def __init__(self, graph: bytes, order: np.ndarray) -> None:
        super().__init__(graph)
        self.order = order

    def run(self, feeds: Mapping[str, np.ndarray], outputs: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        found = super().run(feeds, outputs)
        maps = found["activations"]
        return {**found, "activations": maps.reshape(*maps.shape[:2], -1)[..., self.order].reshape(maps.shape)}


@pytest.mark.parametrize("name", ORDERS)
def test_cells_in_another_order_are_caught(name: str, tmp_path: Path) -> None:
    exported = in_memory(_tokens(None), tmp_path, layers=("last",))
    engine = Reordering(exported.model.SerializeToString(), ORDERS[name])
    found = layer_registered(Subject(exported.model, exported.manifest, engine))
    assert not found.passed
    assert found.error > 2


def _context(net: Net, x: str) -> str:
    """Squeeze and excitation: every cell moves with every pixel."""
    gate = net.node("Sigmoid", net.conv(net.node("GlobalAveragePool", x), (8, 8), kernel=1))
    return net.node("Mul", x, gate)


def _mixed(*, size: int = SIZE, front: Front = _context) -> onnx.ModelProto:
    net = Net(seed=4)
    x = front(net, net.node("Relu", net.conv(net.image(("N", 3, size, size)), (3, 8), strides=[4, 4])))
    return net.model(net.pooled_head(net.node("Relu", net.conv(x, (8, 16)), name="last"), 16))


RIGHT = {
    "nothing special": _placed(None),
    "two by two cells": _placed(None, size=(8, 8)),
    "three by three cells": _placed(None, size=(12, 12)),
    "one row of cells": _placed(None, size=(4, SIZE)),
    "tokens": _tokens(None),
    "residual": classifier(),
    "fixed batch": classifier(shape=(2, 3, 16, 16)),
    "any size": classifier(shape=("N", 3, "H", "W")),
    "squeeze and excitation": _mixed(),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_map_in_its_place_passes(name: str, tmp_path: Path) -> None:
    exported = in_memory(RIGHT[name], tmp_path)
    for seed in range(3):
        found = check(exported, seed=seed)
        assert found.passed
        assert not found.remark
        assert found.error > 0 or name in ("tokens", "one row of cells")
    assert "registration" in {each.name for each in exported.manifest.certificate.checks}
    assert not any("move" in note for note in exported.manifest.notes)


def _blind(net: Net, x: str) -> str:
    """Nothing but the mean over the image, laid out over as many cells."""
    mean = net.node("GlobalAveragePool", x)
    return net.node("Resize", mean, "", net.weight(np.array([1, 1, 8, 8], np.float32)), mode="nearest")


def test_cells_that_all_move_alike_are_told(tmp_path: Path) -> None:
    exported = in_memory(_mixed(front=_blind), tmp_path, layers=("last",))
    [found] = [each for each in exported.manifest.certificate.checks if each.name == "registration"]
    assert found.passed
    assert found.error == 0
    assert "all cells of layer 'last' move alike" in found.remark
    assert found.remark in exported.manifest.notes


def test_a_layer_that_nothing_moves_is_told(tmp_path: Path) -> None:
    class Still(Engine):
        def run(self, feeds: Mapping[str, np.ndarray], outputs: Sequence[str] | None = None) -> dict[str, np.ndarray]:
            return {name: np.ones_like(array) for name, array in super().run(feeds, outputs).items()}

    exported = in_memory(_placed(None), tmp_path, layers=("last",))
    found = layer_registered(Subject(exported.model, exported.manifest, Still(exported.model.SerializeToString())))
    assert found.passed
    assert "Too few patches of the image move layer 'last'" in found.remark


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_activations_that_are_no_numbers_do_not_pass(value: float, tmp_path: Path) -> None:
    class Broken(Engine):
        def run(self, feeds: Mapping[str, np.ndarray], outputs: Sequence[str] | None = None) -> dict[str, np.ndarray]:
            return {name: np.full_like(array, value) for name, array in super().run(feeds, outputs).items()}

    exported = in_memory(_placed(None), tmp_path, layers=("last",))
    found = layer_registered(Subject(exported.model, exported.manifest, Broken(exported.model.SerializeToString())))
    assert not found.passed


@pytest.mark.parametrize("transposed", [False, True])
def test_patches_lie_on_the_cells_that_they_name(transposed: bool) -> None:
    """A map of 10 x 6 cells that runs against the image, placed by the manifest."""
    layer = pb.Layer(placement=pb.Placement(transposed=transposed))
    layer.placement.rows.start, layer.placement.rows.stride = 44, -4
    layer.placement.columns.start, layer.placement.columns.stride = 8, 5
    placement = Placement.of_layer(layer, (48, 48), (10, 6))
    patches = ring(placement, 0.2)
    assert len(patches) == 8
    assert set(corners(placement, 0.2)) < set(patches)
    for patch in patches:
        (top, bottom), (left, right) = patch.spans
        cell = rectangle_of(placement, round(patch.place[0]), round(patch.place[1]))
        assert top - 1 <= cell.top < cell.bottom <= bottom + 1
        assert left - 1 <= cell.left < cell.right <= right + 1


def test_cells_beside_the_image_get_no_patch() -> None:
    """A map of 12 x 12 cells whose outer two on each side lie in the padding around an image of 32 x 32."""
    cells = CellAxis(12, -8, 4)
    placement = Placement(cells, cells, False, (32, 32), covers_input=False)
    assert {round(patch.place[0]) for patch in ring(placement, 0.0)} == {2, 6, 9}


def test_the_centre_is_where_a_cell_moves_more_than_usual() -> None:
    """Four patches move one cell each, and all move the first row: the row is no place."""
    shares = np.zeros((4, 5, 5))
    shares[:, 0] = 1.0
    places = [(1, 1), (1, 3), (3, 1), (3, 3)]
    for patch, place in enumerate(places):
        shares[patch][place] = 1.0
    centres, spreads = Movement(shares / 6).centres()
    np.testing.assert_allclose(centres, places)
    np.testing.assert_allclose(spreads, 0, atol=1e-6)


def test_association_is_between_none_and_all() -> None:
    alike = Movement(np.full((4, 2, 2), 0.25))
    apart = Movement(np.eye(4).reshape(4, 2, 2))
    assert alike.association == 0
    assert apart.association == pytest.approx(1)
