"""What the network did not see of a photo: neither hot nor cold, and so not painted."""

from __future__ import annotations

import numpy as np

from camgraph_core.types import AnyArray, ByteArray


def with_unseen(
    picture: ByteArray, photo: ByteArray, seen: tuple[slice, slice], missing: AnyArray | None = None
) -> ByteArray:
    """The picture with the photo itself beside the rows and columns that the network sees, and where data is missing.

    Args:
        picture: uint8 [H, W, 3]; it is drawn on.
        photo: uint8 [H, W, 3].
        seen: Rows and columns.
        missing: Where the photo has no data, bool [H, W]; None if that is nowhere.

    Returns:
        The same array.

    """
    rows, columns = seen
    picture[: rows.start], picture[rows.stop :] = photo[: rows.start], photo[rows.stop :]
    picture[rows, : columns.start] = photo[rows, : columns.start]
    picture[rows, columns.stop :] = photo[rows, columns.stop :]
    if missing is not None:
        np.copyto(picture, photo, where=missing[:, :, None])
    return picture
