"""The runtime's front door: a graph and a photo in, heatmaps out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_runtime.cam import METHODS
from camgraph_runtime.engine import Device, Engine, Threads
from camgraph_runtime.errors import InvalidGraphError, InvalidInputError, UnsupportedError
from camgraph_runtime.finish import finish
from camgraph_runtime.manifest import Manifest, manifest_from_metadata
from camgraph_runtime.plan import Plan, make_plan
from camgraph_runtime.preprocess import Frame, ImageSource, Prepared, Preprocessor, decode
from camgraph_runtime.profiles import DEFAULT_PROFILE
from camgraph_runtime.result import Explanation, Result, Timings
from camgraph_runtime.target import Target
from camgraph_runtime.types import AnyArray


@dataclass(frozen=True)
class Limits:
    """What one request may ask for: pixels of a photo (checked before it is decoded), and targets."""

    max_pixels: int = 50_000_000
    max_targets: int = 100


@dataclass(frozen=True)
class Subject:
    """What goes into the network for one image, and the way back.

    Attributes:
        tensor: The network's input, [1, ...].
        frame: Where the photo lies in the network's input.
        prepared: The photo and its preprocessing; None where the caller gave a tensor.
        decode_ms: Time for decoding.
        preprocess_ms: Time for geometry and normalisation.

    """

    tensor: AnyArray
    frame: Frame
    prepared: Prepared | None = None
    decode_ms: float = 0.0
    preprocess_ms: float = 0.0


@dataclass(frozen=True)
class Inference:
    """One image's share of a run: outputs without the batch axis, and the time that the whole run took."""

    outputs: dict[str, AnyArray]
    inference_ms: float


class Explainer:
    """Explains images with an explainable graph; safe to use from several threads.

    `explain` does everything. A server takes the same steps one by one: `plan` (checks the request),
    `prepare` or `accept` (photo or tensor), `infer` (one run for a batch of images), `finish`.

    Args:
        graph: Path or bytes of an explainable ``.onnx`` file, or an engine that has loaded one.
        device: "cpu"; "cuda", which raises instead of falling back; or "auto". Not used with an engine.
        threads: Thread counts; by default `Threads.latency`. Not used with an engine.
        limits: What one request may ask for.

    Raises:
        InvalidGraphError: The file is missing, damaged, or not an explainable graph.
        UnsupportedError: The graph explains something else than classes.
        DeviceError: The device is not to be had.

    """

    def __init__(
        self,
        graph: str | Path | bytes | Engine,
        *,
        device: Device = "cpu",
        threads: Threads | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.engine = graph if isinstance(graph, Engine) else Engine(graph, device=device, threads=threads)
        self.manifest = manifest_from_metadata(self.engine.metadata, self.engine.name)
        self.limits = limits or Limits()
        _check_manifest(self.manifest, self.engine)

    @property
    def labels(self) -> list[str]:
        """Label of each class; empty if none are known."""
        return list(self.manifest.class_labels)

    @property
    def num_classes(self) -> int:
        """Number of classes that a target may name."""
        return self.manifest.head.num_classes

    @property
    def layers(self) -> list[str]:
        """Names of the target layers; the first is the default."""
        return [layer.name for layer in self.manifest.layers]

    @property
    def batch_size(self) -> int | None:
        """The one batch size that the graph takes, or None if it takes any."""
        axis = self.engine.inputs[self.manifest.input.tensor.name].shape[0]
        return axis if isinstance(axis, int) else None

    def explain(
        self,
        image: ImageSource | None = None,
        *,
        tensor: AnyArray | None = None,
        targets: Sequence[Target] = (),
        top_k: int = 0,
        method: str | None = None,
        layers: Sequence[str] = (),
        profile: str = DEFAULT_PROFILE,
        num_predictions: int = 5,
    ) -> Result:
        """Classifies one image and explains classes of it.

        Args:
            image: Encoded bytes, a file's path, a uint8 RGB array [H, W, 3], or a Pillow image.
            tensor: Instead of an image, a ready input tensor of shape [1, ...], as the manifest's input says.
            targets: Classes to explain.
            top_k: Also explains the k best classes, after ``targets``; with neither, the best class.
            method: CAM method, see `camgraph_runtime.cam.METHODS`; by default the manifest's.
            layers: Target layers by name or alias, fused if several; by default the manifest's first.
            profile: Post-processing, see `camgraph_runtime.profiles.PROFILES`.
            num_predictions: Number of best classes to list.

        Raises:
            InvalidInputError: The image, the tensor or a target cannot be used.
            UsageError: The layer, method or profile does not exist.
            UnsupportedError: The graph lacks what the method or a photo needs.
            InferenceError: onnxruntime failed.

        """
        if (image is None) == (tensor is None):
            raise InvalidInputError("Give either an image or a tensor to explain.")
        plan = self.plan(
            targets=targets,
            top_k=top_k,
            method=method,
            layers=layers,
            profile=profile,
            num_predictions=num_predictions,
        )
        subject = self.prepare(image) if image is not None else self.accept(tensor)
        [inference] = self.infer([subject], [plan])
        return self.finish(plan, subject, inference)

    def plan(
        self,
        *,
        targets: Sequence[Target] = (),
        top_k: int = 0,
        method: str | None = None,
        layers: Sequence[str] = (),
        profile: str = DEFAULT_PROFILE,
        num_predictions: int = 5,
    ) -> Plan:
        """Checks a request, with the arguments and errors of `explain`, before any work is done for it."""
        return make_plan(
            self.manifest,
            targets=targets,
            top_k=top_k,
            method=method,
            layers=layers,
            profile=profile,
            num_predictions=num_predictions,
            max_targets=self.limits.max_targets,
        )

    def prepare(self, image: ImageSource) -> Subject:
        """Decodes a photo and makes it ready for the network.

        Raises:
            InvalidInputError: The image cannot be used.
            UnsupportedError: The graph does not say how a photo becomes its input.

        """
        started = time.perf_counter()
        photo = decode(image, max_pixels=self.limits.max_pixels)
        decoded = time.perf_counter()
        prepared = self._preprocessor.prepare(photo)
        done = time.perf_counter()
        return Subject(prepared.tensor, prepared.frame, prepared, _ms(decoded - started), _ms(done - decoded))

    def accept(self, tensor: AnyArray | None) -> Subject:
        """Takes a ready input tensor [1, ...]; its frame is that of the network's input.

        Raises:
            InvalidInputError: The tensor is not one image of four axes.

        """
        if not isinstance(tensor, np.ndarray) or tensor.ndim != 4 or tensor.shape[0] != 1:
            shape = list(tensor.shape) if isinstance(tensor, np.ndarray) else type(tensor).__name__
            raise InvalidInputError(
                f"An input tensor is an array of one image with four axes, [1, ...], but this is {shape}."
            )
        height, width = (
            tensor.shape[1:3] if self.manifest.input.layout == pb.LAYOUT_NHWC else tensor.shape[2:4]
        )
        return Subject(tensor, Frame.identity(height, width))

    def infer(self, subjects: Sequence[Subject], plans: Sequence[Plan]) -> list[Inference]:
        """Runs the graph once for a batch of images, each with its own plan.

        Plans with fewer targets are filled up with their first one, and what was filled in is cut off again.

        Raises:
            InvalidInputError: A tensor does not fit the graph, or the images have different sizes.
            InferenceError: onnxruntime failed.

        """
        if len({subject.tensor.shape for subject in subjects}) > 1:
            raise InvalidInputError("The images of a batch have different sizes; run them one by one.")
        width = max(len(plan.codes) for plan in plans)
        codes = [[*plan.codes, *[plan.codes[0]] * (width - len(plan.codes))] for plan in plans]
        feeds = {
            self.manifest.input.tensor.name: np.concatenate([subject.tensor for subject in subjects]),
            self.manifest.target.target_input: np.array(codes, np.int64),
        }
        if self.manifest.explain_switch:
            feeds[self.manifest.explain_switch] = np.array(True)
        wanted = dict.fromkeys(name for plan in plans for name in plan.outputs)
        started = time.perf_counter()
        outputs = self.engine.run(feeds, list(wanted))
        elapsed = _ms(time.perf_counter() - started)
        return [
            Inference({name: outputs[name][row] for name in plan.outputs}, elapsed)
            for row, plan in enumerate(plans)
        ]

    def finish(self, plan: Plan, subject: Subject, inference: Inference) -> Result:
        """Turns one image's outputs into predictions and heatmaps."""
        started = time.perf_counter()
        predictions, explanations = finish(self.manifest, plan, inference.outputs, subject.frame)
        timings = Timings(
            subject.decode_ms,
            subject.preprocess_ms,
            inference.inference_ms,
            _ms(time.perf_counter() - started),
        )
        photo = subject.prepared.photo if subject.prepared else None
        return Result(predictions, explanations, photo, timings, _warnings(explanations))

    def close(self) -> None:
        """Closes the engine."""
        self.engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @cached_property
    def _preprocessor(self) -> Preprocessor:
        return Preprocessor(self.manifest.input, max_pixels=self.limits.max_pixels)


def _ms(seconds: float) -> float:
    return seconds * 1e3


def _warnings(explanations: Sequence[Explanation]) -> list[str]:
    """One sentence for each flag, the class in front; and where contrast or sign has nothing to act on."""
    found = [
        f"{explanation.title}: {warning}"
        for explanation in explanations
        for warning in explanation.statistics.warnings()
    ]
    for explanation in explanations:
        if not METHODS[explanation.method].class_dependent and (explanation.contrast or explanation.negative):
            found.append(
                f"{explanation.method} does not depend on the class: contrast and sign have no effect."
            )
            break
    return found


def _check_manifest(manifest: Manifest, engine: Engine) -> None:
    """Checks that the graph has what its manifest names, so that a damaged file fails at loading."""
    if manifest.task not in (pb.TASK_UNSPECIFIED, pb.TASK_CLASSIFICATION):
        task = pb.Task.Name(manifest.task).removeprefix("TASK_").lower()
        raise UnsupportedError(f"{engine.name} is a graph for {task}; the explainer explains classes only.")
    if not manifest.layers or manifest.head.num_classes < 1:
        raise InvalidGraphError(
            f"The manifest of {engine.name} has no layers or no classes. Export the model again."
        )
    inputs = {manifest.input.tensor.name, manifest.target.target_input, manifest.explain_switch} - {""}
    outputs = {
        manifest.head.output_name,
        manifest.target.target_index_output,
        manifest.target.target_score_output,
    }
    for layer in manifest.layers:
        outputs |= {
            layer.activations_tensor,
            layer.weights_tensor,
            layer.gradients_tensor or layer.weights_tensor,
        }
    missing = sorted((inputs - engine.inputs.keys()) | (outputs - engine.outputs.keys()))
    if missing:
        raise InvalidGraphError(
            f"The manifest of {engine.name} names {', '.join(map(repr, missing))}, "
            "which the graph does not have. Export the model again."
        )
