"""Pictures that do not mislead: the unseen is not painted, the cold is not covered, classes share a scale."""

from __future__ import annotations

import numpy as np
import pytest

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import UsageError
from camgraph_runtime import Explainer, Result, Target
from camgraph_runtime.pictures.colormaps import colours_of
from camgraph_runtime.pictures.overlay import overlay
from camgraph_runtime.pictures.panel import result_panel, shared_peaks
from support.plain_overlay import plain_overlay
from support.tiny_graph import TinyGraph

SIDE = 16
CROP = pb.GeometryStep(center_crop=pb.CenterCrop(height=SIDE, width=SIDE))
STRETCH = pb.GeometryStep(resize_to=pb.ResizeTo(height=SIDE, width=SIDE))
LETTERBOX = pb.GeometryStep(letterbox=pb.Letterbox(height=SIDE, width=SIDE))


def explained(height: int, width: int, step: pb.GeometryStep, *targets: Target) -> Result:
    photo = np.random.default_rng(2).integers(0, 256, (height, width, 3), np.uint8)
    return Explainer(TinyGraph(steps=[step]).serialize()).explain(photo, targets=targets, top_k=0 if targets else 3)


@pytest.mark.parametrize(
    ("height", "width", "rows", "columns"),
    [
        (40, 30, slice(12, 28), slice(7, 23)),
        (40, 16, slice(12, 28), slice(0, 16)),
        (16, 16, slice(0, 16), slice(0, 16)),
    ],
)
def test_beside_the_crop_is_the_photo_itself(height: int, width: int, rows: slice, columns: slice) -> None:
    result = explained(height, width, CROP)
    explanation, photo = result.explanations[0], result.photo
    assert photo is not None
    wanted = photo.copy()
    wanted[rows, columns] = plain_overlay(photo, explanation.heatmap)[rows, columns]
    np.testing.assert_array_equal(explanation.overlay(outline=False), wanted)
    framed = np.any(explanation.overlay() != wanted, axis=2)
    inner = np.zeros_like(framed)
    inner[rows, columns][3:-3, 3:-3] = True
    assert not framed[inner].any()
    assert framed.any() == (wanted.shape[:2] != (SIDE, SIDE))


@pytest.mark.parametrize("step", [STRETCH, LETTERBOX])
def test_a_photo_that_is_seen_whole_has_no_frame(step: pb.GeometryStep) -> None:
    explanation = explained(30, 40, step).explanations[0]
    np.testing.assert_array_equal(explanation.overlay(), explanation.overlay(outline=False))


@pytest.mark.parametrize("weight", [0.0, 0.25, 0.5, 1.0])
def test_colours_cover_the_photo_by_the_heat(weight: float) -> None:
    rng = np.random.default_rng(7)
    photo, heatmap = rng.integers(0, 256, (90, 70, 3), np.uint8), rng.random((90, 70), np.float32)
    heatmap[:10] = 0
    levels = (np.float32(255) * heatmap).astype(int)
    colours, opacity = colours_of("turbo")[levels].astype(float), (1 - weight**2) * np.sqrt(levels / 255)[:, :, None]
    wanted = photo + opacity * (colours - photo)
    drawn = overlay(photo, heatmap, colormap="turbo", image_weight=weight, opacity="heat")
    assert np.abs(drawn - wanted).max() <= 0.5 + 1e-9
    np.testing.assert_array_equal(drawn[:10], photo[:10])
    with pytest.raises(UsageError, match="no opacity 'full'"):
        overlay(photo, heatmap, opacity="full")


def test_classes_of_a_panel_share_a_scale() -> None:
    result = explained(30, 40, STRETCH)
    peaks = shared_peaks(result.explanations)
    assert peaks is not None
    maps = [np.maximum(explanation.raw_map, 0) for explanation in result.explanations]
    largest = max(float(np.ptp(cells)) for cells in maps)
    for explanation, cells, peak in zip(result.explanations, maps, peaks, strict=True):
        assert peak == pytest.approx(np.ptp(cells) / largest, abs=1e-6)
        cooled = plain_overlay(result.photo, explanation.heatmap * np.float32(peak))
        np.testing.assert_array_equal(explanation.overlay(peak=peak), cooled)
    assert min(peaks) < max(peaks) == 1
    shared, own = result_panel(result), result_panel(result, shared_scale=False)
    assert shared.shape == own.shape
    assert (shared != own).any()


def test_maps_of_several_layers_have_no_common_scale() -> None:
    result = Explainer(TinyGraph(steps=[STRETCH]).serialize()).explain(
        np.zeros((20, 20, 3), np.uint8), top_k=2, layers=["last", "last"]
    )
    assert shared_peaks(result.explanations) is None
