"""Shows that a layer's cells lie where the manifest says: where a patch of the image changes, the cells there move."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.certificate.movement import Movement
from camgraph_exporter.certificate.outcome import make_check
from camgraph_exporter.certificate.patches import Patch, corners, ring
from camgraph_exporter.certificate.samples import Samples
from camgraph_exporter.certificate.subject import Subject
from camgraph_runtime.maps.placement import FrameCells, Placement
from camgraph_runtime.preprocess.layout import frame_axis, spatial_axes

NAME = "registration"
_TOLERANCE = 1.5
# Patches lie on a ring so far inside the map's edge, as a share of the map; on a smaller one where some move nothing.
_RING, _INNER_RING = 0.2, 0.35
# A single image and four patches tell in most models. A map in the wrong place is there in every image.
_IMAGES = 4
# On an axis of two cells a mirrored map is off by one, on one of three by two.
_SHARE_OF_SPAN = 0.5
# So many images are run together.
_PORTION = 4
# The narrower movements show how wide a patch's movement is; one that a patch makes in two places is not a width.
_NARROW = 0.25
# Below this share of what cells could differ in, a patch moves every cell alike.
_LEAST_ASSOCIATION = 0.01
# Movements below this share of the activations are rounding.
_ROUNDING = 1e-5
_MIDDLE = 127.5


def layer_registered(subject: Subject) -> pb.Check:
    """(f) The cells of each layer lie where the manifest says that they lie."""
    samples = subject.samples(NAME)
    found = {layer.name: _locate(subject, samples, layer) for layer in subject.manifest.layers}
    check = make_check(
        NAME,
        "How far the centre of what moves lies from where the manifest places a changed patch of the image, in cells; "
        "in widths of the movement where a patch moves several cells, in half cells on an axis of two.",
        {name: finding.error for name, finding in found.items()},
        _TOLERANCE,
    )
    check.remark = " ".join(finding.remark for finding in found.values() if finding.remark)
    return check


@dataclass(frozen=True)
class _Finding:
    """How far off a layer's cells are; `remark`: why that was not shown, if it was not.

    `is_settled`: every patch moved cells, and those that it should.
    """

    error: float
    remark: str = ""
    is_settled: bool = False


def _locate(subject: Subject, samples: Samples, layer: pb.Layer) -> _Finding:
    """Change patches of random images until the movement tells where the layer's cells lie."""
    movements: dict[tuple[Patch, ...], Movement] = {}
    finding = _Finding(0.0)
    layout = subject.manifest.input.layout
    axes = [*spatial_axes(layout), *([] if (frame := frame_axis(layout)) is None else [frame])]
    choose, share = corners, _RING
    for _ in range(_IMAGES):
        pixels = samples.pixels(1)
        before = _activations(subject, samples, layer, samples.tensor(pixels))
        height, width, *length = (pixels.shape[axis] for axis in axes)
        placement = Placement.of_layer(layer, (height, width), (before.shape[2], before.shape[3]))
        frames = FrameCells.of_layer(layer, length[0]) if length else None
        patches = tuple(choose(placement, share, frames))
        if not patches:
            return _Finding(math.inf)
        changed = [_inverted(pixels, patch, axes) for patch in patches]
        after = _activations(subject, samples, layer, samples.tensor(np.concatenate(changed)))
        # Cells in a padding are not shown, and a reflection moves them with pixels from elsewhere.
        shown = placement.on_input()
        after = np.where(shown if frames is None else np.multiply.outer(shown, frames.on_input()), after, before)
        if not np.isfinite(after).all() or not np.isfinite(before).all():
            return _Finding(math.inf)
        movement = Movement.between(before, after, rounding=_ROUNDING)
        movements[patches] = movements[patches].add(movement) if patches in movements else movement
        finding = _compare(layer.name, movements)
        if finding.is_settled:
            break
        choose, share = ring, _INNER_RING if share == _RING and not movements[patches].moves.all() else _RING
    return finding


def _inverted(pixels: np.ndarray, patch: Patch, axes: Sequence[int]) -> np.ndarray:
    """Return a copy of an image whose pixels below a patch are black where they were light, and white elsewhere."""
    changed = pixels.copy()
    part: list[slice] = [slice(None)] * pixels.ndim
    for axis, span in zip(axes, patch.spans, strict=True):
        part[axis] = slice(*span)
    changed[tuple(part)] = np.where(changed[tuple(part)] > _MIDDLE, 0.0, 2 * _MIDDLE)
    return changed


def _activations(subject: Subject, samples: Samples, layer: pb.Layer, images: np.ndarray) -> np.ndarray:
    """Return the layer's activations [N, K, h, w] of any number of images, in portions that the graph takes.

    Those of clips are [N, K, h, w, t].
    """
    portion = _PORTION if subject.batch_is_symbolic and not subject.rounds_by_batch else subject.smallest_batch
    switch = subject.manifest.explain_switch
    off = {switch: np.array(False)} if switch else {}
    missing = 0 if subject.batch_is_symbolic else -len(images) % portion
    filled = np.concatenate([images, np.repeat(images[-1:], missing, axis=0)])
    found: list[np.ndarray] = []
    for start in range(0, len(filled), portion):
        feeds = samples.feeds_of(filled[start : start + portion], 1) | off
        found += subject.engine.run(feeds, [layer.activations_tensor]).values()
    whole = np.concatenate(found)[: len(images)]
    return np.moveaxis(whole, 2, -1) if layer.frames else whole


def _compare(name: str, movements: Mapping[tuple[Patch, ...], Movement]) -> _Finding:
    """Compare the centres of all movements with where the manifest has the patches.

    A plane through the centres stands for them: a single patch meets chance in its image, but a map that is mirrored,
    cut, padded, turned or shuffled is so everywhere. The plane is also taken at patches that move nothing, as those
    outside a cut do.
    """
    expected = np.array([patch.place for patches in movements for patch in patches])
    moves = np.concatenate([movement.moves for movement in movements.values()])
    varied = np.ptp(expected, axis=0) > 0
    plane = np.column_stack([np.ones(len(expected)), expected[:, varied]])
    if np.linalg.matrix_rank(plane[moves]) < plane.shape[1]:
        return _Finding(0.0, f"Too few patches of the image move layer {name!r} for that to show where its cells lie.")
    centres, spreads = (
        np.concatenate(parts) for parts in zip(*(movement.centres() for movement in movements.values()), strict=True)
    )
    slopes, *_ = np.linalg.lstsq(plane[moves], centres[moves], rcond=None)
    cells = np.array(next(iter(movements.values())).shares.shape[1:])
    unit = np.maximum(np.minimum(1.0, _SHARE_OF_SPAN * (cells - 1)), np.quantile(spreads[moves], _NARROW, axis=0))
    distances = np.abs(plane @ slopes - expected).max(axis=0)
    error = float(np.max(distances[varied] / unit[varied], initial=0.0))
    if error > _TOLERANCE and max(movement.association for movement in movements.values()) < _LEAST_ASSOCIATION:
        return _Finding(
            0.0,
            f"Wherever the image changes, all cells of layer {name!r} move alike, which does not show where they lie.",
        )
    return _Finding(error, is_settled=bool(moves.all()) and error <= _TOLERANCE)
