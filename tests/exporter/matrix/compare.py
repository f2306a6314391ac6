"""Compares an exported graph with PyTorch's autograd, tensor by tensor."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx_ir as ir
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from camgraph.v1 import manifest_pb2 as pb
from camgraph_exporter.assemble.build import BuildOptions, Built, build
from camgraph_exporter.layers.layers import TargetLayer
from camgraph_exporter.prepare.prepare import PreparedModel
from camgraph_exporter.tasks import Score
from exporter.matrix.architectures import Architecture

BATCH, TARGETS = 2, 3
Arrays = dict[str, np.ndarray]


def trace(module: nn.Module, architecture: Architecture) -> ir.Model:
    """Export the module as it stands: nothing folded, so that float64 sees the very parameters of the module."""
    dims: dict[int, Any] = {0: torch.export.Dim("N")}
    if architecture.dynamic_size:
        dims |= {2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module,
            (torch.randn(BATCH, *architecture.shape),),
            dynamo=True,
            dynamic_shapes=(dims,),
            optimize=False,
            verbose=False,
        )
    assert program is not None
    return program.model


def explain_all(prepared: PreparedModel, score: Score, layers: list[TargetLayer]) -> Built:
    """Build one graph with activations, weights and full gradients of all layers."""
    return build(prepared, score, layers, BuildOptions(gradients=True))


def draw_feeds(built: Built, architecture: Architecture) -> Arrays:
    """Draw an image and targets by index, float64: the classes, and where the task wants them boxes or masks."""
    rng = np.random.default_rng(0)
    score, tensors = built.score, built.target
    feeds = {str(built.prepared.image.name): rng.standard_normal((BATCH, *architecture.shape))}
    feeds[tensors.target_input] = rng.integers(0, score.num_classes, (BATCH, TARGETS))
    if tensors.anchor_input:
        feeds[tensors.anchor_input] = rng.integers(0, score.shape.num_anchors, (BATCH, TARGETS))
    if tensors.mask_input:
        feeds[tensors.mask_input] = rng.integers(0, 2, (BATCH, TARGETS, *architecture.shape[1:])).astype(np.uint8)
    return feeds


class Autograd:
    """One forward pass of a module in float64, with every tensor in between and the scores' gradients."""

    def __init__(
        self,
        module: nn.Module,
        built: Built,
        feeds: Mapping[str, np.ndarray],
        scores_of: Callable[[Any], Tensor] = lambda y: y,
    ) -> None:
        tensors = built.target
        recorder = Recorder()
        with recorder:
            y = module.double()(torch.from_numpy(feeds[str(built.prepared.image.name)]))
        self.tensors = recorder.tensors
        self.scores = _scores(scores_of(y), tensors, feeds)
        self._gradients: dict[int, np.ndarray] = {}

    def gradient(self, tensor: Tensor) -> np.ndarray:
        """Return d score / d tensor, [N, T, ...]; each image's score depends on its own slice only."""
        if id(tensor) not in self._gradients:
            rows = [
                torch.autograd.grad(self.scores[:, t].sum(), tensor, retain_graph=True, allow_unused=True)[0]
                for t in range(self.scores.shape[1])
            ]
            rows = [torch.zeros_like(tensor) if row is None else row for row in rows]
            self._gradients[id(tensor)] = torch.stack(rows, 1).numpy()
        return self._gradients[id(tensor)]

    def equal_to(self, value: np.ndarray) -> list[Tensor]:
        """Return the tensors that hold these elements."""
        return [
            tensor
            for tensor in self.tensors
            if tuple(tensor.shape) == value.shape and distance(tensor.detach().numpy(), value) < 1e-6
        ]


class Recorder(TorchFunctionMode):
    """Keeps the result of every function that is called on tensors; adds `shift` to the result number `index`."""

    def __init__(self, index: int = -1, shift: Tensor | None = None) -> None:
        super().__init__()
        self.tensors: list[Tensor] = []
        self._index, self._shift = index, shift

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, tuple | list):
            return type(result)(map(self._keep, result)) if type(result) in (tuple, list) else result
        return self._keep(result)

    def _keep(self, item: Any) -> Any:
        if not (isinstance(item, Tensor) and item.requires_grad and item.ndim >= 3):
            return item
        if len(self.tensors) == self._index and self._shift is not None:
            item = item + self._shift
        self.tensors.append(item)
        return item


def _scores(y: Tensor, tensors: pb.TargetTensors, feeds: Mapping[str, np.ndarray]) -> Tensor:
    """Return the scores [N, T] that the targets mean, by the definition of each task."""
    classes = torch.from_numpy(feeds[tensors.target_input])
    images = torch.arange(BATCH)[:, None]
    if tensors.anchor_input:
        return y[images, torch.from_numpy(feeds[tensors.anchor_input]), classes]
    if tensors.mask_input:
        return (y[images, classes] * torch.from_numpy(feeds[tensors.mask_input])).sum((2, 3))
    return y[images, classes]


def channels_first(layer: TargetLayer, array: np.ndarray, size: tuple[int, int] | None = None) -> np.ndarray:
    """Turn a tensor [..., *layer] into [..., K, h, w]; `size` is (h, w) of a map whose size is dynamic."""
    if layer.layout == pb.LAYER_LAYOUT_CHANNELS_LAST:
        return np.moveaxis(array, -1, -3)
    if layer.layout == pb.LAYER_LAYOUT_TOKENS:
        assert layer.grid is not None
        cells = [layer.grid.frames] if layer.grid.frames else []
        cells += size or (layer.height or 0, layer.width or 0)
        tokens = array[..., layer.grid.prefix : layer.grid.prefix + math.prod(cells), :]
        return np.moveaxis(tokens.reshape(*tokens.shape[:-2], *cells, tokens.shape[-1]), -1, -1 - len(cells))
    return array


def as_map(layer: TargetLayer, array: np.ndarray, size: tuple[int, int], *, by_target: bool = False) -> np.ndarray:
    """Turn a layer's tensor [N, ...], or its gradient [N, T, ...], into [N, (T,) K, h, w]; of a clip t is before h.

    Of frames that are counted in with the batch, the gradient is [N * t, T, ...].
    """
    where = layer.frame_axis if layer.frames else None
    if where is None or (where == pb.LAYER_FRAMES_BEFORE_ROWS and layer.layout != pb.LAYER_LAYOUT_CHANNELS_LAST):
        return channels_first(layer, array, size)
    if where == pb.LAYER_FRAMES_BEFORE_ROWS:
        return np.moveaxis(array, -1, -4)
    if where == pb.LAYER_FRAMES_UNSPECIFIED:
        return np.expand_dims(channels_first(layer, array, size), -3)
    if where == pb.LAYER_FRAMES_IN_BATCH:
        array = array.reshape(-1, layer.frames, *array.shape[1:])
        array = array.swapaxes(1, 2) if by_target else array
    return np.moveaxis(channels_first(layer, array, size), -4, -3)


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Return the relative L2 distance of `a` from `b`."""
    return float(np.linalg.norm(a - b)) / max(float(np.linalg.norm(b)), 1e-30)
