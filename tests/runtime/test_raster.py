"""TIFF files that Pillow does not read: many bands, floating-point numbers, and files that would cost too much."""

from __future__ import annotations

import io
import struct
import sys
import tracemalloc
import zlib
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import tifffile

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import InvalidInputError, UnsupportedError
from camgraph_core.request import Request
from camgraph_runtime.preprocess import Preprocessor, decode
from camgraph_runtime.preprocess.memory import reading_bytes
from camgraph_runtime.preprocess.opening import open_image
from camgraph_runtime.preprocess.pixels import read_stored
from camgraph_runtime.preprocess.raster import Raster, open_raster
from support.rasters import tiff

RNG = np.random.default_rng(0)
LIMIT = 1_000_000

FORMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "strips": {"rowsperstrip": 7},
    "tiles": {"tile": (16, 32)},
    "lzw": {"compression": "lzw", "predictor": 2, "tile": (16, 16)},
    "deflate": {"compression": "deflate", "rowsperstrip": 5},
    "zstd": {"compression": "zstd"},
    "packbits": {"compression": "packbits"},
    "other byte order": {"byteorder": ">"},
    "big": {"bigtiff": True},
}


def drawn(dtype: str, bands: int = 6) -> np.ndarray:
    return (RNG.random((40, 50, bands)) * 10_000).astype(dtype)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32", "float32", "float64"])
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_bands_are_read_as_they_are_stored(form: dict[str, Any], dtype: str) -> None:
    image = drawn(dtype)
    predictor = {"predictor": 3} if dtype.startswith("float") and "predictor" in form else {}
    found = read_stored(open_image(tiff(image, **(form | predictor)), max_pixels=LIMIT))
    assert found.dtype == image.dtype
    np.testing.assert_array_equal(found, image)


@pytest.mark.parametrize("bands", [2, 4, 5, 13, 20])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_any_number_of_bands_in_one_plane_or_in_many(bands: int, dtype: str) -> None:
    image = drawn(dtype, bands)
    for data in (tiff(image), tiff(image.transpose(2, 0, 1), planarconfig="separate", rowsperstrip=9)):
        np.testing.assert_array_equal(read_stored(open_image(data, max_pixels=LIMIT)), image)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_the_fourth_band_of_a_file_that_calls_the_others_colours_is_kept(dtype: str) -> None:
    """Red, green, blue and near infrared, of which Pillow reads three."""
    image = drawn(dtype, 4)
    data = tiff(image, photometric="rgb", extrasamples=["unspecified"])
    np.testing.assert_array_equal(read_stored(open_image(data, max_pixels=LIMIT)), image)


@pytest.mark.parametrize(
    "form", [{"tile": (16, 32)}, {"rowsperstrip": 7}, {"compression": "deflate", "tile": (16, 16)}]
)
@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_a_window_is_read_of_the_tiles_that_it_touches(form: dict[str, Any], planes: str) -> None:
    image = drawn("uint16")
    stored = image if planes == "contig" else image.transpose(2, 0, 1)
    raster = open_raster(tiff(stored, planarconfig=planes, **form))
    for rows, columns in ((slice(0, 1), slice(0, 1)), (slice(13, 38), slice(17, 50)), (slice(39, 40), slice(1, 49))):
        np.testing.assert_array_equal(raster.read(rows, columns), image[rows, columns])
    few, all_ = (raster._segments(part, slice(0, 50)) for part in (slice(0, 3), slice(0, 40)))
    assert len(few) < len(all_)


def test_what_the_file_says_of_missing_data_and_of_its_camera() -> None:
    image = drawn("float32")
    found = open_image(tiff(image, nodata="-9999"), max_pixels=LIMIT)
    assert isinstance(found, Raster)
    assert found.nodata == -9999
    assert open_raster(tiff(image, nodata="none")).nodata is None
    turned = open_image(tiff(image, tags=((274, "H", 1, 6, True),)), max_pixels=LIMIT)
    np.testing.assert_array_equal(read_stored(turned), np.rot90(image, -1))


@pytest.mark.parametrize("form", [{}, {"byteorder": ">"}, {"compression": "lzma"}, {"compression": "zlib"}])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_low_values_are_white_where_the_file_says_so(form: dict[str, Any], dtype: str) -> None:
    most = np.iinfo(dtype).max
    ramp = np.linspace(0, most, 50).round().astype(dtype)[None].repeat(40, axis=0)
    data = tiff(most - ramp, photometric="miniswhite", **form)
    np.testing.assert_allclose(decode(data, max_pixels=LIMIT)[:, :, 0], ramp.astype(np.float64) / most * 255, atol=0.51)
    spec = pb.InputSpec(
        layout=pb.LAYOUT_NCHW, channel_order=pb.CHANNEL_ORDER_STORED, divisor=1,
        tensor=pb.TensorSpec(name="x", dtype="float32", shape=["N", "1", "H", "W"]),
    )  # fmt: skip  # a message, in rows of its own
    stored = Preprocessor(spec, max_pixels=LIMIT).read(data)
    np.testing.assert_array_equal(stored.pixels[:, :, 0], ramp)


@pytest.mark.parametrize(
    ("following", "is_said"),
    [((), False), ((0,), True), ((2,), True), ((1,), False), ((1, 1, 4), False), ((1, 4, 0), True)],
)
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_other_pictures_of_a_file_are_said(following: tuple[int, ...], is_said: bool, big: bool, order: str) -> None:
    for dtype, bands in (("uint8", 3), ("float32", 5)):
        buffer, image = io.BytesIO(), drawn(dtype, bands)
        with tifffile.TiffWriter(buffer, bigtiff=big, byteorder=order) as file:
            for kind in (0, *following):
                if kind == 4:
                    file.write(np.ones(image.shape[:2], bool), subfiletype=kind, photometric="mask")
                else:
                    file.write(image, subfiletype=kind, photometric="minisblack", planarconfig="contig")
        spec = pb.InputSpec(
            layout=pb.LAYOUT_NCHW, channel_order=pb.CHANNEL_ORDER_STORED, divisor=1,
            tensor=pb.TensorSpec(name="x", dtype="float32", shape=["N", str(bands), "H", "W"]),
        )  # fmt: skip  # a message, in rows of its own
        picture = Preprocessor(spec, max_pixels=LIMIT).read(buffer.getvalue())
        assert any("has several pictures, and the first was read" in remark for remark in picture.remarks) == is_said


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
@pytest.mark.parametrize("bands", [3, 4, 13])
@pytest.mark.parametrize("form", ["npy", "tiff"])
def test_reading_takes_no_more_than_the_header_tells(form: str, bands: int, dtype: str) -> None:
    """Also where half of the data is missing, which is filled in a copy."""
    image = (RNG.random((400, 500, bands)) * 200 + 1).astype(dtype)
    image[:200] = 0
    buffer = io.BytesIO()
    np.save(buffer, image)
    data = buffer.getvalue() if form == "npy" else tiff(image, tile=(128, 128), compression="deflate")
    means = [1.0] * bands
    wanted = pb.InputSpec(
        tensor=pb.TensorSpec(name="image", dtype="float32", shape=["N", str(bands), "32", "32"]),
        layout=pb.LAYOUT_NCHW,
        channel_order=pb.CHANNEL_ORDER_STORED,
        divisor=1,
        mean=means,
        steps=[pb.GeometryStep(resize_to=pb.ResizeTo(height=32, width=32))],
    )
    preprocessor, request = Preprocessor(wanted), Request(nodata=0)
    preprocessor.prepare(preprocessor.read(data, request))
    tracemalloc.start()
    try:
        preprocessor.prepare(preprocessor.read(data, request))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert image.nbytes < peak <= reading_bytes(data, max_pixels=10 * LIMIT, nodata=0)


def patched(data: bytes, tag: int, value: int, *, count: int | None = None) -> bytes:
    """A little-endian classic TIFF with another value of a tag."""
    start = struct.unpack_from("<I", data, 4)[0]
    changed = bytearray(data)
    for entry in range(struct.unpack_from("<H", data, start)[0]):
        place = start + 2 + 12 * entry
        if struct.unpack_from("<H", data, place)[0] == tag:
            kind = struct.unpack_from("<H", data, place + 2)[0]
            struct.pack_into("<H" if kind == 3 else "<I", changed, place + 8, value)
            if count is not None:
                struct.pack_into("<I", changed, place + 4, count)
            return bytes(changed)
    raise AssertionError(f"the file has no tag {tag}")


PLAIN = tiff(drawn("uint16"))
TILED = tiff(drawn("uint16"), tile=(16, 16))
HOSTILE = {
    "too wide": (patched(PLAIN, 256, 60_000), "the limit is 1000000"),
    "bands without end": (patched(PLAIN, 277, 60_000), None),
    "tiles larger than the image": (patched(TILED, 322, 60_000), None),
    "high tiles": (patched(TILED, 323, 32_000), None),
    "fewer tiles than it needs": (patched(TILED, 324, 0, count=1), None),
    "numbers of a bit": (patched(PLAIN, 258, 1, count=1), None),
    "an unknown compression": (patched(PLAIN, 259, 65_000), None),
    "half of the file": (PLAIN[: len(PLAIN) // 2], None),
    "pixels that are no Deflate": (patched(PLAIN, 259, 8), None),
    "no height": (patched(PLAIN, 257, 0), None),
    "numbers that are complex": (tiff(drawn("complex64")), "numbers of a kind that is not read"),
    "many bytes in a tile": (patched(tiff(drawn("uint16"), rowsperstrip=40), 279, 2**31 - 1), None),
}


@pytest.mark.parametrize(("data", "said"), HOSTILE.values(), ids=HOSTILE)
def test_a_file_that_would_cost_too_much_or_is_damaged_is_refused(data: bytes, said: str | None) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_stored(open_image(data, max_pixels=LIMIT))
    assert said is None or said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_deflate_bomb_gives_no_more_bytes_than_a_tile_has() -> None:
    """Sixteen mebibytes of zeros in a strip of four kibibytes."""
    small = tiff(np.zeros((16, 32, 4), np.uint16), compression="deflate")
    raster = open_raster(small)
    offset, count = raster.page.dataoffsets[0], raster.page.databytecounts[0]
    bomb = zlib.compress(bytes(1 << 24))
    data = patched(patched(small + bomb, 273, len(small)), 279, len(bomb))
    assert (offset, count) != (len(small), len(bomb))
    tracemalloc.start()
    try:
        with pytest.raises(InvalidInputError):
            read_stored(open_image(data, max_pixels=LIMIT))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("seed", range(200))
def test_spoiled_files_end_in_a_sentence(seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = bytearray([PLAIN, TILED][seed % 2])
    start = struct.unpack_from("<I", data, 4)[0]
    for place in rng.integers(start, min(start + 200, len(data)), 3):
        data[place] = rng.integers(256)
    with suppress(InvalidInputError):
        assert read_stored(open_image(bytes(data), max_pixels=LIMIT)).nbytes <= 4 * LIMIT


def test_without_the_extra_it_is_said_which_one_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(UnsupportedError, match="Install camgraph with the extra 'geo'"):
        open_image(PLAIN, max_pixels=LIMIT)
