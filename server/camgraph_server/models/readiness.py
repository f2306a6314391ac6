"""A model is ready when it has explained an image, or a clip, from its pixels to the heatmap.

This finds what loading does not: a graph that does not run, a manifest that does not fit it. And no caller pays for the
first run, which is slower, of any size of batch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from camgraph_core.errors import CamgraphError, InferenceError, InvalidGraphError, InvalidInputError, UnsupportedError
from camgraph_core.request import Request
from camgraph_core.types import AnyArray
from camgraph_runtime.clips.explainer import ClipExplainer
from camgraph_runtime.explainers import AnyExplainer
from camgraph_runtime.network_input import NetworkInput
from camgraph_runtime.preprocess.layout import channel_count, frame_axis, spatial_axes

_SIDES = (128, 256, 512)
"""Sides of the image, in pixels, where the graph takes any: tried in this order, rounded up to whole cells."""


def check_explains(explainer: AnyExplainer) -> None:
    """Explains an image, or a clip, once for each size of batch that the graph is run with; also with its bank.

    The image (each frame) becomes the explainer's sample. It has the graph's own size. Where that is open it is small,
    and larger only if the graph does not take it.

    Raises:
        InvalidGraphError: The graph does not run, or does not give what its manifest says.
    """
    name = explainer.engine.name
    try:
        _explain_one_of(list(_images(explainer)), explainer)
    except CamgraphError as error:
        subject = "a clip" if explainer.takes_clips else "an image"
        raise InvalidGraphError(f"{name} cannot explain {subject}: {error}") from error
    except Exception as error:  # a graph may give anything, and NumPy raises anything on it
        raise InvalidGraphError(
            f"{name} does not give what its manifest says ({type(error).__name__}: {error}). Export the model again."
        ) from error


def _explain_one_of(images: list[AnyArray], explainer: AnyExplainer) -> None:
    *others, last = images
    for image in others:
        try:
            return _explain(image, explainer)
        except (InferenceError, InvalidInputError):
            continue
    return _explain(last, explainer)


def _explain(image: AnyArray, explainer: AnyExplainer) -> None:
    network_input = _network_input(image, explainer)
    request = Request(targets=[explainer.task.any_target()], bank=explainer.bank is not None)
    plan = explainer.plan(request)
    plan = explainer.fit(plan, network_input)
    explainer.sample = network_input
    for size in explainer.batch_sizes or (1,):
        inference = explainer.infer([network_input] * size, [plan] * size)[0]
    for explanation in explainer.finish(plan, network_input, inference).explanations:
        _ = explanation.heatmap


def _network_input(image: AnyArray, explainer: AnyExplainer) -> NetworkInput:
    spec = explainer.manifest.input
    try:
        if isinstance(explainer, ClipExplainer):
            return explainer.prepare([image] * spec.clip.frames)
        return explainer.prepare(image)
    except UnsupportedError:  # it takes ready tensors only
        info = explainer.engine.inputs[spec.tensor.name]
        rows, columns = spatial_axes(spec.layout)
        axes = [axis if isinstance(axis, int) else 1 for axis in info.shape]
        axes[0], axes[rows], axes[columns] = 1, *image.shape[:2]
        frames = frame_axis(spec.layout)
        if frames is not None:
            axes[frames] = spec.clip.frames
        return explainer.accept(np.zeros(axes, info.dtype))


def _images(explainer: AnyExplainer) -> Iterator[AnyArray]:
    """Pictures of noise, uint8 [H, W, C], of the sizes that are tried."""
    spec = explainer.manifest.input
    shape = explainer.engine.inputs[spec.tensor.name].shape
    channels = channel_count(spec) or 1
    fixed = [shape[axis] if axis < len(shape) else None for axis in spatial_axes(spec.layout)]
    strides = [max(abs(layer.stride_height) for layer in explainer.manifest.layers)]
    strides += [max(abs(layer.stride_width) for layer in explainer.manifest.layers)]
    for side in _SIDES:
        height, width = (
            axis if isinstance(axis, int) else _whole_cells(side, stride)
            for axis, stride in zip(fixed, strides, strict=True)
        )
        yield np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)
        if all(isinstance(axis, int) for axis in fixed):
            return


def _whole_cells(side: int, stride: float) -> int:
    """A length of about `side` pixels that is a whole number of a layer's cells."""
    step = math.ceil(stride) if 0 < stride <= side else 1
    return math.ceil(side / step) * step
