"""Rows of a report of `camgraph explain`, made up."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from camgraph_client.cli.photos import Photo
from camgraph_client.cli.report.journal import Pictures
from camgraph_client.cli.report.page import write_page
from camgraph_client.cli.report.rows import Row

HOSTILE = "</script><img src=x onerror=alert(1)>&'\""
MODEL = {
    "name": f"model{HOSTILE}.onnx",
    "sha256": "0123456789abcdef" * 4,
    "as_proven": True,
    "certificate": {
        "passed": True,
        "checks": [
            {
                "name": "gradients",
                "description": f"compares them with differences {HOSTILE}",
                "error": 3e-9,
                "tolerance": 1e-4,
                "passed": True,
                "remark": "",
            }
        ],
    },
}
LABELS = ("tabby", "Egyptian cat", "猫", f"cup{HOSTILE}", "a label that is so long " * 4)


def row(name: str, *, probability: float, label: str = "tabby", truth: str | None = None, **other: object) -> Row:
    """The row of an image with one map."""
    return {
        "image": name,
        "error": None,
        "truth": None if truth is None else {"class_index": 0, "label": truth},
        "correct": None if truth is None else truth == label,
        "deviations": None,
        "predictions": [{"label": label, "class_index": 0, "probability": probability, "value": None}],
        "explanations": [{"method": "grad-cam", "statistics": {"maximum": 10 * probability}}],
        "warnings": [],
        **other,
    }


def failed(name: str) -> Row:
    """The row of an image that could not be explained."""
    return row(name, probability=0.0, error=f"{name} is not an image.", predictions=[], explanations=[])


def rows(count: int, seed: int = 0) -> list[Row]:
    """Rows of all kinds; no two have the same probability."""
    generator = np.random.default_rng(seed)
    made: list[Row] = []
    for number in range(count):
        name = f"folder{number % 3}/photo_{number}.png"
        label, true = LABELS[number % len(LABELS)], LABELS[number % 2]
        warnings = ["The map is empty."] if number % 7 == 3 else []
        kind = number % 11
        if kind == 10:
            made.append(failed(name))
        else:
            truth = None if kind == 9 else true
            probability = round((number + generator.random()) / count, 6)
            made.append(row(name, probability=probability, label=label, truth=truth, warnings=warnings))
    return made


def strange() -> list[Row]:
    """Rows whose names are what a page has to stand."""
    names = [
        HOSTILE.replace("/", ""),
        "x" * 240 + ".png",
        "صورة/قطة جميلة 🐈.jpg",
        "turned\u202egnp.exe",
        "a folder/" * 20 + "b.png",
    ]
    return [row(name, probability=0.5, label=label) for name, label in zip(names, LABELS, strict=True)]


def write(path: Path, made: Sequence[Row], colormap: str = "jet") -> list[str]:
    """Writes the page of rows, each with two pictures; the names of the images as they stand in it."""
    pictures = _pictures()
    write_page(
        path,
        MODEL,
        [(Photo(Path(item["image"]), "photo"), item) for item in made],
        lambda photo: [] if _is_failed(made, photo) else pictures,
        colormap=colormap,
        shared_scale=True,
    )
    return [item["image"] for item in made]


def _is_failed(made: Sequence[Row], photo: Photo) -> bool:
    return any(item["image"] == str(photo.path) and item["error"] is not None for item in made)


def _pictures() -> Pictures:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)
    Image.fromarray(pixels).resize((240, 160)).save(buffer, "JPEG", quality=80)
    jpeg = base64.b64encode(buffer.getvalue()).decode()
    titles = (("photo", "240 x 160 px"), (f"cup{HOSTILE}", "95.1% · score 11.40 · largest 0.725"))
    return [{"title": title, "note": note, "width": "240", "height": "160", "jpeg": jpeg} for title, note in titles]
