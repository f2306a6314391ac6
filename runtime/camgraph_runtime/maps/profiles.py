"""Post-processing profiles: from the raw maps of the layers to one heatmap.

A profile takes the raw maps [h, w] (one per layer), the size of the network's input and where each map lies
on it, and returns the heatmap. ``pytorch-grad-cam`` repeats the package grad-cam 1.5.7 bit for bit; ``raw``
returns the map as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from camgraph_core.errors import UsageError
from camgraph_core.names import unknown_name
from camgraph_core.request import DEFAULT_PROFILE
from camgraph_core.types import FloatArray
from camgraph_runtime.maps.placement import Placement
from camgraph_runtime.maps.resize import resize_map

Placements = Sequence[Placement]
ProfileFunction = Callable[[Sequence[FloatArray], tuple[int, int], Placements], FloatArray]


@dataclass(frozen=True)
class Profile:
    """A post-processing profile; ``in_input_frame`` is false if maps keep the layer's resolution."""

    name: str
    in_input_frame: bool
    _function: ProfileFunction

    def __call__(
        self, raw_maps: Sequence[FloatArray], size: tuple[int, int], placements: Placements = ()
    ) -> FloatArray:
        """Heatmap of the raw maps [h, w], one per layer.

        Args:
            raw_maps: Signed maps [h, w].
            size: Height and width of the network's input.
            placements: Where each map lies on the input; without them every map covers the whole of it.

        Raises:
            UsageError: The profile takes one layer and there are several.

        """
        places = placements or [Placement.over_input(size, cells.shape) for cells in raw_maps]
        return self._function(raw_maps, size, places)


PROFILES: dict[str, Profile] = {}


def profile(name: str, *, in_input_frame: bool = True) -> Callable[[ProfileFunction], Profile]:
    """Registers a profile under a name."""

    def register(function: ProfileFunction) -> Profile:
        PROFILES[name] = Profile(name, in_input_frame, function)
        return PROFILES[name]

    return register


def get_profile(name: str) -> Profile:
    """The profile of a name.

    Raises:
        UsageError: There is none.

    """
    if name not in PROFILES:
        raise unknown_name("profile", name, PROFILES)
    return PROFILES[name]


@profile(DEFAULT_PROFILE)
def pytorch_grad_cam(raw_maps: Sequence[FloatArray], size: tuple[int, int], placements: Placements) -> FloatArray:
    """ReLU, min-max and bilinear resize of each layer, mean over layers, min-max again: float32 in 0..1.

    A map that lies elsewhere than over the whole input is laid there; 0 where it does not reach.
    """
    scaled = (min_max(np.maximum(raw, 0)) for raw in raw_maps)
    layers = [on_input(cells, size, placement) for cells, placement in zip(scaled, placements, strict=True)]
    return min_max(np.mean(np.stack(layers).astype(np.float32, copy=False), axis=0))


def on_input(cells: FloatArray, size: tuple[int, int], placement: Placement) -> FloatArray:
    """A map [h, w] on the network's input of the given height and width, bilinear; 0 where it does not reach."""
    return resize_map(cells, size) if placement.covers_input else placement.lay(cells)


@profile("raw", in_input_frame=False)
def raw(raw_maps: Sequence[FloatArray], _: tuple[int, int], __: Placements) -> FloatArray:
    """The signed map [h, w] of one layer, unchanged."""
    if len(raw_maps) != 1:
        raise UsageError(
            f"The profile raw takes one layer, but {len(raw_maps)} were asked for; ask for them one by one."
        )
    return raw_maps[0]


def min_max(values: FloatArray) -> FloatArray:
    """Shifted to start at 0, divided by (1e-7 + maximum); a constant map becomes all zero."""
    shifted = values - np.min(values)
    scaled: FloatArray = shifted / (np.float32(1e-7) + np.max(shifted))
    return scaled
