"""What a turned photo takes at most, as the largest size of a process: turns are views, nothing is copied for them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from camgraph.v1 import manifest_pb2 as pb
from camgraph_runtime.preprocess.memory import reading_bytes
from support.clips import write_clip_graph
from support.tiny_graph import TinyGraph

HEIGHT, WIDTH = 1800, 2400
STRETCH = pb.GeometryStep(resize_to=pb.ResizeTo(height=16, width=16, filter=pb.FILTER_BICUBIC))
PER_REQUEST = 16
"""Bytes per pixel of the photo that a request takes at most, with the overlays of two targets as JPEG."""

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "JPEG": ("JPEG", {}),
    "progressive JPEG": ("JPEG", {"progressive": True, "subsampling": "4:4:4"}),
    "PNG": ("PNG", {"compress_level": 1}),
    "PNG with transparency": ("PNG", {"compress_level": 1}),
}

# A process of its own, which has made nothing larger before; the small files bring in what is loaded and kept once.
CHILD = r"""
import json, re, sys
from pathlib import Path
from camgraph_runtime import Explainer, Threads

def size(field):
    return int(re.findall(rf"{field}:\s*(\d+) kB", Path("/proc/self/status").read_text())[0]) * 1024

def explain(path):
    for item in explainer.explain(path, top_k=2).explanations:
        item.overlay_jpeg

graph, what, small, *files = sys.argv[1:]
explainer = Explainer(graph, threads=Threads(1))
work = explainer.prepare if what == "read" else explain
work(small)
before, peaks = size("VmRSS"), []
for path in files:
    work(path)
    peaks.append(size("VmHWM") - before)
print(json.dumps(peaks))
"""

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="a process's size is read from /proc")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("work", ["read", "explain"])
def test_no_turn_takes_more_than_is_stated(tmp_path: Path, kind: str, work: str) -> None:
    graph = tmp_path / "graph.onnx"
    graph.write_bytes(TinyGraph(steps=[STRETCH]).serialize())
    files = [saved(tmp_path / f"{number}", kind, number, HEIGHT, WIDTH) for number in range(1, 9)]
    small = saved(tmp_path / "small", kind, 1, 30, 40)
    command = [sys.executable, "-c", CHILD, *map(str, (graph, work, small, *files))]
    # Each large array lies by itself: else something small that is kept may split the room of the last photo.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(1 << 20)}
    outcome = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=environment)
    assert outcome.returncode == 0, outcome.stderr
    pixels = HEIGHT * WIDTH
    found = [peak / pixels for peak in json.loads(outcome.stdout)]
    stated = reading_bytes(files[0].read_bytes(), max_pixels=pixels) / pixels
    assert min(found) > 3  # the decoded photo alone
    assert max(found) <= (stated if work == "read" else PER_REQUEST), found
    if work == "read":
        assert max(found) - found[0] < 1.5  # a copy of the turned photo would take 3


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "npy"])
def test_a_photo_that_the_network_sees_in_full_takes_its_tensor_too(tmp_path: Path, kind: str) -> None:
    graph = tmp_path / "graph.onnx"
    graph.write_bytes(TinyGraph(size=None, steps=[]).serialize())
    if kind == "npy":
        large, small = tmp_path / "large.npy", tmp_path / "small.npy"
        np.save(large, np.full((HEIGHT, WIDTH, 3), 0.5, np.float32))
        np.save(small, np.full((30, 40, 3), 0.5, np.float32))
    else:
        large, small = (saved(tmp_path / "large", kind, 1, HEIGHT, WIDTH), saved(tmp_path / "small", kind, 1, 30, 40))
    command = [sys.executable, "-c", CHILD, *map(str, (graph, "read", small, large))]
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(1 << 20)}
    outcome = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=environment)
    assert outcome.returncode == 0, outcome.stderr
    [peak] = json.loads(outcome.stdout)
    pixels = HEIGHT * WIDTH
    small_beside, in_full = (
        reading_bytes(large.read_bytes(), max_pixels=4 * pixels, in_full=in_full) for in_full in (False, True)
    )
    assert small_beside < peak <= in_full < 1.5 * peak


CLIP_CHILD = CHILD.replace("import Explainer", "import ClipExplainer as Explainer").replace(
    'work = explainer.prepare if what == "read" else explain', "work = lambda path: explainer.prepare([path] * 8)"
)


def test_a_clip_takes_no_more_than_its_frames_by_themselves(tmp_path: Path) -> None:
    """All frames are kept, so that a server adds up what each would take."""
    graph = write_clip_graph(tmp_path)
    large, small = saved(tmp_path / "large", "PNG", 1, 900, 1200), saved(tmp_path / "small", "PNG", 1, 30, 40)
    command = [sys.executable, "-c", CLIP_CHILD, str(graph), "read", str(small), str(large)]
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(1 << 20)}
    outcome = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=environment)
    assert outcome.returncode == 0, outcome.stderr
    [peak] = json.loads(outcome.stdout)
    assert 8 * 3 < peak / (900 * 1200) <= 8 * reading_bytes(large.read_bytes(), max_pixels=10**8) / (900 * 1200)


def saved(path: Path, kind: str, orientation: int, height: int, width: int) -> Path:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    ramp = np.linspace(0, 255, width).astype(np.uint8)
    image = Image.fromarray(np.repeat(np.tile(ramp, (height, 1))[:, :, None], 3, axis=2))
    if "transparency" in kind:
        image.putalpha(128)
    form, options = KINDS[kind]
    image.save(path, form, exif=exif, **options)
    return path
