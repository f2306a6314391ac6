"""What the network did not see of a photo: neither hot nor cold, and so not painted."""

from __future__ import annotations

from camgraph_core.types import ByteArray


def with_unseen(picture: ByteArray, photo: ByteArray, seen: tuple[slice, slice]) -> ByteArray:
    """The picture with the photo itself beside the rows and columns that the network sees.

    Args:
        picture: uint8 [H, W, 3]; it is drawn on.
        photo: uint8 [H, W, 3].
        seen: Rows and columns.

    Returns:
        The same array.

    """
    rows, columns = seen
    picture[: rows.start], picture[rows.stop :] = photo[: rows.start], photo[rows.stop :]
    picture[rows, : columns.start] = photo[rows, : columns.start]
    picture[rows, columns.stop :] = photo[rows, columns.stop :]
    return picture
