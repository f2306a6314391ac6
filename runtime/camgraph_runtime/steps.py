"""The steps that explanations of images and of clips have in common: the graph, its runs, and what plans take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from camgraph_core.errors import CamgraphError, TargetError, UsageError
from camgraph_core.request import Request
from camgraph_core.result import Timings
from camgraph_core.types import AnyArray
from camgraph_runtime.bank.beside import with_bank
from camgraph_runtime.bank.memory_bank import MemoryBank
from camgraph_runtime.inference import GraphRunner, Inference
from camgraph_runtime.limits import Limits
from camgraph_runtime.manifest import manifest_from_metadata
from camgraph_runtime.manifest_check import check_graph, check_subjects
from camgraph_runtime.network_input import NetworkInput
from camgraph_runtime.plan import Plan, make_plan, make_prediction_plan, replan
from camgraph_runtime.preprocess.layout import spatial_axes
from camgraph_runtime.run.batch import Batching
from camgraph_runtime.run.engine import Device, Engine, Threads
from camgraph_runtime.run.stop import Stop
from camgraph_runtime.run_memory import RunMemory
from camgraph_runtime.tasks import task_of
from camgraph_runtime.tasks.task import View

_TIMES_THE_SAMPLE = 16


class Steps:
    """A graph that explains, and the steps that do not depend on what it explains: images, or clips.

    Safe to use from several threads. The arguments are those of `Explainer`.

    Attributes:
        engine: Runs the graph.
        manifest: What the graph says of itself.
        bank: A memory bank that was built with the graph; None without one.
        limits: What one request may ask for.
        task: What its scores mean.
        sample: A small image that it has explained; None before. See `settle`.
        run_memory: What runs take of memory; None where that was not measured. See `give_back`.

    """

    takes_clips: ClassVar[bool]
    """Whether it explains clips and volumes."""

    def __init__(
        self,
        graph: str | Path | bytes | Engine,
        *,
        device: Device = "cpu",
        threads: Threads | None = None,
        exact_int8: bool = True,
        limits: Limits | None = None,
        batching: Batching | None = None,
        bank: MemoryBank | None = None,
    ) -> None:
        if not isinstance(graph, Engine):
            shapes = len(batching.sizes) if batching else 1
            graph = Engine(graph, device=device, threads=threads, exact_int8=exact_int8, shapes=shapes)
        self.engine = graph
        self.manifest = manifest_from_metadata(self.engine.metadata, self.engine.name)
        check_subjects(self.manifest, self.engine.name, clips=self.takes_clips)
        self.bank = self._checked(bank)
        self.limits = limits or Limits()
        self.task = task_of(self.manifest, self.engine.name)
        check_graph(self.task, self.engine)
        self._runner = GraphRunner(self.engine, self.manifest, self.task, batching)
        self.sample: NetworkInput | None = None
        self.run_memory: RunMemory | None = None

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
    def sees_in_full(self) -> bool:
        """Whether the network sees an image as large as it is, of any size."""
        spec = self.manifest.input
        shape = self.engine.inputs[spec.tensor.name].shape
        is_open = not any(isinstance(shape[axis], int) for axis in spatial_axes(spec.layout) if axis < len(shape))
        return is_open and all(step.HasField("center_square") for step in spec.steps)

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """The sizes of batches that the graph is run with; empty if there is no need to keep to some."""
        return self._runner.batch_sizes

    def give_back(self, memory: RunMemory | None) -> None:
        """Has runs that are large give their memory back to the system, as far as is known what runs take."""
        self.run_memory = memory
        if memory is not None:
            self.engine.is_large = lambda feeds: memory.is_large(self.image_in(feeds).size, self.targets_in(feeds))

    def image_in(self, feeds: Mapping[str, AnyArray]) -> AnyArray:
        """The image among the graph's inputs; an empty array where it is missing."""
        return feeds.get(self.manifest.input.tensor.name, np.empty(0))

    def targets_in(self, feeds: Mapping[str, AnyArray]) -> int:
        """The number of targets of each image among the graph's inputs, at least 1."""
        names = [getattr(self.manifest.target, item.field) for item in self.task.inputs]
        counts = [feeds[name].shape[1] for name in names if name in feeds and feeds[name].ndim > 1]
        return max(counts, default=1)

    def settle(self, elements: int) -> None:
        """Gives back what the outputs of a large run took, when nobody has them any more, by a run of the sample.

        Where that would take long, the next run gives it back.

        Args:
            elements: Elements of the image input of the large run.

        """
        if self.sample is None or elements < _TIMES_THE_SAMPLE * self.sample.tensor.size:
            return
        with suppress(CamgraphError):  # a driver that fails now is met by the next caller
            plan = make_prediction_plan(self.task, Request())
            slots = tuple(self.task.fit(plan.slots, self.sample.frame))
            self.infer([self.sample], [replace(plan, slots=slots)], Stop())

    def plan(self, request: Request, *, has_photo: bool = True) -> Plan:
        """Checks a request, with the errors of ``explain``, before any work is done for it.

        Args:
            request: What is asked.
            has_photo: Whether it is about images; False for a ready tensor.

        """
        plan = make_plan(self.task, request, max_targets=self.limits.max_targets, has_photo=has_photo)
        return with_bank(plan, self.bank, self.manifest)

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

    def _checked(self, bank: MemoryBank | None) -> MemoryBank | None:
        if bank is not None and self.takes_clips:
            raise UsageError(f"{self.engine.name} explains clips, but a memory bank is of single images. Leave it out.")
        if bank is not None:
            bank.check(self.manifest)
        return bank

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

    def feeds(self, network_input: NetworkInput, plan: Plan) -> dict[str, AnyArray]:
        """The graph's inputs for one image and its plan, which was fitted to it, where others run the graph.

        Their answer goes to ``finish`` as an `Inference`.

        Returns:
            Arrays with their batch axis by name, as many images as the graph takes.

        """
        return self._runner.feeds([(network_input, plan)])

    def close(self) -> None:
        """Closes the engine."""
        self.engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def timings_of(plan: Plan, network_input: NetworkInput, inference: Inference, postprocess_ms: float) -> Timings:
    """What the steps of one explanation took."""
    return Timings(
        decode_ms=network_input.decode_ms,
        preprocess_ms=network_input.preprocess_ms,
        inference_ms=plan.looked_ms + inference.inference_ms,
        postprocess_ms=postprocess_ms,
    )


def ms(seconds: float) -> float:
    """Milliseconds."""
    return seconds * 1e3
