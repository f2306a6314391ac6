"""The examples work as they stand: the demo, the two example programs, the health check of the container image."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from camgraph_runtime import Explainer
from support.serving import PATIENCE

ROOT = Path(__file__).resolve().parent.parent
CAT = "examples/photos/chelsea.png"


def run(*arguments: str, **variables: str) -> str:
    """Runs a Python program of the repository; returns what it prints on stdout."""
    outcome = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return outcome.stdout


def size(path: Path) -> tuple[int, int]:
    """Width and height of a picture."""
    with Image.open(path) as picture:
        return picture.size


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Runs the demo once: its folder and what it printed."""
    folder = tmp_path_factory.mktemp("demo")
    return folder, run("examples/demo.py", str(folder))


@pytest.fixture(scope="module")
def address(demo: tuple[Path, str]) -> Iterator[str]:
    """A server with the model that the demo exported."""
    arguments = ["serve", "--model-repository", str(demo[0] / "models"), "--listen", "127.0.0.1:0"]
    command = [str(Path(sys.executable).parent / "camgraph"), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip().removeprefix("listening on ")
        process.terminate()
        assert process.wait(PATIENCE) == 0


def test_the_demo_exports_serves_explains_and_stops(demo: tuple[Path, str]) -> None:
    _, printed = demo
    for word in (" checks passed", "listening on 127.0.0.1:", "tiger cat", "espresso", "stopped with exit code 0"):
        assert word in printed


def test_every_check_of_the_certificate_is_documented(demo: tuple[Path, str]) -> None:
    manifest = Explainer(demo[0] / "models" / "efficientnet_lite0.onnx").manifest
    pages = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md"))
    checks = [check.name for check in manifest.certificate.checks]
    assert len(checks) >= 6
    assert [name for name in checks if f"`{name}`" not in pages] == []


def test_the_demo_draws_panels_with_the_photo_and_two_overlays(demo: tuple[Path, str]) -> None:
    folder, printed = demo
    for name in ("chelsea", "coffee"):
        path = folder / f"{name}.panel.png"
        assert str(path) in printed
        width, height = size(path)
        photo_width, photo_height = size(ROOT / f"examples/photos/{name}.png")
        assert width / height > 2 * photo_width / photo_height


def test_the_map_of_the_cat_lies_on_the_cat(demo: tuple[Path, str]) -> None:
    """The overlay is redder where the map is high: the face, not the forehead. Beside the crop it is the photo."""
    paths = demo[0] / "chelsea.1-tiger_cat.png", ROOT / "examples/photos/chelsea.png"
    overlay, photo = (np.asarray(Image.open(path).convert("RGB"), np.float64) for path in paths)
    redder = (overlay - photo)[..., 0] - (overlay - photo)[..., 2]
    face, forehead = redder[120:260, 130:300], redder[25:75, 110:330]
    assert face.mean() > forehead.mean() + 50
    assert (overlay[:, 380:] == photo[:, 380:]).all()


def test_the_program_without_a_server(demo: tuple[Path, str], tmp_path: Path) -> None:
    graph = demo[0] / "models" / "efficientnet_lite0.onnx"
    picture = tmp_path / "rocket.png"
    printed = run("examples/in_process.py", str(graph), "examples/photos/rocket.jpg", str(picture))
    assert printed.startswith("missile: probability 0.29")
    assert size(picture) == size(ROOT / "examples/photos/rocket.jpg")


def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("camgraph_exporter.certificate.certify.ALL", [])  # the demo proves the same graph
    names: dict[str, Any] = {}
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 2
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    assert names["result"].predictions[0].label == "tiger cat"
    assert names["result"].explanations[0].heatmap.shape == (300, 451)


def test_the_program_with_a_server(address: str) -> None:
    first, second, timings = run("examples/call_server.py", address, CAT).splitlines()
    assert first.startswith("tiger cat: ")
    assert second.startswith("tiger cat against Egyptian cat: ")
    assert "ms on the server" in timings


def test_the_health_check_of_the_image(address: str) -> None:
    assert run("deploy/healthcheck.py", CAMGRAPH_SERVE_LISTEN=address) == "SERVING\n"
