"""JPEG by libjpeg-turbo's own interface gives the pixels that Pillow gives, or leaves the file to Pillow."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from camgraph_runtime.preprocess import decode
from camgraph_runtime.preprocess.jpeg import decode_jpeg, is_plain_jpeg
from camgraph_runtime.preprocess.opening import open_image
from camgraph_runtime.preprocess.pixels import read_stored

LIMIT = 1_000_000
SIDES = (1, 2, 7, 8, 9, 16, 17, 33, 65)
SIZES = [*itertools.product(SIDES, SIDES), (211, 97), (120, 500)]
QUALITIES = (5, 60, 90, 100)


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Blotches with sharp edges and noise, uint8 [H, W, 3]."""
    rng = np.random.default_rng(seed + 1000 * height + width)
    coarse = Image.fromarray(rng.integers(0, 256, (height // 4 + 1, width // 4 + 1, 3), np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    return np.clip(smooth + rng.integers(-9, 10, smooth.shape), 0, 255).astype(np.uint8)


def by_pillow(data: bytes, mode: str = "RGB") -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert(mode))


def encode(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def colour(pixels: np.ndarray, quality: int, **options: object) -> bytes:
    return encode(Image.fromarray(pixels), quality=quality, **options)


def by_turbo(pixels: np.ndarray, quality: int, sampling: str) -> bytes:
    return simplejpeg.encode_jpeg(pixels, quality, "RGB", sampling)


ENCODERS = {
    "4:4:4": lambda pixels, quality: colour(pixels, quality, subsampling="4:4:4"),
    "4:2:2": lambda pixels, quality: colour(pixels, quality, subsampling="4:2:2"),
    "4:2:0": lambda pixels, quality: colour(pixels, quality, subsampling="4:2:0"),
    "4:4:0": lambda pixels, quality: by_turbo(pixels, quality, "440"),
    "4:1:1": lambda pixels, quality: by_turbo(pixels, quality, "411"),
    "progressive": lambda pixels, quality: colour(pixels, quality, progressive=True),
    "restarts": lambda pixels, quality: colour(pixels, quality, restart_marker_rows=1),
    "own tables": lambda pixels, quality: colour(pixels, quality, optimize=True),
    "RGB by Adobe's marker": lambda pixels, quality: colour(pixels, quality, keep_rgb=True),
    "grey": lambda pixels, quality: encode(Image.fromarray(pixels).convert("L"), quality=quality),
    "progressive grey": lambda pixels, quality: encode(
        Image.fromarray(pixels).convert("L"), quality=quality, progressive=True
    ),
}


@pytest.mark.parametrize("name", ENCODERS)
def test_the_pixels_are_those_of_pillow(name: str) -> None:
    for number, (size, quality) in enumerate(itertools.product(SIZES, QUALITIES)):
        data = ENCODERS[name](picture(*size, seed=number), quality)
        assert decode_jpeg(data, is_grey=False) is not None  # Pillow was not needed
        np.testing.assert_array_equal(decode(data, max_pixels=LIMIT), by_pillow(data))


def test_grey_is_stored_as_one_channel() -> None:
    data = ENCODERS["grey"](picture(33, 17), 80)
    np.testing.assert_array_equal(read_stored(open_image(data, max_pixels=LIMIT))[:, :, 0], by_pillow(data, "L"))


def test_cmyk_is_left_to_pillow() -> None:
    data = encode(Image.fromarray(picture(20, 30)).convert("CMYK"))
    assert not is_plain_jpeg(Image.open(io.BytesIO(data)))
    np.testing.assert_array_equal(decode(data, max_pixels=LIMIT), by_pillow(data))


def test_a_picture_with_others_in_its_file_is_decoded_as_the_first() -> None:
    first, second = Image.fromarray(picture(24, 40)), Image.fromarray(picture(24, 40, seed=1))
    buffer = io.BytesIO()
    first.save(buffer, "MPO", save_all=True, append_images=[second])
    data = buffer.getvalue()
    assert Image.open(io.BytesIO(data)).format == "MPO"
    np.testing.assert_array_equal(decode(data, max_pixels=LIMIT), by_pillow(data))


def test_a_damaged_file_gives_what_pillow_gives() -> None:
    rng = np.random.default_rng(4)
    outcomes = {True: 0, False: 0}
    for number in range(600):
        name = list(ENCODERS)[number % len(ENCODERS)]
        data = bytearray(ENCODERS[name](picture(40, 56, seed=number), 75))
        if number % 3 == 0:
            del data[int(rng.integers(len(data) // 2, len(data))) :]
        for place in rng.integers(150, len(data), int(rng.integers(1, 4))):
            data[place] = rng.integers(0, 256)
        if _pixels(data) > LIMIT:
            continue
        expected = _or_none(by_pillow, bytes(data))
        pixels = _or_none(lambda data: decode(data, max_pixels=LIMIT), bytes(data))
        outcomes[pixels is not None] += 1
        assert (pixels is None) == (expected is None), number
        if pixels is not None:
            np.testing.assert_array_equal(pixels, expected)
    assert min(outcomes.values()) > 50


def _pixels(data: bytes) -> int:
    try:
        width, height = Image.open(io.BytesIO(data)).size
    except Exception:  # Pillow may raise anything
        return 0
    return width * height


def _or_none(read: Callable[[bytes], np.ndarray], data: bytes) -> np.ndarray | None:
    try:
        return read(data)
    except Exception:  # as above
        return None
