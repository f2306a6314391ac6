"""Draws what a check of the certificate runs on: images like prepared photos, and targets.

Every check draws from a generator of its own, seeded by the certificate's seed and the check's name. So a check's
figures do not depend on which checks ran before it, and a reader can repeat one check alone.
"""

from __future__ import annotations

import zlib

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.targets.draw import Arrays, Draw
from camgraph_exporter.tasks import task_of
from camgraph_runtime.preprocess.layout import channel_axis

_DEFAULT_SIZE = 64


class Samples:
    """The random inputs of one check.

    `rng` draws whatever else the check needs. `candidates`: how many boxes of an image may be a target.
    """

    def __init__(self, manifest: pb.Manifest, seed: int, check: str, candidates: int = 1) -> None:
        self._manifest, self._candidates = manifest, candidates
        self.rng = np.random.default_rng([seed, zlib.crc32(check.encode())])

    def images(self, count: int, *, smooth: bool = True) -> np.ndarray:
        """Draw input tensors over the whole range of values: smooth noise, like photos, or white noise."""
        return self.tensor(self.pixels(count, smooth=smooth))

    def pixels(self, count: int, *, smooth: bool = True) -> np.ndarray:
        """Draw images before preparation, from black (0) to white (255), with the axes of the input tensor."""
        shape = [count, *self._sizes()]
        if not smooth:
            return self.rng.uniform(0, 255, shape)
        return _smooth_noise(self.rng, shape, channels=channel_axis(self._manifest.input.layout))

    def tensor(self, pixels: np.ndarray) -> np.ndarray:
        """Prepare pixels as the manifest says; black and white are the ends of its range of values, if it has one."""
        spec = self._manifest.input
        axis = channel_axis(spec.layout)
        wide = [1] * pixels.ndim
        wide[axis or 0] = -1
        low, high, mean, std = (
            np.reshape(np.asarray(values or [default]), wide)
            for values, default in ((spec.value_low, 0.0), (spec.value_high, 255.0), (spec.mean, 0.0), (spec.std, 1.0))
        )
        values = low + pixels * ((high - low) / 255)
        tensor: np.ndarray = ((values / (spec.divisor or 1.0) - mean) / std).astype(np.dtype(spec.tensor.dtype))
        return tensor

    def _sizes(self) -> list[int]:
        steps = self._manifest.input.steps
        size = None
        for step in steps:
            chosen = getattr(step, step.WhichOneof("step"))
            size = (chosen.height, chosen.width) if hasattr(chosen, "height") else size
        open_sizes = iter(size or (_DEFAULT_SIZE, _DEFAULT_SIZE))
        sizes = []
        for axis, text in enumerate(self._manifest.input.tensor.shape[1:]):
            spatial = axis + 1 != channel_axis(self._manifest.input.layout)
            known = text.isdecimal()
            given = next(open_sizes, _DEFAULT_SIZE) if spatial else 3
            sizes.append(int(text) if known else given)
        return sizes

    def feeds(self, count: int, number: int, *, smooth: bool = True) -> Arrays:
        """Draw a complete set of inputs for `count` images with `number` targets each."""
        return self.feeds_of(self.images(count, smooth=smooth), number)

    def feeds_of(self, images: np.ndarray, number: int) -> Arrays:
        """Draw `number` targets for each of some images, and return the complete set of inputs."""
        switch = self._manifest.explain_switch
        on = {switch: np.array(True)} if switch else {}
        draw = Draw(self._manifest, self.rng, images, number, self._candidates)
        return {self._manifest.input.tensor.name: images, **task_of(self._manifest).draw(draw), **on}


def _smooth_noise(rng: np.random.Generator, shape: list[int], *, channels: int | None) -> np.ndarray:
    """Return blotches of many sizes, 0..255: white noise alone drives real networks into a corner."""
    spatial = [axis for axis in range(1, len(shape)) if axis != channels]
    total = np.zeros(shape)
    for cells in (4, 16, 64):
        coarse = list(shape)
        for axis in spatial:
            coarse[axis] = min(cells, shape[axis])
        noise = rng.standard_normal(coarse)
        for axis in spatial:
            index = np.arange(shape[axis]) * noise.shape[axis] // shape[axis]
            noise = np.take(noise, index, axis=axis)
        total += noise
    return np.clip(127.5 + 50 * total, 0, 255)
