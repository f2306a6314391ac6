"""Maps whose network lays the cells out anew: the heatmap lays them back, or the layer is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from camgraph_exporter import Exported, Input
from camgraph_exporter.errors import LayerError
from camgraph_runtime import Explainer, Target
from support.exporting import in_memory
from support.fronts import SIZE, SQUARES, blurred, cut, size_of
from support.nets import Net

# What a network does between its map and its head: it may lay the cells out anew.
Inside = Callable[[Net, str], str]


def _row(net: Net, x: str) -> str:
    """Tokens [N, h * w, 2] of the map [N, 2, h, w]."""
    return net.node("Transpose", net.node("Reshape", x, net.ints(0, 2, -1)), perm=[0, 2, 1])


def reversed_tokens(net: Net, x: str) -> str:
    return cut(net, _row(net, x), [-1], [-10_000], [1], [-1])


def reversed_by_indices(net: Net, x: str) -> str:
    return net.node("Gather", _row(net, x), net.ints(*reversed(range(192))), axis=1)


def column_by_column(net: Net, x: str) -> str:
    return _row(net, net.node("Transpose", x, perm=[0, 1, 3, 2]))


def map_again_and_mirrored(net: Net, x: str) -> str:
    """The row as a map [N, 2, h, w] once more, whose columns run backwards."""
    back = net.node("Reshape", net.node("Transpose", _row(net, x), perm=[0, 2, 1]), net.ints(0, 2, 12, 16))
    return cut(net, back, [-1], [-10_000], [3], [-1])


def after_a_class_token(net: Net, x: str) -> str:
    """One token before the reversed cells."""
    cells = reversed_tokens(net, x)
    sizes = net.node("Concat", size_of(net, x, 0), net.ints(1, 2), axis=0)
    token = net.node("Expand", net.weight(np.zeros((1, 1, 2), np.float32)), sizes)
    return net.node("Concat", token, cells, axis=1)


def sub_pixels(net: Net, x: str) -> str:
    """Channels that become the four cells of a cell, as programs without DepthToSpace write it, and mirrored rows."""
    wide = net.node("Concat", x, x, x, x, axis=1)
    apart = net.node("Reshape", wide, net.ints(0, 2, 2, 2, 12, 16))
    turned = net.node("Transpose", apart, perm=[0, 1, 4, 2, 5, 3])
    return cut(net, net.node("Reshape", turned, net.ints(0, 2, 24, 32)), [-1], [-10_000], [2], [-1])


def every_second_cell_from_the_end(net: Net, x: str) -> str:
    return cut(net, x, [-1, -1], [-10_000, -10_000], [2, 3], [-2, -2])


INSIDES: list[Inside] = [
    reversed_tokens, reversed_by_indices, column_by_column, map_again_and_mirrored, after_a_class_token, sub_pixels,
    every_second_cell_from_the_end,
]  # fmt: skip  # a table, in rows of its own


def _token_model(inside: Inside, folder: Path, *layers: str) -> Exported:
    """A blurred image, its cells laid out anew, squared as `moved`, averaged and scored."""
    net = Net(opset=20)
    x = inside(net, blurred(net, net.image(("N", 3, *SIZE))))
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
    return net.node("Add", _row(net, x), _row(net, cut(net, x, [-1], [-10_000], [3], [-1])))


REFUSED: dict[Inside, str] = {
    sorted_tokens: "orders them by the image's content",
    sorted_by_nd_indices: "orders them by the image's content",
    shuffled_tokens: "not a grid of the image",
    snake: "not a grid of the image",
    both_halves: "joins maps that lie in different places",
}


@pytest.mark.parametrize("inside", REFUSED, ids=lambda inside: inside.__name__)
def test_a_layer_without_a_place_is_refused_by_name_and_passed_over_by_auto(inside: Inside, tmp_path: Path) -> None:
    with pytest.raises(LayerError, match=f"cells of layer 'moved' lie on the image is not known: .*{REFUSED[inside]}"):
        _token_model(inside, tmp_path)
    chosen = _token_model(inside, tmp_path, "auto").manifest
    assert chosen.layers[0].name != "moved"
    assert not chosen.layers[0].HasField("placement")
