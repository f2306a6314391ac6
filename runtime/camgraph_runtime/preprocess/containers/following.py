"""What follows the first picture of a file, which alone is decoded: others, or an end that came too early."""

from __future__ import annotations

from dataclasses import dataclass

from camgraph_runtime.preprocess.containers.gif import pictures_of_gif
from camgraph_runtime.preprocess.containers.jpeg import shows_other_views
from camgraph_runtime.preprocess.containers.png import pictures_of_png
from camgraph_runtime.preprocess.containers.tiff import Block, has_more_pictures, is_cut_off
from camgraph_runtime.preprocess.containers.webp import is_animated


@dataclass(frozen=True)
class Following:
    """What follows the first picture.

    Attributes:
        has_more: Other pictures, which are neither smaller versions of it nor masks.
        is_cut: The file ends before it says that it does.

    """

    has_more: bool = False
    is_cut: bool = False


NOTHING = Following()
"""What follows a picture that was not read from a file."""


def following(data: Block) -> Following:
    """What follows the first picture of a file whose container was checked; of BMP nothing does."""
    if data[:2] in (b"II", b"MM"):
        return Following(has_more_pictures(data), is_cut_off(data))
    assert isinstance(data, bytes), "only a TIFF is mapped"
    if data.startswith(b"GIF8"):
        count, is_whole = pictures_of_gif(data)
        return Following(count > 1, not is_whole)
    if data.startswith(b"\x89PNG"):
        count, is_whole = pictures_of_png(data)
        return Following(count > 1, not is_whole)
    if data.startswith(b"\xff\xd8"):
        return Following(shows_other_views(data))
    return Following(is_animated(data))
