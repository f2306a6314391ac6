"""Takes activations back to the tensor that a layer is in the trained model."""

from __future__ import annotations

import numpy as np

from camgraph.v1 import manifest_pb2 as pb


def in_own_layout(layer: pb.Layer, whole: np.ndarray | None, activations: np.ndarray) -> np.ndarray:
    """Return activations [N, K, h, w] or [N, K, t, h, w] as the layer's tensor.

    `whole`: of a layer of tokens that tensor, from which tokens are taken that belong to no cell of the map.
    """
    outside = layer.frame_axis in (pb.LAYER_FRAMES_IN_BATCH, pb.LAYER_FRAMES_BEFORE_CHANNELS)
    if outside:
        activations = activations.swapaxes(1, 2)  # [N, t, K, h, w]
    elif layer.frames and layer.frame_axis == pb.LAYER_FRAMES_UNSPECIFIED:
        activations = activations[:, :, 0]
    before = activations.shape[: 2 if outside else 1]
    maps = activations.reshape(-1, *activations.shape[len(before) :])
    if layer.layout == pb.LAYER_LAYOUT_CHANNELS_LAST:
        maps = np.moveaxis(maps, 1, -1)
    elif whole is not None:
        maps = _as_tokens(layer, whole, maps)
    if layer.frame_axis == pb.LAYER_FRAMES_BEFORE_CHANNELS:
        return np.asarray(maps.reshape(*before, *maps.shape[1:]))
    return np.asarray(maps)


def _as_tokens(layer: pb.Layer, whole: np.ndarray, maps: np.ndarray) -> np.ndarray:
    cells = maps.reshape(*maps.shape[:2], -1).transpose(0, 2, 1)
    rows = whole.reshape(-1, *whole.shape[-2:])
    begin, end = layer.prefix_tokens, layer.prefix_tokens + cells.shape[1]
    return np.concatenate([rows[:, :begin], cells, rows[:, end:]], axis=1)
