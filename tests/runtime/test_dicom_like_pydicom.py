"""DICOM files of every kind are read as pydicom reads them, and shown as its functions for grey scales say."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pydicom", reason="pydicom is not installed (extra `dicom`).")

from pydicom import dcmread
from pydicom.pixels import pixel_array
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi_lut

from camgraph_core.errors import InvalidInputError
from camgraph_runtime.preprocess.decode import decode
from camgraph_runtime.preprocess.opening import open_image
from support.dicoms import FRAMES, MANY, SLICE, dicom, item, of_pydicom, opened

# Files that pydicom brings, for its own tests: all that it reads by itself.
FILES = (
    "CT_small.dcm", "MR_small.dcm", "MR_small_RLE.dcm", "MR_small_bigendian.dcm", "MR_small_implicit.dcm",
    "MR_small_jp2klossless.dcm", "693_J2KI.dcm", "JPEG2000.dcm", "J2K_pixelrep_mismatch.dcm",
    "SC_rgb_small_odd.dcm", "SC_rgb_small_odd_jpeg.dcm", "SC_rgb_jpeg_dcmtk.dcm", "SC_rgb_dcmtk_+eb+cr.dcm",
    "SC_rgb_dcmtk_+eb+cy+np.dcm", "SC_rgb_dcmtk_+eb+cy+s4.dcm", "SC_rgb_gdcm_KY.dcm", "SC_rgb_rle.dcm",
    "SC_rgb_rle_16bit.dcm", "SC_rgb_rle_16bit_2frame.dcm", "SC_rgb_rle_32bit_2frame.dcm",
    "SC_ybr_full_422_uncompressed.dcm", "SC_jpeg_no_color_transform.dcm", "examples_overlay.dcm",
    "examples_palette.dcm", "examples_jpeg2k.dcm", "liver_1frame.dcm", "liver_expb_1frame.dcm", "rtdose.dcm",
    "rtdose_expb.dcm", "rtdose_rle.dcm",
)  # fmt: skip  # a list of names


def read_by_pydicom(data: bytes, index: int) -> np.ndarray:
    """The values of a frame in the unit of the modality, or its colours."""
    dataset = dcmread(io.BytesIO(data))
    pixels = pixel_array(dataset, index=index)
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        return np.asarray(apply_color_lut(pixels, dataset))
    return np.asarray(apply_modality_lut(pixels, dataset)) if pixels.ndim == 2 else np.asarray(pixels)


@pytest.mark.parametrize("name", FILES)
def test_files_of_pydicom_have_the_values_that_it_reads(name: str) -> None:
    data = of_pydicom(name).read_bytes()
    frames = int(dcmread(io.BytesIO(data)).get("NumberOfFrames", 1) or 1)
    for index in {0, frames - 1}:
        found = open_image(data, max_pixels=MANY, frame=index + 1).array  # type: ignore[union-attr]  # it is DICOM
        np.testing.assert_array_equal(found, read_by_pydicom(data, index))


SIGNED = (SLICE.astype(np.int16) - 1024) * 4
TABLE = np.arange(0, 4096, dtype=np.uint16)[::-1].copy()
GREY: dict[str, bytes] = {
    "a window": dicom(SLICE, bits=12, WindowCenter=2000, WindowWidth=1500),
    "windows, of which the first counts": dicom(SLICE, bits=12, WindowCenter=[2000, 9], WindowWidth=[1500, 2]),
    "a window after rescaling": dicom(
        SLICE, bits=12, RescaleSlope=2, RescaleIntercept=-1024, WindowCenter=400, WindowWidth=1800
    ),
    "a slope below zero": dicom(
        SLICE, bits=12, RescaleSlope=-1.5, RescaleIntercept=10, WindowCenter=-2000, WindowWidth=3000
    ),
    "a linear exact window": dicom(
        SLICE, bits=12, WindowCenter=2000, WindowWidth=1500, VOILUTFunction="LINEAR_EXACT"
    ),
    "a sigmoid": dicom(SLICE, bits=12, WindowCenter=2000, WindowWidth=900, VOILUTFunction="SIGMOID"),
    "signed values": dicom(SIGNED, WindowCenter=0, WindowWidth=4000),
    "signed values of 12 bits in 16": dicom(
        (SLICE.astype(np.int16) - 2048), bits=12, WindowCenter=0, WindowWidth=2000
    ),
    "signed values of 8 bits": dicom((SLICE // 16).astype(np.int16).astype(np.int8), WindowCenter=0, WindowWidth=100),
    "values of 32 bits": dicom(SLICE.astype(np.uint32) * 70_000, WindowCenter=1.4e8, WindowWidth=2e8),
    "a table of the modality": dicom(
        SLICE, bits=12, WindowCenter=2000, WindowWidth=1500,
        ModalityLUTSequence=item(LUTDescriptor=[4096, 0, 16], LUTData=TABLE.tobytes(), ModalityLUTType="US"),
    ),
    "a table of values": dicom(
        SLICE, bits=12, VOILUTSequence=item(LUTDescriptor=[4096, 0, 12], LUTData=TABLE.tobytes())
    ),
}  # fmt: skip  # a file in rows of its own


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("name", GREY)
def test_the_grey_scale_is_that_of_pydicom(name: str, inverted: bool) -> None:
    dataset = dcmread(io.BytesIO(GREY[name]))
    if inverted:
        dataset.PhotometricInterpretation = "MONOCHROME1"
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    wanted = apply_voi_lut(read_by_pydicom(buffer.getvalue(), 0), dataset).astype(np.float64)
    low, high = _whole_range(dataset)
    levels = (wanted - low) / (high - low) * 255
    levels = 255 - levels if inverted else levels
    found = decode(buffer.getvalue(), max_pixels=MANY)[:, :, 0]
    np.testing.assert_allclose(found, levels, atol=1.01)
    assert found.min() < 100 < found.max()


def _whole_range(dataset: Any) -> tuple[float, float]:
    """The ends of what pydicom's windows and tables give: those of the stored bits, in the unit of the modality."""
    if "VOILUTSequence" in dataset:
        return 0, 2 ** int(dataset.VOILUTSequence[0].LUTDescriptor[2]) - 1
    if "ModalityLUTSequence" in dataset:
        return 0, 2 ** int(dataset.ModalityLUTSequence[0].LUTDescriptor[2]) - 1
    bits = int(dataset.BitsStored)
    ends = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if dataset.PixelRepresentation else (0, 2**bits - 1)
    slope, intercept = float(dataset.get("RescaleSlope", 1)), float(dataset.get("RescaleIntercept", 0))
    return ends[0] * slope + intercept, ends[1] * slope + intercept


@pytest.mark.parametrize(
    "keyword",
    [
        "Columns",
        "SamplesPerPixel",
        "PhotometricInterpretation",
        "BitsAllocated",
        "BitsStored",
        "HighBit",
        "PixelRepresentation",
    ],
)
def test_what_a_file_lacks_is_named(keyword: str) -> None:
    with pytest.raises(InvalidInputError, match=f"it lacks {keyword}, without which its pixels cannot be read"):
        opened(dicom(SLICE, **{keyword: None}))


@pytest.mark.parametrize("name", ["JPEG-lossy.dcm", "JPGExtended.dcm"])
def test_a_frame_that_the_decoders_give_up_need_not_be_damaged(name: str) -> None:
    """JPEG of 12 bits, which Pillow does not read."""
    with pytest.raises(InvalidInputError, match=r"or compressed in a way \(.+\) that the decoders here do not read"):
        opened(of_pydicom(name).read_bytes()).array  # noqa: B018 - it is read there


@pytest.mark.parametrize("form", ["YBR_PARTIAL_422", "YBR_PARTIAL_420", "HSV"])
def test_colours_that_pydicom_leaves_as_they_are_count_as_unknown(form: str) -> None:
    colours = np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)
    with pytest.raises(InvalidInputError, match="of a kind that cannot be read"):
        opened(dicom(colours, PhotometricInterpretation=form))


def test_floating_point_pixels_are_refused_by_name() -> None:
    data = dicom(SLICE, PixelData=None, FloatPixelData=SLICE.astype("<f4").tobytes())
    with pytest.raises(InvalidInputError, match="floating-point pixels, which is not read"):
        opened(data)


def test_planes_and_frames_together() -> None:
    """Two frames of colours, red, green and blue each in a plane of its own."""
    colours = np.random.default_rng(0).integers(0, 255, (2, 8, 6, 3), np.uint8)
    data = dicom(colours[0], NumberOfFrames=2, PlanarConfiguration=1, PixelData=colours.transpose(0, 3, 1, 2).tobytes())
    for number in (1, 2):
        np.testing.assert_array_equal(opened(data, frame=number).array, colours[number - 1])
    for number, frame in enumerate(FRAMES, start=1):
        np.testing.assert_array_equal(opened(dicom(FRAMES, bits=12, frames=3), frame=number).array, frame)
