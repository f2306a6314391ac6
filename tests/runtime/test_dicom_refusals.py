"""DICOM files that are refused before they cost: damaged ones, ones of other kinds, and mutated ones."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from camgraph_core.errors import InvalidInputError, UsageError
from camgraph_runtime import Explainer
from camgraph_runtime.preprocess import decode
from camgraph_runtime.preprocess.containers import limits
from camgraph_runtime.preprocess.window import spread
from support.dicoms import FRAMES, SLICE, dicom, item, of_pydicom, opened


def _changed(name: str, **tags: Any) -> bytes:
    dataset = dcmread(of_pydicom(name))
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    return bytes(buffer.getvalue())


def _run_lengths_without_end() -> bytes:
    header = (1).to_bytes(4, "little") + (64).to_bytes(4, "little") + bytes(56)
    frame = header + b"\x81\x00" * 5000  # 128 pixels for two bytes
    data = dcmread(io.BytesIO(dicom(np.zeros((8, 8), np.uint8))))
    data.file_meta.TransferSyntaxUID = RLELossless
    data.PixelData = encapsulate([frame])
    data["PixelData"].is_undefined_length = True
    buffer = io.BytesIO()
    data.save_as(buffer)
    return bytes(buffer.getvalue())


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "too many pixels": (lambda: dicom(np.zeros((1, 1), np.uint16), Rows=60000, Columns=60000), "the limit is 1000000"),
    "no picture": (lambda: dicom(SLICE, PixelData=None), "without a picture"),
    "no pixels": (lambda: dicom(SLICE, Rows=0), "no pixels"),
    "cut off": (lambda: dicom(SLICE)[:-100], "damaged or incomplete"),
    "too little": (lambda: dicom(SLICE, Columns=500), "damaged or incomplete"),
    "no rows": (lambda: dicom(SLICE, Rows=None), "damaged or incomplete"),
    "of other bits": (lambda: dicom(SLICE, BitsAllocated=64, BitsStored=64), "of a kind that cannot be read"),
    "more bits than there are": (lambda: dicom(SLICE, BitsStored=17), "of a kind that cannot be read"),
    "of another kind": (lambda: dicom(SLICE, PhotometricInterpretation="CMYK"), "of a kind that cannot be read"),
    "colour of one sample": (lambda: dicom(SLICE, PhotometricInterpretation="RGB"), "damaged or incomplete"),
    "a slope of zero": (lambda: dicom(SLICE, RescaleSlope=0, RescaleIntercept=1), "cannot be used"),
    "a window of no width": (lambda: dicom(SLICE, WindowCenter=5, WindowWidth=0), "names a window that cannot be"),
    "a window too far out": (lambda: dicom(SLICE, WindowCenter="1e12", WindowWidth=1), "names a window that cannot be"),
    "a window without end": (
        lambda: dicom(SLICE, WindowCenter=4, WindowWidth="1e300"),
        "names a window that cannot be",
    ),
    "a slope of almost zero": (lambda: dicom(SLICE, RescaleSlope="1e-320", RescaleIntercept=0), "cannot be used"),
    "a slope that is lost": (lambda: dicom(SLICE, RescaleSlope="1e-9", RescaleIntercept="1e13"), "cannot be used"),
    "an empty table": (lambda: dicom(SLICE, VOILUTSequence=item(LUTDescriptor=[5, 0, 12], LUTData=b"")), "damaged"),
    "deflated": (lambda: dicom(SLICE, syntax=DeflatedExplicitVRLittleEndian), "compressed as a whole"),
    "no decoder": (lambda: of_pydicom("JPEGLSNearLossless_08.dcm").read_bytes(), "no decoder for that is installed"),
    "a larger JPEG inside": (lambda: _changed("SC_rgb_jpeg_dcmtk.dcm", Rows=50), "damaged or incomplete"),
    "run lengths without end": (_run_lengths_without_end, "damaged or incomplete"),
    "frames that are not there": (lambda: dicom(FRAMES, bits=12, frames=3, NumberOfFrames=7), "damaged or incomplete"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_files_that_are_refused(name: str, task_graphs: dict[str, Explainer]) -> None:
    make, text = REFUSED[name]
    data = make()
    with pytest.raises(InvalidInputError, match=text):
        opened(data, frame=7 if "frames" in name else None).grade  # noqa: B018 - it is read there


def test_a_window_that_is_given_stands_in_for_one_that_cannot_be_used() -> None:
    good, bad = (
        decode(dicom(SLICE, WindowCenter=40, WindowWidth=width), max_pixels=10**6, window=(0, 100))
        for width in (400, 0)
    )
    assert np.array_equal(good, bad)


def test_a_file_may_not_have_more_elements_than_its_length_pays_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_PARTS", 100)
    dataset = dcmread(io.BytesIO(dicom(SLICE[:2, :2])))
    for number in range(200):
        dataset.add_new((0x0009, 0x1000 + number), "LO", "")
    for implicit in (False, True):
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else "1.2.840.10008.1.2.1"
        buffer = io.BytesIO()
        dataset.save_as(buffer, implicit_vr=implicit, little_endian=True)
        with pytest.raises(InvalidInputError, match=r"more than 10\d parts"):
            opened(buffer.getvalue())
    assert opened(dicom(SLICE)).shape == SLICE.shape


def test_a_nest_of_sequences_is_counted_too(monkeypatch: pytest.MonkeyPatch) -> None:
    data = dicom(SLICE[:2, :2], PixelData=None)
    nest = b"\x09\x00\x10\x10SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 5000
    with pytest.raises(InvalidInputError, match="parts"):
        opened(data + nest)


@pytest.mark.parametrize("keyword", ["PerFrameFunctionalGroupsSequence", "VOILUTSequence"])
def test_sequences_that_are_looked_into_are_counted_too(monkeypatch: pytest.MonkeyPatch, keyword: str) -> None:
    monkeypatch.setattr(limits, "MOST_PARTS", 100)
    groups = item()
    groups[:] = [item(WindowCenter=1)[0] for _ in range(200)]
    with pytest.raises(InvalidInputError, match="parts"):
        opened(dicom(SLICE[:2, :2], **{keyword: groups}))


def test_numbers_of_a_picture_may_not_go_on_for_ever() -> None:
    dataset = dcmread(io.BytesIO(dicom(SLICE[:2, :2])))
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    dataset.add_new("WindowCenter", "LO", "\\".join(["1"] * 150_000))
    buffer = io.BytesIO()
    dataset.save_as(buffer, implicit_vr=True, little_endian=True)
    with pytest.raises(InvalidInputError, match="at too great length"):
        opened(buffer.getvalue())


def test_mutated_files_end_in_a_sentence() -> None:
    sources = [dicom(SLICE[:8, :8], bits=12, WindowCenter=5, WindowWidth=9)]
    sources += [of_pydicom(name).read_bytes() for name in ("MR_small_RLE.dcm", "SC_rgb_jpeg_dcmtk.dcm")]
    rng = np.random.default_rng(5)
    read = 0
    for _ in range(150):
        data = bytearray(sources[rng.integers(len(sources))])
        for place in rng.integers(132, len(data), rng.integers(1, 8)):
            data[place] = rng.integers(256)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom's on what is not of the standard
            try:
                spread(opened(bytes(data)).array, None)
                read += 1
            except (InvalidInputError, UsageError):
                pass
    assert 0 < read < 150
