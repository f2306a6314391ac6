"""The size of a segmentation's map of scores on images of any size: the law in the manifest, against runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import CamgraphError
from camgraph_exporter.errors import ScoreError
from camgraph_exporter.prepare.prepare import prepare
from camgraph_exporter.reading.map_size import map_size
from camgraph_runtime.maps.placement import mask_size
from camgraph_runtime.run.engine import Engine
from support.nets import Net


@dataclass(frozen=True)
class Chain:
    """What becomes of an image [N, 3, H, W] on the way to the map `map` [N, 3, h, w]."""

    build: Callable[[Net, str], str]
    image: tuple[str | int, ...] = ("N", 3, "H", "W")
    transposed: bool = False


def conv(kernel: int = 3, **attributes: object) -> Callable[[Net, str], str]:
    return lambda net, x: net.conv(x, (3, 3), kernel=kernel, **attributes)


def chain(*steps: Callable[[Net, str], str]) -> Callable[[Net, str], str]:
    def build(net: Net, x: str) -> str:
        for step in steps:
            x = step(net, x)
        return x

    return build


def pool(net: Net, x: str, **attributes: object) -> str:
    return net.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2], **attributes)


def pool_up(net: Net, x: str) -> str:
    return pool(net, x, ceil_mode=1)


def grow(net: Net, x: str) -> str:
    return net.node("ConvTranspose", x, net.random(3, 3, 2, 2), kernel_shape=[2, 2], strides=[2, 2])


def with_itself(net: Net, x: str) -> str:
    """A skip connection over a pooling, which only sizes of even numbers fit."""
    return net.node("Add", x, grow(net, pool(net, x)))


def to_image(net: Net, x: str) -> str:
    """Resized to the size of the image."""
    size = net.node("Slice", net.node("Shape", "image"), net.ints(2), net.ints(4))
    wanted = net.node("Concat", net.node("Slice", net.node("Shape", x), net.ints(0), net.ints(2)), size, axis=0)
    return net.node("Resize", x, "", "", wanted, mode="linear")


def by_scale(scale: float) -> Callable[[Net, str], str]:
    scales = np.array([1, 1, scale, scale], np.float32)
    return lambda net, x: net.node("Resize", x, "", net.weight(scales), mode="linear")


def turned(net: Net, x: str) -> str:
    return net.node("Transpose", x, perm=[0, 1, 3, 2])


CHAINS = {
    "as the image": Chain(conv()),
    "stride 2": Chain(conv(strides=[2, 2])),
    "stride 2, rounded down": Chain(pool),
    "stride 2, rounded up": Chain(pool_up),
    "stride 16": Chain(chain(pool, conv(strides=[2, 2]), pool_up, pool)),
    "stride 3": Chain(conv(kernel=3, strides=[3, 3])),
    "less at each edge": Chain(chain(conv(pads=[0, 0, 0, 0]), pool, conv(pads=[0, 0, 0, 0]))),
    "stride 4, twice as large": Chain(chain(pool, pool, grow)),
    "larger than the image": Chain(grow),
    "pooled, and back to the image's size": Chain(chain(pool, pool_up, to_image)),
    "even sizes alone": Chain(with_itself),
    "multiples of four": Chain(chain(with_itself, pool, with_itself)),
    "another for each axis": Chain(conv(strides=[1, 4])),
    "turned": Chain(chain(conv(strides=[2, 1]), turned), transposed=True),
    "one size of height": Chain(pool, image=("N", 3, 48, "W")),
    "one size": Chain(pool, image=("N", 3, 48, 36)),
}


def law_of(chain: Chain) -> tuple[pb.Manifest, onnx.ModelProto]:
    net = Net(seed=1)
    last = net.node("Identity", chain.build(net, net.image(chain.image)), name="map")
    model = net.model(last, shapes={last: ("N", 3, "h", "w")})
    prepared = prepare(ir.from_proto(model), sizes=(32, 40))
    value = prepared.value("map")
    assert value is not None
    size = map_size(prepared, value, (2, 3), transposed=chain.transposed)
    place = pb.Placement(transposed=True) if chain.transposed else None
    return pb.Manifest(target=pb.TargetTensors(mask_size=size, mask_placement=place)), model


SIZES = [*((n, n + 8) for n in range(12, 60)), (257, 300), (48, 36), (512, 64)]


@pytest.mark.parametrize("name", CHAINS)
def test_the_law_gives_the_size_of_every_run(name: str) -> None:
    manifest, model = law_of(CHAINS[name])
    engine, seen = Engine(model.SerializeToString()), 0
    for size in SIZES:
        taken = [
            dim if isinstance(dim, int) else length for dim, length in zip(CHAINS[name].image[2:], size, strict=True)
        ]
        try:
            [found] = engine.run({"image": np.zeros((1, 3, *taken), np.float32)}).values()
        except CamgraphError:
            continue
        assert mask_size(manifest, (taken[0], taken[1])) == found.shape[2:]
        seen += 1
    assert seen >= 10


def test_the_simplest_law_is_stated() -> None:
    manifest, _ = law_of(CHAINS["stride 2, rounded down"])
    assert manifest.target.mask_size.rows == pb.CellCount(up=1, down=2)
    fixed, _ = law_of(CHAINS["one size"])
    assert fixed.target.mask_size == pb.MapSize(rows=pb.CellCount(margin=24), columns=pb.CellCount(margin=18))


@pytest.mark.parametrize("scale", [0.3, 0.75, 1.7])
def test_a_size_that_follows_no_law_is_refused(scale: float) -> None:
    with pytest.raises(ScoreError, match="with a fixed --input-size"):
        law_of(Chain(by_scale(scale)))
