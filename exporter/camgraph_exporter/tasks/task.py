"""What a kind of model is to the exporter: how its scores read, which layer explains them, what its targets are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import UsageError
from camgraph_exporter.boxes.find import BoxTensor
from camgraph_exporter.boxes.options import BoxOptions
from camgraph_exporter.graph.dims import Dims
from camgraph_exporter.layers.auto import last_map
from camgraph_exporter.layers.layers import TargetLayer
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.quantised.forms import scale_and_zero_point
from camgraph_exporter.score.one_number import OneNumber
from camgraph_exporter.score.output_head import OutputHead
from camgraph_exporter.score.score_shape import ScoreShape
from camgraph_exporter.targets.draw import Arrays, Draw
from camgraph_exporter.targets.interface import AttachedTargets, Interface
from camgraph_exporter.vjp.backward import Backward
from camgraph_runtime.tasks.task import task_name


@dataclass(frozen=True)
class Score:
    """The tensor y of scores.

    `output`: the source's output that shows it, and `shown`: how. `task`: what its targets are. `shape`: where its
    classes are, and how many. `note`: a remark for the user on what was found or guessed. `ranked_by`: probabilities
    that classes are ranked by, in the layout of the scores; None for the scores themselves. `boxes`: where the boxes of
    a detector are; None where there are none, or none were found.
    """

    value: ir.Value
    output: ir.Value
    task: Task
    shown: OutputHead
    shape: ScoreShape
    note: str = ""
    ranked_by: ir.Value | None = None
    boxes: BoxTensor | None = None

    @property
    def name(self) -> str:
        """The tensor's name in the source."""
        return str(self.value.name)

    @property
    def kind(self) -> pb.HeadKind:
        """What the source makes of the scores."""
        return self.shown.kind

    @property
    def class_axis(self) -> int:
        """Where its classes are."""
        return self.shape.class_axis

    @property
    def num_classes(self) -> int:
        """How many classes a target may name; two for a single logit. For an embedding it is the vector's length."""
        return self.shape.num_classes

    @property
    def single_logit(self) -> bool:
        """Whether there is one score z for two classes, which counts as (-z, z)."""
        return self.shape.single_logit

    def head(self) -> pb.Head:
        """Return the manifest's account of the head."""
        part = self.shown.part
        integers = scale_and_zero_point(self.output)
        head = pb.Head(
            score_tensor=self.name,
            kind=self.kind,
            output_name=str(self.output.name),
            class_slice=pb.ClassSlice(axis=part.axis, start=part.start) if part is not None else None,
            output_scale=self.shown.scale if self.shown.scale != 1 else 0,
            output_is_ranked=self.shown.is_ranked,
            output_is_logarithm=self.shown.is_logarithm and self.kind != pb.HEAD_KIND_LOG_SOFTMAX,
            output_quantization=(
                None if integers is None else pb.OutputQuantization(scale=integers[0], zero_point=integers[1])
            ),
        )
        head.MergeFrom(self.task.sizes(self.shape))
        return head


@dataclass(frozen=True)
class Evidence:
    """What tells the task of a tensor of scores.

    `shown`: how an output shows it. `dims`: its dimensions, the batch first. `one_number`: what its only element per
    image is taken for; None where it has more, or where the head tells. `per_pixel`: the same of the only element per
    pixel.
    """

    shown: OutputHead
    dims: Dims
    one_number: OneNumber | None = None
    per_pixel: OneNumber | None = None

    @property
    def num_wide(self) -> int:
        """How many axes after the batch have more than one element."""
        return sum(dim != 1 for dim in self.dims[1:])


class Task(ABC):
    """A kind of model: what everything else asks where kinds of models differ.

    There is one object per task, in a file of its own; `camgraph_exporter.tasks` lists them. The methods that are not
    abstract hold for a model whose targets are classes of the image.
    """

    kind: ClassVar[pb.Task]
    """What the manifest calls it. Its name in the enum is its name for users."""
    has_head: ClassVar[bool] = True
    """Whether a softmax or sigmoid may follow the scores; otherwise the output itself is the score."""
    has_classes: ClassVar[bool] = True
    """Whether a target is a class, so that the number of labels tells which output has the scores."""
    is_dense: ClassVar[bool] = False
    """Whether the scores are those of pixels or boxes. Such networks have side paths everywhere."""

    has_boxes: ClassVar[bool] = False
    """Whether scores are those of boxes, which an output may hold beside them."""

    @cached_property
    def name(self) -> str:
        """The word for users: "segmentation"."""
        return task_name(self.kind)

    # --- reading the score ---------------------------------------------------------------------------------------

    @abstractmethod
    def claim(self, evidence: Evidence) -> str | None:
        """Claim scores whose task nobody stated: return a remark for the user, often empty; None to leave them."""

    @abstractmethod
    def read(self, prepared: PreparedModel, value: ir.Value, class_axis: int | None) -> ScoreShape:
        """Read a tensor as scores of this task. `class_axis` says where its classes are; None where the shape tells.

        Raises:
            ScoreError: the tensor is not one of such scores.

        """

    def doubt(self, prepared: PreparedModel, score: Score) -> str:
        """Return a remark on what may be wrong with a score that was found without the user's help."""
        return ""

    def complete(self, prepared: PreparedModel, score: Score, options: BoxOptions) -> Score:
        """Return a score with what belongs to it beside its tensor.

        Raises:
            ScoreError: what the user names does not fit the score.
            UsageError: the user states what a model of this task does not have.

        """
        if options.says_anything:
            raise UsageError(
                "--boxes, --columns, --box-format, --box-unit and --background are for a detector, but the task is "
                f"{self.name}. State another one with --task if that is wrong."
            )
        return score

    def sizes(self, shape: ScoreShape) -> pb.Head:
        """Return the part of the manifest's head that says what a target may name."""
        return pb.Head(
            num_classes=shape.num_classes,
            single_logit=shape.single_logit,
            num_anchors=shape.num_anchors,
            background_class=shape.background,
        )

    def extent(self, head: pb.Head) -> str:
        """Return in words what a target may name."""
        return f"{head.num_classes} classes"

    def own_labels(self, score: Score) -> Sequence[str]:
        """Return the words for targets that need no labels from the user."""
        return ()

    # --- choosing the layer --------------------------------------------------------------------------------------

    def best_layer(self, prepared: PreparedModel, score: Score, layers: Sequence[TargetLayer]) -> TargetLayer:
        """Return the layer that Grad-CAM means among some, of which there is at least one."""
        return last_map(layers)

    def completed(
        self, prepared: PreparedModel, score: Score, best: TargetLayer, layers: Sequence[TargetLayer]
    ) -> list[TargetLayer]:
        """Return the best layer, and those that explain the targets which do not depend on it."""
        return [best]

    def reach(self, prepared: PreparedModel, score: Score, layer: TargetLayer) -> str:
        """Return a remark on targets that do not depend on a layer."""
        return ""

    def reached(self, prepared: PreparedModel, score: Score, layers: Sequence[TargetLayer]) -> Sequence[str]:
        """Return for each layer how many targets depend on it, "32 of 672"; empty where all do on every layer."""
        return ()

    # --- targets in the graph ------------------------------------------------------------------------------------

    @abstractmethod
    def attach(self, op: Backward, interface: Interface, score: Score) -> AttachedTargets:
        """Add the inputs and outputs of targets to the graph, and return the cotangent of the score that they mean."""

    def place(self, prepared: PreparedModel, score: Score) -> tuple[pb.TargetTensors, str]:
        """Return what the manifest says about where targets lie on the image, and a remark on it."""
        return pb.TargetTensors(), ""

    # --- targets for the certificate -----------------------------------------------------------------------------

    def draw(self, draw: Draw) -> Arrays:
        """Draw every input of the graph that names targets: first the best class, then random ones."""
        return {draw.names.target_input: draw.choices(draw.head.num_classes)}

    def lost_seed(self, manifest: pb.Manifest, found: Arrays) -> np.ndarray | None:
        """Return the cotangent [T, N, ...] of the score in a run, where rules may leave it out of the graph."""
        return None
