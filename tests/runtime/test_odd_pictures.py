"""Pictures of odd kinds have the pixels that Pillow gives, or are refused by the name of their kind."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, features

from camgraph_core.errors import InvalidInputError
from camgraph_runtime.preprocess import decode
from camgraph_runtime.preprocess.opening import open_image
from camgraph_runtime.preprocess.pixels import read_stored

MANY = 100_000
RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (32, 40, 3), np.uint8)
SMOOTH = np.clip(np.add.outer(np.arange(32) * 4, np.arange(40) * 3)[..., None] + np.array([0, 20, 40]), 0, 255)
SMOOTH = SMOOTH.astype(np.uint8)
CLEAR = np.dstack([COLOURS, RNG.integers(0, 256, (32, 40), np.uint8)])
DEEP = RNG.integers(0, 65536, (32, 40)).astype(np.uint16)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def saved(pixels: np.ndarray, format_: str, mode: str | None = None, **options: Any) -> bytes:
    buffer, image = io.BytesIO(), Image.fromarray(pixels)
    (image if mode is None else image.convert(mode)).save(buffer, format_, **options)
    return buffer.getvalue()


def with_palette(count: int, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(COLOURS).quantize(count).save(buffer, "PNG", **options)
    return buffer.getvalue()


MORE = {"save_all": True, "append_images": [Image.fromarray(COLOURS[::-1])], "duration": 100}
PICTURES = {
    "PNG of a bit": saved(COLOURS[:, :, 0], "PNG", "1"),
    "PNG of 16 bits": saved(DEEP, "PNG"),
    "PNG of grey with alpha": saved(CLEAR, "PNG", "LA"),
    "PNG with alpha": saved(CLEAR, "PNG"),
    "PNG with a palette": with_palette(200),
    "PNG with a palette of 2 bits": with_palette(4, bits=2),
    "PNG with a clear entry of its palette": with_palette(16, transparency=3),
    "PNG with one clear grey": saved(COLOURS[:, :, 0], "PNG", transparency=3),
    "PNG with one clear colour": saved(COLOURS, "PNG", transparency=tuple(COLOURS[0, 0].tolist())),
    "PNG with a profile": saved(COLOURS, "PNG", icc_profile=SRGB),
    "PNG that is an animation": saved(COLOURS, "PNG", **MORE),
    "JPEG of inks, turned round by Adobe": saved(SMOOTH, "JPEG", "CMYK", quality=100),
    "JPEG without a change of colours": saved(SMOOTH, "JPEG", keep_rgb=True, quality=100),
    "JPEG in scans": saved(SMOOTH, "JPEG", progressive=True),
    "JPEG with a profile": saved(SMOOTH, "JPEG", icc_profile=SRGB),
    "JPEG of grey": saved(SMOOTH[:, :, 0], "JPEG"),
    "WebP": saved(SMOOTH, "WEBP"),
    "WebP with alpha": saved(CLEAR, "WEBP", lossless=True, exact=True),
    "WebP that is an animation": saved(COLOURS, "WEBP", lossless=True, **MORE),
    "GIF": saved(COLOURS, "GIF"),
    "BMP of a bit": saved(COLOURS[:, :, 0], "BMP", "1"),
    "BMP with a palette": saved(COLOURS[:, :, 0], "BMP", "P"),
}


def seen_by_pillow(data: bytes) -> np.ndarray:
    """RGB on white, by Pillow alone; of 16 bits the share of the largest value."""
    with Image.open(io.BytesIO(data)) as image:
        if image.mode.startswith("I"):
            grey = np.asarray(image).astype(np.float64) / 65535 * 255
            return np.repeat(grey[:, :, None], 3, axis=2)
        clear = image.convert("RGBA")
        white = Image.new("RGBA", clear.size, "white")
        return np.asarray(Image.alpha_composite(white, clear).convert("RGB")).astype(np.float64)


@pytest.mark.parametrize("name", PICTURES)
def test_what_people_see_is_what_pillow_gives(name: str) -> None:
    found, wanted = decode(PICTURES[name], max_pixels=MANY), seen_by_pillow(PICTURES[name])
    np.testing.assert_allclose(found, wanted, atol=0.51)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("PNG of 16 bits", DEEP),
        ("PNG with alpha", CLEAR),
        ("WebP with alpha", CLEAR),
        ("PNG that is an animation", COLOURS),
        ("PNG with a profile", COLOURS),
    ],
)
def test_stored_values_are_those_that_were_written(name: str, wanted: np.ndarray) -> None:
    found = read_stored(open_image(PICTURES[name], max_pixels=MANY))
    np.testing.assert_array_equal(found.reshape(wanted.shape), wanted)


BOX = b"\0\0\0\x18ftyp"
OTHERS = {
    "a HEIC picture": [BOX + b"heic" + bytes(100), BOX + b"mif1" + bytes(100)],
    "an AVIF picture": [BOX + b"avif" + bytes(100)],
    "a JPEG XL picture": [b"\xff\x0a" + bytes(100), b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(100)],
    "a JPEG 2000 picture": [b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(100)],
    "a video": [BOX + b"isom" + bytes(100), b"\x1aE\xdf\xa3" + bytes(100)],
    "a PDF file": [b"%PDF-1.7 " + bytes(100)],
    "a FITS file": [b"SIMPLE  =                    T" + bytes(100)],
    "an HDF5 file": [b"\x89HDF\r\n\x1a\n" + bytes(100)],
    "a web page": [b"<!DOCTYPE html><html></html>"],
    "a placeholder of Git LFS in place of a file": [b"version https://git-lfs.github.com/spec/v1\noid sha256:00"],
}


@pytest.mark.parametrize(("kind", "data"), [(kind, data) for kind, files in OTHERS.items() for data in files])
def test_files_of_other_kinds_are_named(kind: str, data: bytes) -> None:
    with pytest.raises(InvalidInputError, match=rf"^The image is {kind}, which is not read\. Send one of JPEG, PNG"):
        open_image(data, max_pixels=MANY)


@pytest.mark.parametrize(
    ("format_", "feature", "kind"),
    [("AVIF", "avif", "an AVIF picture"), ("JPEG2000", "jpg_2000", "a JPEG 2000 picture")],
)
def test_files_that_pillow_writes_are_named(format_: str, feature: str, kind: str) -> None:
    if not features.check(feature):
        pytest.skip(f"This Pillow writes no {format_}.")
    with pytest.raises(InvalidInputError, match=kind):
        open_image(saved(COLOURS, format_), max_pixels=MANY)
