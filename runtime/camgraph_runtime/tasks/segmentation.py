"""Segmentation: a target is a class and a mask of pixels; each class has the share of the picture that it wins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.frame import Frame
from camgraph_core.place import Mask
from camgraph_core.result import ClassScore
from camgraph_core.target import Target
from camgraph_core.types import AnyArray, ByteArray, FloatArray
from camgraph_runtime.maps.placement import Placement, mask_size
from camgraph_runtime.tasks.head_scores import log_odds, shown_probabilities, shows_scores
from camgraph_runtime.tasks.labels import target_code
from camgraph_runtime.tasks.laid_mask import lay_mask
from camgraph_runtime.tasks.slots import CLASS_INPUT, TargetInput, TargetSlot
from camgraph_runtime.tasks.task import CLASS, Outputs, Predictions, Task, View, register

_OBJECT = 1  # of a single mask; 0 is the background


def _mask_of(slot: TargetSlot) -> ByteArray:
    if not isinstance(slot.place, Mask):
        raise ValueError("a segmentation runs with masks on the score map: fit the plan first")
    return slot.place.array


@register
class Segmentation(Task):
    """Classes of the pixels of an image."""

    kinds = (pb.TASK_SEGMENTATION,)
    takes = (*CLASS, Mask)
    inputs = (CLASS_INPUT, TargetInput("mask_input", np.uint8, _mask_of))

    def checked_slot(self, target: Target) -> TargetSlot:
        """The class and its mask; an empty one is none, which means where the class wins.

        Of a single mask the object is explained where no class is named: the background often has the larger area.
        """
        place = target.place if target.mask is not None and target.mask.any() else None
        if target.selector is None and self.manifest.head.single_logit:
            return TargetSlot(_OBJECT, place)
        return TargetSlot(target_code(target, self.manifest), place)

    def best_targets(self, count: int) -> list[Target]:
        """The classes with the largest areas; of a single mask the object, then the background."""
        targets = super().best_targets(count)
        return [Target.index(_OBJECT), Target.index(0)][:count] if self.manifest.head.single_logit else targets

    def is_complete(self) -> bool:
        """Whether the manifest also says how large the score map is."""
        return super().is_complete() and self.manifest.target.HasField("mask_size")

    def fit(self, slots: Sequence[TargetSlot], frame: Frame) -> Sequence[TargetSlot]:
        """The slots with their masks on the score map; all zero instead of none."""
        names, network_size = self.manifest.target, frame.network_size
        size = mask_size(self.manifest, network_size)
        stated = names.mask_placement if names.HasField("mask_placement") else None
        place = Placement.of_manifest(stated, network_size, size)
        masks = [
            lay_mask(slot.place.array, frame, place) if isinstance(slot.place, Mask) else np.zeros(size, np.uint8)
            for slot in slots
        ]
        return [replace(slot, place=Mask(mask)) for slot, mask in zip(slots, masks, strict=True)]

    def predictions(self, slots: Sequence[TargetSlot], outputs: Outputs, _view: View) -> Predictions:
        """Areas, mean probabilities and summed scores of the classes."""
        return PixelPredictions(self, [_mask_of(slot) for slot in slots], outputs)


class PixelPredictions:
    """Areas, mean probabilities and summed scores of the classes of an image."""

    def __init__(self, task: Task, masks: Sequence[ByteArray], outputs: Outputs) -> None:
        self._task, self._masks = task, masks
        manifest = task.manifest
        self._indices = outputs[manifest.target.target_index_output]
        self._scores = outputs[manifest.target.target_score_output]
        height, width = self._masks[0].shape
        output = task.head_output(outputs)
        self._values = read_pixels(output, manifest, (height, width))
        wanted = f"{manifest.head.num_classes} classes of {height} x {width} pixels"
        self.warnings = [] if self._values else [task.unlisted(output, wanted)]

    def best(self, count: int) -> list[ClassScore]:
        """The classes that win pixels, by area."""
        if self._values is None:
            return []
        areas = np.bincount(self._values.winner.ravel(), minlength=self._task.manifest.head.num_classes)
        order = np.argsort(-areas, kind="stable")[:count]
        return [self._winner(int(index)) for index in order if areas[index] > 0]

    def of_slot(self, number: int) -> ClassScore:
        """The class of a slot: under its mask, or where it wins."""
        index, mask = int(self._indices[number]), self._masks[number] != 0
        return self._class_score(index, self._counted(index, mask), float(self._scores[number]))

    def _winner(self, index: int) -> ClassScore:
        """A class where it wins; its score is exact if a slot asked for just that."""
        wins = self._counted(index, None)
        for number, mask in enumerate(self._masks):
            if int(self._indices[number]) == index and not mask.any():
                return self._class_score(index, wins, float(self._scores[number]))
        scores = self._values.scores if self._values else None
        score = math.nan if scores is None else float(scores[index][wins].sum(dtype=np.float64))
        # A probability that was rounded to 1 hides its score.
        return self._class_score(index, wins, score if math.isfinite(score) else math.nan)

    def _counted(self, index: int, mask: AnyArray | None) -> AnyArray | None:
        if mask is not None and mask.any():
            return mask
        return self._values.winner == index if self._values else None

    def _class_score(self, index: int, counted: AnyArray | None, score: float) -> ClassScore:
        probabilities = self._values.probabilities if self._values else None
        probability = math.nan
        if probabilities is not None and counted is not None and counted.any():
            probability = float(probabilities[index][counted].mean(dtype=np.float64))
        area = None if counted is None else float(counted.mean())
        return ClassScore(index, self._task.label_of(index), score, probability, area=area)


@dataclass(frozen=True, eq=False)
class PixelValues:
    """Of all classes and pixels of one image.

    Attributes:
        winner: The class that wins each pixel, int64 [h, w]; of equal ones the lower index, as in ONNX's ArgMax.
        scores: y before softmax or sigmoid, float32 [C, h, w]; None where the output hides it.
        probabilities: float32 [C, h, w]; None where the output is a map of winners.

    """

    winner: NDArray[np.int64]
    scores: FloatArray | None
    probabilities: FloatArray | None


def read_pixels(output: AnyArray, manifest: pb.Manifest, size: tuple[int, int]) -> PixelValues | None:
    """Winners, scores and probabilities from one image's output of a segmentation model.

    The output may have its classes first or last, or be a map of class indices; None if it is neither.
    """
    head = manifest.head
    if output.dtype.kind in "iu" and output.squeeze().shape == size:
        return PixelValues(output.reshape(size).astype(np.int64), None, None)
    last = manifest.input.layout == pb.LAYOUT_NHWC
    values = _classes_first(output, (head.num_classes, *size), channels_last=last)
    if values is None and head.single_logit:
        values = _classes_first(output, (1, *size), channels_last=last)
    if values is None:
        return None
    if shows_scores(head):
        return _from_scores(values, head)
    probabilities = shown_probabilities(values, head)
    scores = log_odds(probabilities) if head.kind == pb.HEAD_KIND_SIGMOID else None
    if len(values) == 1:
        probabilities = np.concatenate([1 - probabilities, probabilities])
        scores = None if scores is None else np.concatenate([-scores, scores])
    return PixelValues(probabilities.argmax(axis=0), scores, probabilities)


def _classes_first(output: AnyArray, shape: tuple[int, ...], *, channels_last: bool) -> FloatArray | None:
    """The output as float32 [C, h, w]. Where both orders fit, the input's decides."""
    if output.dtype.kind != "f" or output.size != np.prod(shape):
        return None
    first, last = shape, (*shape[1:], shape[0])
    fits = [order for order in (first, last) if _without_ones(order) == _without_ones(output.shape)]
    if not fits:
        return None
    if fits[-1] == last and (channels_last or len(fits) == 1):
        output = np.moveaxis(output.reshape(last), 2, 0)
    return output.reshape(shape).astype(np.float32)


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(length for length in shape if length > 1)


def _from_scores(values: FloatArray, head: pb.Head) -> PixelValues:
    scores = np.concatenate([-values, values]) if head.single_logit else values
    if head.single_logit or head.kind == pb.HEAD_KIND_SIGMOID:
        return PixelValues(scores.argmax(axis=0), scores, np.exp(-np.logaddexp(np.float32(0), -scores)))
    powers = np.exp(scores - scores.max(axis=0))
    return PixelValues(scores.argmax(axis=0), scores, powers / powers.sum(axis=0))
