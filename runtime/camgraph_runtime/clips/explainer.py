"""Explains clips and volumes: a graph and frames in, a heatmap of every frame out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self, TypeAlias, cast

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import InvalidInputError
from camgraph_core.explanation import Explanation
from camgraph_core.request import Request
from camgraph_core.statistics import MapStatistics
from camgraph_core.style import Style
from camgraph_core.target import Target
from camgraph_core.types import AnyArray
from camgraph_core.windows import Window
from camgraph_runtime.clips.maps import heat_of, raw_map
from camgraph_runtime.clips.result import ClipExplanation, ClipResult, played_at
from camgraph_runtime.clips.source import Chosen, ClipSource, choose_frames
from camgraph_runtime.explainer import Explainer
from camgraph_runtime.explanations import derivative
from camgraph_runtime.inference import Inference
from camgraph_runtime.limits import Limits
from camgraph_runtime.network_input import NetworkInput
from camgraph_runtime.plan import Plan
from camgraph_runtime.preprocess import PreparedPhoto, Preprocessor
from camgraph_runtime.preprocess.layout import channel_axis, frame_axis, spatial_axes
from camgraph_runtime.remarks import warnings_of
from camgraph_runtime.run.engine import Device, Engine, Threads
from camgraph_runtime.tasks.task import Predictions, View

_MOST = 4  # times the pixels of the largest photo: frames of a clip together

Scores: TypeAlias = tuple[Plan, Inference, Predictions]


class _OfClips(Explainer):
    """The steps of an `Explainer`, on a graph of clips."""

    _takes_clips = True


class ClipExplainer:
    """Explains clips or volumes with the graph of a model that takes several frames or slices at once.

    ::

        explainer = ClipExplainer("activity.cam.onnx")
        result = explainer.explain("street.mp4", start=2, end=6)
        result.explanations[0].save("seen.mp4")

    Args:
        graph: Path or bytes of an explainable ``.onnx`` file, or an engine that has loaded one.
        device: As for `Explainer`.
        threads: As for `Explainer`.
        limits: What one request may ask for.

    Raises:
        InvalidGraphError: The file is missing, damaged, or not an explainable graph.
        UnsupportedError: The graph explains single images.
        DeviceError: The device is not available.

    """

    def __init__(
        self,
        graph: str | Path | bytes | Engine,
        *,
        device: Device = "cpu",
        threads: Threads | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._graph = _OfClips(graph, device=device, threads=threads, limits=limits)
        self.manifest, self.limits = self._graph.manifest, self._graph.limits
        self._preprocessor = Preprocessor(spec_of_frames(self.manifest.input), max_pixels=self.limits.max_pixels)

    @property
    def layers(self) -> list[str]:
        """Names of the target layers; the first is the default."""
        return self._graph.layers

    @property
    def labels(self) -> list[str]:
        """Label of each class; empty if none are known."""
        return self._graph.labels

    def explain(
        self,
        clip: ClipSource,
        *,
        start: float = 0.0,
        end: float | None = None,
        window: Window | None = None,
        targets: Sequence[Target] = (),
        top_k: int = 0,
        method: str | None = None,
        layers: Sequence[str] = (),
        num_predictions: int = 5,
        style: Style | None = None,
    ) -> ClipResult:
        """Classifies a clip or volume and explains classes of it.

        Args:
            clip: Path of a video; an array [T, H, W] or [T, H, W, C]; or a list of images, as `Explainer` takes them.
                The graph says which of its frames the network gets.
            start: Of a video the second from which on frames are taken.
            end: Of a video the second up to which they are.
            window: The values that become 0 and 255, where they are not of 8 bits; by default the range of the array.
            targets: What to explain.
            top_k: Also explains the k best classes; with neither, the best class.
            method: CAM method; by default the manifest's.
            layers: Target layers, fused if several; by default the manifest's first.
            num_predictions: Number of best classes to list.
            style: How pictures look.

        Raises:
            InvalidInputError: The clip cannot be read, its frames differ in size, or they are too large together.
            TargetError: A target is out of range.
            UsageError: A name does not exist, or PyAV is not installed.
            UnsupportedError: The graph lacks what the method needs.
            InferenceError: onnxruntime failed.

        """
        asked = Request(
            targets=tuple(targets), top_k=top_k, method=method, layers=tuple(layers), window=window,
            num_predictions=num_predictions, style=style or Style(),
        )  # fmt: skip  # one call
        plan = self._graph.plan(asked)
        spec = self.manifest.input
        chosen = choose_frames(clip, spec, asked, start=start, end=end, max_pixels=self.limits.max_pixels)
        photos = self._photos(chosen)
        network_input = NetworkInput(_in_layout(photos, spec.layout), photos[0].frame)
        plan = self._graph.fit(plan, network_input)
        [inference] = self._graph.infer([network_input], [plan])
        view = View.of(asked, network_input.frame)
        predictions = self._graph.task.predictions(plan.slots, inference.outputs, view)
        explanations = self._explanations((plan, inference, predictions), photos, chosen)
        first = [explanation.frames[0] for explanation in explanations]
        warnings = [*chosen.remarks, *dict.fromkeys(remark for photo in photos for remark in photo.remarks)]
        return ClipResult(
            predictions.best(num_predictions),
            explanations,
            chosen.numbers,
            chosen.seconds,
            [*warnings, *warnings_of(first)],
        )

    def close(self) -> None:
        """Closes the engine."""
        self._graph.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _photos(self, chosen: Chosen) -> list[PreparedPhoto]:
        """Each frame, ready for the network."""
        photos: list[PreparedPhoto] = []
        for image in chosen.images:
            photos.append(self._preprocessor.prepare(self._preprocessor.read(cast("Any", image), chosen.request)))
            size, first = photos[-1].frame.photo_size, photos[0].frame.photo_size
            if size != first:
                raise InvalidInputError(
                    f"The frames of a clip have one size, but one is {size[1]} x {size[0]} pixels and the first "
                    f"{first[1]} x {first[0]}."
                )
            if len(chosen.images) * first[0] * first[1] > _MOST * self.limits.max_pixels:
                raise InvalidInputError(
                    f"{len(chosen.images)} frames of {first[1]} x {first[0]} pixels are too large "
                    "together. Shrink them."
                )
        return photos

    def _explanations(self, scores: Scores, photos: Sequence[PreparedPhoto], chosen: Chosen) -> list[ClipExplanation]:
        plan, inference, predictions = scores
        outputs, clip = inference.outputs, self.manifest.input.clip
        names = [_name(clip, chosen, place) for place in range(len(photos))]
        explanations = []
        for target, (slot, against) in zip(plan.targets, plan.pairs, strict=True):
            raw_maps = [
                raw_map(
                    plan.method,
                    outputs[layer.activations_tensor],
                    derivative(outputs[layer.weights_tensor], target, (slot, against)),
                    derivative(outputs[layer.gradients_tensor], target, (slot, against))
                    if plan.method.needs_gradients
                    else None,
                )
                for layer in plan.layers
            ]
            heat = heat_of(raw_maps, plan.layers, photos[0].frame.network_size, len(photos), adds_up=plan.adds_up)
            statistics = MapStatistics.of(*raw_maps)
            frames = [
                Explanation(
                    target=predictions.of_slot(slot),
                    contrast=None if against is None else predictions.of_slot(against),
                    negative=target.negative,
                    statistics=statistics,
                    layers=tuple(layer.name for layer in plan.layers),
                    method=plan.method.name,
                    in_input_frame=True,
                    canvas=NetworkInput(photo.tensor, photo.frame, photo).canvas(plan.request.style),
                    given={"input-heatmap": part},
                    complete=True,
                )
                for photo, part in zip(photos, heat, strict=True)
            ]
            times = played_at(chosen.seconds, len(photos))
            explanations.append(ClipExplanation(frames, raw_maps, names, times))
        return explanations


def spec_of_frames(spec: pb.InputSpec) -> pb.InputSpec:
    """How one frame of a clip becomes [1, H, W, C]."""
    single = pb.InputSpec()
    single.CopyFrom(spec)
    single.ClearField("clip")
    single.layout = pb.LAYOUT_NHWC
    shape = spec.tensor.shape
    axes = [0, *spatial_axes(spec.layout), channel_axis(spec.layout) or 1]
    single.tensor.shape[:] = [shape[axis] for axis in axes]
    return single


def _in_layout(photos: Sequence[PreparedPhoto], layout: pb.Layout) -> AnyArray:
    """The network's input, of frames [1, H, W, C] each."""
    frames = np.concatenate([photo.tensor for photo in photos])[None]  # [1, T, H, W, C]
    frames = np.moveaxis(frames, -1, channel_axis(layout) or 1)
    return np.ascontiguousarray(np.moveaxis(frames, 1 if channel_axis(layout) != 1 else 2, frame_axis(layout) or 1))


def _name(clip: pb.Clip, chosen: Chosen, place: int) -> str:
    if chosen.seconds is not None:
        tenths = round(chosen.seconds[place] * 10)
        return f"{tenths // 600}:{tenths // 10 % 60:02d}.{tenths % 10}"
    return f"{'slice' if clip.is_volume else 'frame'} {chosen.numbers[place]}"
