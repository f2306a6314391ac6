"""What the user is told of masks where the way from the image to the scores cannot be followed."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from camgraph_exporter.prepare.prepare import prepare
from camgraph_exporter.targets.masks import place_of_scores
from support.nets import Net


def note(*, pool: int, size: tuple[int | str, int | str]) -> str:
    """The remark on a network that moves its pixels by where the image's content says."""
    net = Net(seed=1)
    image = net.image(("N", 3, *size))
    flow = net.node("Tanh", net.node("Transpose", net.conv(image, (3, 2)), perm=[0, 2, 3, 1]))
    moved = net.node("GridSample", net.conv(image, (3, 4)), flow, align_corners=0)
    if pool > 1:
        moved = net.node("MaxPool", moved, kernel_shape=[pool, pool], strides=[pool, pool])
    scores = net.conv(moved, (4, 2), kernel=1, name="scores")
    cells = [side // pool if isinstance(side, int) else f"{side}_of_scores" for side in size]
    prepared = prepare(ir.from_proto(net.model(scores, shapes={scores: ("N", 2, *cells)})), sizes=(32, 48))
    value = prepared.value("scores")
    assert value is not None
    place, said = place_of_scores(prepared, value, last=False)
    assert not place.HasField("mask_placement")
    return said


@pytest.mark.parametrize("size", [(32, 48), ("h", "w")])
@pytest.mark.parametrize(
    ("pool", "words"), [(1, "a mask is laid on them pixel by pixel"), (2, "as if they covered the whole image")]
)
def test_a_mask_is_laid_pixel_by_pixel_where_there_is_a_score_for_each(
    size: tuple[int | str, int | str], pool: int, words: str
) -> None:
    said = note(pool=pool, size=size)
    assert "places that depend on the image" in said
    assert words in said
