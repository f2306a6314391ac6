"""Maps lie on the photo where they should: what stands before the network in the graph is undone in the heatmap.

Two oracles know nothing of the tracker: a bright square in the photo must be where the heat is, and each cell of the
layer must move when a pixel of its own rectangle moves, and lie in the middle of what moves it.
"""

from __future__ import annotations

from collections.abc import Callable
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
from support.exporting import in_memory
from support.nets import Net

SIZE = (48, 64)
Front = Callable[[Net, str], str]


def _slice(
    net: Net, x: str, starts: list[int], ends: list[int], axes: list[int], steps: list[int] | None = None
) -> str:
    return net.node(
        "Slice", x, net.ints(*starts), net.ints(*ends), net.ints(*axes), net.ints(*(steps or [1] * len(axes)))
    )


def _size(net: Net, x: str, axis: int) -> str:
    return net.node("Gather", net.node("Shape", x), net.ints(axis), axis=0)


def nothing(_: Net, x: str) -> str:
    return x


def flip(net: Net, x: str) -> str:
    return _slice(net, x, [-1], [-10_000], [3], [-1])


def turn_by_180(net: Net, x: str) -> str:
    return _slice(net, x, [-1, 10_000], [-10_000, -10_000], [2, 3], [-1, -1])


def crop(net: Net, x: str) -> str:
    return _slice(net, x, [4, 12], [44, 60], [2, 3])


def crop_by_computed_ends(net: Net, x: str) -> str:
    """The middle half of the width, from the image's own size."""
    four = net.ints(4)
    quarter = net.node("Div", _size(net, x, 3), four)
    return net.node("Slice", x, quarter, net.node("Mul", quarter, net.ints(3)), net.ints(3))


def crop_at_the_end(net: Net, x: str) -> str:
    return _slice(net, x, [-40, -48], [10_000, 10_000], [2, 3])


def flip_by_gather(net: Net, x: str) -> str:
    """Indices from size - 1 down to 0, as a program computes them."""
    size = _size(net, x, 3)
    one = net.weight(np.int64(1))
    upwards = net.node("Range", net.weight(np.int64(0)), net.node("Squeeze", size, net.ints(0)), one)
    return net.node("Gather", x, net.node("Sub", net.node("Sub", size, net.ints(1)), upwards), axis=3)


def flip_by_sequence(net: Net, x: str) -> str:
    """ReverseSequence along the height, which it wants in front, by the whole height for each image."""
    rows = net.node("Transpose", x, perm=[2, 0, 1, 3])
    lengths = net.node("Expand", _size(net, x, 2), _size(net, x, 0))
    return net.node(
        "Transpose", net.node("ReverseSequence", rows, lengths, time_axis=0, batch_axis=1), perm=[1, 2, 0, 3]
    )


def take_every_second(net: Net, x: str) -> str:
    return _slice(net, x, [1, 1], [10_000, 10_000], [2, 3], [2, 2])


def halves_exchanged_and_one_kept(net: Net, x: str) -> str:
    """The right part of a Split alone."""
    return net.node("Split", x, net.ints(24, 40), outputs=2, axis=3) + ":1"


def padded(net: Net, x: str) -> str:
    return net.node("Pad", x, net.ints(0, 0, 16, 24, 0, 0, 4, 0))


def padded_by_reflection(net: Net, x: str) -> str:
    return net.node("Pad", x, net.ints(0, 0, 0, 20, 0, 0, 12, 0), mode="reflect")


def cut_by_negative_pads(net: Net, x: str) -> str:
    return net.node("Pad", x, net.ints(0, 0, -8, -4, 0, 0, -4, -16))


def swapped(net: Net, x: str) -> str:
    return net.node("Transpose", x, perm=[0, 1, 3, 2])


def quarter_turn(net: Net, x: str) -> str:
    return flip(net, swapped(net, x))


def other_quarter_turn(net: Net, x: str) -> str:
    return swapped(net, flip(net, x))


def resized(net: Net, x: str) -> str:
    """By a factor each way, and cut."""
    scales = net.weight(np.float32([1, 1, 2, 1.5]))
    return _slice(net, net.node("Resize", x, "", scales, mode="linear"), [16, 0], [80, 56], [2, 3])


def resized_to_one_size(net: Net, x: str) -> str:
    """To one size for all images, of which a part is cut."""
    batch = net.node("Slice", net.node("Shape", x), net.ints(0), net.ints(2), net.ints(0))
    sizes = net.node("Concat", batch, net.ints(64, 64), axis=0)
    return _slice(net, net.node("Resize", x, "", "", sizes, mode="linear"), [8, 8], [56, 56], [2, 3])


def part_resized(net: Net, x: str) -> str:
    """The region from a quarter to the end, enlarged to the whole."""
    roi = net.weight(np.float32([0, 0, 0.25, 0.125, 1, 1, 1, 0.875]))
    scales = net.weight(np.float32([1, 1, 4 / 3, 4 / 3]))
    return net.node("Resize", x, roi, scales, mode="linear", coordinate_transformation_mode="tf_crop_and_resize")


def cut_around_the_middle(net: Net, x: str) -> str:
    return net.node("CenterCropPad", x, net.ints(32, 36), axes=[2, 3])


def mirrored_by_a_matrix(net: Net, x: str) -> str:
    return net.node("MatMul", x, net.weight(np.eye(SIZE[1], dtype=np.float32)[::-1].copy()))


def sampled(net: Net, x: str) -> str:
    """A grid that reads the right half, mirrored."""
    theta = net.weight(np.float32([[[-0.5, 0, 0.5], [0, 1, 0]]]))
    batch = net.node("Concat", _size(net, x, 0), net.ints(1, 1, 1), axis=0)
    grid = net.node("Tile", net.node("AffineGrid", theta, net.ints(1, 3, *SIZE)), batch)
    return net.node("GridSample", x, grid, align_corners=0)


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


def _blurred(net: Net, x: str) -> str:
    """Two averaging convolutions of stride 2: values `fine` and `coarse`, [N, 2, h, w], brighter where `x` is."""
    first = net.weight(np.full((2, 3, 3, 3), 1 / 27, np.float32))
    second = net.weight(np.full((2, 2, 3, 3), 1 / 18, np.float32))
    common = {"strides": [2, 2], "pads": [1] * 4, "kernel_shape": [3, 3]}
    fine = net.node("Relu", net.node("Conv", x, first, **common), name="fine")
    return net.node("Relu", net.node("Conv", fine, second, **common), name="coarse")


def _head(net: Net, x: str) -> str:
    """Class 0 is "bright": the mean over the map [N, 2, h, w], with both channels for it."""
    pooled = net.node("Flatten", net.node("GlobalAveragePool", x), axis=1)
    return net.node("Gemm", pooled, net.weight(np.float32([[1, -1], [1, -1]])), name="logits")


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
        logits = _head(net, _blurred(net, self.front(net, net.image(("N", 3, *sizes)))))
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


SQUARES = [(18, 22), (26, 34), (22, 42), (30, 26)]


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
            box = placement.rectangle(row, column)
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


# What a network does between its map and its head: it may lay the cells out anew.
Inside = Callable[[Net, str], str]


def _row(net: Net, x: str) -> str:
    """Tokens [N, h * w, 2] of the map [N, 2, h, w]."""
    return net.node("Transpose", net.node("Reshape", x, net.ints(0, 2, -1)), perm=[0, 2, 1])


def reversed_tokens(net: Net, x: str) -> str:
    return _slice(net, _row(net, x), [-1], [-10_000], [1], [-1])


def reversed_by_indices(net: Net, x: str) -> str:
    return net.node("Gather", _row(net, x), net.ints(*reversed(range(192))), axis=1)


def column_by_column(net: Net, x: str) -> str:
    return _row(net, net.node("Transpose", x, perm=[0, 1, 3, 2]))


def map_again_and_mirrored(net: Net, x: str) -> str:
    """The row as a map [N, 2, h, w] once more, whose columns run backwards."""
    back = net.node("Reshape", net.node("Transpose", _row(net, x), perm=[0, 2, 1]), net.ints(0, 2, 12, 16))
    return _slice(net, back, [-1], [-10_000], [3], [-1])


def behind_a_class_token(net: Net, x: str) -> str:
    """One token before the reversed cells."""
    cells = reversed_tokens(net, x)
    sizes = net.node("Concat", _size(net, x, 0), net.ints(1, 2), axis=0)
    token = net.node("Expand", net.weight(np.zeros((1, 1, 2), np.float32)), sizes)
    return net.node("Concat", token, cells, axis=1)


def sub_pixels(net: Net, x: str) -> str:
    """Channels that become the four cells of a cell, as programs without DepthToSpace write it, and mirrored rows."""
    wide = net.node("Concat", x, x, x, x, axis=1)
    apart = net.node("Reshape", wide, net.ints(0, 2, 2, 2, 12, 16))
    turned = net.node("Transpose", apart, perm=[0, 1, 4, 2, 5, 3])
    return _slice(net, net.node("Reshape", turned, net.ints(0, 2, 24, 32)), [-1], [-10_000], [2], [-1])


def every_second_cell_from_the_end(net: Net, x: str) -> str:
    return _slice(net, x, [-1, -1], [-10_000, -10_000], [2, 3], [-2, -2])


INSIDES: list[Inside] = [
    reversed_tokens, reversed_by_indices, column_by_column, map_again_and_mirrored, behind_a_class_token, sub_pixels,
    every_second_cell_from_the_end,
]  # fmt: skip  # a table, in rows of its own


def _token_model(inside: Inside, folder: Path, *layers: str) -> Exported:
    """A blurred image, its cells laid out anew, squared as `moved`, averaged and scored."""
    net = Net(opset=20)
    x = inside(net, _blurred(net, net.image(("N", 3, *SIZE))))
    moved = net.node("Mul", x, x, name="moved")
    channels_first = inside in (map_again_and_mirrored, sub_pixels, every_second_cell_from_the_end)
    mean = net.node("ReduceMean", moved, net.ints(*([2, 3] if channels_first else [1])), keepdims=0)
    logits = net.node("Gemm", mean, net.weight(np.float32([[1, -1], [1, -1]])), name="logits")
    model = net.model(logits, shapes={"logits": ("N", 2)})
    return in_memory(model, folder, layers=layers or ("moved",), input=Input.preset("zero-one"))


@pytest.mark.parametrize("inside", INSIDES, ids=lambda inside: inside.__name__)
def test_a_map_that_the_network_lays_out_anew_is_laid_back(inside: Inside, tmp_path: Path) -> None:
    explainer = Explainer(_token_model(inside, tmp_path).model.SerializeToString())
    for square in SQUARES:
        image = np.zeros((1, 3, *SIZE), np.float32)
        image[:, :, square[0] - 3 : square[0] + 3, square[1] - 3 : square[1] + 3] = 1
        heat = explainer.explain(tensor=image, targets=[Target.index(0)]).explanations[0].heatmap
        hot = heat * (heat > 0.5)
        y, x = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
        np.testing.assert_allclose([(y * hot).sum() / hot.sum(), (x * hot).sum() / hot.sum()], square, rtol=0, atol=3)


def sorted_tokens(net: Net, x: str) -> str:
    row = _row(net, x)
    keys = net.node("ReduceMean", row, net.ints(2), keepdims=0)
    net.node("TopK", keys, net.ints(192), name="best", outputs=2, axis=1)
    wide = net.node("Tile", net.node("Unsqueeze", "best:1", net.ints(2)), net.ints(1, 1, 2))
    return net.node("GatherElements", row, wide, axis=1)


def sorted_by_nd_indices(net: Net, x: str) -> str:
    row = _row(net, x)
    net.node("TopK", net.node("ReduceMax", row, net.ints(2), keepdims=0), net.ints(192), name="best", outputs=2, axis=1)
    return net.node("GatherND", row, net.node("Unsqueeze", "best:1", net.ints(2)), batch_dims=1)


def shuffled_tokens(net: Net, x: str) -> str:
    order = np.random.default_rng(0).permutation(192)
    return net.node("Gather", _row(net, x), net.ints(*order), axis=1)


def snake(net: Net, x: str) -> str:
    """Every second row of cells backwards."""
    order = np.arange(192).reshape(12, 16)
    order[1::2] = order[1::2, ::-1]
    return net.node("Gather", _row(net, x), net.ints(*order.reshape(-1)), axis=1)


def both_halves(net: Net, x: str) -> str:
    """A map and its mirror image added."""
    return net.node("Add", _row(net, x), _row(net, _slice(net, x, [-1], [-10_000], [3], [-1])))


REFUSED: dict[Inside, str] = {
    sorted_tokens: "orders them by the image's content",
    sorted_by_nd_indices: "orders them by the image's content",
    shuffled_tokens: "not a grid of the image",
    snake: "not a grid of the image",
    both_halves: "joins maps that lie in different places",
}


def rolled(net: Net, x: str) -> str:
    """The image's left half after its right half, cut where its own size says."""
    half = net.node("Div", _size(net, x, 3), net.ints(2))
    right = net.node("Slice", x, half, net.ints(10_000), net.ints(3))
    return net.node("Concat", right, net.node("Slice", x, net.ints(0), half, net.ints(3)), axis=3)


def beside_its_mirror_image(net: Net, x: str) -> str:
    return net.node("Add", x, flip(net, x))


@pytest.mark.parametrize("open_size", [False, True], ids=["fixed", "any-size"])
@pytest.mark.parametrize("front", [rolled, beside_its_mirror_image], ids=lambda front: front.__name__)
def test_a_network_of_which_no_layer_has_a_place_is_refused(front: Front, open_size: bool, tmp_path: Path) -> None:
    with pytest.raises(LayerError, match="no layer of which it is known where its cells lie on the image"):
        _ = Case(front, open_size, tmp_path).exported


@pytest.mark.parametrize("inside", REFUSED, ids=lambda inside: inside.__name__)
def test_a_layer_without_a_place_is_refused_by_name_and_passed_over_by_auto(inside: Inside, tmp_path: Path) -> None:
    with pytest.raises(LayerError, match=f"cells of layer 'moved' lie on the image is not known: .*{REFUSED[inside]}"):
        _token_model(inside, tmp_path)
    chosen = _token_model(inside, tmp_path, "auto").manifest
    assert chosen.layers[0].name != "moved"
    assert not chosen.layers[0].HasField("placement")


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
