"""A file that would cost more than its pixels is refused before any decoder sees it, whatever its kind."""

from __future__ import annotations

import io
import struct
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from types import FrameType

import numpy as np
import pytest
from PIL import Image

from camgraph_core.errors import InvalidInputError
from camgraph_runtime.preprocess import decode, opening
from camgraph_runtime.preprocess.containers import check_container
from camgraph_runtime.preprocess.containers.limits import MOST_PARTS, most_parts

LIMIT = 50_000_000
_WORK = 20  # lines of Python for each part of a file

PHOTO = Image.fromarray(np.random.default_rng(2).integers(0, 256, (40, 60, 3), np.uint8))


def encode(format_: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    PHOTO.save(buffer, format_, **options)
    return buffer.getvalue()


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*chunks: bytes, size: tuple[int, int] = (60, 40)) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b"")


def directory(entries: list[tuple[int, int, int, int]], size: int = 0) -> bytes:
    """A TIFF file, or a block of EXIF, with one directory, filled up with zeros."""
    table = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return (b"II*\0" + struct.pack("<IH", 8, len(entries)) + table + bytes(4)).ljust(size, b"\0")


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for kind, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def jpeg_with(*before: bytes) -> bytes:
    """A JPEG file with more segments at its front."""
    return b"\xff\xd8" + b"".join(before) + encode("JPEG")[2:]


def of_many_scans(count: int, side: int = 4000, frame: int = 0xC2) -> bytes:
    """A JPEG whose scans repeat: each is a few bytes that leave every block as it is."""
    size = segment(frame, struct.pack(">BHHB", 8, side, side, 3) + bytes([1, 17, 0, 2, 17, 0, 3, 17, 0]))
    scan = segment(0xDA, bytes([1, 1, 0, 1, 63, 0])) + b"\x7f\xff\0" * 20
    return b"\xff\xd8" + size + scan * count + b"\xff\xd9"


OVERLAPPING = directory([(65_000 - number, 7, 900_000, 0) for number in range(200)], 1_000_000)
WIDE_WEBP = struct.pack("<I", 0) + (16_000 - 1).to_bytes(3, "little") * 2

REFUSED = {
    "scans of a progressive JPEG": (of_many_scans(600), "more than 50 scans, each of which goes over all of its 16000"),
    "scans of a small progressive JPEG": (of_many_scans(65, 100), "more than 64 scans"),
    "scans of a sequential JPEG": (of_many_scans(600, 100, 0xC0), "more than 64 scans"),
    "restarts and tables between scans": (
        of_many_scans(1, 100)[:-2] + segment(0xFE, b"") * 5000,
        "JPEG file has more than 4096 parts",
    ),
    "segments of a JPEG": (jpeg_with(*[segment(0xFE, b"")] * 200_000), "JPEG file has more than 4096 parts"),
    "bytes between segments": (jpeg_with(segment(0xFE, b""), bytes(100_000)), "has 100000 bytes between two segments"),
    "fill bytes between segments": (jpeg_with(segment(0xFE, b""), b"\xff" * 100_000), "bytes between two segments"),
    "EXIF of a JPEG": (jpeg_with(*[segment(0xE1, b"Exif\0\0" + bytes(60_000))] * 20), "1200000 bytes of EXIF"),
    "profile of a JPEG": (jpeg_with(*[segment(0xE2, b"ICC_PROFILE\0" + bytes(60_000))] * 80), "bytes of ICC profile"),
    "entries of EXIF": (
        jpeg_with(segment(0xE1, b"Exif\0\0" + directory([(n, 7, 60_000, 0) for n in range(500)], 65_000))),
        r"directory state 30000000 bytes, but there are 65000",
    ),
    "entries of a list of pictures": (
        jpeg_with(segment(0xE2, b"MPF\0" + directory([(n, 7, 60_000, 0) for n in range(500)], 65_000))),
        "directory state 30000000 bytes",
    ),
    "chunks of a PNG": (png(chunk(b"IDAT", b"") * 100_000), "PNG file has more than 5267 parts, which is too many for"),
    "EXIF of a PNG": (png(chunk(b"eXIf", bytes(2_000_000))), "2000000 bytes of EXIF, but the limit is 1048576"),
    "profile of a PNG": (png(chunk(b"iCCP", bytes(5_000_000))), "5000000 bytes of ICC profile"),
    "frames of a WebP": (riff(*[(b"ANMF", b"")] * 20_000), "WebP file has more than 4252 parts"),
    "canvas of a WebP": (riff((b"VP8X", WIDE_WEBP)), "16000 x 16000 = 256000000 pixels, but the limit is 50000000"),
    "pixels of a lossless WebP": (
        riff((b"VP8L", b"\x2f" + (16_382 | 16_382 << 14).to_bytes(4, "little") + bytes(5))),
        "16383 x 16383 = ",
    ),
    "pixels of a WebP": (riff((b"VP8 ", bytes(3) + b"\x9d\x01\x2a" + b"\xff\x3f" * 2)), "16383 x 16383 = "),
    "comments of a GIF": (
        encode("GIF")[:6] + bytes(7) + b"\x21\xfe" + b"\x01." * 50_000,
        "GIF file has more than 4096 parts",
    ),
    "runs of a BMP": (
        b"BM" + bytes(28) + struct.pack("<I", 1) + bytes(5_000_000),
        "BMP file writes its pixels in runs",
    ),
    "entries of a TIFF": (OVERLAPPING, "directory state 180000000 bytes, but there are 1000000"),
    "strips of a TIFF": (
        directory([(273, 4, 100_000, 100)], 500_000),
        "An entry of the picture's TIFF or EXIF directory has 100000 values, but the limit is 65535",
    ),
    "profile of a TIFF": (directory([(34_675, 7, 5_000_000, 100)], 6_000_000), "5000000 bytes of ICC profile"),
}


@pytest.mark.parametrize(("data", "sentence"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused_before_a_decoder_sees_it(data: bytes, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("a decoder was asked")

    monkeypatch.setattr(opening.Image, "open", never)
    with pytest.raises(InvalidInputError, match=sentence):
        decode(data, max_pixels=LIMIT)


@pytest.mark.parametrize(("data", "_"), REFUSED.values(), ids=REFUSED)
def test_the_refusal_itself_takes_little_work_and_memory(data: bytes, _: str) -> None:
    """Work is counted in lines of Python, which touch a few bytes each, or search at the speed of memory."""

    def refuse() -> None:
        with pytest.raises(InvalidInputError):
            check_container(data, max_pixels=LIMIT)

    refuse()  # what is loaded and kept once
    lines, peak = _lines_of(refuse), _memory_of(refuse)
    assert lines < _WORK * most_parts(len(data)) + 2000
    assert peak < 5_000_000


def _lines_of(run: Callable[[], None]) -> int:
    count = 0

    def trace(_: FrameType, event: str, __: object) -> object:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        run()
    finally:
        sys.settrace(before)
    return count


def _memory_of(run: Callable[[], None]) -> int:
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _big_exif() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 3
    exif[0x927C] = b"maker's notes" * 4000
    return exif.tobytes()


HONEST = {
    "plain JPEG": encode("JPEG"),
    "progressive JPEG": encode("JPEG", progressive=True),
    "JPEG with EXIF and profile": encode("JPEG", exif=_big_exif(), icc_profile=bytes(300_000)),
    "JPEG with many markers": jpeg_with(*[segment(0xFE, b"comment")] * 1000, b"\xff" * 50),
    "JPEG with a restart in each row": encode("JPEG", progressive=True, restart_marker_blocks=1),
    "interlaced PNG with small chunks": png(
        *[chunk(b"tEXt", b"a\0b")] * 1000, chunk(b"IDAT", zlib.compress(bytes(7240)))
    ),
    "PNG with EXIF": encode("PNG", exif=_big_exif(), icc_profile=bytes(3000)),
    "lossless WebP": encode("WEBP", lossless=True),
    "lossy WebP with EXIF": encode("WEBP", exif=_big_exif()),
    "animated WebP": encode("WEBP", save_all=True, append_images=[PHOTO.rotate(9 * n) for n in range(20)]),
    "GIF with a comment": encode("GIF", comment=b"long" * 2000),
    "BMP": encode("BMP"),
    "TIFF in strips": encode("TIFF", strip_size=60 * 3),
    "TIFF, compressed": encode("TIFF", compression="tiff_deflate"),
    "BigTIFF": encode("TIFF", big_tiff=True),
}


@pytest.mark.parametrize("data", HONEST.values(), ids=HONEST)
def test_what_programs_write_passes(data: bytes) -> None:
    assert decode(data, max_pixels=LIMIT).shape == (40, 60, 3)


def test_a_large_progressive_photo_has_the_scans_that_encoders_write() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (7000, 7000)).save(buffer, "JPEG", progressive=True)
    check_container(buffer.getvalue(), max_pixels=LIMIT)


def test_exif_that_is_unpacked_from_text_is_checked_too() -> None:
    hostile = directory([(n, 7, 60_000, 0) for n in range(500)], 65_000).hex()
    text = chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(f"\nexif\n{len(hostile)}\n{hostile}".encode()))
    rows = chunk(b"IDAT", zlib.compress(bytes(40 * 181)))
    with pytest.raises(InvalidInputError, match="directory state 30000000 bytes"):
        decode(png(text, rows), max_pixels=LIMIT)


def test_a_side_that_is_too_long_is_refused_by_its_header() -> None:
    with pytest.raises(InvalidInputError, match="1 x 49000000 pixels, but the limit of a side is 65535"):
        decode(png(chunk(b"IDAT", b"never decoded"), size=(1, 49_000_000)), max_pixels=LIMIT)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_damage_anywhere_ends_in_pixels_or_in_a_sentence(kind: str) -> None:
    rng = np.random.default_rng(5)
    whole = encode(kind, **({"exif": _big_exif()} if kind in {"JPEG", "PNG", "WEBP", "TIFF"} else {}))
    for _ in range(150):
        data = bytearray(whole)
        for place in rng.integers(0, len(data), 3):
            data[place] = rng.integers(0, 256)
        try:
            pixels = decode(
                bytes(data[: rng.integers(1, len(data) + 1)] if rng.random() < 0.3 else data), max_pixels=LIMIT
            )
        except InvalidInputError:
            continue
        assert pixels.dtype == np.uint8


def test_the_number_of_parts_grows_with_the_file() -> None:
    assert most_parts(0) == MOST_PARTS
    assert most_parts(10**8) > 10**8 // 4096  # chunks of 4 KiB
