"""DICOM files: values, grey scales against pydicom's own, frames, and that nothing of the patient comes out."""

from __future__ import annotations

import io
import logging
import sys
import traceback
import warnings
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from pydicom.uid import JPEGBaseline8Bit

from camgraph_core.errors import InvalidInputError, UnsupportedError, UsageError
from camgraph_core.request import Request
from camgraph_core.windows import WINDOWS
from camgraph_runtime import Explainer
from camgraph_runtime.preprocess import decode
from camgraph_runtime.preprocess.memory import reading_bytes
from camgraph_runtime.preprocess.opening import open_image
from camgraph_runtime.preprocess.window import spread
from support.dicoms import FRAMES, MANY, SECRET, SLICE, dicom, item, of_pydicom, opened


def shown(data: bytes, window: Any = None, **options: Any) -> np.ndarray:
    """On the scale 0..255, as a network of photos sees it."""
    found = opened(data, **options)
    return np.asarray(spread(found.array, found.scale(window)).values, np.float64)


def test_values_are_in_the_unit_of_the_modality() -> None:
    found = opened(dicom(SLICE, bits=12, RescaleSlope=2, RescaleIntercept=-1024))
    np.testing.assert_array_equal(found.array, SLICE * 2.0 - 1024)
    assert (found.grade.low, found.grade.high) == (-1024, 2 * 4095 - 1024)  # type: ignore[union-attr]  # it is grey


def test_only_stored_bits_count() -> None:
    with_overlay = SLICE | np.uint16(0x8000)
    np.testing.assert_array_equal(opened(dicom(with_overlay, bits=12)).array, SLICE)
    signed = (SLICE.astype(np.int16) - 2048) & np.int16(0x0FFF)  # two's complement of 12 bits
    np.testing.assert_array_equal(opened(dicom(signed, bits=12)).array, SLICE.astype(int) - 2048)
    shifted = (SLICE << 4).astype(np.uint16)
    np.testing.assert_array_equal(opened(dicom(shifted, bits=12, HighBit=15)).array, SLICE)


@pytest.mark.parametrize(
    "tags",
    [
        {"WindowCenter": 1500, "WindowWidth": 700},
        {"WindowCenter": [40, 400], "WindowWidth": [80, 4000]},
        {"WindowCenter": 1500, "WindowWidth": 700, "VOILUTFunction": "LINEAR_EXACT"},
        {"WindowCenter": 1500, "WindowWidth": 700, "VOILUTFunction": "SIGMOID"},
        {"WindowCenter": 300, "WindowWidth": 1, "RescaleSlope": 0.5, "RescaleIntercept": -20.5},
        {
            "VOILUTSequence": item(
                LUTDescriptor=[1000, 700, 12],
                LUTData=(4095 * np.linspace(0, 1, 1000) ** 2).astype("<u2").tobytes(),
            )
        },
    ],
)
def test_the_grey_scale_of_the_file_is_that_of_the_standard(tags: dict[str, Any]) -> None:
    data = dicom(SLICE, bits=12, **tags)
    dataset = dcmread(io.BytesIO(data))
    stored = dataset.pixel_array
    wanted = apply_voi_lut(apply_modality_lut(stored, dataset), dataset).astype(np.float64)
    slope, intercept = float(dataset.get("RescaleSlope", 1)), float(dataset.get("RescaleIntercept", 0))
    if "VOILUTSequence" in dataset:
        low, high = 0.0, 4095.0
    else:  # pydicom spreads over what the stored bits give in the unit of the modality
        low, high = intercept, 4095 * slope + intercept
    got = shown(data)
    np.testing.assert_allclose(
        got, (wanted - low) * 255 / (high - low), atol=0.5 if "VOILUTSequence" in dataset else 1e-3
    )
    np.testing.assert_allclose(shown(dicom(SLICE, bits=12, PhotometricInterpretation="MONOCHROME1", **tags)), 255 - got)


def test_the_users_window_is_in_the_unit_of_the_modality_and_wins() -> None:
    tags: dict[str, Any] = {"RescaleIntercept": -1024, "RescaleSlope": 1, "WindowCenter": 0, "WindowWidth": 9}
    for photometric in ("MONOCHROME2", "MONOCHROME1"):
        got = shown(dicom(SLICE, bits=12, PhotometricInterpretation=photometric, **tags), WINDOWS["lung"])
        wanted = np.clip((SLICE.astype(float) - 1024 + 1350) / 1500, 0, 1) * 255
        np.testing.assert_allclose(got, wanted if photometric == "MONOCHROME2" else 255 - wanted, atol=1e-3)


def test_windows_of_ct() -> None:
    assert WINDOWS["lung"] == (-1350, 150)
    assert WINDOWS["brain"] == (0, 80)
    assert WINDOWS["bone"] == (-500, 1300)
    assert WINDOWS["12bit"] == (0, 4095)


def versions() -> dict[str, tuple[bytes, Any]]:
    """One slice with 8, 12 and 16 bits, and the window that each needs."""
    grey = {8: (SLICE >> 4).astype(np.uint8), 12: SLICE, 16: (SLICE << 4).astype(np.uint16)}
    made: dict[str, tuple[bytes, Any]] = {}
    for bits, pixels in grey.items():
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        made[f"png {bits}"] = buffer.getvalue(), "12bit" if bits == 12 else None
        made[f"dicom {bits}"] = dicom(pixels, bits=bits), None
    signed = SLICE.astype(np.int16) - 1024
    made["ct"] = dicom(signed, RescaleSlope=1, RescaleIntercept=0), (-1024, 3071)
    made["white is low"] = dicom(4095 - SLICE, bits=12, PhotometricInterpretation="MONOCHROME1"), None
    return made


@pytest.mark.parametrize("task", ["regression", "segmentation", "detection"])
def test_one_slice_scores_alike_with_8_12_and_16_bits(task_graphs: dict[str, Explainer], task: str) -> None:
    results = {name: task_graphs[task].explain(data, window=window) for name, (data, window) in versions().items()}
    wanted = results["png 8"]
    for name, result in results.items():
        got = result.explanations[0].target
        assert got.class_index == wanted.explanations[0].target.class_index
        assert got.score == pytest.approx(wanted.explanations[0].target.score, rel=0.01), name
        heatmaps = result.explanations[0].heatmap, wanted.explanations[0].heatmap
        assert np.abs(np.subtract(*heatmaps)).mean() < 0.01
        photos = result.photo, wanted.photo
        assert np.abs(np.subtract(*photos, dtype=int)).max() <= 1, name


@pytest.mark.parametrize(
    "name", ["MR_small_RLE.dcm", "MR_small_bigendian.dcm", "MR_small_implicit.dcm", "MR_small_jp2klossless.dcm"]
)
def test_the_same_picture_in_other_spellings(name: str) -> None:
    plain, other = (of_pydicom(file).read_bytes() for file in ("MR_small.dcm", name))
    np.testing.assert_array_equal(shown(other), shown(plain))


@pytest.mark.parametrize("name", ["SC_rgb_small_odd.dcm", "SC_rgb_jpeg_dcmtk.dcm", "SC_ybr_full_422_uncompressed.dcm"])
def test_colour(name: str) -> None:
    photo = decode(of_pydicom(name), max_pixels=MANY)
    assert photo.dtype == np.uint8
    np.testing.assert_array_equal(photo, dcmread(of_pydicom(name)).pixel_array)


def test_a_palette_is_looked_up() -> None:
    photo = decode(of_pydicom("examples_palette.dcm"), max_pixels=MANY)
    assert photo.shape == (350, 800, 3)
    assert len(np.unique(photo.reshape(-1, 3), axis=0)) > 100


def test_one_frame_of_several() -> None:
    data = dicom(FRAMES, bits=12, frames=3)
    for number, frame in enumerate(FRAMES, start=1):
        np.testing.assert_array_equal(opened(data, frame=number).array, frame)
    with pytest.raises(UsageError, match=r"has 3 frames[.] Say which one"):
        opened(data)
    with pytest.raises(UsageError, match="has 3 frames, but frame 4"):
        opened(data, frame=4)
    assert opened(dicom(SLICE, bits=12), frame=1).shape == SLICE.shape
    with pytest.raises(UsageError, match="A frame is one of a DICOM file"):
        open_image(SLICE, max_pixels=MANY, frame=1)
    with pytest.raises(UsageError, match="Frames start at 1"):
        Request(frame=0)


def test_functional_groups_say_how_each_frame_is_scaled() -> None:
    def group(slope: float, centre: float) -> Any:
        return item(
            PixelValueTransformationSequence=item(RescaleSlope=slope, RescaleIntercept=-1),
            FrameVOILUTSequence=item(WindowCenter=centre, WindowWidth=100),
        )[0]

    groups = item()
    groups[:] = [group(1, 10), group(2, 20), group(3, 30)]
    data = dicom(FRAMES, bits=12, frames=3, PerFrameFunctionalGroupsSequence=groups)
    found = opened(data, frame=3)
    np.testing.assert_array_equal(found.array, FRAMES[2] * 3.0 - 1)
    assert found.grade is not None
    assert (found.grade.low, found.grade.high) == (-20, 79)
    shared = dicom(FRAMES, bits=12, frames=3, SharedFunctionalGroupsSequence=[group(5, 10)])
    np.testing.assert_array_equal(opened(shared, frame=2).array, FRAMES[1] * 5.0 - 1)


PADDED = np.where(
    np.arange(48) < 5, np.int16(-2000), np.linspace(-100, 300, 48).astype(np.int16)[None, :].repeat(40, 0)
)


@pytest.mark.parametrize(
    ("tags", "written", "low"),
    [
        ({}, b"SS", -2000),
        ({"PixelPaddingValue": -2000}, b"SS", -57),
        ({"PixelPaddingValue": -2000}, b"US", -57),  # without its sign
        ({"PixelPaddingValue": -2000, "PixelPaddingRangeLimit": -50}, b"SS", -48),
        ({"PixelPaddingValue": -50, "PixelPaddingRangeLimit": -2000}, b"SS", -48),
        ({"PixelPaddingValue": -2000, "PixelPaddingRangeLimit": 300}, b"SS", -2000),  # nothing is left
        ({"PixelPaddingValue": 7777}, b"SS", -2000),
    ],
)
def test_padding_is_no_value_of_the_picture(tags: dict[str, int], written: bytes, low: int) -> None:
    data = dicom(PADDED, RescaleSlope=2, RescaleIntercept=1, **tags).replace(
        b"\x28\0\x20\1SS", b"\x28\0\x20\1" + written
    )
    found = opened(data)
    np.testing.assert_array_equal(found.array, PADDED * 2.0 + 1)
    assert found.grade is not None
    assert (found.grade.low, found.grade.high) == (low * 2 + 1, 601)
    assert f"spread from {low * 2 + 1} to 601" in found.grade.remark


def test_remarks_say_what_was_done(task_graphs: dict[str, Explainer]) -> None:
    explainer = task_graphs["regression"]
    said = {
        dicom(SLICE, bits=12): "names no window",
        dicom(SLICE, bits=12, WindowCenter=100, WindowWidth=101): "window of the DICOM file was used, 49.5 to 149.5",
        dicom(SLICE.astype(np.int16)): "values were spread from",
    }
    for data, text in said.items():
        assert any(text in warning for warning in explainer.explain(data).warnings)
    assert explainer.explain(dicom(SLICE, bits=12), window="12bit").warnings == []


def test_nothing_of_the_patient_comes_out(
    task_graphs: dict[str, Explainer], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    tags: dict[str, Any] = {"PatientBirthDate": SECRET, "WindowCenter": 5, "WindowWidth": 100}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, while the file is made: no name is a date
        good = dicom(SLICE, bits=12, **tags)
        bad = [dicom(SLICE, **{**tags, "Columns": 500}), dicom(SLICE, **tags)[:-50], good.replace(b"DS", b"IS")]
    caplog.clear()
    capfd.readouterr()
    result = task_graphs["regression"].explain(good)
    said = [repr(vars(result)), *result.warnings, repr(opened(good).grade)]
    for data in bad:
        try:
            said.append(repr(task_graphs["regression"].explain(data).warnings))
        except InvalidInputError as error:
            said += [str(error), *traceback.format_exception(error)]
    streams = capfd.readouterr()
    assert SECRET not in "".join([*said, caplog.text, streams.out, streams.err])
    assert not {"PatientName", "PatientID", "PatientBirthDate"} & set(opened(good).dataset.dir())


def test_memory_is_charged_by_the_header() -> None:
    data = dicom(SLICE, bits=12)
    assert reading_bytes(data, max_pixels=MANY) == len(data) + 16 * SLICE.nbytes
    frames = dicom(FRAMES, bits=12, frames=3)
    assert reading_bytes(frames, max_pixels=MANY, frame=2) == len(frames) + 16 * SLICE.nbytes


def test_without_pydicom_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(UnsupportedError, match=r"pip install camgraph\[dicom\]"):
        opened(dicom(SLICE))


def test_jpeg_of_the_stated_size_is_read() -> None:
    assert dcmread(of_pydicom("SC_rgb_jpeg_dcmtk.dcm")).file_meta.TransferSyntaxUID == JPEGBaseline8Bit
    assert opened(of_pydicom("SC_rgb_jpeg_dcmtk.dcm").read_bytes()).shape == (100, 100, 3)
