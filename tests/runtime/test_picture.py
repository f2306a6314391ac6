"""Pictures of more than 8 bits, of numbers, and of any number of channels: what the network gets, and what is said."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import InvalidGraphError, InvalidInputError
from camgraph_core.request import Request
from camgraph_runtime.preprocess import Picture, Preprocessor, decode

LIMIT = 100_000
RNG = np.random.default_rng(8)
RAMP = np.linspace(0, 4095, 48 * 32).reshape(32, 48)


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def encoded(array: np.ndarray, format_: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, format_)
    return buffer.getvalue()


def spec(channels: int, order: pb.ChannelOrder, *, divisor: float = 1, **more: object) -> pb.InputSpec:
    tensor = pb.TensorSpec(name="x", dtype="float32", shape=["N", str(channels), "32", "48"])
    return pb.InputSpec(tensor=tensor, layout=pb.LAYOUT_NCHW, channel_order=order, divisor=divisor, **more)


GREY, RGB = spec(1, pb.CHANNEL_ORDER_GRAY), spec(3, pb.CHANNEL_ORDER_RGB)


def read(source: object, wanted: pb.InputSpec = GREY, window: tuple[float, float] | None = None) -> Picture:
    return Preprocessor(wanted, max_pixels=LIMIT).read(source, Request(window=window))


TWELVE_BITS = {
    "PNG": encoded(RAMP.astype(np.uint16), "PNG"),
    "TIFF": encoded(RAMP.astype(np.uint16), "TIFF"),
    "TIFF of 32 bits": encoded(RAMP.astype(np.int32), "TIFF"),
    "npy": npy(RAMP.astype(np.uint16)),
    "npz": npz(image=RAMP.astype(">u2"), other=np.zeros(3)),
    "array": RAMP.astype(np.int64),
}


@pytest.mark.parametrize(("largest", "white"), [(200, 255), (700, 1023), (1770, 4095), (9000, 16383), (20000, 32767)])
def test_the_window_that_a_remark_names_is_one_that_devices_have(largest: int, white: int) -> None:
    [remark] = read(np.array([[0, largest]], np.uint16)).remarks
    assert remark.endswith(f"such as 0,{white}.")


@pytest.mark.parametrize("source", TWELVE_BITS.values(), ids=TWELVE_BITS)
def test_twelve_bits_in_sixteen_are_said_and_can_be_windowed(source: object) -> None:
    plain = read(source)
    [remark] = plain.remarks
    assert remark == (
        "The picture has 16 bits, but its largest value is 4095 of 65535: it was read as a dark one. "
        "Say what is black and what is white with a window (--window LOW,HIGH), such as 0,4095."
    )
    np.testing.assert_allclose(plain.pixels[:, :, 0], RAMP.astype(np.uint16) / 257, rtol=1e-6)
    assert len(np.unique(plain.pixels)) == len(np.unique(RAMP.astype(np.uint16)))
    for shown in (decode(source, max_pixels=LIMIT), plain.photo):
        assert (shown.min(), shown.max(), len(np.unique(shown))) == (0, 255, 256)
    windowed = read(source, window=(0, 4095))
    assert windowed.remarks == ()
    expected = RAMP.astype(np.uint16).astype(np.float64) / 4095 * 255
    np.testing.assert_allclose(windowed.pixels[:, :, 0], expected, atol=1e-4)
    np.testing.assert_array_equal(decode(source, max_pixels=LIMIT, window=(0, 4095))[:, :, 1], np.rint(expected))


def test_sixteen_bits_that_are_used_need_no_words() -> None:
    picture = read(encoded((RAMP * 16).astype(np.uint16), "PNG"))
    assert picture.remarks == ()
    np.testing.assert_allclose(picture.pixels[:, :, 0], (RAMP * 16).astype(np.uint16) / 257, rtol=1e-6)


NUMBERS = {
    "Hounsfield units": (
        (RAMP - 1024).astype(np.float32),
        (-1024, 3071),
        "numbers from -1024 to 3071, which were spread",
    ),
    "whole and negative": (
        (RAMP - 1024).astype(np.int16),
        (-1024, 3071),
        "whole numbers from -1024 to 3071, which were",
    ),
    "shares": (RAMP / 8190, (0, 1), "numbers from 0 to 0.5, which were read as 0 for black and 1 for white"),
    "pixels as floats": (RAMP / 32.0, (0, 255), "numbers from 0 to 127.969, which were read as 0 for black and 255"),
    "half precision": ((RAMP / 4095 * 300).astype(np.float16), (0, 300), "numbers from 0 to 300, which were spread"),
    "one value": (np.full((32, 48), -7.0), (-7, -6), "numbers from -7 to -7, which were spread"),
    "beyond 16 bits": ((RAMP * 1000).astype(np.uint32), (0, 4095000), "whole numbers from 0 to 4095000, which were"),
}


@pytest.mark.parametrize(("values", "window", "said"), NUMBERS.values(), ids=NUMBERS)
def test_numbers_are_read_and_said(values: np.ndarray, window: tuple[float, float], said: str) -> None:
    sources: list[object] = [values, npy(values), npz(arr_0=np.asfortranarray(values))]
    if values.dtype == np.float32:
        sources.append(encoded(values, "TIFF"))
    low, high = window
    expected = np.clip((values.astype(np.float64) - low) / (high - low), 0, 1) * 255
    for source in sources:
        picture = read(source)
        assert len(picture.remarks) == 1
        assert said in picture.remarks[0]
        np.testing.assert_allclose(picture.pixels[:, :, 0], expected, atol=2e-4)
        assert read(source, window=window).remarks == ()
        np.testing.assert_array_equal(read(source, window=window).pixels, picture.pixels)


def test_colour_with_sixteen_bits_in_each_can_be_windowed() -> None:
    colour = RNG.integers(0, 4096, (32, 48, 3), np.uint16)
    colour[5, 7, 1] = 4095

    for suffix in (".png", ".tiff"):
        data = cv2.imencode(suffix, colour[:, :, ::-1])[1].tobytes()
        assert "its largest value is 4095 of 65535" in read(data, RGB).remarks[0]
        np.testing.assert_allclose(read(data, RGB, (0, 4095)).pixels, colour / 4095 * 255, atol=1e-4)
        np.testing.assert_array_equal(read(data, spec(3, pb.CHANNEL_ORDER_STORED)).pixels, colour)


PACKED = {"as it is": 1, "LZW": 5, "deflate": 8, "deflate of Adobe": 32946}


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("packing", [*PACKED, "PNG"])
def test_sixteen_bits_of_files_are_those_that_opencv_wrote(channels: int, packing: str) -> None:
    values = RNG.integers(0, 65536, (32, 48, channels), np.uint16)
    order = [2, 1, 0, 3][:channels]
    options = [] if packing == "PNG" else [cv2.IMWRITE_TIFF_COMPRESSION, PACKED[packing]]
    data = cv2.imencode(".png" if packing == "PNG" else ".tiff", values[:, :, order], options)[1].tobytes()
    found = read(data, spec(channels, pb.CHANNEL_ORDER_STORED)).pixels
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bits_of_a_tiff_in_either_order_of_bytes(order: str) -> None:
    values = RNG.integers(0, 65536, (32, 48, 3), np.uint16)
    tags = [(256, 48), (257, 32), (259, 1), (262, 2), (273, 8), (277, 3), (278, 32), (279, values.nbytes)]
    entries = [struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in tags]
    bits = struct.pack(f"{order}HHII", 258, 3, 3, 8 + values.nbytes)
    table = b"".join(sorted([*entries, bits], key=lambda entry: struct.unpack(f"{order}H", entry[:2])))
    header = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8 + values.nbytes + 6)
    depth = struct.pack(f"{order}3H", 16, 16, 16)
    count = struct.pack(f"{order}H", len(entries) + 1)
    data = header + values.astype(f"{order}u2").tobytes() + depth + count + table + bytes(4)
    np.testing.assert_array_equal(read(data, spec(3, pb.CHANNEL_ORDER_STORED)).pixels, values)


@pytest.mark.parametrize("channels", [2, 4, 5, 12])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_stored_channels_go_in_as_they_are(channels: int, dtype: type) -> None:
    image = (RNG.random((32, 48, channels)) * 250).astype(dtype)
    means, stds = list(range(channels)), [1.0 + c for c in range(channels)]
    wanted = spec(channels, pb.CHANNEL_ORDER_STORED, divisor=2, mean=means, std=stds, stated=True)
    preprocessor = Preprocessor(wanted)
    for source in (image, npy(image), npz(image=image)):
        prepared = preprocessor.prepare(preprocessor.read(source))
        np.testing.assert_allclose(
            prepared.tensor[0], ((image / 2.0 - means) / stds).transpose(2, 0, 1), rtol=1e-6, atol=1e-6
        )
        assert prepared.photo.shape == prepared.network_image.shape == (32, 48, 3)
        shown = "bands 1, 2 and 3" if channels > 3 else "band 1"
        colours = " as red, green and blue" if channels > 3 else ""
        assert prepared.remarks == (f"Pictures show {shown} of {channels}{colours}.",)
    if dtype == np.uint8 and channels > 3:
        np.testing.assert_array_equal(prepared.photo, image[:, :, :3])


def test_a_png_with_transparency_has_four_stored_channels() -> None:
    rgba = RNG.integers(0, 256, (32, 48, 4), np.uint8)
    np.testing.assert_array_equal(read(encoded(rgba, "PNG"), spec(4, pb.CHANNEL_ORDER_STORED)).pixels, rgba)
    np.testing.assert_array_equal(read(rgba, spec(4, pb.CHANNEL_ORDER_STORED)).pixels, rgba)
    with pytest.raises(InvalidInputError, match="The image has 4 channels, but the network takes 5"):
        read(encoded(rgba, "PNG"), spec(5, pb.CHANNEL_ORDER_STORED))


@pytest.mark.parametrize(
    ("image", "wanted", "said"),
    [
        (np.zeros((32, 48, 3), np.uint8), spec(4, pb.CHANNEL_ORDER_STORED), "has 3 channels, but the network takes 4"),
        (np.zeros((32, 48), np.uint8), spec(4, pb.CHANNEL_ORDER_STORED), "has 1 channel, but the network takes 4"),
        (np.zeros((32, 48, 5), np.uint8), RGB, "has 5 channels, but the network takes a grey or colour photo"),
        (np.zeros((3, 32, 48), np.float32), RGB, "has 48 channels, but the network takes a grey or colour photo"),
        (np.full((32, 48), np.nan), GREY, "has 1536 values that are not finite numbers"),
        (np.full((32, 48), 1e300), GREY, "has 1536 values that are not finite numbers"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_numbers(image: np.ndarray, wanted: pb.InputSpec, said: str) -> None:
    for source in (image, npy(image)):
        with pytest.raises(InvalidInputError, match=said):
            read(source, wanted)


def test_values_that_a_guess_cannot_have_meant_are_said() -> None:
    guessed = spec(2, pb.CHANNEL_ORDER_STORED, divisor=255)
    for scale in (1.0, 10_000.0):
        said = read(RNG.random((32, 48, 2)) * scale, guessed).remarks[-1]
        assert "the graph was exported for 0..255, as a guess" in said
    assert len(read(RNG.integers(0, 256, (32, 48, 2), np.uint8), guessed).remarks) == 1


def test_floats_are_resized_and_padded_as_bytes_are() -> None:
    """The same steps on both; Pillow rounds bytes at every step."""
    photo = RNG.integers(0, 256, (20, 30, 3), np.uint8)
    letterbox = pb.GeometryStep(letterbox=pb.Letterbox(height=32, width=48, fill=114, filter=pb.FILTER_BILINEAR))
    wanted = spec(3, pb.CHANNEL_ORDER_RGB, steps=[letterbox])
    bytes_, floats = (Preprocessor(wanted).prepare(Picture(pixels)) for pixels in (photo, photo.astype(np.float32)))
    np.testing.assert_allclose(floats.tensor, bytes_.tensor, atol=1.01)
    assert not np.array_equal(floats.tensor, bytes_.tensor)
    assert floats.frame == bytes_.frame
    stored = Preprocessor(spec(3, pb.CHANNEL_ORDER_STORED, steps=[letterbox])).prepare(Picture(photo))
    np.testing.assert_array_equal(stored.tensor, bytes_.tensor)


def test_grey_floats_fill_three_channels_and_colour_becomes_luma() -> None:
    grey, colour = RNG.random((32, 48, 1)) * 255, RNG.random((32, 48, 3)) * 255
    tensor = Preprocessor(RGB).prepare(read(grey, RGB)).tensor
    np.testing.assert_allclose(tensor[0], np.repeat(grey, 3, axis=2).transpose(2, 0, 1), rtol=1e-6)
    luma = Preprocessor(GREY).prepare(read(colour)).tensor[0, 0]
    np.testing.assert_allclose(luma, colour @ [0.299, 0.587, 0.114], rtol=1e-5)


def test_an_input_without_a_channel_axis() -> None:
    wanted = pb.InputSpec(
        tensor=pb.TensorSpec(name="x", dtype="uint8", shape=["N", "32", "48"]),
        layout=pb.LAYOUT_NHW,
        channel_order=pb.CHANNEL_ORDER_GRAY,
        divisor=1,
    )
    grey = RNG.integers(0, 256, (32, 48), np.uint8)
    np.testing.assert_array_equal(Preprocessor(wanted).prepare(read(grey, wanted)).tensor, grey[None])
    wanted.mean.extend([1.0, 2.0])
    with pytest.raises(InvalidGraphError, match="2 values of input mean for 1 channels"):
        Preprocessor(wanted)


class TestHostileNumpyFiles:
    """A file may come from anybody: it is refused before it costs more memory than its bytes."""

    def header(self, shape: str, descr: str = "'<f4'") -> bytes:
        text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"
        text = text.ljust(117) + "\n"
        return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()

    @pytest.mark.parametrize(
        ("shape", "said"),
        [
            ("(100000, 100000)", "100000 x 100000 = 10000000000 pixels, but the limit is 100000"),
            ("(10, 10, 1000000000)", "400000000000 bytes of values, but the limit is 400000"),
            ("(10, 10)", "incomplete: it has 0 of 400 bytes"),
            ("(0, 10)", "no pixels"),
            ("(-1, 10)", "no pixels"),
            ("(10,)", r"has the shape \[H, W\] or \[H, W, C\]"),
            ("(1, 3, 10, 10)", r"has the shape \[H, W\] or \[H, W, C\]"),
            ("'text'", "damaged"),
            ("(" * 60 + ")" * 60, r"this is float32 \[\]"),
            ("(" * 60, "damaged"),
        ],
    )
    @pytest.mark.parametrize("packed", [False, True], ids=["npy", "npz"])
    def test_a_header_that_promises_too_much(self, shape: str, said: str, packed: bool) -> None:
        data = self.header(shape)
        if packed:
            buffer = io.BytesIO()
            with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("image.npy", data)
            data = buffer.getvalue()
        with pytest.raises(InvalidInputError, match=said):
            read(data)

    def test_pickled_objects_are_never_loaded(self) -> None:
        class Bomb:
            def __reduce__(self) -> tuple[object, ...]:
                return pytest.fail, ("It was unpickled.",)

        array = np.empty((4, 4), object)
        array[:] = Bomb()
        for data in (npy(array), npz(image=array)):
            with pytest.raises(InvalidInputError, match="elements of this array are object"):
                read(data)
        with pytest.raises(InvalidInputError, match="elements of this array are object"):
            read(self.header("(4, 4)", "'|O'"))

    def test_every_truncation_and_random_bytes(self) -> None:
        for data in (npy(RAMP), npz(image=RAMP)):
            for share in (0.02, 0.1, 0.5, 0.9):
                with pytest.raises(InvalidInputError):
                    read(data[: int(len(data) * share)])
        for start in (b"\x93NUMPY\x01\x00", b"\x93NUMPY\x09\x00", b"PK\x03\x04"):
            for _ in range(20):
                with pytest.raises(InvalidInputError):
                    read(start + RNG.bytes(300))

    def test_an_archive_must_say_which_array(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidInputError, match="its arrays are: a, b"):
            read(npz(a=RAMP, b=RAMP))
        with pytest.raises(InvalidInputError, match="its arrays are: none"):
            read(npz())
        np.savez(tmp_path / "one.npz", anything=RAMP)
        assert read(tmp_path / "one.npz").pixels.shape == (32, 48, 1)
