"""Draws parts of a factory: brushed plates with holes, and some with a scratch whose place is known.

    python examples/parts.py parts

writes `parts/good/*.png`, `parts/test/*.png` (good and scratched ones), and for each scratched one the mask of its
scratch in `parts/truth/`. Two makes of plate can be told apart by their holes: those of `good` and `test` have three;
`parts/other/` has one with four.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIDE, FINE = 224, 4
GOOD, TEST = 24, 8


def plate(rng: np.random.Generator, holes: int = 3) -> Image.Image:
    """A good plate, as a camera sees it: it lies a little differently each time, and the light changes."""
    size = SIDE * FINE
    rows = rng.normal(0, 10, (size, 1)) + rng.normal(0, 4, (size, size // 16)).repeat(16, axis=1)
    metal = Image.fromarray((168 + rows).clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(2))
    picture = Image.new("L", (size, size), 40)
    shape = Image.new("L", (size, size), 0)
    draw = ImageDraw.Draw(shape)
    draw.rounded_rectangle((22 * FINE, 22 * FINE, 202 * FINE, 202 * FINE), 16 * FINE, fill=255)
    for number in range(holes):
        angle = 2 * np.pi * number / holes - np.pi / 2
        x, y = size / 2 + 56 * FINE * np.cos(angle), size / 2 + 56 * FINE * np.sin(angle)
        draw.ellipse((x - 15 * FINE, y - 15 * FINE, x + 15 * FINE, y + 15 * FINE), fill=0)
    picture.paste(metal, mask=shape)
    angle, shift = rng.uniform(-2, 2), rng.uniform(-3, 3, 2) * FINE
    picture = picture.rotate(angle, Image.Resampling.BICUBIC, translate=(int(shift[0]), int(shift[1])), fillcolor=40)
    left, right = rng.uniform(0.85, 1.1, 2)
    light = np.linspace(left, right, size)[None, :]
    lit = Image.fromarray((np.asarray(picture) * light).clip(0, 255).astype(np.uint8))
    return lit.resize((SIDE, SIDE), Image.Resampling.BOX)


def scratched(part: Image.Image, rng: np.random.Generator) -> tuple[Image.Image, Image.Image]:
    """The plate with a scratch, and the mask of the scratch, 255 inside."""
    length, angle = rng.uniform(35, 60), rng.uniform(0.25, 0.75) * np.pi * rng.choice([-1, 1])
    middle = np.array([SIDE / 2, SIDE / 2]) + rng.uniform(-52, 52, 2)
    along = np.linspace(-0.5, 0.5, 24)
    bend = rng.uniform(-8, 8) * (1 - (2 * along) ** 2)
    x = middle[0] + length * along * np.cos(angle) - bend * np.sin(angle)
    y = middle[1] + length * along * np.sin(angle) + bend * np.cos(angle)
    line = [(a * FINE, b * FINE) for a, b in zip(x, y, strict=True)]
    fine = Image.new("L", (SIDE * FINE, SIDE * FINE), 0)
    ImageDraw.Draw(fine).line(line, fill=255, width=round(rng.uniform(2.2, 3.2) * FINE), joint="curve")
    mask = fine.resize((SIDE, SIDE), Image.Resampling.BOX)
    dark, bright = Image.new("L", part.size, 70), Image.new("L", part.size, 235)
    picture = part.copy()
    picture.paste(bright, (1, 1), mask)
    picture.paste(dark, mask=mask)
    return picture, mask.point(lambda value: 255 if value >= 128 else 0)


def write(folder: Path, good: int = GOOD, test: int = TEST) -> None:
    """Writes all pictures."""
    rng = np.random.default_rng(0)
    for name in ("good", "test", "truth", "other"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(good):
        plate(rng).convert("RGB").save(folder / f"good/{number:02}.png")
    for number in range(test):
        plate(rng).convert("RGB").save(folder / f"test/good_{number:02}.png")
        picture, mask = scratched(plate(rng), rng)
        picture.convert("RGB").save(folder / f"test/scratched_{number:02}.png")
        mask.save(folder / f"truth/scratched_{number:02}.png")
    plate(rng, holes=4).convert("RGB").save(folder / "other/four_holes.png")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
