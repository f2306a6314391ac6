"""Makes a short video of photos: a camera moves across one after the other.

    python examples/clip_of_photos.py clip.mp4 examples/photos/chelsea.png examples/photos/coffee.png

Needs `camgraph[video]`.
"""

import sys
from fractions import Fraction

import numpy as np
from PIL import Image

from camgraph_runtime.video.writing import VideoWriter

HEIGHT, WIDTH = 240, 320
PER_PHOTO, RATE = 18, 12


def main(target: str, *photos: str) -> None:
    """Writes a video `target` of the `photos`."""
    with VideoWriter(target, Fraction(RATE)) as video:
        for number, photo in enumerate(photos):
            image = Image.open(photo).convert("RGB")
            scale = 1.25 * max(HEIGHT / image.height, WIDTH / image.width)
            pixels = np.asarray(image.resize((round(image.width * scale), round(image.height * scale))))
            for step in range(PER_PHOTO):
                share = step / (PER_PHOTO - 1)
                top = round(share * (pixels.shape[0] - HEIGHT))
                left = round(share * (pixels.shape[1] - WIDTH))
                picture = np.ascontiguousarray(pixels[top : top + HEIGHT, left : left + WIDTH])
                video.add(picture, (number * PER_PHOTO + step) / RATE)


if __name__ == "__main__":
    main(*sys.argv[1:])
