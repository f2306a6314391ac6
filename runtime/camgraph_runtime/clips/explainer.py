"""Explains clips and volumes: a graph and frames in, a heatmap of every frame out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, cast

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.clips import ClipResult, Taken
from camgraph_core.errors import InvalidInputError, UsageError
from camgraph_core.explains_clips import ExplainsClips, Footage
from camgraph_core.painter import ImageSource
from camgraph_core.request import DEFAULT_PROFILE, Request
from camgraph_core.types import AnyArray
from camgraph_runtime.clips.explanations import clip_explanations
from camgraph_runtime.clips.source import choose_frames
from camgraph_runtime.inference import Inference
from camgraph_runtime.network_input import NetworkInput
from camgraph_runtime.plan import Plan
from camgraph_runtime.preprocess import Frame, PreparedPhoto, Preprocessor
from camgraph_runtime.preprocess.layout import channel_axis, frame_axis, spatial_axes, spatial_size
from camgraph_runtime.preprocess.tensor import one_image
from camgraph_runtime.remarks import remarks_of, warnings_of
from camgraph_runtime.run.stop import Stop
from camgraph_runtime.steps import Steps, ms, timings_of
from camgraph_runtime.tasks.task import View

_MOST = 4  # times the pixels of the largest photo: frames of a clip together


class ClipExplainer(Steps, ExplainsClips[ClipResult]):
    """Explains clips or volumes with the graph of a model that takes several frames or slices at once.

    ::

        explainer = ClipExplainer("activity.cam.onnx")
        result = explainer.explain("street.mp4", start=2, end=6)
        result.explanations[0].save("seen.mp4")

    `explain` does everything; a server takes the same steps one by one, as those of an `Explainer`.

    Args:
        graph: Path or bytes of an explainable ``.onnx`` file, or an engine that has loaded one.
        device: As for `Explainer`.
        threads: As for `Explainer`.
        exact_int8: As for `Explainer`.
        limits: What one request may ask for.
        batching: As for `Explainer`.

    Raises:
        InvalidGraphError: The file is missing, damaged, or not an explainable graph.
        UnsupportedError: The graph explains single images.
        DeviceError: The device is not available.

    """

    takes_clips = True

    def plan(self, request: Request, *, has_photo: bool = True) -> Plan:
        """Checks a request, with the errors of ``explain``, before any work is done for it.

        Args:
            request: What is asked.
            has_photo: Whether it is about frames; False for a ready tensor.

        """
        if request.profile != DEFAULT_PROFILE:
            raise UsageError(
                f"A clip has no profile {request.profile}; its signed maps are the output 'raw-map'. Leave it out."
            )
        if request.bank:
            raise UsageError("The model explains clips, but a memory bank is of single images. Leave the bank out.")
        return super().plan(request, has_photo=has_photo)

    def prepare(
        self, frames: Sequence[ImageSource], request: Request | None = None, stop: Stop | None = None
    ) -> NetworkInput:
        """Decodes the frames that the network takes, and makes them ready for it.

        Args:
            frames: As many as the graph takes, each as for `Explainer.prepare`.
            request: What is asked; it says how they are read and shown.
            stop: Ends the work between two frames.

        Raises:
            InvalidInputError: One cannot be used, they differ in size, they are too large together, or there are more
                or fewer than the graph takes.
            UsageError: The window cannot be used.
            UnsupportedError: The graph does not say how a photo becomes its input.
            StoppedError: ``stop`` ended the work.

        """
        self.check_count(len(frames))
        photos: list[PreparedPhoto] = []
        decode_ms = preprocess_ms = 0.0
        for frame in frames:
            if stop is not None:
                stop.check()
            started = time.perf_counter()
            picture = self._preprocessor.read(cast("Any", frame), request)  # it knows images of Pillow
            decoded = time.perf_counter()
            photos.append(self._preprocessor.prepare(picture))
            decode_ms += ms(decoded - started)
            preprocess_ms += ms(time.perf_counter() - decoded)
            self._check_sizes(photos[0].frame.photo_size, photos[-1].frame.photo_size)
        tensor = _in_layout(photos, self.manifest.input.layout)
        first = photos[0]
        return NetworkInput(tensor, first.frame, first, decode_ms, preprocess_ms, len(photos), tuple(photos))

    def check_count(self, count: int) -> None:
        """Refuses more or fewer frames than the graph takes.

        Raises:
            InvalidInputError: There are.

        """
        clip = self.manifest.input.clip
        if count != clip.frames:
            what = "slices" if clip.is_volume else "frames"
            raise InvalidInputError(
                f"The model takes {clip.frames} {what}, and {count} came. Send as many as it takes."
            )

    def accept(self, tensor: AnyArray | None, _: Request | None = None) -> NetworkInput:
        """Takes a ready input tensor [1, ...]; its frame is that of the network's input, and it has no pictures.

        Raises:
            InvalidInputError: The tensor is not one clip with the axes of the input.

        """
        layout = self.manifest.input.layout
        array = one_image(tensor, layout)
        axis = frame_axis(layout)
        assert axis is not None, "the layout of a clip has frames"
        return NetworkInput(array, Frame.identity(*spatial_size(array, layout)), frames=array.shape[axis])

    def finish(self, plan: Plan, network_input: NetworkInput, inference: Inference) -> ClipResult:
        """Turns the outputs for one clip into predictions and heatmaps."""
        started = time.perf_counter()
        request, outputs = plan.request, inference.outputs
        predictions = self.task.predictions(plan.slots, outputs, View.of(request, network_input.frame))
        taken = Taken(range(network_input.frames), is_volume=self.manifest.input.clip.is_volume)
        canvases = network_input.canvases(request.style)
        explanations = clip_explanations(plan, outputs, canvases, predictions, taken)
        timings = timings_of(plan, network_input, inference, ms(time.perf_counter() - started))
        best = predictions.best(request.num_predictions)
        remarks = dict.fromkeys(remark for photo in network_input.photos for remark in photo.remarks)
        return ClipResult(
            best,
            explanations,
            canvases,
            taken,
            timings,
            [*remarks, *remarks_of(plan, predictions), *warnings_of(explanations)],
            request_id=request.request_id,
            embedding=self.task.embedding(outputs),
        )

    def _explain(self, footage: Footage, request: Request) -> ClipResult:
        started = time.perf_counter()
        plan = self.plan(request, has_photo=footage.clip is not None)
        if footage.clip is None:
            result = self._finished(plan, self.accept(footage.tensor))
        else:
            chosen = choose_frames(footage, self.manifest.input, request, max_pixels=self.limits.max_pixels)
            result = self._finished(plan, self.prepare(chosen.images, chosen.request))
            result = result.of_frames(chosen.taken, chosen.remarks)
        return replace(result, timings=replace(result.timings, total_ms=ms(time.perf_counter() - started)))

    def _finished(self, plan: Plan, network_input: NetworkInput) -> ClipResult:
        plan = self.fit(plan, network_input)
        [inference] = self.infer([network_input], [plan])
        return self.finish(plan, network_input, inference)

    def _check_sizes(self, first: tuple[int, int], size: tuple[int, int]) -> None:
        if size != first:
            raise InvalidInputError(
                f"The frames of a clip have one size, but one is {size[1]} x {size[0]} pixels and the first "
                f"{first[1]} x {first[0]}."
            )
        count = self.manifest.input.clip.frames
        if count * first[0] * first[1] > _MOST * self.limits.max_pixels:
            raise InvalidInputError(
                f"{count} frames of {first[1]} x {first[0]} pixels are too large together. Shrink them."
            )

    @cached_property
    def _preprocessor(self) -> Preprocessor:
        return Preprocessor(spec_of_frames(self.manifest.input), max_pixels=self.limits.max_pixels)


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
    first = photos[0].tensor
    places = (frame_axis(layout) or 1, *spatial_axes(layout), channel_axis(layout) or 1)
    shape = dict(zip(places, (len(photos), *first.shape[1:]), strict=True))
    tensor = np.empty([shape.get(axis, 1) for axis in range(5)], first.dtype)
    by_frame = np.moveaxis(tensor, places, (1, 2, 3, 4))
    for number, photo in enumerate(photos):
        by_frame[0, number] = photo.tensor[0]
    return tensor
