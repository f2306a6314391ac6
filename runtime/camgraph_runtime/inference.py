"""Runs a graph for images that have a plan each: as they come, in the batches that it takes, or with other threads'."""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from camgraph.v1 import manifest_pb2 as pb
from camgraph_core.errors import InvalidInputError
from camgraph_core.types import AnyArray
from camgraph_runtime.network_input import NetworkInput
from camgraph_runtime.plan import Plan
from camgraph_runtime.run.batch import Batching, fill_up, portions
from camgraph_runtime.run.batcher import Batcher
from camgraph_runtime.run.engine import Engine
from camgraph_runtime.run.stop import Stop
from camgraph_runtime.tasks.feeds import switch_feed, target_feeds
from camgraph_runtime.tasks.task import Task

Item: TypeAlias = tuple[NetworkInput, Plan]
"""An image, and what is asked of it."""


@dataclass(frozen=True)
class Inference:
    """One image's share of a run: outputs without the batch axis, the time of the whole run, and its images."""

    outputs: dict[str, AnyArray]
    inference_ms: float
    batch_size: int


class GraphRunner:
    """Runs a graph for images and their plans; safe to use from several threads.

    Args:
        engine: Runs the graph.
        manifest: What the graph says of itself.
        task: Its task.
        batching: How images of several threads run together; by default each runs by itself.

    Attributes:
        batch_size: The one batch size that the graph takes, or None if it takes any.
        batch_sizes: The sizes of batches that the graph is run with; empty if there is no need to keep to some.
    """

    def __init__(self, engine: Engine, manifest: pb.Manifest, task: Task, batching: Batching | None) -> None:
        self._engine, self._manifest, self._task = engine, manifest, task
        axis = engine.inputs[manifest.input.tensor.name].shape[0]
        self.batch_size = axis if isinstance(axis, int) else None
        self.batch_sizes = self._sizes(batching)
        self._batcher = (
            None
            if batching is None or self.batch_sizes[-1] == 1
            else Batcher(self._infer_items, self.batch_sizes[-1], batching.max_queue_delay, batching.runs_at_once)
        )

    def infer(
        self, network_inputs: Sequence[NetworkInput], plans: Sequence[Plan], stop: Stop | None = None
    ) -> list[Inference]:
        """See `camgraph_runtime.Explainer.infer`."""
        if len({network_input.tensor.shape for network_input in network_inputs}) > 1:
            raise InvalidInputError("The images of a batch have different sizes; run them one by one.")
        items = list(zip(network_inputs, plans, strict=True))
        if self._batcher is not None and len(items) == 1:
            return [self._batcher.answer(_kind(*items[0]), items[0], stop)]
        return self._infer_items(items, stop)

    def feeds(self, items: Sequence[Item]) -> dict[str, AnyArray]:
        """The graph's inputs for images and their plans, no more of them than it takes in one run."""
        tensors, plans = [network_input.tensor for network_input, _ in items], [plan for _, plan in items]
        size = next((size for size in self.batch_sizes if size >= len(items)), None)
        feeds = {
            self._manifest.input.tensor.name: tensors[0] if len(items) == 1 else np.concatenate(tensors),
            **target_feeds(self._task, [plan.slots for plan in plans]),
            **switch_feed(self._manifest, explain=any(plan.targets for plan in plans)),
        }
        return fill_up(feeds, size)

    def _infer_items(self, items: Sequence[Item], stop: Stop | None) -> list[Inference]:
        most = self.batch_sizes[-1] if self.batch_sizes else None
        return [one for part in portions(len(items), most) for one in self._infer_batch(items[part], stop)]

    def _infer_batch(self, items: Sequence[Item], stop: Stop | None) -> list[Inference]:
        """Runs the graph once, for no more images than it takes."""
        plans = [plan for _, plan in items]
        wanted = dict.fromkeys(name for plan in plans for name in plan.outputs)
        feeds = self.feeds(items)
        started = time.perf_counter()
        outputs = self._engine.run(feeds, list(wanted), stop)
        elapsed = (time.perf_counter() - started) * 1e3
        return [
            Inference({name: outputs[name][row] for name in plan.outputs}, elapsed, len(plans))
            for row, plan in enumerate(plans)
        ]

    def _sizes(self, batching: Batching | None) -> tuple[int, ...]:
        if self.batch_size is not None:
            return (self.batch_size,)
        return () if batching is None else batching.sizes


def _kind(network_input: NetworkInput, plan: Plan) -> Hashable:
    """What images must have in common to run together, so that none makes the run of another dearer."""
    tensor = network_input.tensor
    return tensor.shape, tensor.dtype, plan.outputs, len(plan.slots), bool(plan.targets)
