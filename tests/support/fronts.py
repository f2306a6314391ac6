"""What graphs do to an image before their network looks at it, and a network that keeps what is bright."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from support.nets import Net

SIZE = (48, 64)
SQUARES = [(18, 22), (26, 34), (22, 42), (30, 26)]
"""Where bright squares are put, by the rows and columns of their centres."""
Front = Callable[[Net, str], str]


def cut(net: Net, x: str, starts: list[int], ends: list[int], axes: list[int], steps: list[int] | None = None) -> str:
    return net.node(
        "Slice", x, net.ints(*starts), net.ints(*ends), net.ints(*axes), net.ints(*(steps or [1] * len(axes)))
    )


def size_of(net: Net, x: str, axis: int) -> str:
    return net.node("Gather", net.node("Shape", x), net.ints(axis), axis=0)


def nothing(_: Net, x: str) -> str:
    return x


def flip(net: Net, x: str) -> str:
    return cut(net, x, [-1], [-10_000], [3], [-1])


def turn_by_180(net: Net, x: str) -> str:
    return cut(net, x, [-1, 10_000], [-10_000, -10_000], [2, 3], [-1, -1])


def crop(net: Net, x: str) -> str:
    return cut(net, x, [4, 12], [44, 60], [2, 3])


def crop_by_computed_ends(net: Net, x: str) -> str:
    """The middle half of the width, from the image's own size."""
    four = net.ints(4)
    quarter = net.node("Div", size_of(net, x, 3), four)
    return net.node("Slice", x, quarter, net.node("Mul", quarter, net.ints(3)), net.ints(3))


def crop_at_the_end(net: Net, x: str) -> str:
    return cut(net, x, [-40, -48], [10_000, 10_000], [2, 3])


def flip_by_gather(net: Net, x: str) -> str:
    """Indices from size - 1 down to 0, as a program computes them."""
    size = size_of(net, x, 3)
    one = net.weight(np.int64(1))
    upwards = net.node("Range", net.weight(np.int64(0)), net.node("Squeeze", size, net.ints(0)), one)
    return net.node("Gather", x, net.node("Sub", net.node("Sub", size, net.ints(1)), upwards), axis=3)


def flip_by_sequence(net: Net, x: str) -> str:
    """ReverseSequence along the height, which it wants in front, by the whole height for each image."""
    rows = net.node("Transpose", x, perm=[2, 0, 1, 3])
    lengths = net.node("Expand", size_of(net, x, 2), size_of(net, x, 0))
    return net.node(
        "Transpose", net.node("ReverseSequence", rows, lengths, time_axis=0, batch_axis=1), perm=[1, 2, 0, 3]
    )


def take_every_second(net: Net, x: str) -> str:
    return cut(net, x, [1, 1], [10_000, 10_000], [2, 3], [2, 2])


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
    return cut(net, net.node("Resize", x, "", scales, mode="linear"), [16, 0], [80, 56], [2, 3])


def resized_to_one_size(net: Net, x: str) -> str:
    """To one size for all images, of which a part is cut."""
    batch = net.node("Slice", net.node("Shape", x), net.ints(0), net.ints(2), net.ints(0))
    sizes = net.node("Concat", batch, net.ints(64, 64), axis=0)
    return cut(net, net.node("Resize", x, "", "", sizes, mode="linear"), [8, 8], [56, 56], [2, 3])


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
    batch = net.node("Concat", size_of(net, x, 0), net.ints(1, 1, 1), axis=0)
    grid = net.node("Tile", net.node("AffineGrid", theta, net.ints(1, 3, *SIZE)), batch)
    return net.node("GridSample", x, grid, align_corners=0)


def blurred(net: Net, x: str) -> str:
    """Two averaging convolutions of stride 2: values `fine` and `coarse`, [N, 2, h, w], brighter where `x` is."""
    first = net.weight(np.full((2, 3, 3, 3), 1 / 27, np.float32))
    second = net.weight(np.full((2, 2, 3, 3), 1 / 18, np.float32))
    common = {"strides": [2, 2], "pads": [1] * 4, "kernel_shape": [3, 3]}
    fine = net.node("Relu", net.node("Conv", x, first, **common), name="fine")
    return net.node("Relu", net.node("Conv", fine, second, **common), name="coarse")


def bright_head(net: Net, x: str) -> str:
    """Class 0 is "bright": the mean over the map [N, 2, h, w], with both channels for it."""
    pooled = net.node("Flatten", net.node("GlobalAveragePool", x), axis=1)
    return net.node("Gemm", pooled, net.weight(np.float32([[1, -1], [1, -1]])), name="logits")
