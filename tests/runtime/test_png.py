"""PNG as it is written: every decoder reads the same pixels, at any size and level."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from camgraph_core import png
from camgraph_core.png import encode_png


@pytest.mark.parametrize("shape", [(1, 1), (1, 1, 3), (7, 5, 3), (64, 1, 3), (1, 300), (90, 200, 3)])
@pytest.mark.parametrize("level", [None, 0, 1, 6, 9])
@pytest.mark.parametrize("bytes_per_chunk", [1, 1000, 1 << 20])
def test_every_pixel_is_kept(
    shape: tuple[int, ...], level: int | None, bytes_per_chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(png, "_BYTES_PER_CHUNK", bytes_per_chunk)
    picture = np.random.default_rng(level or 0).integers(0, 256, shape, np.uint8)
    data = encode_png(picture, level=level)
    image = Image.open(io.BytesIO(data))
    image.verify()  # lengths and checksums of all chunks
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), picture)
    by_opencv = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(by_opencv[:, :, ::-1] if picture.ndim == 3 else by_opencv, picture)


def test_views_are_written_as_they_look() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (8, 6, 3), np.uint8)
    for view in (picture[::-1], picture.swapaxes(0, 1), picture[:, ::-1, ::-1], picture[:, :, 1]):
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(encode_png(view)))), view)


def test_smooth_pictures_become_small() -> None:
    smooth = np.broadcast_to(np.arange(256, dtype=np.uint8)[:, None], (256, 256))
    assert len(encode_png(smooth)) < smooth.size // 20
    assert len(encode_png(smooth, level=9)) <= len(encode_png(smooth)) < len(encode_png(smooth, level=0))
