"""Decoding: every kind of picture comes out upright and RGB, every broken one is refused."""

from __future__ import annotations

import io
import struct
import zlib
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camgraph_core.errors import InvalidInputError
from camgraph_runtime.preprocess import decode
from camgraph_runtime.preprocess.opening import open_image
from camgraph_runtime.preprocess.pixels import read_colour, read_stored

LIMIT = 1_000_000

# How a camera that was turned stored the upright picture, by EXIF orientation.
STORED = {
    1: lambda upright: upright,
    2: np.fliplr,
    3: lambda upright: np.rot90(upright, 2),
    4: np.flipud,
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: np.rot90(upright, 2).transpose(1, 0, 2),
    8: lambda upright: np.rot90(upright, -1),
}


@pytest.fixture
def picture() -> np.ndarray:
    """No symmetry, no square: uint8 [20, 30, 3]."""
    return np.random.default_rng(3).integers(0, 256, (20, 30, 3), np.uint8)


def encode(image: Image.Image, format_: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_undone(picture: np.ndarray, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](picture)))
    np.testing.assert_array_equal(decode(encode(stored, exif=exif), max_pixels=LIMIT), picture)


@pytest.mark.parametrize("format_", ["PNG", "BMP", "TIFF", "WEBP"])
def test_lossless_formats_keep_every_pixel(picture: np.ndarray, format_: str) -> None:
    options = {"lossless": True} if format_ == "WEBP" else {}
    np.testing.assert_array_equal(
        decode(encode(Image.fromarray(picture), format_, **options), max_pixels=LIMIT), picture
    )


def test_jpeg_is_close(picture: np.ndarray) -> None:
    smooth = np.asarray(Image.fromarray(picture).resize((90, 60), Image.Resampling.BICUBIC))
    decoded = decode(encode(Image.fromarray(smooth), "JPEG", quality=95, subsampling=0), max_pixels=LIMIT)
    assert np.abs(decoded.astype(int) - smooth).mean() < 3


def test_path_string_and_pillow_image_agree(picture: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    Image.fromarray(picture).save(path)
    for source in (path, str(path), Image.open(path), Image.fromarray(picture), picture):
        np.testing.assert_array_equal(decode(source, max_pixels=LIMIT), picture)


def test_grey_gets_three_equal_channels(picture: np.ndarray) -> None:
    grey = picture[:, :, 0]
    expected = np.repeat(grey[:, :, None], 3, axis=2)
    for source in (encode(Image.fromarray(grey)), grey, grey[:, :, None]):
        np.testing.assert_array_equal(decode(source, max_pixels=LIMIT), expected)


def test_bilevel_becomes_black_and_white() -> None:
    bits = np.array([[True, False], [False, True]])
    decoded = decode(encode(Image.fromarray(bits)), max_pixels=LIMIT)
    np.testing.assert_array_equal(decoded[:, :, 1], np.where(bits, 255, 0))


def test_transparency_is_laid_on_white(picture: np.ndarray) -> None:
    alpha = np.full(picture.shape[:2], 255, np.uint8)
    alpha[:10] = 0
    rgba = np.dstack([picture, alpha])
    expected = picture.copy()
    expected[:10] = 255
    for source in (encode(Image.fromarray(rgba)), rgba):
        np.testing.assert_array_equal(decode(source, max_pixels=LIMIT), expected)


def test_palette_with_and_without_transparency() -> None:
    image = Image.new("P", (4, 2), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((3, 1), 1)
    plain = decode(encode(image), max_pixels=LIMIT)
    assert plain[0, 0].tolist() == [255, 0, 0]
    assert plain[1, 3].tolist() == [0, 0, 255]
    see_through = decode(encode(image, transparency=0), max_pixels=LIMIT)
    assert see_through[0, 0].tolist() == [255, 255, 255]
    assert see_through[1, 3].tolist() == [0, 0, 255]


def test_sixteen_bit_grey_is_scaled_to_eight() -> None:
    values = np.array([[0, 255, 256], [32768, 65280, 65535]], np.uint16)
    decoded = decode(encode(Image.fromarray(values)), max_pixels=LIMIT)
    assert decoded[:, :, 0].tolist() == [[0, 1, 1], [128, 254, 255]]


def test_sixteen_bit_colour_is_scaled_to_eight() -> None:
    values = np.array([[[0, 256, 65535], [32768, 257, 4096]]], ">u2")
    assert decode(_png_16_bit_rgb(values), max_pixels=LIMIT).tolist() == [[[0, 1, 255], [128, 1, 16]]]


# Colour, and alpha as a number of 16 bits, of pixels in a row.
_CLEAR = [([0, 256, 65535], 65535), ([40000, 257, 4096], 0), ([1000, 0, 60000], 32768), ([12345, 54321, 7], 13107)]


def _on_white(colour: list[int], alpha: int) -> list[int]:
    share = Fraction(alpha, 65535)
    return [round(value * share + 65535 * (1 - share)) for value in colour]


@pytest.mark.parametrize("grey", [False, True], ids=["RGBA", "LA"])
def test_sixteen_bit_transparency_is_laid_on_white_with_all_its_bits(grey: bool) -> None:
    kind, count = (_LA, 1) if grey else (_RGBA, 3)
    data = _png_16_bit(np.array([[[*colour[:count], alpha] for colour, alpha in _CLEAR]], ">u2"), kind)
    read = read_colour(open_image(data, max_pixels=LIMIT))
    assert read.dtype == np.uint16
    colours = [colour[:1] * 3 if grey else colour for colour, _ in _CLEAR]
    assert read[0].tolist() == [_on_white(colour, alpha) for colour, (_, alpha) in zip(colours, _CLEAR, strict=True)]


def test_sixteen_bit_colour_that_the_file_names_as_transparent_is_white() -> None:
    values = np.array([[[1, 2, 3], [1, 2, 4]]], ">u2")
    data = _png_16_bit(values, _RGB, transparent=(1, 2, 3))
    assert read_colour(open_image(data, max_pixels=LIMIT)).tolist() == [[[65535] * 3, [1, 2, 4]]]
    assert read_stored(open_image(data, max_pixels=LIMIT)).tolist() == values.tolist()


def test_sixteen_bit_transparency_is_stored_as_it_is() -> None:
    values = np.array([[[*colour, alpha] for colour, alpha in _CLEAR]], ">u2")
    assert read_stored(open_image(_png_16_bit(values, _RGBA), max_pixels=LIMIT)).tolist() == values.tolist()


# What the header of a PNG calls its kinds of colour.
_RGB, _LA, _RGBA = 2, 4, 6


def _png_16_bit_rgb(values: np.ndarray) -> bytes:
    return _png_16_bit(values, _RGB)


def _png_16_bit(values: np.ndarray, kind: int, transparent: tuple[int, ...] = ()) -> bytes:
    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    clear = _chunk(b"tRNS", struct.pack(f">{len(transparent)}H", *transparent)) if transparent else b""
    chunks = _chunk(b"IHDR", header) + clear + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def test_cmyk_becomes_rgb() -> None:
    image = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    decoded = decode(encode(image, "JPEG", quality=95), max_pixels=LIMIT)
    assert decoded.shape == (8, 8, 3)
    assert decoded[4, 4, 0] > 200
    assert decoded[4, 4, 1] < 60


def test_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (5, 5), colour) for colour in ((200, 0, 0), (0, 200, 0))]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode(data, max_pixels=LIMIT)[2, 2].tolist() == [200, 0, 0]


def test_a_bomb_is_refused_by_its_header_alone() -> None:
    header = struct.pack(">IIBBBBB", 9000, 9000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", b"never decoded") + _chunk(b"IEND", b"")
    with pytest.raises(InvalidInputError, match=r"9000 x 9000 = 81000000 pixels, but the limit is 1000000"):
        decode(bomb, max_pixels=LIMIT)


@pytest.mark.parametrize("side", [10_000, 30_000])
def test_a_bomb_beyond_pillows_own_limits_is_refused_too(side: int) -> None:
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", b"never decoded") + _chunk(b"IEND", b"")
    with pytest.raises(InvalidInputError, match="limit is 1000000"):
        decode(bomb, max_pixels=LIMIT)


def test_the_limit_holds_for_arrays_and_pillow_images() -> None:
    for source in (np.zeros((11, 10, 3), np.uint8), Image.new("RGB", (10, 11))):
        with pytest.raises(InvalidInputError, match="10 x 11 = 110 pixels"):
            decode(source, max_pixels=100)
        assert decode(source, max_pixels=110).shape == (11, 10, 3)


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP"])
def test_every_truncation_is_refused(picture: np.ndarray, format_: str) -> None:
    data = encode(Image.fromarray(picture), format_)
    for share in (0.1, 0.5, 0.8):
        with pytest.raises(InvalidInputError):
            decode(data[: int(len(data) * share)], max_pixels=LIMIT)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "zero bytes"),
        (b"this is no image", "not an image"),
        (b"%PDF-1.4\n", "is a PDF file, which is not read"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is a PostScript file, which is not read"),
        (b"\x89PNG\r\n\x1a\n", "not an image"),
        (b"\xff\xd8\xff", "not an image"),
    ],
)
def test_what_is_not_an_image_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        decode(data, max_pixels=LIMIT)


def test_random_bytes_after_a_signature_never_crash() -> None:
    random = np.random.default_rng(11)
    for signature in (b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"BM", b"II*\0", b"RIFF....WEBP", b"GIF89a"):
        for _ in range(20):
            with pytest.raises(InvalidInputError):
                decode(signature + random.bytes(300), max_pixels=LIMIT)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"nothing\.png cannot be read: No such file"):
        decode(tmp_path / "nothing.png", max_pixels=LIMIT)
    with pytest.raises(InvalidInputError, match="cannot be read: Is a directory"):
        decode(tmp_path, max_pixels=LIMIT)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((1, 3, 4, 4), np.uint8), r"An image array has the shape \[H, W\] or \[H, W, C\], but this is uint8"),
        (np.zeros(4, np.uint8), r"but this is uint8 \[4\]"),
        (np.zeros((4, 4), np.complex64), "elements of this array are complex64"),
        (np.full((4, 4), "pixel"), "elements of this array are <U5"),
        (np.full((4, 4), None), "elements of this array are object"),
    ],
)
def test_arrays_that_are_no_pictures_are_refused(array: np.ndarray, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        decode(array, max_pixels=LIMIT)


def test_an_array_without_pixels_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="no pixels"):
        decode(np.zeros((0, 4, 3), np.uint8), max_pixels=LIMIT)
