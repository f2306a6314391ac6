"""What a certificate is about: an explainable graph, ready to be run in float32 and in float64."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.storage import load_engine, weights_folder, with_weights
from camgraph_exporter.verify.float64 import Float64Evaluator
from camgraph_runtime.engine import Engine

Arrays = dict[str, np.ndarray]
LoadSource = Callable[[bool], Engine]
_BATCH = 3
_DEFAULT_SIZE = 64


class Subject:
    """An explainable graph with its manifest, an engine, a float64 evaluator, and random images.

    `load_source` loads the trained model itself, with or without optimisation of its graph, where it is at hand;
    without it the file's forward part stands in.
    `folder` holds the external weights, if any.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        manifest: pb.Manifest,
        engine: Engine,
        *,
        load_source: LoadSource | None = None,
        folder: Path | None = None,
        seed: int = 0,
    ) -> None:
        self.model = model
        self.manifest = manifest
        self.engine = engine
        self.folder = folder
        self._load_source = load_source or self._load_forward_part
        self.seed = seed
        self.rng = np.random.default_rng(seed)

    @cached_property
    def evaluator(self) -> Float64Evaluator:
        """The graph in float64."""
        return Float64Evaluator(with_weights(self.model, self.folder))

    @cached_property
    def source(self) -> Engine:
        """The trained model by itself."""
        return self._load_source(True)

    def _load_forward_part(self, optimize: bool) -> Engine:
        names = [spec.name for spec in self.manifest.source_outputs]
        extractor = onnx.utils.Extractor(self.model)
        return load_engine(extractor.extract_model([self.image_name], names), self.folder, optimize=optimize)

    def run_source(self, images: np.ndarray) -> Arrays:
        """Run the trained model."""
        return self._run_source(self.source, images)

    def run_source_unoptimised(self, images: np.ndarray) -> Arrays:
        """Run the trained model operator by operator, without what onnxruntime makes of its graph."""
        return self._run_source(self._load_source(False), images)

    def _run_source(self, source: Engine, images: np.ndarray) -> Arrays:
        """Run the trained model; one with a fixed batch gets the images in portions of that size."""
        size = source.inputs[self.image_name].shape[0]
        step = size if isinstance(size, int) and len(images) % size == 0 else len(images)
        runs = [source.run({self.image_name: images[i : i + step]}) for i in range(0, len(images), step)]
        return runs[0] if len(runs) == 1 else {name: np.concatenate([run[name] for run in runs]) for name in runs[0]}

    @property
    def image_name(self) -> str:
        """Name of the image input."""
        return self.manifest.input.tensor.name

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

    def feeds(self, count: int, number: int) -> Arrays:
        """Draw a complete set of inputs for `count` images with `number` targets each."""
        switch = self.manifest.explain_switch
        on = {switch: np.array(True)} if switch else {}
        return {self.image_name: self.images(count), **self.targets(count, number), **on}

    def targets(self, count: int, number: int) -> Arrays:
        """Draw every input [count, number, ...] that names targets: the best class (and box), then random ones."""
        names, head = self.manifest.target, self.manifest.head
        targets: Arrays = {}
        if names.target_input:
            targets[names.target_input] = self._choices(count, number, head.num_classes)
        if names.anchor_input:
            targets[names.anchor_input] = self._choices(count, number, head.num_anchors or 1)
        if names.mask_input:
            height, width = self._map_size(names.mask_input)
            targets[names.mask_input] = self.rng.integers(0, 2, (count, number, height, width)).astype(np.uint8)
        if names.cotangent_input:
            targets[names.cotangent_input] = self.rng.standard_normal(
                (count, number, head.embedding_size), dtype=np.float32
            )
        return targets

    def resolved(self, feeds: Arrays, found: Arrays) -> Arrays:
        """Replace ranks by the classes and boxes that they stood for: a small change must not change them."""
        names = self.manifest.target
        pairs = ((names.target_input, names.target_index_output), (names.anchor_input, names.anchor_index_output))
        return {**feeds, **{taken: found[given] for taken, given in pairs if given}}

    def one_target(self, feeds: Arrays, index: int) -> Arrays:
        """Keep a single target of each image."""
        whole = {self.image_name, self.manifest.explain_switch}
        return {name: array if name in whole else array[:, index : index + 1] for name, array in feeds.items()}

    def one_image(self, feeds: Arrays, index: int) -> Arrays:
        """Keep a single image of a batch."""
        return {name: array[index : index + 1] if array.ndim else array for name, array in feeds.items()}

    def _choices(self, count: int, number: int, size: int) -> np.ndarray:
        choices = self.rng.integers(0, size, size=(count, number))
        choices[:, 0] = -1
        return choices.astype(np.int64)

    def _map_size(self, mask_input: str) -> tuple[int, int]:
        """Return height and width of the score map; one run tells where they are dynamic."""
        shape = self.engine.inputs[mask_input].shape[2:]
        if all(isinstance(size, int) for size in shape):
            return int(shape[0] or 0), int(shape[1] or 0)
        output = self.manifest.head.output_name
        array = self.run_source(self.images(self.batch))[output]
        last = self.manifest.input.layout == pb.LAYOUT_NHWC
        return (array.shape[1], array.shape[2]) if last else (array.shape[2], array.shape[3])

    def at_layer(self, layer: pb.Layer, feeds: Arrays) -> Callable[[np.ndarray], np.ndarray]:
        """Return a function from activations [N, K, h, w] to the layer's tensor, in the layer's own layout.

        Tokens that belong to no cell of the map keep the values that they have for `feeds`.
        """
        if layer.layout == pb.LAYER_LAYOUT_CHANNELS_LAST:
            return lambda activations: activations.transpose(0, 2, 3, 1)
        if layer.layout != pb.LAYER_LAYOUT_TOKENS:
            return lambda activations: activations
        whole = self.evaluator.run([layer.name], feeds)[0]

        def as_tokens(activations: np.ndarray) -> np.ndarray:
            cells = activations.reshape(*activations.shape[:2], -1).transpose(0, 2, 1)
            begin, end = layer.prefix_tokens, layer.prefix_tokens + cells.shape[1]
            return np.concatenate([whole[:, :begin], cells, whole[:, end:]], axis=1)

        return as_tokens


def loader_of(model: ir.Model) -> LoadSource:
    """Return what loads a model that is in memory."""
    folder = weights_folder(model)
    return lambda optimize: load_engine(ir.to_proto(model), folder, optimize=optimize)


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
