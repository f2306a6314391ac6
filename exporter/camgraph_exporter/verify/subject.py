"""What a certificate is about: an explainable graph, ready to be run in float32 and in float64."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import onnx

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.verify.float64 import Float64Evaluator
from camgraph_runtime.engine import Engine

Arrays = dict[str, np.ndarray]
_BATCH = 3
_DEFAULT_SIZE = 64


class Subject:
    """An explainable graph with its manifest, an engine, a float64 evaluator, and random images.

    `source` is the trained model's own engine where it is at hand; without it the file's forward part stands in.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        manifest: pb.Manifest,
        engine: Engine,
        *,
        source: Engine | None = None,
        seed: int = 0,
    ) -> None:
        self.model = model
        self.manifest = manifest
        self.engine = engine
        self._source = source
        self.seed = seed
        self.rng = np.random.default_rng(seed)

    @cached_property
    def evaluator(self) -> Float64Evaluator:
        """The graph in float64."""
        return Float64Evaluator(self.model)

    @cached_property
    def source(self) -> Engine:
        """The trained model by itself."""
        if self._source is not None:
            return self._source
        names = [spec.name for spec in self.manifest.source_outputs]
        extractor = onnx.utils.Extractor(self.model)
        return Engine(extractor.extract_model([self.image_name], names).SerializeToString())

    @property
    def image_name(self) -> str:
        """Name of the image input."""
        return self.manifest.input.tensor.name

    @property
    def target_name(self) -> str:
        """Name of the target input."""
        return self.manifest.target.target_input

    @property
    def batch(self) -> int:
        """A batch size that the graph takes: three, or the fixed one."""
        first = self.manifest.input.tensor.shape[0]
        return int(first) if first.isdecimal() else _BATCH

    @property
    def batch_is_symbolic(self) -> bool:
        """Tell whether the graph takes any batch."""
        return not self.manifest.input.tensor.shape[0].isdecimal()

    def images(self, count: int) -> np.ndarray:
        """Draw input tensors that look like prepared photos: smooth noise over the whole range of pixel values."""
        spec = self.manifest.input
        shape = [count, *self._sizes()]
        channels_last = spec.layout == pb.LAYOUT_NHWC
        pixels = _smooth_noise(self.rng, shape, channels_last=channels_last)
        axis = -1 if channels_last else 1
        wide = [1] * len(shape)
        wide[axis] = -1
        mean, std = (
            np.reshape(np.asarray(values or [default]), wide) for values, default in ((spec.mean, 0.0), (spec.std, 1.0))
        )
        images: np.ndarray = ((pixels / (spec.divisor or 1.0) - mean) / std).astype(np.dtype(spec.tensor.dtype))
        return images

    def _sizes(self) -> list[int]:
        steps = self.manifest.input.steps
        size = None
        for step in steps:
            chosen = getattr(step, step.WhichOneof("step"))
            size = (chosen.height, chosen.width) if hasattr(chosen, "height") else size
        open_sizes = iter(size or (_DEFAULT_SIZE, _DEFAULT_SIZE))
        sizes = []
        for axis, text in enumerate(self.manifest.input.tensor.shape[1:]):
            spatial = axis != (2 if self.manifest.input.layout == pb.LAYOUT_NHWC else 0)
            known = text.isdecimal()
            given = next(open_sizes, _DEFAULT_SIZE) if spatial else 3
            sizes.append(int(text) if known else given)
        return sizes

    def targets(self, count: int, number: int) -> np.ndarray:
        """Draw targets [count, number]: the predicted class first, then random classes."""
        classes = self.rng.integers(0, self.manifest.head.num_classes, size=(count, number))
        classes[:, 0] = -1
        return classes.astype(np.int64)

    def feeds(self, count: int, targets: int) -> Arrays:
        """Draw a complete set of inputs."""
        return {self.image_name: self.images(count), self.target_name: self.targets(count, targets)}


def _smooth_noise(rng: np.random.Generator, shape: list[int], *, channels_last: bool) -> np.ndarray:
    """Return blotches of many sizes, 0..255: white noise alone drives real networks into a corner."""
    spatial = [axis for axis in range(1, len(shape)) if axis != (len(shape) - 1 if channels_last else 1)]
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
