"""What runs take is told from a few that were measured: never less than they, and a bit more."""

from __future__ import annotations

import pytest

from camgraph_runtime.run_memory import RunMemory

MIB = 1024 * 1024
OPEN = RunMemory(own=5 * MIB, elements=1000, largest=40 * MIB, targets=8, times=4.0)


@pytest.mark.parametrize(
    ("elements", "targets", "mib"),
    [
        (1000, 1, 60),  # what was measured, and half as much for what is not known
        (500, 1, 30),
        (10_000, 1, 600),
        (1000, 8, 240),  # four times as much
        (1000, 4, 60 * (1 + 3 * 3 / 7)),  # between, in proportion
        (1000, 16, 480),  # beyond, in proportion to all targets
        (10_000, 16, 4800),
    ],
)
def test_it_grows_with_pixels_and_targets(elements, targets, mib):
    assert OPEN.of(elements, targets) == pytest.approx(mib * MIB)


def test_attention_grows_faster_than_the_image_and_shrinks_no_faster():
    attention = RunMemory(own=MIB, elements=1000, largest=10 * MIB, power=1.5)
    assert attention.of(4000, 1) == pytest.approx(8 * 15 * MIB)
    assert attention.of(250, 1) == pytest.approx(15 * MIB / 4)


def test_an_ordinary_run_is_counted_with_its_model():
    fixed = RunMemory(own=10 * MIB, elements=100, largest=10 * MIB, targets=64, times=4.0)
    assert fixed.kept == 19 * MIB
    assert fixed.beyond(100, 1) == 0
    assert fixed.beyond(100, 5) == 0
    assert fixed.beyond(100, 64) == fixed.of(100, 64) == 60 * MIB


def test_a_run_is_large_from_32_mib_beyond_an_ordinary_one():
    heavy = RunMemory(own=100 * MIB, elements=100, largest=100 * MIB, targets=4, times=2.0)
    assert not heavy.is_large(100, 1)  # each of its runs takes so much, which is kept for the next
    assert heavy.is_large(100, 4)
    assert not OPEN.is_large(500, 1)
    assert OPEN.is_large(1000, 1)
