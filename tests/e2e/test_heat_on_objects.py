"""Of drawn scenes whose truth is known: heat lies on what is explained, more than in maps that never saw the image.

The networks are those of docs/segmentation.md; the scenes are new ones.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from camgraph_core.components import components
from camgraph_core.errors import TargetError
from camgraph_core.place import Point, Region
from camgraph_exporter import Input, export
from camgraph_runtime import Explainer, Target
from camgraph_runtime.maps.resize import resize_map

ROOT = Path(__file__).resolve().parents[2]
SCENES, SEED = 30, 77
LEAST = 40  # pixels of a thing that is asked for


def _scenes() -> ModuleType:
    spec = importlib.util.spec_from_file_location("scenes", ROOT / "examples/scenes.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["scenes"] = module  # as dataclasses want it
    spec.loader.exec_module(module)
    return module


KINDS = _scenes().KINDS
OF = {"road": "road", "land": "land", "clinic": "clinic", "cars": "road"}
"""By model the kind of its scenes."""
THING = {"road": "car", "clinic": "lesion", "cars": "car"}
LABELS = {name: KINDS[name].classes for name in KINDS} | {"cars": ("car",)}


@dataclass(frozen=True)
class Asked:
    """What is asked of a scene, the class that it is, and its true pixels."""

    target: Target
    label: str
    pixels: np.ndarray


def asked_of(name: str, scene: Any) -> Iterator[Asked]:
    """Of land the largest region of each class; else each thing, by a point of it."""
    if name == "land":
        for index in np.unique(scene.truth):
            pixels = np.zeros(scene.truth.size, bool)
            pixels[components(scene.truth == index)[0]] = True
            target = Target.index(int(index), place=Region(1))
            yield Asked(target, KINDS["land"].classes[index], pixels.reshape(scene.truth.shape))
        return
    for thing in scene.things:
        down, across = np.argwhere(thing).mean(axis=0) + 0.5
        yield Asked(Target(place=Point(across, down)), THING[name], thing)


def maps_of(name: str, explainer: Explainer) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
    """The maps of all that was asked of the scenes and that the network finds, with the true pixels."""
    kind, rng = KINDS[OF[name]], np.random.default_rng(SEED)
    down, across = (np.linspace(-1, 1, length) for length in kind.size)
    blob = np.exp(-4 * (down[:, None] ** 2 + across**2)).astype(np.float32)
    for _ in range(SCENES):
        scene = kind.draw(rng, *kind.size)
        for asked in asked_of(name, scene):
            noise = resize_map(rng.random((8, 8)).astype(np.float32), kind.size)
            if asked.pixels.sum() < LEAST:
                continue
            try:
                [explanation] = explainer.explain(scene.picture, targets=[asked.target]).explanations
            except TargetError:
                continue  # the network does not find it
            if explanation.target.label == asked.label:
                yield {"map": explanation.heatmap, "blob": blob, "noise": noise}, asked.pixels


@pytest.mark.parametrize("name", OF)
def test_defaults_beat_what_never_saw_the_image(name: str, tmp_path: Path) -> None:
    """The mean share of the heat that lies on the object, and how often the hottest pixel does."""
    export(
        ROOT / f"examples/models/{name}.onnx",
        tmp_path / "cam.onnx",
        input=Input.preset("zero-one"),
        labels=LABELS[name],
    )
    explainer = Explainer(tmp_path / "cam.onnx")
    assert explainer.manifest.default_method == "hires-cam"
    found = list(maps_of(name, explainer))
    assert len(found) >= SCENES, "the network finds things"
    share, hits = {}, {}
    for which in ("map", "blob", "noise"):
        shares = [float(heats[which][pixels].sum() / max(heats[which].sum(), 1e-9)) for heats, pixels in found]
        share[which] = float(np.mean(shares))
        hits[which] = float(np.mean([pixels.ravel()[heats[which].argmax()] for heats, pixels in found]))
    assert share["map"] > 2 * max(share["blob"], share["noise"])
    assert hits["map"] > 1.5 * max(hits["blob"], hits["noise"])
