"""Every kind of TIFF gives the values that were written, or is refused: as an image, and as a scene by windows."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tifffile
from PIL import Image

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import InvalidInputError
from camgraph_core.request import Request
from camgraph_exporter import Input, export
from camgraph_runtime import Explainer, SceneExplainer
from camgraph_runtime.preprocess import Preprocessor, decode
from camgraph_runtime.preprocess.memory import reading_bytes
from camgraph_runtime.scene.source import open_scene
from support.nets import Net
from support.rasters import tiff

RNG = np.random.default_rng(0)
HEIGHT, WIDTH = 40, 48
LIMIT = 1_000_000
RAMP = np.linspace(0, 1, WIDTH)[None].repeat(HEIGHT, axis=0)


def ramp(dtype: str, bits: int = 0) -> np.ndarray:
    """Values that grow from left to right, over all that the type or the bits can have; of floats 0 to 0.9."""
    if np.dtype(dtype).kind == "f":
        return (RAMP * 0.9).astype(dtype)
    info = np.iinfo(dtype)
    low, high = (0, 2**bits - 1) if bits else (info.min, info.max)
    return (low + RAMP * (float(high) - low) * 0.999).astype(dtype)


def of_pillow(pixels: np.ndarray, mode: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, "TIFF", **options)
    return buffer.getvalue()


def spec(channels: int, order: pb.ChannelOrder.ValueType = pb.CHANNEL_ORDER_STORED) -> pb.InputSpec:
    shape = ["N", str(channels), "H", "W"]
    tensor = pb.TensorSpec(name="x", dtype="float32", shape=shape)
    return pb.InputSpec(layout=pb.LAYOUT_NCHW, channel_order=order, divisor=1, tensor=tensor)


FORMS: dict[str, dict[str, Any]] = {
    "strips": {"rowsperstrip": 7},
    "tiles and Deflate": {"tile": (16, 16), "compression": "deflate"},
    "LZW with differences": {"compression": "lzw", "predictor": True},
    "big, of the other order": {"bigtiff": True, "byteorder": ">"},
}
DTYPES = [
    "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32", "float64",
]  # fmt: skip  # in one row


def shown(data: bytes) -> np.ndarray:
    return decode(data, max_pixels=LIMIT)[:, :, 0].astype(int)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("white", ["low", "high"])
def test_grey_of_every_type(white: str, dtype: str, form: dict[str, Any], tmp_path: Path) -> None:
    """Where low values are white, pictures are turned round; stored numbers are where the largest one is known."""
    values = ramp(dtype)
    if dtype.endswith("64") and "predictor" in form:
        form = {"compression": "lzw"}
    data = tiff(values, photometric="miniswhite" if white == "low" else "minisblack", **form)
    grown = shown(data)[0]
    assert (np.diff(grown) * (-1 if white == "low" else 1) >= 0).all()
    assert (grown.min(), grown.max()) == pytest.approx((0, 255), abs=30)
    picture = Preprocessor(spec(1)).read(data)
    is_counted = dtype in ("uint8", "uint16")
    wanted = np.iinfo(dtype).max - values if white == "low" and is_counted else values
    np.testing.assert_array_equal(picture.pixels[:, :, 0], wanted.astype(picture.pixels.dtype))
    assert any("are white, but its numbers went in" in said for said in picture.remarks) == (
        white == "low" and not is_counted
    )
    (tmp_path / "scene.tif").write_bytes(data)
    scene, _ = open_scene(tmp_path / "scene.tif", spec(1), Request(), max_pixels=LIMIT)
    np.testing.assert_array_equal(scene.read(slice(3, 30), slice(5, 40))[:, :, 0], wanted[3:30, 5:40])


@pytest.mark.parametrize("bits", [2, 4, 10, 12, 14])
@pytest.mark.parametrize("white", ["low", "high"])
def test_bits_that_fill_no_byte(bits: int, white: str, tmp_path: Path) -> None:
    """The largest value is that of the bits, so 4095 of 12 bits is white without a window."""
    values = ramp("uint8" if bits < 8 else "uint16", bits)
    data = tiff(values, photometric="miniswhite" if white == "low" else "minisblack", bitspersample=bits)
    turned = 2**bits - 1 - values if white == "low" else values
    np.testing.assert_allclose(shown(data), turned / (2**bits - 1) * 255, atol=0.51)
    np.testing.assert_array_equal(Preprocessor(spec(1)).read(data).pixels[:, :, 0], turned)
    (tmp_path / "scene.tif").write_bytes(data)
    scene, _ = open_scene(tmp_path / "scene.tif", spec(1), Request(), max_pixels=LIMIT)
    np.testing.assert_array_equal(scene.read()[:, :, 0], turned)
    assert 3 * values.size < reading_bytes(data, max_pixels=LIMIT)


COLOURS = RNG.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
INKS = RNG.integers(0, 256, (HEIGHT, WIDTH, 4), np.uint8)
BANDS = {
    "colours of 8 bits": (COLOURS, {"photometric": "rgb"}),
    "colours of 16 bits": (COLOURS.astype(np.uint16) * 251, {"photometric": "rgb"}),
    "signed colours": (COLOURS.astype(np.int16) - 100, {"photometric": "rgb"}),
    "colours of 32 bits": (COLOURS.astype(np.uint32) << 24, {"photometric": "rgb"}),
    "colours as numbers": ((COLOURS / 255).astype(np.float32), {"photometric": "rgb"}),
    "inks": (INKS, {"photometric": "separated"}),
    "inks of 16 bits": (INKS.astype(np.uint16) * 251, {"photometric": "separated"}),
    "colours and near infrared": (INKS, {"photometric": "rgb", "extrasamples": ["unspecified"]}),
    "colours with alpha": (INKS, {"photometric": "rgb", "extrasamples": ["unassalpha"]}),
    "colours times alpha": (INKS, {"photometric": "rgb", "extrasamples": ["assocalpha"]}),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("kind", BANDS)
def test_bands_of_every_kind(kind: str, planes: str, form: dict[str, Any], tmp_path: Path) -> None:
    values, options = BANDS[kind]
    stored = values if planes == "contig" else np.ascontiguousarray(values.transpose(2, 0, 1))
    if values.dtype.kind == "f" and "predictor" in form:
        form = {"compression": "deflate", "predictor": 3}
    data = tiff(stored, planarconfig=planes, **options, **form)
    np.testing.assert_array_equal(tifffile.imread(io.BytesIO(data)), stored)
    channels = values.shape[2]
    found = Preprocessor(spec(channels)).read(data)
    np.testing.assert_array_equal(found.pixels, values.astype(found.pixels.dtype))
    (tmp_path / "scene.tif").write_bytes(data)
    scene, _ = open_scene(tmp_path / "scene.tif", spec(channels), Request(), max_pixels=LIMIT)
    np.testing.assert_array_equal(scene.read(slice(3, 30), slice(5, 40)), values[3:30, 5:40])
    assert 3 * values.nbytes / channels < reading_bytes(data, max_pixels=LIMIT)


def test_near_infrared_is_no_alpha() -> None:
    """Four bands of 8 bits, of which nothing says that the fourth is transparency."""
    data = tiff(INKS, photometric="rgb", extrasamples=["unspecified"])
    with pytest.raises(InvalidInputError, match="4 channels, but the network takes a grey or colour photo"):
        Preprocessor(spec(3, pb.CHANNEL_ORDER_RGB)).read(data)


REFUSED = {
    "JPEG 2000": {"compression": "jpeg2000"},
    "LERC": {"compression": "lerc"},
    "JPEG XL": {"compression": "jpegxl"},
    "WebP": {"compression": "webp"},
    "a colour space of profiles": {"photometric": "icclab"},
}


@pytest.mark.parametrize(
    ("kind", "channels"), [*((kind, 3) for kind in REFUSED), *((kind, 1) for kind in ("JPEG 2000", "LERC", "JPEG XL"))]
)
def test_what_is_not_read_is_named(kind: str, channels: int, tmp_path: Path) -> None:
    pytest.importorskip("imagecodecs", reason="imagecodecs is not installed, which writes these kinds of TIFF.")
    values = COLOURS if channels == 3 else COLOURS[:, :, 0]
    data = tiff(values, **({"photometric": "rgb"} if channels == 3 else {}) | REFUSED[kind])
    (tmp_path / "scene.tif").write_bytes(data)
    with pytest.raises(InvalidInputError, match="compressed or coloured in a way that is not read"):
        Preprocessor(spec(channels)).read(data)
    with pytest.raises(InvalidInputError, match="compressed or coloured in a way that is not read"):
        open_scene(tmp_path / "scene.tif", spec(channels), Request(), max_pixels=LIMIT)


@pytest.fixture(scope="module")
def explainer(tmp_path_factory: pytest.TempPathFactory) -> Explainer:
    folder, net = tmp_path_factory.mktemp("photos"), Net(seed=1)
    layer = net.node("Relu", net.conv(net.image(("N", 3, 16, 16)), (3, 8)), name="layer")
    output = net.node("Softmax", net.pooled_head(layer, 8, 4), name="probabilities", axis=1)
    onnx.save(net.model(output, shapes={output: ("N", 4)}), folder / "net.onnx")
    export(folder / "net.onnx", folder / "cam.onnx", input=Input(divisor=255, mean=(0,), std=(1,), resize="stretch"))
    return Explainer(folder / "cam.onnx")


WHITE: dict[str, Any] = {"photometric": "miniswhite"}
PHOTOS = {
    "grey": tiff(ramp("uint8")),
    "8 bits, low is white": tiff(ramp("uint8"), **WHITE),
    "16 bits, low is white": tiff(ramp("uint16"), **WHITE),
    "12 bits": tiff(ramp("uint16", 12), bitspersample=12),
    "12 bits, low is white": tiff(ramp("uint16", 12), bitspersample=12, **WHITE),
    "a bit": of_pillow(ramp("uint8"), "1", compression="group4"),
    "planes of 16 bits": tiff(
        np.ascontiguousarray((COLOURS.astype(np.uint16) * 257).transpose(2, 0, 1)),
        photometric="rgb", planarconfig="separate",
    ),
    "palette": tiff(INKS[:, :, 0], photometric="palette", colormap=RNG.integers(0, 65535, (3, 256)).astype(np.uint16)),
    "inks": tiff(INKS, photometric="separated"),
    "alpha": tiff(INKS, photometric="rgb", extrasamples=["unassalpha"]),
    "colours times alpha": tiff(INKS // 2, photometric="rgb", extrasamples=["assocalpha"]),
    "JPEG": of_pillow(COLOURS, "RGB", compression="jpeg"),
}  # fmt: skip  # a form in rows of its own
WINDOWED = {
    "8 bits": (tiff(ramp("uint8")), (50, 200)),
    "8 bits, low is white": (tiff(ramp("uint8"), **WHITE), (50, 200)),
    "16 bits, low is white": (tiff(ramp("uint16"), **WHITE), (10_000, 20_000)),
    "signed, low is white": (tiff(ramp("int16"), **WHITE), (-10_000, 20_000)),
    "numbers, low is white": (tiff(ramp("float32"), **WHITE), (0.25, 0.5)),
}


@pytest.mark.parametrize(
    ("data", "window"),
    [(data, None) for data in PHOTOS.values()] + list(WINDOWED.values()),
    ids=[*PHOTOS, *(f"{name}, with a window" for name in WINDOWED)],
)
def test_a_scene_in_one_window_is_the_image(
    data: bytes, window: tuple[float, float] | None, explainer: Explainer, tmp_path: Path
) -> None:
    path = tmp_path / "scene.tif"
    path.write_bytes(data)
    image = explainer.explain(path, window=window, top_k=1)
    scene = SceneExplainer(explainer, tile=WIDTH, overlap=0).explain(path, window=window, top_k=1)
    np.testing.assert_allclose(scene.photo.astype(int), image.photo, atol=1)
    assert scene.predictions[0].probability == pytest.approx(image.predictions[0].probability, abs=2e-3)
    if window is not None:
        stored = tifffile.imread(io.BytesIO(data)).astype(np.float64)
        level = np.clip((stored - window[0]) / (window[1] - window[0]), 0, 1)
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            level = 1 - level if file.pages[0].photometric == 0 else level
        np.testing.assert_allclose(image.photo[:, :, 0], level * 255, atol=0.51)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_no_data_is_that_of_the_file_where_low_values_are_white(dtype: str, tmp_path: Path) -> None:
    values = ramp(dtype)
    values[:10] = 7
    data = tiff(values, nodata="7", photometric="miniswhite")
    (tmp_path / "scene.tif").write_bytes(data)
    named = spec(1)
    named.mean.append(0.0)
    missing = Preprocessor(named).read(data).missing
    assert missing is not None
    np.testing.assert_array_equal(missing, values == 7)
    for request in (Request(), Request(nodata=7)):
        scene, settled = open_scene(tmp_path / "scene.tif", named, request, max_pixels=LIMIT)
        np.testing.assert_array_equal(scene.read()[:, :, 0] == settled.nodata, values == 7)
