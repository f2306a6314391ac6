"""The runtime's front door: a graph and a photo in, heatmaps out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Self, cast

from camgraph_core.errors import TargetError
from camgraph_core.explains import Explains, check_subject
from camgraph_core.painter import ImageSource
from camgraph_core.request import Request
from camgraph_core.result import Result, Timings
from camgraph_core.style import Style
from camgraph_core.types import AnyArray
from camgraph_core.windows import Window, window_from
from camgraph_runtime.explanations import explanations_of
from camgraph_runtime.inference import GraphRunner, Inference
from camgraph_runtime.limits import Limits
from camgraph_runtime.manifest import manifest_from_metadata
from camgraph_runtime.manifest_check import check_graph, check_subjects
from camgraph_runtime.network_input import NetworkInput
from camgraph_runtime.plan import Plan, make_plan, make_prediction_plan, replan
from camgraph_runtime.preprocess import Frame, Preprocessor
from camgraph_runtime.preprocess.layout import spatial_size
from camgraph_runtime.preprocess.scaling import smallest_photo
from camgraph_runtime.preprocess.shown_tensor import shown_tensor
from camgraph_runtime.preprocess.tensor import one_image
from camgraph_runtime.remarks import warnings_of
from camgraph_runtime.run.batch import Batching
from camgraph_runtime.run.engine import Device, Engine, Threads
from camgraph_runtime.run.stop import Stop
from camgraph_runtime.tasks import task_of
from camgraph_runtime.tasks.task import View


class Explainer(Explains[Result]):
    """Explains images with an explainable graph; safe to use from several threads.

    `explain` does everything. A server takes the same steps one by one: `plan` (checks the request),
    `prepare` or `accept` (photo or tensor), `fit` (lays masks onto the image), `infer` (one run for a batch
    of images), `finish`.

    Args:
        graph: Path or bytes of an explainable ``.onnx`` file, or an engine that has loaded one.
        device: "cpu"; a provider of onnxruntime, such as "cuda" or "openvino:device_type=CPU", which raises instead of
            falling back; or "auto". Not used with an engine.
        threads: Thread counts; by default `Threads.latency`. Not used with an engine.
        exact_int8: Whether 8-bit sums are exact where the CPU's default kernels are not. Not used with an engine.
        limits: What one request may ask for.
        batching: Runs images together that several threads explain at the same time. By default each runs by itself,
            which is as fast on a CPU.

    Raises:
        InvalidGraphError: The file is missing, damaged, or not an explainable graph.
        UnsupportedError: The graph's task is not known, or it explains clips.
        DeviceError: The device is not available.

    """

    _takes_clips = False

    def __init__(
        self,
        graph: str | Path | bytes | Engine,
        *,
        device: Device = "cpu",
        threads: Threads | None = None,
        exact_int8: bool = True,
        limits: Limits | None = None,
        batching: Batching | None = None,
    ) -> None:
        self.engine = (
            graph if isinstance(graph, Engine) else Engine(graph, device=device, threads=threads, exact_int8=exact_int8)
        )
        self.manifest = manifest_from_metadata(self.engine.metadata, self.engine.name)
        check_subjects(self.manifest, self.engine.name, clips=self._takes_clips)
        self.limits = limits or Limits()
        self.task = task_of(self.manifest, self.engine.name)
        check_graph(self.task, self.engine)
        self._runner = GraphRunner(self.engine, self.manifest, self.task, batching)

    @property
    def labels(self) -> list[str]:
        """Label of each class; empty if none are known."""
        return list(self.manifest.class_labels)

    @property
    def num_classes(self) -> int:
        """Number of classes that a target may name; 0 for an embedding model."""
        return self.manifest.head.num_classes

    @property
    def layers(self) -> list[str]:
        """Names of the target layers; the first is the default."""
        return [layer.name for layer in self.manifest.layers]

    @property
    def batch_size(self) -> int | None:
        """The one batch size that the graph takes, or None if it takes any. Smaller batches are filled up."""
        return self._runner.batch_size

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """The sizes of batches that the graph is run with; empty if there is no need to keep to some."""
        return self._runner.batch_sizes

    def predict(
        self,
        image: ImageSource | None = None,
        *,
        tensor: AnyArray | None = None,
        window: Window | str | None = None,
        frame: int | None = None,
        num_predictions: int = 5,
    ) -> Result:
        """Classifies one image and explains nothing; a skippable graph leaves its gradients out.

        Args:
            image: As for `explain`.
            tensor: As for `explain`.
            window: As for `explain`.
            frame: As for `explain`.
            num_predictions: Number of best classes (of a detection, boxes) to list.

        Raises:
            InvalidInputError: The image or the tensor cannot be used.
            UsageError: The number is negative, or the window has no width.
            UnsupportedError: The graph lacks what a photo needs.
            InferenceError: onnxruntime failed.

        """
        request = Request(
            num_predictions=num_predictions,
            window=window_from(window) if isinstance(window, str) else window,
            frame=frame,
        )
        check_subject(image, tensor, request)
        return self._run(make_prediction_plan(self.task, request), image, tensor)

    def plan(self, request: Request, *, has_photo: bool = True) -> Plan:
        """Checks a request, with the errors of `explain`, before any work is done for it.

        Args:
            request: What is asked.
            has_photo: Whether it is about an image; False for a ready tensor.

        """
        has_photo = has_photo or bool(request.style.display_bands)
        return make_plan(self.task, request, max_targets=self.limits.max_targets, has_photo=has_photo)

    def prepare(self, image: ImageSource, request: Request | None = None) -> NetworkInput:
        """Decodes a photo and makes it ready for the network.

        Args:
            image: As for `explain`.
            request: What is asked; it says how the image is read and shown.

        Raises:
            InvalidInputError: The image cannot be used.
            UsageError: The window cannot be used.
            UnsupportedError: The graph does not say how a photo becomes its input.

        """
        started = time.perf_counter()
        request = request or Request()
        smallest = partial(smallest_photo, request) if request.scaled_decoding else None
        picture = self._preprocessor.read(cast("Any", image), request, smallest)  # it knows images of Pillow
        decoded = time.perf_counter()
        prepared = self._preprocessor.prepare(picture)
        done = time.perf_counter()
        return NetworkInput(prepared.tensor, prepared.frame, prepared, _ms(decoded - started), _ms(done - decoded))

    def accept(self, tensor: AnyArray | None, request: Request | None = None) -> NetworkInput:
        """Takes a ready input tensor [1, ...]; its frame is that of the network's input.

        Args:
            tensor: The tensor.
            request: What is asked; it has pictures where the request names the bands that they show.

        Raises:
            InvalidInputError: The tensor is not one image with the axes of the input.
            UsageError: There is no such band.

        """
        spec, style = self.manifest.input, Style() if request is None else request.style
        array = one_image(tensor, spec.layout)
        frame = Frame.identity(*spatial_size(array, spec.layout))
        return NetworkInput(array, frame, shown_tensor(array, frame, spec, style) if style.display_bands else None)

    def fit(self, plan: Plan, network_input: NetworkInput, stop: Stop | None = None) -> Plan:
        """The plan for one image: masks are laid onto the score map, and objects are found by a run of their own.

        Raises:
            InvalidInputError: A mask has the wrong size, or nothing of it lies on the map.
            TargetError: There is no such object in the image.
            InferenceError: onnxruntime failed.
            StoppedError: ``stop`` ended the run.

        """
        if any(map(self.task.must_look, plan.targets)):
            plan = self._looked(plan, network_input, stop)
        return replace(plan, slots=tuple(self.task.fit(plan.slots, network_input.frame)))

    def _looked(self, plan: Plan, network_input: NetworkInput, stop: Stop | None) -> Plan:
        """The plan with the objects that its targets name; of the best objects those that are there."""
        first = make_prediction_plan(self.task, plan.request)
        first = replace(first, slots=tuple(self.task.fit(first.slots, network_input.frame)))
        [inference] = self.infer([network_input], [first], stop)
        view = View.of(plan.request, network_input.frame)
        targets = []
        for number, target in enumerate(plan.targets):
            try:
                targets.append(self.task.looked(target, inference.outputs, view))
            except TargetError:
                if number < len(plan.request.targets):
                    raise
                break
        return replan(plan, self.task, targets, looked_ms=inference.inference_ms)

    def infer(
        self, network_inputs: Sequence[NetworkInput], plans: Sequence[Plan], stop: Stop | None = None
    ) -> list[Inference]:
        """Runs the graph once for a batch of images, each with its own plan, which was fitted to it.

        Plans with fewer slots are filled up with their first one; what that adds is never read. A graph that
        takes one size of batch only is run as often as it takes, the last time with copies of the last image.
        With batching, a single image runs with others of its kind that come from other threads at the same time.

        Raises:
            InvalidInputError: A tensor does not fit the graph, or the images have different sizes.
            InferenceError: onnxruntime failed.
            StoppedError: ``stop`` ended the run.

        """
        return self._runner.infer(network_inputs, plans, stop)

    def finish(self, plan: Plan, network_input: NetworkInput, inference: Inference) -> Result:
        """Turns one image's outputs into predictions and heatmaps."""
        started = time.perf_counter()
        outputs = inference.outputs
        canvas = network_input.canvas(plan.request.style)
        predictions = self.task.predictions(plan.slots, outputs, View.of(plan.request, network_input.frame))
        explanations = explanations_of(self.manifest, plan, outputs, canvas, predictions)
        timings = Timings(
            decode_ms=network_input.decode_ms,
            preprocess_ms=network_input.preprocess_ms,
            inference_ms=plan.looked_ms + inference.inference_ms,
            postprocess_ms=_ms(time.perf_counter() - started),
        )
        count = plan.request.num_predictions
        best = predictions.best(count)
        remarks = network_input.prepared.remarks if network_input.prepared is not None else ()
        warnings = [
            *remarks,
            *filter(None, (slot.remark for slot in plan.slots)),
            *(predictions.warnings if count else ()),
            *warnings_of(explanations),
        ]
        return Result(
            best,
            explanations,
            canvas,
            timings,
            warnings,
            request_id=plan.request.request_id,
            embedding=self.task.embedding(outputs),
        )

    def close(self) -> None:
        """Closes the engine."""
        self.engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _explain(self, image: ImageSource | None, tensor: AnyArray | None, request: Request) -> Result:
        return self._run(self.plan(request, has_photo=image is not None), image, tensor)

    def _run(self, plan: Plan, image: ImageSource | None, tensor: AnyArray | None) -> Result:
        started = time.perf_counter()
        network_input = self.accept(tensor, plan.request) if image is None else self.prepare(image, plan.request)
        plan = self.fit(plan, network_input)
        [inference] = self.infer([network_input], [plan])
        result = self.finish(plan, network_input, inference)
        return replace(result, timings=replace(result.timings, total_ms=_ms(time.perf_counter() - started)))

    @cached_property
    def _preprocessor(self) -> Preprocessor:
        return Preprocessor(self.manifest.input, max_pixels=self.limits.max_pixels)


def _ms(seconds: float) -> float:
    return seconds * 1e3
