"""The maps that `camgraph explain` writes as numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from camgraph_core.types import AnyArray, FloatArray
from camgraph_runtime.pictures.geotiff import write_geotiff
from camgraph_runtime.preprocess.georeference import Georeference

MapKind: TypeAlias = Literal["npy", "png16", "tif"]

_MOST = np.iinfo(np.uint16).max


def write_map(
    heatmap: FloatArray,
    stem: Path,
    kind: MapKind,
    georeference: Georeference | None = None,
    missing: AnyArray | None = None,
) -> Path:
    """Writes a heatmap, float32 [H, W] in 0..1.

    Args:
        heatmap: The heatmap in the frame of the photo.
        stem: The file's path without its suffix.
        kind: "npy" for the numbers as they are; "png16" for a grey picture of 16 bits, where 65535 is 1; "tif" for a
            GeoTIFF of float32.
        georeference: Where it lies on the ground.
        missing: Where there is no data, bool [H, W].

    Returns:
        The file.

    """
    if kind == "tif":
        path = stem.with_name(f"{stem.name}.map.tif")
        write_geotiff(path, heatmap, georeference, missing)
        return path
    suffix, write = _WRITERS[kind]
    path = stem.with_name(f"{stem.name}.map{suffix}")
    write(path, heatmap)
    return path


def _write_npy(path: Path, heatmap: FloatArray) -> None:
    np.save(path, heatmap, allow_pickle=False)


def _write_png16(path: Path, heatmap: FloatArray) -> None:
    from PIL import Image  # noqa: PLC0415 - loaded when such a picture is written

    Image.fromarray(np.rint(heatmap * np.float32(_MOST)).astype(np.uint16)).save(path)


_WRITERS: dict[str, tuple[str, Callable[[Path, FloatArray], None]]] = {
    "npy": (".npy", _write_npy),
    "png16": (".png", _write_png16),
}
