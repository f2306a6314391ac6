"""The colours of maps and of what stands beside them, for all who look at them."""

from __future__ import annotations

import numpy as np
import pytest

from camgraph_core.style import COLORMAPS
from camgraph_runtime.pictures import panel
from camgraph_runtime.pictures.colormaps import colours_of
from support.contrast import AA, contrast

# What those see who lack one kind of cones, of linear RGB: Machado, Oliveira and Fernandes, "A Physiologically-based
# Model for Simulation of Color Vision Deficiency", 2009, severity 1.
SEEN = {
    "all": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def seen(colormap: str, eyes: str) -> np.ndarray:
    """The colours of a map as L*, a* and b* (CIE 1976, D65), [256, 3]."""
    shares = colours_of(colormap) / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ np.array(SEEN[eyes]).T, 0, 1)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = (linear @ to_xyz.T / to_xyz.sum(axis=1)).T
    x, y, z = (np.where(part > 0.008856, np.cbrt(part), 7.787 * part + 16 / 116) for part in (x, y, z))
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


@pytest.mark.parametrize("eyes", SEEN)
@pytest.mark.parametrize("colormap", ["viridis", "inferno"])
def test_what_is_hotter_is_lighter_for_all_eyes(colormap: str, eyes: str) -> None:
    assert (np.diff(seen(colormap, eyes)[::8, 0]) > 0).all()


@pytest.mark.parametrize("eyes", SEEN)
@pytest.mark.parametrize("colormap", COLORMAPS)
def test_a_quarter_of_the_scale_is_never_one_colour(colormap: str, eyes: str) -> None:
    colours = seen(colormap, eyes)
    distances = np.linalg.norm(colours[:, None] - colours[None], axis=2)
    apart = np.abs(np.subtract.outer(np.arange(256), np.arange(256))) >= 64
    assert distances[apart].min() > 10, "a difference of 2.3 is just seen"


def test_texts_of_panels_stand_out() -> None:
    for ink in (panel._INK, panel._FAINT):
        assert contrast(ink, panel._PAPER) >= AA
