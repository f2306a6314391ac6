"""Rows for sampling at computed places."""

from typing import Any

import numpy as np

from exporter.op_cases.case import Draw, Fed, Input, OpCase, between


def _grid(*shape: int, reach: float = 1.3) -> Fed:
    """A grid that differs between the samples of a batch and goes a little beyond the border."""
    return Fed(lambda batch, _: np.random.default_rng(9).uniform(-reach, reach, (batch, *shape)))


def _off_pixels(size: tuple[int, ...], *, align: bool) -> Draw:
    """A grid [batch, *out, rank] whose places keep away from whole pixels, where linear sampling has a kink."""

    def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        pixels = np.stack([rng.integers(-2, n + 1, shape[:-1]) for n in size[::-1]], axis=-1)
        where = pixels + rng.uniform(0.1, 0.9, shape)
        where = np.where(np.abs(where % 1 - 0.5) < 0.05, where + 0.1, where)
        sizes = np.array(size[::-1], dtype=float)
        return 2 * where / (sizes - 1) - 1 if align else (2 * where + 1) / sizes - 1

    return draw


def _sample(name: str, grid: Any, size: tuple[int, ...] = (4, 5), **options: Any) -> OpCase:
    row = {key: options.pop(key) for key in ("opset", "dynamic", "without_onnxruntime") if key in options}
    inputs = [Input(("N", 2, *size)), grid]
    return OpCase(f"GridSample-{name}", "GridSample", inputs, options, **{"opset": 16, **row})


def _to_grid(name: str, size: tuple[int, ...] = (4, 5), **options: Any) -> OpCase:
    align = bool(options.get("align_corners", 0))
    grid = Input(("N", 3, 2, 2), _off_pixels(size, align=align))
    return _sample(f"grid-{name}", grid, size, **options)


CASES = [
    _sample("bilinear", _grid(3, 4, 2)),
    *(
        _sample(f"{mode}-{padding}-{align}", _grid(3, 4, 2), mode=mode, padding_mode=padding, align_corners=align)
        for mode in ("bilinear", "nearest", "bicubic")
        for padding in ("zeros", "border", "reflection")
        for align in (0, 1)
    ),
    _sample("linear-opset-20", _grid(3, 4, 2), mode="linear", opset=20),
    _sample("cubic-opset-20", _grid(3, 4, 2), mode="cubic", padding_mode="border", opset=20),
    _sample("volume", _grid(2, 3, 2, 3), (3, 4, 5), mode="linear", opset=20),
    _sample("volume-nearest", _grid(2, 3, 2, 3), (3, 4, 5), mode="nearest", padding_mode="border", opset=20),
    _sample("one-line", _grid(3, 1, 2), (1, 5)),
    OpCase(
        "GridSample-constant-grid",
        "GridSample",
        [Input((2, 3, 4, 5)), np.random.default_rng(9).uniform(-1, 1, (2, 3, 4, 2))],
        opset=16,
    ),
    _sample("dynamic-size", _grid(3, 4, 2), dynamic=True),
    _to_grid("zeros"),
    _to_grid("aligned", align_corners=1),
    _to_grid("border", padding_mode="border"),
    _to_grid("reflection", padding_mode="reflection"),
    _to_grid("border-aligned", padding_mode="border", align_corners=1),
    _to_grid("linear-opset-20", mode="linear", opset=20),
    OpCase("AffineGrid-2d", "AffineGrid", [Input(("N", 2, 3)), Fed(lambda n, _: np.array([n, 3, 4, 5]))], opset=20),
    OpCase(
        "AffineGrid-2d-aligned",
        "AffineGrid",
        [Input(("N", 2, 3), between(-2, 2)), Fed(lambda n, _: np.array([n, 3, 4, 5]))],
        {"align_corners": 1},
        opset=20,
    ),
    OpCase("AffineGrid-3d", "AffineGrid", [Input((2, 3, 4)), np.array([2, 3, 4, 5, 3])], opset=20),
]
