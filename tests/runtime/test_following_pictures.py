"""Of a file with several pictures the first is read, which is said; and so is that the others were cut off."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable

import numpy as np
import pytest
import tifffile
from PIL import Image

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import InvalidInputError
from camgraph_runtime.preprocess import Preprocessor

PIXELS = np.random.default_rng(0).integers(0, 255, (5, 32, 40, 3), np.uint8)
PICTURES = [Image.fromarray(pixels) for pixels in PIXELS]
SPEC = pb.InputSpec(
    layout=pb.LAYOUT_NCHW, channel_order=pb.CHANNEL_ORDER_RGB, divisor=1,
    tensor=pb.TensorSpec(name="x", dtype="float32", shape=["N", "3", "H", "W"]),
)  # fmt: skip  # a message, in rows of its own


def saved(format_: str, count: int, **options: object) -> bytes:
    buffer = io.BytesIO()
    more = {"save_all": True, "append_images": PICTURES[1:count]} if count > 1 else {}
    PICTURES[0].save(buffer, format_, **more, **options)
    return buffer.getvalue()


def pages(count: int, **options: object) -> bytes:
    """As tifffile and GDAL write them: a directory, then its pixels."""
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer, **options) as file:  # type: ignore[arg-type]  # a table of options
        for pixels in PIXELS[:count]:
            file.write(pixels, photometric="rgb")
    return buffer.getvalue()


FORMATS: dict[str, Callable[[int], bytes]] = {
    "GIF": lambda count: saved("GIF", count),
    "PNG": lambda count: saved("PNG", count),
    "WebP": lambda count: saved("WEBP", count, lossless=True),
    "TIFF of Pillow": lambda count: saved("TIFF", count),
    "TIFF with directories at the end": lambda count: saved("TIFF", count, compression="tiff_lzw"),
    "TIFF of tifffile": pages,
    "TIFF of the other byte order": lambda count: pages(count, byteorder=">"),
    "BigTIFF": lambda count: pages(count, bigtiff=True),
}


def remarks(data: bytes) -> str:
    return " ".join(Preprocessor(SPEC).read(data).remarks)


def outcome(data: bytes) -> tuple[np.ndarray | None, str]:
    """The pixels and what is said of them; or None, and why they are not read."""
    try:
        picture = Preprocessor(SPEC).read(data)
    except InvalidInputError as error:
        return None, str(error)
    return picture.pixels, " ".join(picture.remarks)


@pytest.mark.parametrize("make", FORMATS.values(), ids=FORMATS)
def test_others_are_said_where_there_are_some(make: Callable[[int], bytes]) -> None:
    assert remarks(make(1)) == ""
    assert "has several pictures, and the first was read" in remarks(make(5))
    assert "cut off" not in remarks(make(5))


@pytest.mark.parametrize("share", [0.3, 0.45, 0.6, 0.85, 0.99])
@pytest.mark.parametrize("make", FORMATS.values(), ids=FORMATS)
def test_a_file_that_was_cut_off_says_so_or_is_refused(make: Callable[[int], bytes], share: float) -> None:
    data = make(5)
    found, said = outcome(data[: int(len(data) * share)])
    if found is None:
        assert any(words in said for words in ("incomplete", "bytes that it states", "does not say what it has")), said
    else:
        assert "The file was cut off: its first picture is whole and was read" in said
        np.testing.assert_array_equal(found, outcome(data)[0])


@pytest.mark.parametrize("make", FORMATS.values(), ids=FORMATS)
def test_a_cut_never_gives_other_pixels_or_a_wrong_reason(make: Callable[[int], bytes]) -> None:
    data = make(1)
    wanted = Preprocessor(SPEC).read(data).pixels
    for end in np.linspace(20, len(data) - 1, 40).astype(int):
        found, said = outcome(data[:end])
        if found is None:
            assert "numbers of a kind" not in said
        else:
            np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("name", ["GIF", "PNG", "WebP", "TIFF of Pillow"])
def test_what_follows_the_end_is_no_cut(name: str) -> None:
    assert remarks(FORMATS[name](1) + bytes(100)) == ""


def test_a_gif_of_many_tiny_blocks_is_walked_through_in_part() -> None:
    data = saved("GIF", 1)
    assert data.endswith(b";")
    assert remarks(data[:-1] + b"!\xfe" + b"\1\0" * 3 + b"\0" + b"\1 " * 40_000) == ""


def jpeg_of_several(order: str, kinds: list[int]) -> bytes:
    """A JPEG whose index lists pictures of some kinds, with one of them behind it."""
    word, table = (">" if order == "MM" else "<"), 8 + 2 + 3 * 12 + 4
    fields = [(0xB000, 7, 4, b"0100"), (0xB001, 4, 1, struct.pack(f"{word}I", len(kinds)))]
    fields += [(0xB002, 7, 16 * len(kinds), struct.pack(f"{word}I", table))]
    index = order.encode() + struct.pack(f"{word}HIH", 42, 8, len(fields))
    index += b"".join(struct.pack(f"{word}HHI", *field[:3]) + field[3] for field in fields) + bytes(4)
    index += b"".join(struct.pack(f"{word}IIIHH", kind, 0, 0, 0, 0) for kind in kinds)
    segment = b"\xff\xe2" + struct.pack(">H", len(index) + 6) + b"MPF\0" + index
    photo = saved("JPEG", 1)
    return photo[:2] + segment + photo[2:] + photo


@pytest.mark.parametrize("order", ["II", "MM"])
@pytest.mark.parametrize(
    ("kinds", "is_said"),
    [
        ([0x030000], False),
        ([0x20030000, 0x00000000], False),  # what phones put there: maps of brightness or depth
        ([0x030000, 0x010001, 0x010002], False),  # previews
        ([0x020001, 0x020001], True),  # a panorama
        ([0x20020002, 0x00020002], True),  # both eyes
        ([0x030000, 0x010002, 0x020003], True),  # another angle
    ],
)
def test_of_a_jpeg_other_views_are_said_and_what_phones_add_is_not(order: str, kinds: list[int], is_said: bool) -> None:
    data = jpeg_of_several(order, kinds)
    assert ("has several pictures, and the first was read" in remarks(data)) == is_said
    np.testing.assert_array_equal(
        Preprocessor(SPEC).read(data).pixels, Preprocessor(SPEC).read(saved("JPEG", 1)).pixels
    )


def test_a_jpeg_with_an_index_of_pillow_or_a_damaged_one_is_read() -> None:
    assert remarks(saved("MPO", 3)) == ""
    whole = jpeg_of_several("II", [0x020002] * 3)
    start = whole.index(b"MPF") + 4
    for at in range(start, start + 60):
        outcome(whole[:at] + b"\xff" + whole[at + 1 :])
