"""Maps lie on the photo where they should: what the graph does before the network is undone in the heatmap.

Two oracles know nothing of the tracker: a bright square in the photo must be where the heat is, and each cell of the
layer must move when a pixel of its own rectangle moves, and lie in the middle of what moves it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest

from camgraph_core.place import Mask
from camgraph_exporter import Exported, Input
from camgraph_exporter.errors import LayerError
from camgraph_runtime import Explainer, Target
from camgraph_runtime.maps.placement import Placement
from support.cells import rectangle_of
from support.exporting import in_memory
from support.fronts import (
    SIZE,
    SQUARES,
    Front,
    blurred,
    bright_head,
    crop,
    crop_at_the_end,
    crop_by_computed_ends,
    cut_around_the_middle,
    cut_by_negative_pads,
    flip,
    flip_by_gather,
    flip_by_sequence,
    halves_exchanged_and_one_kept,
    mirrored_by_a_matrix,
    nothing,
    other_quarter_turn,
    padded,
    padded_by_reflection,
    part_resized,
    quarter_turn,
    resized,
    resized_to_one_size,
    sampled,
    size_of,
    swapped,
    take_every_second,
    turn_by_180,
)
from support.nets import Net

FIXED_FRONTS: list[Front] = [
    nothing, flip, turn_by_180, crop, crop_by_computed_ends, crop_at_the_end, flip_by_gather, flip_by_sequence,
    take_every_second, halves_exchanged_and_one_kept, padded, padded_by_reflection, cut_by_negative_pads, swapped,
    quarter_turn, other_quarter_turn, resized, resized_to_one_size, part_resized, cut_around_the_middle,
    mirrored_by_a_matrix, sampled,
]  # fmt: skip  # a table, in rows of its own
OPEN_FRONTS: list[Front] = [
    nothing, flip, turn_by_180, crop, crop_by_computed_ends, crop_at_the_end, flip_by_gather, flip_by_sequence,
    take_every_second, padded, cut_by_negative_pads, swapped, quarter_turn, other_quarter_turn, resized_to_one_size,
]  # fmt: skip  # a table, in rows of its own


@dataclass(frozen=True)
class Case:
    """A network with something in front, exported."""

    front: Front
    open_size: bool
    folder: Path

    @cached_property
    def exported(self) -> Exported:
        net = Net(opset=20)
        sizes = ("h", "w") if self.open_size else SIZE
        logits = bright_head(net, blurred(net, self.front(net, net.image(("N", 3, *sizes)))))
        model = net.model(logits, shapes={"logits": ("N", 2)})
        return in_memory(model, self.folder, input=Input.preset("zero-one"))

    @cached_property
    def explainer(self) -> Explainer:
        return Explainer(self.exported.model.SerializeToString())

    def sizes(self) -> list[tuple[int, int]]:
        """Sizes of images that the network takes."""
        return [SIZE, (60, 72), (56, 80)] if self.open_size else [SIZE]


@pytest.fixture(
    scope="module",
    params=[(front, False) for front in FIXED_FRONTS] + [(front, True) for front in OPEN_FRONTS],
    ids=lambda param: f"{param[0].__name__}{'-any-size' if param[1] else ''}",
)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(*request.param, tmp_path_factory.mktemp("placement"))


def test_heat_lies_on_the_bright_square(case: Case) -> None:
    for size in case.sizes():
        seen = 0
        for square in np.array(SQUARES) + (np.array(size) - SIZE) // 2:
            image = np.zeros((1, 3, *size), np.float32)
            image[:, :, square[0] - 3 : square[0] + 3, square[1] - 3 : square[1] + 3] = 1
            heat = case.explainer.explain(tensor=image, targets=[Target.index(0)]).explanations[0].heatmap
            if heat.max() == 0:
                continue  # the square was cut away
            hot = heat * (heat > 0.5)
            y, x = np.mgrid[: size[0], : size[1]] + 0.5
            centre = np.array([(y * hot).sum(), (x * hot).sum()]) / hot.sum()
            np.testing.assert_allclose(centre, square, rtol=0, atol=2.5, err_msg=str(size))
            seen += 1
        assert seen >= 2, size


def test_cells_lie_in_the_middle_of_the_pixels_that_move_them(case: Case) -> None:
    layer = case.exported.manifest.layers[0]
    for size in case.sizes():
        moves = _moves(case, size)
        placement = Placement.of_layer(layer, size, moves.shape[:2])
        distances = []
        for row, column in np.ndindex(*moves.shape[:2]):
            pixels = (np.argwhere(moves[row, column] > 0) + 0.5) * BLOCK
            if not len(pixels) or (pixels < BLOCK).any() or (pixels > np.array(size) - BLOCK).any():
                continue  # nothing of it, or it reaches over an edge of the image
            box = rectangle_of(placement, row, column)
            middle = np.array([box.top + box.bottom, box.left + box.right]) / 2
            if (middle < 0).any() or (middle > size).any():
                continue  # in a padding, where a reflection shows pixels from elsewhere
            distances.append(np.abs(pixels.mean(axis=0) - middle).max())
        assert len(distances) >= 6, size
        assert max(distances) <= BLOCK, size


BLOCK = 4


def _moves(case: Case, size: tuple[int, int]) -> np.ndarray:
    """Return how much every block of 4 x 4 pixels moves every cell: [h, w, H / 4, W / 4]."""
    output = case.exported.manifest.layers[0].activations_tensor
    blocks = [(y, x) for y in range(0, size[0], BLOCK) for x in range(0, size[1], BLOCK)]
    images = np.zeros((1 + len(blocks), 3, *size), np.float32)
    for image, (y, x) in zip(images[1:], blocks, strict=True):
        image[:, y : y + BLOCK, x : x + BLOCK] = 1
    feeds = {"image": images, "target": np.zeros((len(images), 1), np.int64)}
    cells = case.explainer.engine.run(feeds, [output])[output].sum(axis=1)
    moved = np.abs(cells[1:] - cells[0])
    return np.moveaxis(moved.reshape(size[0] // BLOCK, size[1] // BLOCK, *cells.shape[1:]), (0, 1), (2, 3))


def test_a_plain_network_keeps_the_stretch(tmp_path: Path) -> None:
    assert not Case(nothing, open_size=False, folder=tmp_path).exported.manifest.layers[0].HasField("placement")
    assert Case(flip, open_size=False, folder=tmp_path).exported.manifest.layers[0].HasField("placement")


def rolled(net: Net, x: str) -> str:
    """The image's left half after its right half, cut where its own size says."""
    half = net.node("Div", size_of(net, x, 3), net.ints(2))
    right = net.node("Slice", x, half, net.ints(10_000), net.ints(3))
    return net.node("Concat", right, net.node("Slice", x, net.ints(0), half, net.ints(3)), axis=3)


def beside_its_mirror_image(net: Net, x: str) -> str:
    return net.node("Add", x, flip(net, x))


@pytest.mark.parametrize("open_size", [False, True], ids=["fixed", "any-size"])
@pytest.mark.parametrize("front", [rolled, beside_its_mirror_image], ids=lambda front: front.__name__)
def test_a_network_of_which_no_layer_has_a_place_is_refused(front: Front, open_size: bool, tmp_path: Path) -> None:
    with pytest.raises(LayerError, match="no layer of which it is known where its cells lie on the image"):
        _ = Case(front, open_size, tmp_path).exported


SEEN_BY: dict[Front, tuple[slice, slice]] = {
    flip: (slice(None), slice(None)),
    crop: (slice(4, 44), slice(12, 60)),
    quarter_turn: (slice(None), slice(None)),
    cut_by_negative_pads: (slice(8, 44), slice(4, 48)),
}


@pytest.mark.parametrize("front", SEEN_BY, ids=lambda front: front.__name__)
def test_a_mask_marks_the_same_pixels_after_a_front(front: Front, tmp_path: Path) -> None:
    """The scores are a sum over channels pixel by pixel: under a mask, they add up to the image under it."""
    net = Net(opset=20)
    seen = net.node(
        "Relu", net.node("Conv", front(net, net.image(("N", 3, *SIZE))), net.weight(_ONES[:1])), name="seen"
    )
    scores = net.node("Conv", seen, net.weight(_ONES[:, :1]), name="scores")
    model = net.model(scores, shapes={"scores": ("N", 2, None, None)})
    done = in_memory(model, tmp_path, layers=("seen",), task="segmentation", input=Input.preset("zero-one"))
    assert done.manifest.target.HasField("mask_placement")
    rng = np.random.default_rng(0)
    image, mask = rng.random((1, 3, *SIZE), dtype=np.float32), np.zeros(SIZE, np.uint8)
    mask[20:30, 6:25] = 1
    found = Explainer(done.model.SerializeToString()).explain(tensor=image, targets=[Target.index(0, place=Mask(mask))])
    expected = (image[0].sum(axis=0) * mask)[SEEN_BY[front]].sum()
    assert found.explanations[0].target.score == pytest.approx(expected, rel=1e-5)


_ONES = np.ones((2, 3, 1, 1), np.float32)
