"""Memory banks: distances, coreset and patches against plain computations, and images with known faults."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from camgraph_core.errors import AbsentOutputError, InvalidInputError, TooLargeError, UnknownLayerError, UsageError
from camgraph_runtime import Explainer, Target, bank_builder
from camgraph_runtime.bank import distances, memory_bank
from camgraph_runtime.bank.coreset import greedy_coreset
from camgraph_runtime.bank.distances import nearest
from camgraph_runtime.bank.memory_bank import LABEL, MemoryBank
from camgraph_runtime.bank.patches import patches_of
from camgraph_runtime.bank_builder import build_bank
from camgraph_runtime.maps.placement import CellAxis, Placement
from support.tasks import EMBEDDING, SIDE

RNG = np.random.default_rng(0)
LAYERS = ("first", "last")


@pytest.mark.parametrize("rows", [1 << 14, 7])
@pytest.mark.parametrize("with_owners", [False, True])
def test_nearest(monkeypatch: pytest.MonkeyPatch, rows: int, with_owners: bool) -> None:
    monkeypatch.setattr(distances, "_ROWS", rows)
    monkeypatch.setattr(distances, "_CELLS", 40)
    vectors, bank = RNG.normal(size=(53, 6)).astype(np.float32), RNG.normal(size=(31, 6)).astype(np.float32)
    bank[3] = vectors[5] + np.float32(1e-4)  # close to one another, where products cancel out
    whole = np.linalg.norm(vectors[:, None].astype(np.float64) - bank[None], axis=2)
    owners: tuple[Any, ...] = ()
    if with_owners:
        owners = RNG.integers(0, 4, 53).astype(np.int32), RNG.integers(0, 3, 31).astype(np.int32)
        whole[owners[0][:, None] == owners[1][None]] = np.inf
    np.testing.assert_allclose(nearest(vectors, bank, *owners), whole.min(axis=1), rtol=1e-5)


def test_nearest_is_infinite_where_all_are_its_own() -> None:
    owners = np.zeros(3, np.int32)
    assert np.isinf(nearest(np.ones((3, 2), np.float32), np.ones((3, 2), np.float32), owners, owners)).all()


def test_each_vector_of_a_coreset_is_the_farthest_from_those_before_it() -> None:
    vectors = RNG.normal(size=(60, 5)).astype(np.float32)
    chosen = greedy_coreset(vectors, 20, np.random.default_rng(1))
    for number in range(1, 20):
        away = np.linalg.norm(vectors[:, None] - vectors[chosen[:number]][None], axis=2).min(axis=1)
        assert away[chosen[number]] == pytest.approx(away.max(), rel=1e-5)


def test_a_coreset_of_long_vectors_covers_them_better_than_chance() -> None:
    centres = 20 * RNG.normal(size=(10, 200))
    vectors = (centres.repeat([900, *[10] * 9], axis=0) + RNG.normal(size=(990, 200))).astype(np.float32)
    chosen = greedy_coreset(vectors, 10, np.random.default_rng(1))
    assert len({int(np.linalg.norm(centres - vectors[one], axis=1).argmin()) for one in chosen}) == 10
    np.testing.assert_array_equal(greedy_coreset(vectors[:7], 10, RNG), range(7))


def _placement(cells: int, *, transposed: bool = False) -> Placement:
    axis = CellAxis.over(cells, 48)
    return Placement(axis, axis, transposed, (48, 48), covers_input=True)


def test_a_cell_is_averaged_with_its_neighbours() -> None:
    layer = RNG.normal(size=(3, 5, 6)).astype(np.float32)
    place = Placement(CellAxis.over(5, 50), CellAxis.over(6, 60), False, (50, 60), covers_input=True)
    grid = patches_of([layer], [place], reach=2)
    assert grid.size == (5, 6)
    for row in range(5):
        for column in range(6):
            near = layer[:, max(row - 2, 0) : row + 3, max(column - 2, 0) : column + 3].mean(axis=(1, 2))
            np.testing.assert_allclose(grid.vectors[row * 6 + column], near, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(patches_of([layer], [place], 0).vectors, layer.reshape(3, -1).T, rtol=1e-5, atol=1e-6)


def test_layers_are_joined_at_the_same_place_of_the_image() -> None:
    def ramp(place: Placement) -> np.ndarray:
        """Two channels: the position down, and across, of each cell on the input."""
        down, across = np.meshgrid(place.rows.centres(), place.columns.centres(), indexing="ij")
        return np.stack([down, across]).astype(np.float32)

    fine, coarse = _placement(12), _placement(6)
    turned = np.stack([ramp(coarse)[0].T, ramp(coarse)[1].T])
    grid = patches_of([ramp(coarse), ramp(fine), turned], [coarse, fine, _placement(6, transposed=True)], 0)
    assert grid.vectors.shape == (144, 6)
    inner = np.zeros((12, 12), bool)
    inner[1:-1, 1:-1] = True  # beyond the centres of the outermost coarse cells these count alone
    for other in (grid.vectors[:, :2], grid.vectors[:, 4:]):
        np.testing.assert_allclose(grid.vectors[:, 2:4][inner.ravel()], other[inner.ravel()], rtol=1e-5)


def pictures(count: int) -> list[np.ndarray]:
    """Grey pictures with soft noise, all alike."""
    return [RNG.integers(90, 120, (SIDE, SIDE, 3)).astype(np.uint8) for _ in range(count)]


def spoiled(picture: np.ndarray) -> np.ndarray:
    """With a white square in the upper left quarter."""
    picture = picture.copy()
    picture[4:12, 4:12] = 255
    return picture


@pytest.fixture(params=["embedding", "segmentation"])
def explainer(request: pytest.FixtureRequest, task_graphs: dict[str, Explainer]) -> Explainer:
    return task_graphs[request.param]


def _layers(explainer: Explainer) -> list[str]:
    return [layer.name for layer in explainer.manifest.layers]


def _explained(explainer: Explainer, picture: np.ndarray, **options: Any) -> Any:
    targets = [Target.direction(np.ones(EMBEDDING))] if explainer.manifest.head.embedding_size else []
    [explanation] = explainer.explain(picture, targets=targets, layers=_layers(explainer), **options).explanations
    return explanation


def test_a_fault_is_farther_than_the_limit_and_good_images_are_not(explainer: Explainer) -> None:
    bank = build_bank(explainer, pictures(12), layers=_layers(explainer))
    assert bank.scores.max() == pytest.approx(bank.header.limit)
    good, bad = (_explained(explainer, picture) for picture in (pictures(1)[0], spoiled(pictures(1)[0])))
    fine, wrong = (bank.beside(item, explainer.manifest) for item in (good, bad))
    assert fine.target.score < 1.2
    assert wrong.target.score > 1.5
    assert (wrong.title, wrong.statistics.maximum) == (LABEL, pytest.approx(wrong.target.score))
    assert fine.heatmap.max() == pytest.approx(fine.target.score / 2, rel=0.05)  # at most: the hottest cell may be cut
    row, column = np.unravel_index(wrong.heatmap.argmax(), wrong.heatmap.shape)
    assert row < SIDE / 2
    assert column < SIDE / 2
    assert wrong.hot_regions[0].box.left < SIDE / 2
    assert wrong.overlay().shape == (SIDE, SIDE, 3)


def test_an_image_of_the_bank_has_no_distance_to_it(explainer: Explainer) -> None:
    images = pictures(3)
    bank = build_bank(explainer, images, patches=10**6, reach=0)
    explanation = _explained(explainer, images[1])
    assert bank.header.layers == (explainer.manifest.layers[0].name,)
    assert bank.beside(explanation, explainer.manifest).statistics.maximum == pytest.approx(0, abs=1e-4)


def test_a_bank_is_bounded(explainer: Explainer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bank_builder, "_MOST_CANDIDATES", 30)
    assert len(build_bank(explainer, pictures(3), patches=1000).patches) == 30
    assert len(build_bank(explainer, pictures(3), patches=9).patches) == 9


def test_a_bank_is_kept_in_a_file(explainer: Explainer, tmp_path: Path) -> None:
    bank = build_bank(explainer, pictures(3), layers=_layers(explainer), patches=40)
    bank.save(tmp_path / "bank")
    read = MemoryBank.load(tmp_path / "bank")
    assert read.header == bank.header
    np.testing.assert_array_equal(read.patches, bank.patches)
    np.testing.assert_array_equal(read.scores, bank.scores)


def test_panels_show_distances_on_their_own_scale(task_graphs: dict[str, Explainer]) -> None:
    explainer = task_graphs["embedding"]
    picture = pictures(1)[0]
    result = explainer.explain(picture, targets=[Target.direction(np.ones(EMBEDDING))], layers=["last"])
    bank = build_bank(explainer, pictures(4), layers=["last"])
    both = replace(result, explanations=[*result.explanations, bank.beside(result.explanations[0], explainer.manifest)])
    alone = replace(both, explanations=both.explanations[1:])
    width = result.panel().shape[1]
    tile = (width - 2 * 24 - 64 - 20) // 2
    shown, wanted = both.panel()[:, -(24 + 64 + tile) :], alone.panel()[:, -(24 + 64 + tile) :]
    np.testing.assert_array_equal(shown, wanted)


def test_what_a_bank_does_not_fit(explainer: Explainer, task_graphs: dict[str, Explainer]) -> None:
    bank = build_bank(explainer, pictures(3), layers=[_layers(explainer)[0]])
    other = task_graphs["regression"]
    explanation = other.explain(pictures(1)[0]).explanations[0]
    with pytest.raises(UsageError, match=r"needs the layer|another graph"):
        bank.beside(explanation, other.manifest)
    with pytest.raises(UsageError, match="another graph"):
        bank.check(other.manifest)
    with pytest.raises(UnknownLayerError):
        build_bank(explainer, pictures(3), layers=["nowhere"])
    absent = replace(_explained(explainer, pictures(1)[0]), given={}, complete=False)
    with pytest.raises(AbsentOutputError):
        bank.beside(absent, explainer.manifest)


def test_distances_of_too_many_cells_are_refused_before_they_are_computed(
    explainer: Explainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = build_bank(explainer, pictures(3), patches=9)
    explanation = _explained(explainer, pictures(1)[0])
    cells = bank.beside(explanation, explainer.manifest).raw_map.size
    monkeypatch.setattr(memory_bank, "_MOST_PRODUCTS", cells * bank.patches.size)
    assert bank.beside(explanation, explainer.manifest)
    monkeypatch.setattr(memory_bank, "_MOST_PRODUCTS", cells * bank.patches.size - 1)
    monkeypatch.setattr(memory_bank, "nearest", None)
    with pytest.raises(TooLargeError, match=f"has {cells} cells, and each is held against 9 patches"):
        bank.beside(explanation, explainer.manifest)


def test_images_that_give_no_bank(explainer: Explainer) -> None:
    with pytest.raises(InvalidInputError, match="two good images"):
        build_bank(explainer, pictures(1))
    with pytest.raises(InvalidInputError, match="the same thing"):
        build_bank(explainer, [pictures(1)[0]] * 2)
    with pytest.raises(UsageError, match="two patches"):
        build_bank(explainer, pictures(3), patches=1)


def _saved(path: Path, **changes: Any) -> Path:
    header = b'{"layers": ["last"], "reach": 1, "graph": "", "limit": 1.0, "format": 1}'
    arrays = {"header": np.frombuffer(header, np.uint8), "patches": np.ones((2, 3), np.float32)}
    with path.open("wb") as file:
        np.savez(file, **{**arrays, "scores": np.ones(2, np.float32), **changes})
    return path


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"patches": np.ones((2, 3))}, "damaged"),
        ({"patches": np.ones((0, 3), np.float32)}, "damaged"),
        ({"patches": np.full((2, 3), np.nan, np.float32)}, "damaged"),
        ({"header": np.frombuffer(b'{"format": 2}', np.uint8)}, "another version"),
        ({"header": np.frombuffer(b"no json", np.uint8)}, "is not a bank"),
        ({"header": np.array([object()], object)}, "is not a bank"),
    ],
)
def test_files_that_are_no_bank(tmp_path: Path, changes: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidInputError, match=text):
        MemoryBank.load(_saved(tmp_path / "bank.npz", **changes))


def test_an_image_that_cannot_be_read_is_named(explainer: Explainer, tmp_path: Path) -> None:
    np.save(tmp_path / "hole.npy", np.full((32, 32, 3), np.nan))
    with pytest.raises(InvalidInputError, match=r"hole[.]npy: The image has 3072 values that are not finite"):
        build_bank(explainer, [*pictures(2), tmp_path / "hole.npy"])


def test_a_bank_file_is_measured_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _saved(tmp_path / "bank.npz")
    assert MemoryBank.load(path).header.layers == ("last",)
    monkeypatch.setattr("camgraph_runtime.bank.memory_bank._LARGEST", 100)
    with pytest.raises(InvalidInputError, match="the limit is 100"):
        MemoryBank.load(path)
    with pytest.raises(InvalidInputError, match="cannot be read"):
        MemoryBank.load(tmp_path / "nothing.npz")
    (tmp_path / "text").write_text("no archive")
    with pytest.raises(InvalidInputError, match="is not a bank"):
        MemoryBank.load(tmp_path / "text")
