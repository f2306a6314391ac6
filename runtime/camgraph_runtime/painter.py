"""What draws the pictures of results."""

from __future__ import annotations

from camgraph_core.painter import Painter


def load_painter() -> Painter:
    """What draws. It is loaded here with Pillow, as a client that draws nothing should not wait for them."""
    from camgraph_runtime.pictures import paint  # noqa: PLC0415 - see above

    return paint
