"""What runs of a graph take of memory: told for any, from a few that were measured."""

from __future__ import annotations

from dataclasses import dataclass

_MIB = 1024 * 1024
_MARGIN = 1.5  # runs of one size differ: onnxruntime takes its memory in pieces that double
_SLACK = 4 * _MIB
_LARGE = 32 * _MIB


@dataclass(frozen=True)
class RunMemory:
    """What runs of a graph take, outputs and maps included. `measured` of the server fills it in.

    With more elements of the image, a run takes more by a power that was measured (a graph of convolutions 1, one of
    attention up to 2). With more targets it takes more in proportion, at most.

    Attributes:
        own: Bytes of a run for an image of the graph's own size, with one target.
        elements: Elements of the image input of the largest image that was measured.
        largest: Bytes of that run, with one target.
        power: How memory grows with the number of elements, from 1 to 2.
        targets: Most targets that were measured.
        times: How many times as much as with one target that took.

    """

    own: int
    elements: int
    largest: int
    power: float = 1.0
    targets: int = 1
    times: float = 1.0

    @property
    def kept(self) -> int:
        """Bytes of an ordinary run, which onnxruntime keeps for the next one: the server counts them with the model."""
        return round(_MARGIN * self.own) + _SLACK

    def of(self, elements: int, targets: int) -> int:
        """Bytes of a run.

        Args:
            elements: Number of elements of the image input, of all images of the batch together.
            targets: Number of targets of each image.

        """
        size = elements / self.elements
        return round(_MARGIN * self.largest * (size**self.power if size > 1 else size) * self._times(targets))

    def beyond(self, elements: int, targets: int) -> int:
        """Bytes of a run that takes more than an ordinary one; 0 if it does not."""
        needed = self.of(elements, targets)
        return needed if needed > self.kept else 0

    def is_large(self, elements: int, targets: int) -> bool:
        """Whether the memory of a run should go back to the system after it."""
        return self.beyond(elements, targets) > _LARGE

    def _times(self, targets: int) -> float:
        if targets > self.targets:
            return self.times * targets / self.targets
        return 1.0 if targets <= 1 else 1 + (self.times - 1) * (targets - 1) / (self.targets - 1)
