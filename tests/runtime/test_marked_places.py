"""Polygons, regions of the prediction and points: which pixels they mean, what is refused, and what is drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.path import Path as Outline

from camgraph_core.errors import InvalidInputError, TargetError
from camgraph_core.place import Mask, Place, Point, Polygon, Region
from camgraph_runtime import Explainer, Target
from camgraph_runtime.preprocess import decode_mask
from support.colour_segmenter import HEIGHT, WIDTH, Block, export_segmenter, picture
from support.tasks import load

LARGE = Block("red", slice(4, 24), slice(4, 34))
SMALL = Block("red", slice(30, 40), slice(8, 18))
GREEN = Block("green", slice(10, 40), slice(44, 60))
SCENE = (LARGE, SMALL, GREEN)
SIZE = (HEIGHT, WIDTH)


@pytest.fixture(scope="module")
def explainer(tmp_path_factory: pytest.TempPathFactory) -> Explainer:
    """Photos of the network's own size go in as they are, others are letterboxed."""
    folder = tmp_path_factory.mktemp("letterbox")
    return load(export_segmenter(folder, "--resize", "letterbox", "--fill", "0"))


@pytest.fixture(scope="module")
def cropping(tmp_path_factory: pytest.TempPathFactory) -> Explainer:
    """Of a photo the middle is seen."""
    return load(export_segmenter(tmp_path_factory.mktemp("crop"), "--resize", "shorter-side", "--shorter-side", "100"))


def mask_of(explainer: Explainer, photo: np.ndarray, target: Target) -> np.ndarray:
    [explanation] = explainer.explain(photo, targets=[target]).explanations
    assert explanation.mask is not None
    return explanation.mask


@pytest.mark.parametrize(
    ("target", "block"),
    [
        (Target(place=Region(2)), LARGE),  # the first is what lies around them
        (Target(place=Region(3)), GREEN),
        (Target(place=Region(4)), SMALL),
        (Target.of_label("red", place=Region(1)), LARGE),
        (Target.of_label("red", place=Region(2)), SMALL),
        (Target.index(2, place=Region(1)), GREEN),
        (Target.of_rank(3, place=Region(1)), GREEN),
        (Target(place=Point(12.5, 33)), SMALL),
        (Target(place=Point(4, 4)), LARGE),
        (Target.of_label("green", place=Point(59.9, 39.9)), GREEN),
    ],
)
def test_regions_are_those_of_the_prediction(explainer: Explainer, target: Target, block: Block) -> None:
    [explanation] = explainer.explain(picture(SCENE), targets=[target]).explanations
    np.testing.assert_array_equal(explanation.mask, block.mask(SIZE))
    assert explanation.target.label == block.name
    assert explanation.target.area == block.mask(SIZE).mean()
    outside = explanation.heatmap[block.mask(SIZE) == 0]
    assert explanation.heatmap.max() > 0
    assert not outside.any(), "each score is read from its own pixel"


def test_a_region_takes_its_contrast_with_it(explainer: Explainer) -> None:
    target = Target.of_label("red", place=Region(2), contrast=Target.of_label("green"))
    [explanation] = explainer.explain(picture(SCENE), targets=[target]).explanations
    assert explanation.contrast is not None
    assert explanation.contrast.area == explanation.target.area == SMALL.mask(SIZE).mean()


def test_a_region_of_a_letterboxed_photo_lies_on_the_photo(explainer: Explainer) -> None:
    scene = [Block(b.name, *(slice(2 * s.start, 2 * s.stop) for s in (b.rows, b.columns))) for b in SCENE]
    photo = picture(scene, (2 * HEIGHT - 20, 2 * WIDTH))  # 5 rows of the input above it are none of the photo's
    for target, block in (
        (Target.of_label("red", place=Region(2)), scene[1]),
        (Target(place=Point(100, 50)), scene[2]),
    ):
        found = mask_of(explainer, photo, target)
        np.testing.assert_array_equal(found, block.mask(photo.shape[:2]))
    rows = mask_of(explainer, photo, Target(place=Region(1)))
    assert rows[0].all(), "what lies beside the photo is no region, and cuts none"


def test_of_a_single_mask_regions_are_the_objects(tmp_path: Path) -> None:
    explainer = load(export_segmenter(tmp_path, single=True))
    found = mask_of(explainer, picture(SCENE), Target(place=Region(2)))
    np.testing.assert_array_equal(found, SMALL.mask(SIZE))
    around = mask_of(explainer, picture(SCENE), Target(place=Point(1, 1)))
    np.testing.assert_array_equal(around, 1 - LARGE.mask(SIZE) - SMALL.mask(SIZE))


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (Target.of_label("red", place=Region(3)), "There is no region 3 of class red: it has 2 in this image."),
        (Target(place=Region(9)), "There is no region 9 of the prediction: it has 4 in this image."),
        (Target.of_label("red", place=Point(50, 20)), "not in a region of class red: the model takes it for green."),
    ],
)
def test_regions_that_are_not_there_are_refused(explainer: Explainer, target: Target, said: str) -> None:
    with pytest.raises(TargetError, match=said):
        explainer.explain(picture(SCENE), targets=[target])


def test_a_polygon_is_the_pixels_inside(explainer: Explainer) -> None:
    """Against matplotlib, for stars around the middle with random corners."""
    rng = np.random.default_rng(5)
    middles = np.stack(np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5), axis=-1).reshape(-1, 2)
    for corners in (3, 4, 9):
        angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
        reach = rng.uniform(8, 23, corners)
        points = np.stack([32 + reach * np.cos(angles), 24 + reach * np.sin(angles)], axis=1)
        inside = Outline(points).contains_points(middles).reshape(SIZE)
        found = mask_of(explainer, picture(SCENE), Target.of_label("red", place=Polygon(points.tolist())))
        np.testing.assert_array_equal(found, inside)


def test_a_polygon_that_crosses_itself_has_a_hole(explainer: Explainer) -> None:
    twice = [(10, 10), (50, 10), (50, 40), (10, 40), (10, 10), (20, 20), (40, 20), (40, 30), (20, 30), (20, 20)]
    wanted = np.zeros(SIZE, np.uint8)
    wanted[10:40, 10:50] = 1
    wanted[20:30, 20:40] = 0
    np.testing.assert_array_equal(mask_of(explainer, picture(SCENE), Target(place=Polygon(twice))), wanted)


@pytest.mark.parametrize(
    "place", [Polygon([(0, 0), (64, 0), (64, 100), (0, 100)]), Mask(np.eye(2).repeat(50, 0).repeat(50, 1))]
)
def test_what_is_not_seen_of_a_place_is_said(cropping: Explainer, place: Place) -> None:
    photo = picture(SCENE, (100, 100))  # rows 26 to 74 and columns 18 to 82 are seen
    result = cropping.explain(photo, targets=[Target.of_label("red", place=place)])
    inside = np.zeros((100, 100), bool)
    inside[26:74, 18:82] = True
    array = place.array != 0 if isinstance(place, Mask) else np.arange(100)[None, :].repeat(100, 0) < 64
    unseen = 1 - (array & inside).sum() / array.sum()
    name = type(place).__name__.lower()
    assert result.warnings[0] == f"{unseen:.0%} of the {name} lies outside what the network sees, and does not count."
    np.testing.assert_array_equal(result.explanations[0].mask, array & inside)


def test_all_of_a_place_that_is_seen_needs_no_word(cropping: Explainer) -> None:
    seen = Polygon([(20, 30), (60, 30), (40, 70)])
    assert cropping.explain(picture(SCENE, (100, 100)), targets=[Target.index(2, place=seen)]).warnings == []


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (Polygon([(0, 0), (17, 0), (17, 99)]), "The polygon covers no pixel of the score map"),
        (Polygon([(50, 50), (50.1, 50), (50.1, 50.1)]), "The polygon covers no pixel of the score map"),
        (Point(5, 50), "does not see the point 5, 50: of the image it sees 18, 26 - 82, 74."),
        (Point(50, 120), "does not see the point 50, 120"),
    ],
)
def test_what_the_network_does_not_see_is_refused(cropping: Explainer, place: Place, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        cropping.explain(picture(SCENE, (100, 100)), targets=[Target.index(1, place=place)])


def test_a_mask_of_the_scores_is_told_from_one_of_the_photo(cropping: Explainer) -> None:
    scene = picture(SCENE, (100, 100))
    cells = Mask(np.eye(HEIGHT, WIDTH), on_scores=True)
    found = mask_of(cropping, scene, Target.index(1, place=cells))
    wanted = np.zeros((100, 100), np.uint8)
    wanted[26:74, 18:82] = cells.array
    np.testing.assert_array_equal(found, wanted)
    with pytest.raises(InvalidInputError, match=r"The mask is 100 x 100, but the score map 64 x 48 .* this size"):
        cropping.explain(scene, targets=[Target.index(1, place=Mask(np.ones((100, 100)), on_scores=True))])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Polygon([(0, 0), (1, 1)]), "3 to 10000 corners, but this one has 2"),
        (lambda: Polygon([(0, 0)] * 10_001), "but this one has 10001"),
        (lambda: Polygon([(0, 0), (1, float("nan")), (2, 2)]), "finite"),
        (lambda: Polygon([(0, 0), (1, 2, 3), (2, 2)]), "pairs"),  # type: ignore[list-item]  # wrong on purpose
        (lambda: Polygon.parse("10,20 30"), "is not a list of corners"),
        (lambda: Polygon.parse("10,20 30,40 x,1"), "is not a list of corners"),
        (lambda: Polygon.parse(" "), "is not a list of corners"),
        (lambda: Region(0), "Ranks of regions start at 1"),
        (lambda: Region(1.5), "whole number"),  # type: ignore[arg-type]  # wrong on purpose
    ],
)
def test_places_that_make_no_sense_are_refused(make: object, said: str) -> None:
    assert callable(make)
    with pytest.raises(TargetError, match=said):
        make()


def test_a_polygon_as_written() -> None:
    assert Polygon.parse(" 1,2  3.5,-4 5,6 ") == Polygon(((1, 2), (3.5, -4), (5, 6)))


def test_masks_of_numpy_files(tmp_path: Path) -> None:
    np.save(tmp_path / "mask.npy", np.array([[0, np.nan, 2.5], [-1, 0, 0]]))
    np.testing.assert_array_equal(decode_mask(tmp_path / "mask.npy", max_pixels=100), [[0, 0, 1], [1, 0, 0]])
    np.save(tmp_path / "deep.npy", np.zeros((2, 3, 3)))
    with pytest.raises(InvalidInputError, match=r"A mask is an array \[H, W\], but this one is \[2, 3, 3\]"):
        decode_mask(tmp_path / "deep.npy", max_pixels=100)


def test_the_outline_is_drawn_around_what_is_explained(explainer: Explainer) -> None:
    photo = picture(SCENE).repeat(8, axis=0).repeat(8, axis=1)
    targets = [Target.of_label("red", place=Region(2)), Target.of_label("green")]
    for explanation, block in zip(explainer.explain(photo, targets=targets).explanations, (SMALL, GREEN), strict=True):
        changed = np.any(explanation.overlay() != explanation.overlay(outline=False), axis=2)
        mask = block.mask(SIZE).repeat(8, axis=0).repeat(8, axis=1)
        near = np.zeros_like(changed)
        for rows, columns in ((-6, 0), (6, 0), (0, -6), (0, 6)):
            near |= np.roll(mask, (rows, columns), (0, 1)) != mask
        assert changed.any()
        assert not (changed & ~near).any()
        top, left, middle = (
            block.rows.start * 8,
            block.columns.start * 8,
            (block.columns.start + block.columns.stop) * 4,
        )
        assert changed[top - 3 : top + 3, middle].any()
        assert changed[(block.rows.start + block.rows.stop) * 4, left - 3 : left + 3].any()
