"""DICOM files for tests, made of an array; the patient in them is nobody."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from camgraph_runtime.preprocess.dicom import Dicom, open_dicom

MANY = 1_000_000
"""More pixels than any file of these tests has."""

SLICE = np.sort(np.random.default_rng(0).integers(0, 4096, (40, 48)).astype(np.uint16), axis=1)
"""A slice of 12 bits."""

FRAMES = np.stack([SLICE, SLICE // 2, SLICE // 4])

SECRET = "Nobody^Anna"
"""The patient's name in every file, which must never come out."""


def dicom(
    pixels: np.ndarray, *, bits: int = 0, frames: int = 0, syntax: str = ExplicitVRLittleEndian, **tags: Any
) -> bytes:
    """A file of pixels [H, W], [H, W, 3] or [frames, H, W], integers of 8 to 32 bits.

    Args:
        pixels: The pixels.
        bits: How many of each value's bits are used; all by default.
        frames: How many there are, if ``pixels`` has an axis of them.
        syntax: Transfer syntax, one without compression.
        tags: Elements by keyword; they replace those that follow from the pixels. None leaves one out.

    """
    allocated = pixels.dtype.itemsize * 8
    rows, columns = pixels.shape[-2:] if pixels.shape[-1] != 3 or frames else pixels.shape[:2]
    is_colour = not frames and pixels.ndim == 3
    stored = bits or allocated
    values: dict[str, Any] = {
        "SOPClassUID": CTImageStorage,
        "SOPInstanceUID": generate_uid(),
        "PatientName": SECRET,
        "PatientID": SECRET,
        "Modality": "CT",
        "SamplesPerPixel": 3 if is_colour else 1,
        "PhotometricInterpretation": "RGB" if is_colour else "MONOCHROME2",
        "Rows": rows,
        "Columns": columns,
        "BitsAllocated": allocated,
        "BitsStored": stored,
        "HighBit": stored - 1,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
        **({"NumberOfFrames": frames} if frames else {}),
        **({"PlanarConfiguration": 0} if is_colour else {}),
        "PixelData": pixels.astype(pixels.dtype.newbyteorder("<")).tobytes(),
        **tags,
    }
    dataset = Dataset()
    for keyword, value in values.items():
        if value is not None:
            setattr(dataset, keyword, value)
    if "PixelData" in dataset:
        dataset["PixelData"].VR = "OW" if allocated > 8 else "OB"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def item(**tags: Any) -> Sequence:
    """A sequence of one item."""
    dataset = Dataset()
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    return Sequence([dataset])


def opened(data: bytes, **options: Any) -> Dicom:
    return open_dicom(data, "scan.dcm", max_pixels=MANY, **options)


def of_pydicom(name: str) -> Path:
    """A file that pydicom has for its own tests."""
    return Path(str(get_testdata_file(name, download=False)))
