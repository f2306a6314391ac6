"""Where the photo lies in the network's input: the ways there and back on one axis, at their edges."""

from __future__ import annotations

import numpy as np
import pytest

from camgraph_core.frame import Axis, Frame, of_shrunk_photo


def test_a_pixel_is_inside_from_the_first_edge_of_the_network_up_to_the_last() -> None:
    """Middles of pixels lie at 0, 1, 2 and 3 on a network of two pixels, whose edges are 0 and 2."""
    axis = Axis(4, 2, offset=-0.5)
    *_, inside = axis.taps()
    np.testing.assert_array_equal(inside, [True, True, False, False])
    assert axis.seen == slice(0, 2)


def test_one_axis_after_another_is_one_axis() -> None:
    first, second = Axis(10, 20, 2.0, 3.0), Axis(20, 5, -0.25, 4.0)
    both = first.then(second)
    assert (both.photo, both.network) == (10, 5)
    for position in (0.0, 1.5, 10.0):
        on_first = first.scale * position + first.offset
        assert both.scale * position + both.offset == pytest.approx(second.scale * on_first + second.offset)


def test_a_position_beside_the_photo_is_cut_to_its_edge() -> None:
    """A letterbox of two pixels at both ends."""
    axis = Axis(8, 8, 0.5, 2.0)
    assert [axis.photo_position(position) for position in (0.0, 2.0, 4.0, 6.0, 8.0)] == [0, 0, 4, 8, 8]
    assert axis.filled == slice(2, 6)


def test_what_the_network_does_not_hold_is_not_seen() -> None:
    """The network has pixels 3 to 6 of ten: its position 5 is on the photo, but beyond the network."""
    found, seen = Axis(10, 4, offset=-3.0).on_photo(np.array([-0.5, 0.0, 3.9, 5.0]))
    np.testing.assert_allclose(found, [2.5, 3.0, 6.9, 8.0])
    np.testing.assert_array_equal(seen, [False, True, True, False])
    _, seen = Axis(4, 8, offset=2.0).on_photo(np.array([1.9, 2.0, 5.9, 6.0]))
    np.testing.assert_array_equal(seen, [False, True, True, False])


def test_a_shrunk_photo_keeps_its_place_on_the_network() -> None:
    frame = Frame(Axis(8, 5, 0.5, 1.0), Axis(12, 5, 0.25, 2.0))
    shrunk = of_shrunk_photo(frame, (4, 3))
    assert (shrunk.photo_size, shrunk.network_size) == ((4, 3), (5, 5))
    for share in (0.0, 0.3, 1.0):
        for before, after in ((frame.vertical, shrunk.vertical), (frame.horizontal, shrunk.horizontal)):
            place = before.scale * share * before.photo + before.offset
            assert after.scale * share * after.photo + after.offset == pytest.approx(place)
