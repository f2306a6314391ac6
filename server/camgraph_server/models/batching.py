"""Whether requests are run together, and how many of them are worked on at the same time for that."""

from __future__ import annotations

from camgraph_runtime import Batching
from camgraph_runtime.run.onnx_runtime import OnnxRuntime
from camgraph_runtime.run.providers import CUDA, request_for
from camgraph_runtime.run.threads import available_cores
from camgraph_server.config import ServerConfig

_ON_CUDA = 16
_RUNS_ON_CUDA = 4
"""A GPU computes small runs beside each other, and copies for one while it computes another (docs/gpu.md)."""


def batching_on(config: ServerConfig, provider: str) -> Batching | None:
    """How images are run together by a provider of onnxruntime; None where each runs by itself."""
    most = config.max_batch_size or (_ON_CUDA if provider == CUDA else 1)
    buckets = tuple(size for size in config.batch_buckets if size <= most)
    runs = _RUNS_ON_CUDA if provider == CUDA else Batching.runs_at_once
    return None if most == 1 else Batching(most, config.max_queue_delay, buckets, runs)


def worker_count(config: ServerConfig) -> int:
    """Requests that this process works on at the same time.

    Without batches, each of its CPUs has one. A request that waits for its batch needs no CPU: where there are
    batches, as many more are taken as the batches that run hold.
    """
    batching = batching_on(config, _first_provider(config.device))
    waiting = 0 if batching is None else batching.runs_at_once * batching.max_batch_size
    return config.workers or max(1, available_cores() // config.processes) + waiting


def _first_provider(device: str) -> str:
    """The provider that is asked for first; it is settled only when the first graph is loaded."""
    return request_for(device, OnnxRuntime().available_providers()).providers[0][0]
