"""Draws scenes of which every pixel is known: a road, land from above, and an organ with lesions.

The models of docs/segmentation.md were trained on such scenes (train_scenes.py), and tests measure on new ones how much
of a heatmap lies on what it explains. A scene can be drawn at any size: what is random about it is drawn first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

ROAD = ("surroundings", "road", "line", "car")
LAND = ("water", "field", "forest", "town")
CLINIC = ("outside", "organ", "lesion")


@dataclass(frozen=True)
class Scene:
    """A picture, and what its pixels are.

    Attributes:
        picture: uint8 [H, W, 3], RGB.
        truth: int64 [H, W]: the class of each pixel.
        things: Of each thing that stands for itself (car, lesion) its mask, bool [H, W].

    """

    picture: np.ndarray
    truth: np.ndarray
    things: tuple[np.ndarray, ...] = ()


class Canvas:
    """Colours and classes of a scene in the making; positions are in 0..1 down and across."""

    def __init__(self, rng: np.random.Generator, height: int, width: int) -> None:
        self.rng, self.size = rng, (height, width)
        self.colours = np.zeros((height, width, 3))
        self.truth = np.zeros((height, width), np.int64)
        self.down = ((np.arange(height) + 0.5) / height)[:, None]
        self.across = ((np.arange(width) + 0.5) / width)[None, :]

    def noise(self, cells: int) -> np.ndarray:
        """Smooth noise around 0, [H, W]; the same spots at every size."""
        coarse = Image.fromarray(self.rng.normal(size=(cells, cells)).astype(np.float32))
        return np.asarray(coarse.resize(self.size[::-1], Image.Resampling.BICUBIC), np.float64)

    def fill(self, inside: np.ndarray, colour: np.ndarray, index: int, texture: np.ndarray | float = 0.0) -> None:
        """Paint a region, and say what it is."""
        shade = np.broadcast_to(np.asarray(texture)[..., None], (*self.size, 3))
        self.colours[inside] = (colour + shade)[inside]
        self.truth[inside] = index

    def ellipse(self, down: float, across: float, high: float, wide: float) -> np.ndarray:
        """An ellipse by its middle and half axes, bool [H, W]."""
        return ((self.down - down) / high) ** 2 + ((self.across - across) / wide) ** 2 <= 1

    def scene(self, things: tuple[np.ndarray, ...] = ()) -> Scene:
        """What was drawn."""
        return Scene((255 * self.colours.clip(0, 1)).round().astype(np.uint8), self.truth, things)


def road(rng: np.random.Generator, height: int, width: int) -> Scene:
    """A road to the horizon, with a broken line and one to three cars."""
    canvas = Canvas(rng, height, width)
    horizon, vanishing, foot = rng.uniform(0.25, 0.4), rng.uniform(0.35, 0.65), rng.uniform(0.4, 0.6)
    everywhere = np.ones(canvas.size, bool)
    canvas.fill(everywhere, rng.uniform([0.2, 0.35, 0.1], [0.45, 0.6, 0.25]), 0, 0.12 * canvas.noise(24))
    canvas.fill((canvas.down < horizon) & everywhere, rng.uniform([0.5, 0.6, 0.7], [0.7, 0.8, 1.0]), 0)
    depth = ((canvas.down - horizon) / (1 - horizon)).clip(0, 1)
    middle, half = vanishing + (foot - vanishing) * depth, 0.03 + 0.42 * depth
    on_road = (np.abs(canvas.across - middle) < half) & (canvas.down >= horizon)
    canvas.fill(on_road, np.full(3, rng.uniform(0.25, 0.45)), 1, 0.04 * canvas.noise(24))
    dashes = np.sin(12 / (depth + 0.12)) > 0
    canvas.fill(on_road & dashes & (np.abs(canvas.across - middle) < 0.01 + 0.025 * depth), np.full(3, 0.92), 2)
    things: list[np.ndarray] = []
    for near in np.sort(rng.uniform(0.15, 0.85, rng.integers(1, 4))):
        side, size = rng.choice([-0.5, 0.5]), 0.05 + 0.2 * near
        bottom = horizon + near * (1 - horizon)
        left = vanishing + (foot - vanishing) * near + side * (0.03 + 0.42 * near) - size / 2
        body = (canvas.down <= bottom) & (canvas.down > bottom - 0.9 * size)
        body = body & (canvas.across >= left) & (canvas.across < left + size)
        if any((body & other).any() for other in things) or not body.any():
            continue
        canvas.fill(body, rng.uniform(0.05, 0.9, 3), 3)
        window = (canvas.down <= bottom - 0.5 * size) & (canvas.down > bottom - 0.8 * size)
        window = window & (np.abs(canvas.across - left - size / 2) < 0.36 * size)
        canvas.fill(window & body, np.array([0.1, 0.13, 0.16]), 3)
        things.append(body)
    return canvas.scene(tuple(things))


def land(rng: np.random.Generator, height: int, width: int) -> Scene:
    """Parcels of water, field, forest and town from above."""
    canvas = Canvas(rng, height, width)
    seeds, kinds = rng.random((9, 2)), rng.permutation(np.arange(9) % len(LAND))
    bent = 0.04 * canvas.noise(9), 0.04 * canvas.noise(9)
    far = [(canvas.down + bent[0] - y) ** 2 + (canvas.across + bent[1] - x) ** 2 for y, x in seeds]
    nearest = np.argmin(far, axis=0)
    blocks = np.sign(np.sin(70 * canvas.down) * np.sin(70 * canvas.across))
    for number, kind in enumerate(kinds):
        turn = rng.uniform(0, np.pi)
        rows = np.sin(90 * (np.cos(turn) * canvas.down + np.sin(turn) * canvas.across))
        low, high, texture = (
            ([0.1, 0.2, 0.25], [0.2, 0.35, 0.45], 0.02 * canvas.noise(20)),
            ([0.35, 0.4, 0.15], [0.65, 0.6, 0.3], 0.05 * rows),
            ([0.08, 0.2, 0.1], [0.2, 0.35, 0.2], 0.07 * canvas.noise(40)),
            ([0.4, 0.35, 0.35], [0.6, 0.55, 0.55], 0.13 * blocks),
        )[kind]
        canvas.fill(nearest == number, rng.uniform(low, high), int(kind), texture)
    return canvas.scene()


def clinic(rng: np.random.Generator, height: int, width: int) -> Scene:
    """A bright organ with one to three dark lesions; dark spots outside of it are none."""
    canvas = Canvas(rng, height, width)
    everywhere = np.ones(canvas.size, bool)
    canvas.fill(everywhere, np.full(3, rng.uniform(0.25, 0.4)), 0, 0.04 * canvas.noise(30))
    high, wide = rng.uniform(0.26, 0.36, 2)
    down, across = rng.uniform(0.4, 0.6, 2)
    organ = canvas.ellipse(down, across, high, wide)
    for _ in range(5):
        y, x, r = *rng.uniform(0.05, 0.95, 2), rng.uniform(0.03, 0.07)
        spot = canvas.ellipse(y, x, r, r)
        if not (spot & canvas.ellipse(down, across, high + 0.1, wide + 0.1)).any():
            canvas.fill(spot, np.full(3, rng.uniform(0.1, 0.2)), 0)
    canvas.fill(organ, np.full(3, rng.uniform(0.55, 0.75)), 1, 0.04 * canvas.noise(30))
    things: list[np.ndarray] = []
    for _ in range(rng.integers(1, 4)):
        turn, reach = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.6)
        y, x, r = down + reach * high * np.sin(turn), across + reach * wide * np.cos(turn), rng.uniform(0.06, 0.1)
        lesion = canvas.ellipse(y, x, r * rng.uniform(0.7, 1.3), r)
        if any((canvas.ellipse(y, x, r + 0.04, r + 0.04) & other).any() for other in things):
            continue
        canvas.fill(lesion, np.full(3, rng.uniform(0.2, 0.35)), 2, 0.03 * canvas.noise(30))
        things.append(lesion)
    return canvas.scene(tuple(things))


@dataclass(frozen=True)
class Kind:
    """A kind of scenes: what draws one, its classes, the size that a network sees, and how much each class counts."""

    draw: Callable[[np.random.Generator, int, int], Scene]
    classes: tuple[str, ...]
    size: tuple[int, int]
    weights: tuple[float, ...]


KINDS = {
    "road": Kind(road, ROAD, (64, 96), (1, 1, 1, 1)),
    "land": Kind(land, LAND, (96, 96), (1, 1, 1, 1)),
    "clinic": Kind(clinic, CLINIC, (96, 96), (1, 1, 6)),
}
