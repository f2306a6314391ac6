"""Memory that reading an image takes, per pixel and per byte of values: what `preprocess/memory.py` charges for it.

Each kind of picture is read in a process of its own, by a graph that is given: `reading_memory.py GRAPH [SIDE]`.
"""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from camgraph_runtime import Explainer
from camgraph_runtime.preprocess.memory import reading_bytes

KINDS = (
    *("PNG L", "PNG RGB", "JPEG RGB", "progressive RGB", "TIFF RGB", "PNG I;16", "PNG RGBA", "JPEG CMYK"),
    *("16 bits 3", "16 bits 4", "npy uint8", "npy float32"),
)


def encoded(kind: str, side: int) -> bytes:
    """A picture of the kind, all of one colour."""
    form, what = kind.rsplit(" ", 1)
    if form == "16 bits":
        return bytes(cv2.imencode(".png", np.full((side, side, int(what)), 30000, np.uint16))[1])
    buffer = io.BytesIO()
    if form == "npy":
        np.save(buffer, np.full((side, side, 3), 1, what))
    else:
        colour = 90 if len(what) == 1 or ";" in what else (90,) * len(what)
        options = {"progressive": True, "subsampling": "4:4:4"} if form == "progressive" else {}
        Image.new(what, (side, side), colour).save(buffer, "JPEG" if options else form, **options)
    return buffer.getvalue()


def peak() -> int:
    """Bytes that this process had at most since `forget_peak`."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def forget_peak() -> None:
    """Lets the kernel start anew."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def measure(graph: str, side: int, kind: str) -> None:
    """Prints what one kind takes, and what is charged."""
    explainer, data = Explainer(graph), encoded(kind, side)
    explainer.explain(np.zeros((300, 300, 3), np.uint8))
    forget_peak()
    before = peak()
    explainer.prepare(data)
    taken, charged = peak() - before, reading_bytes(data, max_pixels=explainer.limits.max_pixels)
    print(f"{kind:12} {taken / side**2:5.1f} bytes per pixel, charged {charged / side**2:5.1f}", flush=True)


def main() -> None:
    """Measures every kind in a fresh process."""
    graph, side = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3000
    if len(sys.argv) > 3:
        measure(graph, side, sys.argv[3])
        return
    for kind in KINDS:
        subprocess.run([sys.executable, __file__, graph, str(side), kind], check=True)


if __name__ == "__main__":
    main()
