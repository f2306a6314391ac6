"""Random targets for a graph: what a task draws them with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from camgraph.v1 import manifest_pb2 as pb

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Draw:
    """Draws `number` targets for each of some `images`, which have so many `candidates` for boxes."""

    manifest: pb.Manifest
    rng: np.random.Generator
    images: np.ndarray
    number: int
    candidates: int

    @property
    def names(self) -> pb.TargetTensors:
        """Names of the inputs that take targets."""
        return self.manifest.target

    @property
    def head(self) -> pb.Head:
        """What a target may name."""
        return self.manifest.head

    @property
    def shape(self) -> tuple[int, int]:
        """[N, T]: images, and targets of each."""
        return len(self.images), self.number

    def choices(self, size: int) -> np.ndarray:
        """Return int64 [N, T]: first the best of `size` things, by its rank, then random ones by their index."""
        choices = self.rng.integers(0, size, size=self.shape)
        choices[:, 0] = -1
        return choices.astype(np.int64)


def resolved_by(names: pb.TargetTensors) -> dict[str, str]:
    """Return each input [N, T, ...] that takes targets, with the output that ranks in it resolve to, "" for none.

    The manifest has them in pairs: the fields `NAME_input` and `NAME_index_output`.
    """
    fields = {field.name: getattr(names, field.name) for field in names.DESCRIPTOR.fields}
    return {
        given: fields.get(f"{name.removesuffix('_input')}_index_output", "")
        for name, given in fields.items()
        if name.endswith("_input") and given
    }
