"""Draws docs/images/cluster.svg: from one process to a cluster.

python scripts/cluster_picture.py
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

TARGET = Path(__file__).resolve().parent.parent / "docs" / "images" / "cluster.svg"

WIDTH, HEIGHT = 1080, 525
BLUE, GREEN, SAND, GREY = "#dbe9f6", "#dff0df", "#fbeed3", "#eeeeee"
INK = "#24303c"


def text(x: float, y: float, words: str, size: int = 14, *, weight: str = "normal", anchor: str = "middle") -> str:
    """Words whose base line begins, or has its middle, at a point."""
    place = f'x="{x:g}" y="{y:g}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}"'
    return f"<text {place}>{escape(words)}</text>"


def box(x: float, y: float, width: float, height: float, fill: str, *lines: str) -> Iterator[str]:
    """A box with lines of text in its middle."""
    shape = f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6"'
    yield f'<rect {shape} fill="{fill}" stroke="{INK}"/>'
    first = y + height / 2 - 9 * (len(lines) - 1) + 5
    yield from (text(x + width / 2, first + 18 * number, line, 13) for number, line in enumerate(lines))


def arrow(x: float, y: float, to_x: float, to_y: float) -> str:
    """An arrow from a point to another."""
    length = math.hypot(to_x - x, to_y - y)
    along_x, along_y = (to_x - x) / length, (to_y - y) / length
    back_x, back_y = to_x - 9 * along_x, to_y - 9 * along_y
    sides = ((back_x - 4 * along_y, back_y + 4 * along_x), (back_x + 4 * along_y, back_y - 4 * along_x))
    corners = " ".join(f"{px:.1f},{py:.1f}" for px, py in ((to_x, to_y), *sides))
    ends = f'x1="{x:g}" y1="{y:g}" x2="{back_x:.1f}" y2="{back_y:.1f}"'
    return f'<line {ends} stroke="{INK}" stroke-width="1.5"/><polygon points="{corners}" fill="{INK}"/>'


def heading(x: float, number: int, title: str, command: str) -> Iterator[str]:
    """The title of a step, with its command below."""
    yield text(x, 40, f"{number}  {title}", 17, weight="bold", anchor="start")
    yield text(x, 64, command, 13, anchor="start")


def one_process() -> Iterator[str]:
    """Step 1: no server."""
    yield from heading(30, 1, "One process", "camgraph explain --graph")
    yield from box(30, 156, 80, 44, GREY, "photos")
    yield arrow(110, 178, 138, 178)
    yield from box(142, 146, 76, 64, BLUE, "process", "graph")


def one_machine() -> Iterator[str]:
    """Steps 2 and 3: a server, of one process or of several on one port."""
    yield from heading(280, 2, "One server", "camgraph serve")
    yield from box(280, 156, 74, 44, GREY, "clients")
    yield arrow(354, 178, 382, 178)
    yield from box(386, 146, 84, 64, BLUE, "server", "port 8500")
    yield from heading(520, 3, "One machine", "camgraph serve --processes 4")
    yield from box(520, 156, 74, 44, GREY, "clients")
    for number in range(4):
        y = 98 + 42 * number
        yield arrow(594, 178, 634, y + 16)
        yield from box(638, y, 84, 32, BLUE, f"process {number + 1}")
    yield text(680, 278, "one port, one supervisor", 12)


def several_machines() -> Iterator[str]:
    """Step 4: what stands in front of several servers."""
    yield from heading(780, 4, "Several machines", "HAProxy, Kubernetes or Ray Serve")
    yield from box(780, 156, 64, 44, GREY, "clients")
    yield arrow(844, 178, 864, 178)
    yield from box(868, 138, 78, 80, SAND, "HTTP/2,", "call", "by call")
    for number, name in enumerate("ABC"):
        y = 104 + 56 * number
        yield arrow(946, 178, 968, y + 20)
        yield from box(970, y, 80, 40, BLUE, f"server {name}")
    yield text(918, 278, "health checks; calls are sent again", 12)


def bulk() -> Iterator[str]:
    """Step 5: files in, files out."""
    yield text(30, 346, "5  Millions of images", 17, weight="bold", anchor="start")
    yield text(30, 370, "camgraph bulk", 13, anchor="start")
    yield from box(30, 408, 150, 64, GREY, "images on S3, GCS,", "HDFS or a disk")
    yield arrow(180, 440, 226, 440)
    yield from box(230, 408, 150, 64, SAND, "plan of parts,", "256 images each")
    for number in range(4):
        y = 380 + 36 * number
        yield arrow(380, 440, 450, y + 14)
        yield from box(454, y, 150, 28, BLUE, f"process {number + 1} of Ray")
        yield arrow(604, y + 14, 676, 440)
    yield from box(680, 408, 150, 64, GREEN, "Parquet: a file", "for each part")
    said = ("A part is done", "when its file is there.", "A run that is killed", "goes on with the others.")
    yield from (text(856, 414 + 20 * number, line, 13, anchor="start") for number, line in enumerate(said))


def make() -> str:
    """The whole picture."""
    parts = [*one_process(), *one_machine(), *several_machines(), *bulk()]
    rule = f'<line x1="30" y1="310" x2="{WIDTH - 30}" y2="310" stroke="#b8c0c8"/>'
    frame = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif"'
    titles = [
        rule,
        text(30, 515, "The same graph and the same maps everywhere.", 13, anchor="start"),
    ]
    page = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
    return "\n".join([f'{frame} fill="{INK}">', page, *titles, *parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    TARGET.write_text(make(), encoding="utf-8")
