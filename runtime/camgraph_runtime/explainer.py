"""The runtime's front door: a graph and a photo in, heatmaps out."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, cast

from camgraph_core.explains import Explains, check_subject
from camgraph_core.painter import ImageSource
from camgraph_core.request import Request
from camgraph_core.result import Result
from camgraph_core.style import Style
from camgraph_core.types import AnyArray
from camgraph_core.windows import Window, window_from
from camgraph_runtime.bank.beside import distances_of
from camgraph_runtime.explanations import explanations_of
from camgraph_runtime.inference import Inference
from camgraph_runtime.network_input import NetworkInput
from camgraph_runtime.plan import Plan, make_prediction_plan
from camgraph_runtime.preprocess import Frame, Preprocessor
from camgraph_runtime.preprocess.layout import spatial_size
from camgraph_runtime.preprocess.scaling import smallest_photo
from camgraph_runtime.preprocess.shown_tensor import shown_tensor
from camgraph_runtime.preprocess.tensor import one_image
from camgraph_runtime.remarks import remarks_of, warnings_of
from camgraph_runtime.steps import Steps, ms, timings_of
from camgraph_runtime.tasks.task import View


class Explainer(Steps, Explains[Result]):
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
        bank: A memory bank that was built with the graph; a request may ask how far its image is from it.

    Raises:
        InvalidGraphError: The file is missing, damaged, or not an explainable graph.
        UnsupportedError: The graph's task is not known, or it explains clips.
        DeviceError: The device is not available.
        UsageError: The bank is of another graph.

    """

    takes_clips = False

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
        return super().plan(request, has_photo=has_photo or bool(request.style.display_bands))

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
        decode_ms, preprocess_ms = ms(decoded - started), ms(done - decoded)
        counted = None if prepared.missing is None else ~prepared.missing
        return NetworkInput(prepared.tensor, prepared.frame, prepared, decode_ms, preprocess_ms, counted=counted)

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

    def finish(self, plan: Plan, network_input: NetworkInput, inference: Inference) -> Result:
        """Turns one image's outputs into predictions and heatmaps."""
        started = time.perf_counter()
        outputs = inference.outputs
        canvas = network_input.canvas(plan.request.style)
        view = View.of(plan.request, network_input.frame, network_input.counted)
        predictions = self.task.predictions(plan.slots, outputs, view)
        explanations = explanations_of(self.manifest, plan, outputs, canvas, predictions)
        timings = timings_of(plan, network_input, inference, ms(time.perf_counter() - started))
        best = predictions.best(plan.request.num_predictions)
        remarks = network_input.prepared.remarks if network_input.prepared is not None else ()
        return Result(
            best,
            [*explanations, *distances_of(plan, self.bank, self.manifest, outputs, canvas)],
            canvas,
            timings,
            [*remarks, *remarks_of(plan, predictions), *warnings_of(explanations)],
            request_id=plan.request.request_id,
            embedding=self.task.embedding(outputs),
        )

    def _explain(self, image: ImageSource | None, tensor: AnyArray | None, request: Request) -> Result:
        return self._run(self.plan(request, has_photo=image is not None), image, tensor)

    def _run(self, plan: Plan, image: ImageSource | None, tensor: AnyArray | None) -> Result:
        started = time.perf_counter()
        network_input = self.accept(tensor, plan.request) if image is None else self.prepare(image, plan.request)
        plan = self.fit(plan, network_input)
        [inference] = self.infer([network_input], [plan])
        result = self.finish(plan, network_input, inference)
        return replace(result, timings=replace(result.timings, total_ms=ms(time.perf_counter() - started)))

    @cached_property
    def _preprocessor(self) -> Preprocessor:
        return Preprocessor(self.manifest.input, max_pixels=self.limits.max_pixels)
