"""A JPEG decoded at a fraction of its size: what that may change, and what it must not."""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np
import pytest
import simplejpeg
from PIL import ExifTags, Image

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.request import Request
from camgraph_core.style import Style
from camgraph_runtime import Explainer, Threads
from camgraph_runtime.network_input import NetworkInput
from camgraph_runtime.preprocess.camera import upright, upright_size
from support.tiny_graph import TinyGraph

HEIGHT, WIDTH = 301, 419
STRETCH = pb.GeometryStep(resize_to=pb.ResizeTo(height=16, width=16, filter=pb.FILTER_BICUBIC))
SQUARE = pb.GeometryStep(center_square=pb.CenterSquare())
SHORTER = pb.GeometryStep(resize_shorter_side=pb.ResizeShorterSide(size=18, filter=pb.FILTER_BILINEAR))
CROP = pb.GeometryStep(center_crop=pb.CenterCrop(height=16, width=16))


def blotches(height: int = HEIGHT, width: int = WIDTH) -> Image.Image:
    """Smooth colours, so that fractions differ from averages by little, and shifts by a pixel by much."""
    coarse = np.random.default_rng(0).integers(0, 256, (7, 9, 3), np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, orientation: int = 1, kind: str = "JPEG") -> bytes:
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[ExifTags.Base.Orientation] = orientation
    image.save(buffer, kind, quality=97, exif=exif)
    return buffer.getvalue()


def explainer(*steps: pb.GeometryStep) -> Explainer:
    return Explainer(TinyGraph(steps=steps or [STRETCH]).serialize(), threads=Threads(1))


def prepared(data: bytes, *steps: pb.GeometryStep, scaled: bool = True, **asked: Any) -> NetworkInput:
    return explainer(*steps).prepare(data, Request(scaled_decoding=scaled, **asked))


def decoded_size(subject: NetworkInput) -> tuple[int, ...]:
    assert subject.prepared is not None
    return subject.prepared.photo.shape[:2]


def seen(subject: NetworkInput) -> np.ndarray:
    assert subject.prepared is not None
    return subject.prepared.network_image.astype(int)


@pytest.mark.parametrize(
    ("side", "asked", "fraction"),
    [
        (32 * 8, {}, 8),  # the network takes 16 x 16, and the resize starts from twice that
        (32 * 8 - 1, {}, 4),
        (32 * 4 - 1, {}, 2),
        (32 * 2 - 1, {}, 1),
        (640, {"style": Style(max_side=80)}, 8),
        (640, {"style": Style(max_side=81)}, 4),
        (640, {"style": Style(max_side=320), "outputs": ("overlay-jpeg",)}, 2),
        (640, {"style": Style(max_side=320), "outputs": ("heatmap",)}, 8),
        (640, {"outputs": ("overlay-png",)}, 1),
        (640, {"outputs": ("heatmap", "raw-map")}, 8),
    ],
)
def test_the_fraction_is_the_smallest_that_is_large_enough(side: int, asked: dict[str, Any], fraction: int) -> None:
    subject = prepared(encoded(blotches(side, side)), **asked)
    assert decoded_size(subject) == (-(-side // fraction),) * 2
    assert subject.frame.photo_size == (side, side)


@pytest.mark.parametrize("steps", [[STRETCH], [SHORTER, CROP]], ids=["stretched", "cropped"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_network_sees_the_same_place_of_the_photo(orientation: int, steps: list[pb.GeometryStep]) -> None:
    """The sides are no multiples of 8, so that the last pixel of a fraction goes beyond the photo."""
    data = encoded(blotches(), orientation)
    whole, part = prepared(data, *steps, scaled=False), prepared(data, *steps)
    assert part.frame == whole.frame
    assert decoded_size(part) == upright_size((38, 53), orientation)
    difference = np.abs(seen(part) - seen(whole))
    assert difference.mean() < 1
    assert difference.max() < 8


def test_a_mirrored_photo_is_seen_mirrored() -> None:
    """The turns and the place of the photo in its pixels go together: a wrong one moves all that is seen."""
    straight = seen(prepared(encoded(blotches())))
    for orientation in range(2, 9):
        turned = seen(prepared(encoded(blotches(), orientation)))
        assert np.abs(turned - upright(straight, orientation)).max() <= 1


def test_the_resize_reads_the_photos_part_of_the_pixels() -> None:
    data = encoded(blotches())
    pixels = simplejpeg.decode_jpeg(data, "RGB", min_height=38, min_width=53)
    assert pixels.shape == (38, 53, 3)
    box = (0, 0, WIDTH / 8, HEIGHT / 8)
    wanted = Image.fromarray(pixels).resize((16, 16), Image.Resampling.BICUBIC, box)
    np.testing.assert_array_equal(seen(prepared(data)), np.asarray(wanted))


@pytest.mark.parametrize("kind", ["PNG", "CMYK", "array"])
def test_what_is_no_plain_jpeg_is_read_as_ever(kind: str) -> None:
    image = blotches().convert("CMYK") if kind == "CMYK" else blotches()
    source: Any = np.asarray(image) if kind == "array" else encoded(image, kind="JPEG" if kind == "CMYK" else "PNG")
    whole, part = prepared(source, scaled=False), prepared(source)
    np.testing.assert_array_equal(part.tensor, whole.tensor)
    assert decoded_size(part) == (HEIGHT, WIDTH)


def test_a_photo_that_is_cut_before_it_is_resized_is_decoded_in_full() -> None:
    data = encoded(blotches())
    np.testing.assert_array_equal(
        prepared(data, SQUARE, STRETCH).tensor, prepared(data, SQUARE, STRETCH, scaled=False).tensor
    )


def test_grey_is_decoded_at_a_fraction_too() -> None:
    subject = prepared(encoded(blotches().convert("L")))
    assert decoded_size(subject) == (38, 53)
    assert np.ptp(seen(subject), axis=2).max() == 0


def test_what_pillow_has_to_decode_is_decoded_in_full() -> None:
    """A file with bytes that do not belong to it: the decoder of fractions finds fault with it, and Pillow does not."""
    data = encoded(blotches())
    scan = data.index(b"\xff\xda")
    spoilt = data[:scan] + b"\0\0\0\0" + data[scan:]
    subject = prepared(spoilt)
    assert decoded_size(subject) == (HEIGHT, WIDTH)
    np.testing.assert_array_equal(subject.tensor, prepared(spoilt, scaled=False).tensor)


def test_pictures_have_the_sizes_that_were_asked_for() -> None:
    """Small ones are drawn of the fraction; larger ones, and the photo, of the photo in full."""
    data = encoded(blotches(), orientation=6)
    whole = explainer().explain(data)
    part = explainer().explain(data, scaled_decoding=True)
    assert part.image_size == whole.image_size == (HEIGHT, WIDTH)
    [mine], [theirs] = part.explanations, whole.explanations
    assert mine.heatmap.shape == theirs.heatmap.shape == (WIDTH, HEIGHT)
    small, wanted = (item.overlay(max_side=50).astype(int) for item in (mine, theirs))
    assert small.shape == wanted.shape == (50, 36, 3)
    assert np.abs(small - wanted).mean() < 3
    assert "photo" not in part.canvas.__dict__  # nothing was decoded again so far
    copy = pickle.loads(pickle.dumps(part))
    assert whole.photo is not None
    for result in (part, copy):
        np.testing.assert_array_equal(result.photo, whole.photo)
    assert mine.overlay().shape == (WIDTH, HEIGHT, 3)


def test_a_picture_of_the_photos_size_is_drawn_on_the_whole_photo() -> None:
    data = encoded(blotches())
    asked = {"outputs": ["overlay-png"]}
    [whole], [part] = (explainer().explain(data, scaled_decoding=on, **asked).explanations for on in (False, True))
    assert part.overlay_png == whole.overlay_png


def test_a_panel_does_not_decode_the_photo_again() -> None:
    result = explainer().explain(encoded(blotches(8 * 1120, 8 * 160)), scaled_decoding=True, max_side=1120)
    result.panel()
    assert "photo" not in result.canvas.__dict__
