"""What a task is to the runtime: what a target may name, which tensors carry it, and what a run says about it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, TypeAlias

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import TargetError, UnsupportedError
from camgraph_core.frame import Frame
from camgraph_core.marked import Marked
from camgraph_core.place import Box, DetectedObject, Direction, Mask, Point, Polygon, References, Region
from camgraph_core.request import Request
from camgraph_core.result import ClassScore
from camgraph_core.target import Rank, Target
from camgraph_core.types import AnyArray, FloatArray
from camgraph_runtime.tasks.slots import CLASS_INPUT, TargetInput, TargetSlot

Outputs: TypeAlias = Mapping[str, AnyArray]
"""The graph's outputs for one image by name, without the batch axis."""

CLASS = (int, str, Rank)
"""A class, named by its index, label or rank."""

_WORDS = {**dict.fromkeys(CLASS, "a class"), Mask: "a mask", Box: "an anchor", Direction: "a cotangent"}
_WORDS |= {Polygon: "a polygon", Region: "a region", DetectedObject: "an object", Point: "a point"}
_WORDS |= {References: "a reference"}


@dataclass(frozen=True)
class View:
    """How one image is looked at.

    Attributes:
        frame: Where its photo lies in the network's input.
        score_threshold: The least score of an object that is listed.
        iou_threshold: Overlap from which on two boxes are one object.
        counted: How much each pixel of the photo counts in areas and means over them, [H, W]: truth values of a photo;
            numbers of a window of a scene, whose sums are taken over them, too. None: all alike.

    """

    frame: Frame
    score_threshold: float
    iou_threshold: float
    counted: AnyArray | None = None

    @classmethod
    def of(cls, request: Request, frame: Frame, counted: AnyArray | None = None) -> View:
        """How a request asks to look at an image."""
        return cls(frame, request.score_threshold, request.iou_threshold, counted)


class Predictions(ABC):
    """What a run says about one image.

    Attributes:
        warnings: What kept classes from being listed, one sentence each.

    """

    warnings: Sequence[str]

    @abstractmethod
    def best(self, count: int) -> list[ClassScore]:
        """The best classes, best first; what "best" means is the task's."""

    @abstractmethod
    def of_slot(self, number: int) -> ClassScore:
        """The class of a target slot, with the score that was differentiated."""

    def marked(self, _: int) -> Marked | None:
        """The pixels that a slot's score was taken over; None where the task has none, or the graph hides them."""
        return None


class Task(ABC):
    """One graph's task. A kind of task is one subclass in a file of its own; see docs/adding-a-task.md.

    Attributes:
        kinds: The manifest's values for it.
        name: The task in words.
        takes: What a target may name: `CLASS`, and the kinds of places.
        targets_noun: What `top_k` counts.
        is_ranked: Whether a rank may be another class on another image.
        suits_scenes: Whether a target is the same one in every window of a scene.
        found_by_run: The kinds of places of which only a run can tell what they are in an image.
        inputs: The inputs that carry targets.
        outputs: Fields of the manifest's `TargetTensors` with the outputs that predictions need.

    """

    kinds: ClassVar[tuple[pb.Task, ...]]
    name: ClassVar[str]
    takes: ClassVar[tuple[type, ...]]
    targets_noun: ClassVar[str] = "classes"
    is_ranked: ClassVar[bool] = True
    suits_scenes: ClassVar[bool] = False
    found_by_run: ClassVar[tuple[type, ...]] = ()
    inputs: ClassVar[tuple[TargetInput, ...]] = (CLASS_INPUT,)
    outputs: ClassVar[tuple[str, ...]] = ("target_index_output", "target_score_output")

    def __init__(self, manifest: pb.Manifest) -> None:
        self.manifest = manifest

    @property
    def size(self) -> int:
        """Number of classes, or what takes their place; at least 1 in a graph that can be used."""
        return self.manifest.head.num_classes

    def is_complete(self) -> bool:
        """Whether the manifest names all tensors that the task cannot do without."""
        names, fields = self.manifest.target, (*(item.field for item in self.inputs), *self.outputs)
        needed = (self.manifest.input.tensor.name, self.manifest.head.output_name)
        return all((*needed, *(getattr(names, field) for field in fields)))

    def prediction_outputs(self) -> list[str]:
        """Names of the outputs that predictions need."""
        return [self.manifest.head.output_name, *(getattr(self.manifest.target, field) for field in self.outputs)]

    def head_output(self, outputs: Outputs) -> AnyArray:
        """The trained model's own output for one image, as real numbers where it holds integers that stand for such."""
        head = self.manifest.head
        output = outputs[head.output_name]
        if not head.HasField("output_quantization"):
            return output
        quantization = head.output_quantization
        return (output.astype(np.float64) - quantization.zero_point) * quantization.scale

    def slot(self, target: Target) -> TargetSlot:
        """The slot of a target, its contrast and sign aside.

        Raises:
            UnsupportedError: The target names what graphs of this task do not take.
            TargetError: A class, box or direction does not exist or is missing.

        """
        for kind in (type(target.selector), type(target.place)):
            if kind not in (*self.takes, type(None)):
                *others, last = dict.fromkeys(task.name for task in TASKS.values() if kind in task.takes)
                wanted = f"{', '.join(others)} or {last}" if others else last
                raise UnsupportedError(
                    f"The target names {_WORDS[kind]}, which takes a graph for {wanted}; this graph is for {self.name}."
                )
        return self.checked_slot(target)

    @abstractmethod
    def checked_slot(self, target: Target) -> TargetSlot:
        """The slot of a target that names only what the task takes.

        Raises:
            TargetError: A class, box or direction does not exist or is missing.

        """

    def any_target(self) -> Target:
        """A target that every image has."""
        return Target()

    def default_targets(self) -> Sequence[Target]:
        """What is explained where nothing is named."""
        return (Target(),)

    def best_targets(self, count: int) -> list[Target]:
        """The best classes as targets.

        Raises:
            TargetError: There are not so many.
            UnsupportedError: The task has no best classes.

        """
        if not 0 <= count <= self.size:
            raise TargetError(
                f"top_k is {count}, but the model has {self.size} {self.targets_noun}; give 0 to {self.size}."
            )
        return [Target.of_rank(rank) for rank in range(1, count + 1)]

    def prediction_slot(self) -> TargetSlot:
        """What is fed where nothing is explained."""
        return TargetSlot(code=-1)

    def fit(self, slots: Sequence[TargetSlot], _: Frame) -> Sequence[TargetSlot]:
        """The slots for one image, from where its photo lies in the network's input.

        Raises:
            InvalidInputError: A place does not fit the image.

        """
        return slots

    def must_look(self, target: Target) -> bool:
        """Whether a run must tell first what a target, or its contrast, means."""
        places = (target.place, None if target.contrast is None else target.contrast.place)
        return any(isinstance(place, self.found_by_run) for place in places)

    def looked(self, target: Target, outputs: Outputs, view: View) -> Target:
        """The target and its contrast, as they are meant in an image of which a run gave the predictions' outputs.

        Raises:
            TargetError: There is nothing of the kind.

        """
        contrast = None if target.contrast is None else self.looked(target.contrast, outputs, view)
        target = replace(target, contrast=contrast)
        return self.found(target, outputs, view) if isinstance(target.place, self.found_by_run) else target

    def found(self, target: Target, _outputs: Outputs, _view: View) -> Target:
        """A target whose place is one of `found_by_run`, as it is meant in an image; its contrast is found already.

        Raises:
            TargetError: There is nothing of the kind.

        """
        return target

    def embedding(self, _outputs: Outputs) -> FloatArray | None:
        """The embedding of an image, float32 [D]; None if the model gives none."""
        return None

    @abstractmethod
    def predictions(self, slots: Sequence[TargetSlot], outputs: Outputs, view: View) -> Predictions:
        """What a run says about one image.

        Args:
            slots: What was asked; masks lie on the score map.
            outputs: The graph's outputs.
            view: How the image is looked at.

        Raises:
            InvalidGraphError: The outputs do not fit the manifest.

        """

    def label_of(self, index: int) -> str:
        """Label of a class; empty if the manifest has none."""
        labels = self.manifest.class_labels
        return labels[index] if 0 <= index < len(labels) else ""

    def unlisted(self, output: AnyArray, wanted: str) -> str:
        """The warning that the source's output is of another shape than the predictions need."""
        head = self.manifest.head
        if head.output_is_ranked:
            return (
                f"The model's output {head.output_name!r} holds only what the model itself selected, not "
                f"{wanted}: the best classes cannot be listed. Explanations do not need it."
            )
        return (
            f"The model's output {head.output_name!r} is {list(output.shape)} for an image, not {wanted}: "
            "the best classes cannot be listed. Explanations do not need it."
        )


TASKS: dict[pb.Task, type[Task]] = {}


def task_name(kind: pb.Task) -> str:
    """A task in words, which is its name in the manifest's enum: "segmentation", "dense-regression"."""
    return pb.Task.Name(kind).removeprefix("TASK_").lower().replace("_", "-")


def register(task: type[Task]) -> type[Task]:
    """Registers a task under its values in the manifest, of which the first names it."""
    task.name = task_name(task.kinds[0])
    TASKS.update(dict.fromkeys(task.kinds, task))
    return task
