"""Makes the pictures of README.md and docs/ that show what `camgraph explain` gives, by the commands of those pages.

python scripts/page_pictures.py [NAME ...]
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
QUALITY = 85


@dataclass(frozen=True)
class Picture:
    """A picture of a page.

    Attributes:
        page: The page, from the root of the repository; None where the commands are given whole.
        commands: How the commands of the page begin that make it, in their order.
        panels: What they write and the picture shows, one below the other.
        width: Of the picture, in pixels.

    """

    page: str | None
    commands: Sequence[str]
    panels: Sequence[str]
    width: int


def of_segmentation(name: str, explain: str) -> Picture:
    """A picture of a scene of docs/segmentation.md."""
    export, explain = (
        f"camgraph export examples/models/{name}.onnx",
        f"camgraph explain examples/photos/{name}.png {explain}",
    )
    return Picture("docs/segmentation.md", (export, explain), (f"explanations/{name}.panel.png",), 960)


PICTURES = {
    "panel.jpg": Picture(  # what `make demo` makes, whose commands are in examples/demo.py
        None,
        (
            "camgraph export examples/models/efficientnet_lite0.onnx -o m --config examples/efficientnet_lite0.toml",
            "camgraph explain examples/photos/chelsea.png examples/photos/coffee.png --graph m --top-k 2",
        ),
        ("explanations/chelsea.panel.png", "explanations/coffee.panel.png"),
        1100,
    ),
    "segmentation-road.jpg": of_segmentation("road", "--graph road.cam.onnx --target car"),
    "segmentation-land.jpg": of_segmentation("land", "--graph land.cam.onnx --top-k 3"),
    "segmentation-clinic.jpg": of_segmentation(
        "clinic", "--graph clinic.cam.onnx --target lesion --region 1 --region 2"
    ),
    "factory.jpg": Picture(
        "docs/factory.md",
        ("python examples/parts.py", "camgraph export", "camgraph build-bank", "camgraph explain parts/test"),
        tuple(f"explanations/{name}.panel.png" for name in ("good_00", "scratched_00", "scratched_05")),
        760,
    ),
    "video.jpg": Picture(
        "docs/video.md",
        (
            "python examples/clip_of_photos.py",
            "camgraph export",
            "camgraph explain clip.mp4 --graph model.onnx --every 5",
        ),
        ("seen.sheet.png",),
        1000,
    ),
}


def main(*names: str) -> None:
    """Makes the pictures of these names, by default all."""
    for name in names or PICTURES:
        picture = PICTURES[name]
        with TemporaryDirectory() as folder:
            (Path(folder) / "examples").symlink_to(ROOT / "examples")
            for beginning in picture.commands:
                run(command_of(picture.page, beginning), Path(folder))
            stack([Path(folder) / panel for panel in picture.panels], picture.width).save(
                IMAGES / name, quality=QUALITY, optimize=True
            )
        print(f"{IMAGES / name}: {(IMAGES / name).stat().st_size // 1024} KiB")


def command_of(page: str | None, beginning: str) -> str:
    """The first command of a page that begins so, with the lines that it goes on in.

    Raises:
        ValueError: There is none.

    """
    if page is None:
        return beginning
    text = re.sub(r" \\\n *", " ", (ROOT / page).read_text(encoding="utf-8"))
    for line in text.splitlines():
        if line.startswith(beginning):
            return line
    raise ValueError(f"{page} has no command {beginning!r}.")


def run(command: str, folder: Path) -> None:
    """Runs a command of a page with the programs of this Python."""
    program, *arguments = shlex.split(command)
    subprocess.run(
        [Path(sys.executable).with_name(program), *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL
    )


def stack(paths: Sequence[Path], width: int) -> Image.Image:
    """Pictures one below the other, each shrunk to a width."""
    pictures = [Image.open(path).convert("RGB") for path in paths]
    pictures = [
        picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS)
        for picture in pictures
    ]
    whole = Image.new("RGB", (width, sum(picture.height for picture in pictures)), "white")
    top = 0
    for picture in pictures:
        whole.paste(picture, (0, top))
        top += picture.height
    return whole


if __name__ == "__main__":
    main(*sys.argv[1:])
