"""Draws a slice of a chest as a CT scanner might give it, in several kinds of files: nobody was scanned.

    python examples/phantom.py scans

writes a DICOM file of 12 bits (`slice.dcm`, in Hounsfield units after its own rescaling), one of three slices
(`volume.dcm`), one in which low values are white (`inverted.dcm`), and the same slice as PNG with 8, 12 and 16 bits.
It needs the extra dicom.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

SIDE, FINE = 256, 4
AIR, LUNG, SOFT, BONE, NODULE = -1000, -850, 40, 700, 30  # Hounsfield units


def chest(level: float = 0.0) -> np.ndarray:
    """A slice in Hounsfield units, float64 [256, 256]; ``level`` moves it along the body."""
    picture = Image.new("F", (FINE * SIDE, FINE * SIDE), AIR)
    draw = ImageDraw.Draw(picture)

    def ellipse(left: float, top: float, right: float, bottom: float, units: float) -> None:
        draw.ellipse([FINE * side for side in (left, top, right, bottom)], fill=units)

    ellipse(18, 48, 238, 212, SOFT)
    for left, right in ((38, 116), (140, 218)):
        ellipse(left, 72 + 6 * level, right, 188 - 6 * level, LUNG)
    ellipse(108, 90, 158, 150, SOFT + 20)
    ellipse(116, 166, 140, 194, BONE)
    for angle in np.linspace(0.15, 0.85, 9) * 2 * np.pi:
        x, y = 128 + 101 * np.sin(angle), 130 + 74 * np.cos(angle)
        ellipse(x - 5, y - 4, x + 5, y + 4, BONE)
    ellipse(182, 106, 194, 118, NODULE)
    noise = np.random.default_rng(0).normal(0, 12, (SIDE, SIDE))
    return np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BOX), np.float64) + noise


def stored(units: np.ndarray) -> np.ndarray:
    """Hounsfield units as a scanner stores them: 12 bits, with 1024 added."""
    return np.asarray(np.clip(np.rint(units + 1024), 0, 4095), np.uint16)


def dataset(pixels: np.ndarray, *, frames: int = 1, low_is_white: bool = False) -> Dataset:
    """A DICOM file of pixels of 12 bits."""
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = CTImageStorage, generate_uid()
    made.Modality, made.PatientName = "CT", "Phantom"
    made.SamplesPerPixel, made.PixelRepresentation = 1, 0
    made.PhotometricInterpretation = "MONOCHROME1" if low_is_white else "MONOCHROME2"
    made.Rows, made.Columns = pixels.shape[-2:]
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, 12, 11
    if not low_is_white:
        made.RescaleSlope, made.RescaleIntercept, made.RescaleType = 1, -1024, "HU"
    if frames > 1:
        made.NumberOfFrames = frames
    made.PixelData = pixels.astype("<u2").tobytes()
    made["PixelData"].VR = "OW"
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    return made


def write(folder: Path) -> None:
    """Writes all files."""
    folder.mkdir(parents=True, exist_ok=True)
    slices = [stored(chest(level)) for level in (0, 1, 2)]
    dataset(slices[0]).save_as(folder / "slice.dcm", enforce_file_format=True)
    dataset(np.stack(slices), frames=3).save_as(folder / "volume.dcm", enforce_file_format=True)
    dataset(4095 - slices[0], low_is_white=True).save_as(folder / "inverted.dcm", enforce_file_format=True)
    versions = {8: (slices[0] >> 4).astype(np.uint8), 12: slices[0], 16: (slices[0] << 4).astype(np.uint16)}
    for bits, pixels in versions.items():
        Image.fromarray(pixels).save(folder / f"slice_{bits}.png")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
