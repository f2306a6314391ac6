"""Maps as GeoTIFF, which programs of geography lay where they belong."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from camgraph_core.errors import UnsupportedError
from camgraph_core.types import AnyArray, FloatArray
from camgraph_runtime.preprocess.georeference import Georeference

_NODATA = (42113, "s", 0, "nan", True)


def write_geotiff(
    path: Path, heatmap: FloatArray, georeference: Georeference | None, missing: AnyArray | None = None
) -> None:
    """Writes a heatmap as a TIFF of one band of float32, compressed without loss.

    Args:
        path: Where to.
        heatmap: float32 [H, W].
        georeference: Where it lies; None if that is not known.
        missing: Where there is no data, bool [H, W], which becomes NaN.

    Raises:
        UnsupportedError: tifffile is not installed.

    """
    try:
        from tifffile import imwrite  # noqa: PLC0415 - an extra, needed by such files alone
    except ImportError as error:
        raise UnsupportedError(
            "A map as TIFF needs tifffile, which is not installed. Install camgraph with the extra 'geo', or write it "
            "as npy."
        ) from error
    values = heatmap if missing is None else np.where(missing, np.float32(np.nan), heatmap)
    tags = [] if georeference is None else georeference.tags()
    extra = tags if missing is None else [*tags, _NODATA]
    imwrite(path, values, photometric="minisblack", compression="deflate", extratags=extra, metadata=None)
