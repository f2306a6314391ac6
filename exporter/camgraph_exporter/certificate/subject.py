"""What a certificate is about: an explainable graph, ready to be run in float32 and in float64."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
import onnx
import onnx_ir as ir

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.certificate.candidates import candidates_in
from camgraph_exporter.certificate.own_layout import in_own_layout
from camgraph_exporter.certificate.samples import Samples
from camgraph_exporter.certificate.unguarded import without_switch
from camgraph_exporter.float64 import Float64Evaluator
from camgraph_exporter.running.engine import load_engine
from camgraph_exporter.storage import weights_folder, with_weights
from camgraph_exporter.targets.draw import Arrays, resolved_by
from camgraph_runtime.run.batch import fill_up, portions
from camgraph_runtime.run.engine import Device, Engine

LoadSource = Callable[[bool], Engine]
Made = TypeVar("Made")
_BATCH = 3


class Subject:
    """An explainable graph with its manifest, an engine and a float64 evaluator.

    `load_source` loads the trained model itself, with or without optimisation of its graph, where it is at hand;
    without it the file's forward part stands in.
    `folder` holds the external weights, if any. `device`: where `engine` runs. `is_rewritten`: whether the
    forward part has other operators than the trained model.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        manifest: pb.Manifest,
        engine: Engine,
        *,
        load_source: LoadSource | None = None,
        folder: Path | None = None,
        is_rewritten: bool = False,
        device: Device = "cpu",
        seed: int = 0,
    ) -> None:
        self.model = model
        self.manifest = manifest
        self.engine = engine
        self.folder = folder
        self.device: Device = device
        self.is_rewritten = is_rewritten
        self._load_source = load_source or self._load_forward_part
        self.seed = seed
        self._made: dict[tuple[str, ...], object] = {}

    def once(self, key: tuple[str, ...], make: Callable[[], Made]) -> Made:
        """Return what `make` returned at the first call with this key: checks share what is dear to make."""
        if key not in self._made:
            self._made[key] = make()
        return cast("Made", self._made[key])

    def samples(self, check: str) -> Samples:
        """Return what draws the random inputs of the check with this name: the same at every call."""
        return Samples(self.manifest, self.seed, check, self.candidates)

    @cached_property
    def candidates(self) -> int:
        """How many boxes of a detector there are in an image of the size that is drawn."""
        if self.manifest.head.num_anchors or not self.manifest.target.anchor_input:
            return self.manifest.head.num_anchors or 1
        feeds = Samples(self.manifest, self.seed, "candidates").feeds(self.smallest_batch, 1)
        return candidates_in(self.manifest, self.engine.run(feeds))

    @property
    def layers(self) -> Sequence[pb.Layer]:
        """The target layers."""
        return self.manifest.layers

    @property
    def gradient_outputs(self) -> list[str]:
        """Names of the outputs that hold derivatives, of all layers."""
        return [name for layer in self.layers for name in gradient_outputs(layer)]

    @cached_property
    def flat(self) -> onnx.ModelProto:
        """The graph without the switch of a skippable one, so that every value can be looked at."""
        return without_switch(self.model, self.manifest.explain_switch)

    @cached_property
    def evaluator(self) -> Float64Evaluator:
        """The graph in float64."""
        return Float64Evaluator(with_weights(self.flat, self.folder))

    def run_in_float64(self, feeds: Arrays, outputs: Sequence[str]) -> Arrays:
        """Compute values of the graph in float64; feeds may hold inner values, which are then taken as they are."""
        return dict(zip(outputs, self.evaluator.run(outputs, feeds), strict=True))

    def load(self, model: onnx.ModelProto, *, optimize: bool = True) -> Engine:
        """Load another form of the graph; without optimisation on the CPU, whose results do not vary."""
        device = self.device if optimize else "cpu"
        exact = self.engine.exact_int8
        return load_engine(model, self.folder, optimize=optimize, exact_int8=exact, device=device)

    def run(self, feeds: Arrays, *, optimize: bool) -> Arrays:
        """Run the explainable graph on as many images at a time as the trained model takes."""
        engine = self.engine if optimize else self.load(self.model, optimize=False)
        return self._in_portions(engine, feeds)

    def run_source(self, feeds: Arrays, *, optimize: bool) -> Arrays:
        """Run the trained model on the images among the feeds."""
        source = self.source if optimize else self._load_source(False)
        return self._in_portions(source, {self.image_name: feeds[self.image_name]})

    @cached_property
    def source(self) -> Engine:
        """The trained model by itself."""
        return self._load_source(True)

    def _load_forward_part(self, optimize: bool) -> Engine:
        names = [spec.name for spec in self.manifest.source_outputs]
        return self.load(onnx.utils.Extractor(self.model).extract_model([self.image_name], names), optimize=optimize)

    def _in_portions(self, engine: Engine, feeds: Arrays) -> Arrays:
        """Run in portions of the trained model's batch, if it is fixed: another batch may be rounded otherwise."""
        axis, count = self.source.inputs[self.image_name].shape[0], len(feeds[self.image_name])
        size = axis if isinstance(axis, int) else None
        runs = [engine.run(fill_up(self.some_images(feeds, part), size)) for part in portions(count, size)]
        if size in (None, count):
            return runs[0]
        return {name: np.concatenate([run[name] for run in runs])[:count] for name in runs[0]}

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

    @property
    def smallest_batch(self) -> int:
        """The cheapest batch size that the graph takes: one, or the fixed one."""
        return 1 if self.batch_is_symbolic else self.batch

    @cached_property
    def rounds_by_batch(self) -> bool:
        """Tell whether the trained model itself rounds an image by the range of the whole batch."""
        return any(node.op_type == "DynamicQuantizeLinear" for node in self.model.graph.node)

    def resolved(self, feeds: Arrays, found: Arrays) -> Arrays:
        """Replace ranks by the classes and boxes that they stood for: a small change must not change them."""
        pairs = resolved_by(self.manifest.target).items()
        return {**feeds, **{taken: found[given] for taken, given in pairs if given}}

    def some_targets(self, feeds: Arrays, indices: Sequence[int]) -> Arrays:
        """Keep some targets of each image."""
        of_targets = resolved_by(self.manifest.target)
        return {name: array[:, indices] if name in of_targets else array for name, array in feeds.items()}

    def some_images(self, feeds: Arrays, images: slice) -> Arrays:
        """Keep some images of a batch; what has no axes is the same for all."""
        return {name: array[images] if array.ndim else array for name, array in feeds.items()}

    def one_image(self, feeds: Arrays, index: int) -> Arrays:
        """Keep a single image of a batch; a graph for one size of batch gets it filled up, as a reader fills it."""
        single = self.some_images(feeds, slice(index, index + 1))
        return fill_up(single, None if self.batch_is_symbolic else self.batch)

    def at_layer(self, layer: pb.Layer, feeds: Arrays) -> Callable[[np.ndarray], np.ndarray]:
        """Return a function from activations [N, K, h, w] or [N, K, t, h, w] to the layer's tensor, in its own layout.

        Tokens that belong to no cell of the map keep the values that they have for `feeds`.
        """
        whole = self.evaluator.run([layer.name], feeds)[0] if layer.layout == pb.LAYER_LAYOUT_TOKENS else None
        return partial(in_own_layout, layer, whole)


def loader_of(model: ir.Model, *, exact_int8: bool = True) -> LoadSource:
    """Return what loads a model that is in memory."""
    folder = weights_folder(model)
    return lambda optimize: load_engine(ir.to_proto(model), folder, optimize=optimize, exact_int8=exact_int8)


def gradient_outputs(layer: pb.Layer) -> list[str]:
    """Return the names of a layer's outputs that hold derivatives."""
    return [name for name in (layer.weights_tensor, layer.gradients_tensor) if name]
