"""From a server's settings to loaded explainers."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from camgraph_core.request import Request
from camgraph_runtime import Engine, Explainer, Limits
from camgraph_runtime.run.machine import available_memory
from camgraph_runtime.run.threads import Threads
from camgraph_server.config import ServerConfig
from camgraph_server.config.limits import MIB
from camgraph_server.models.batching import batching_on, worker_count
from camgraph_server.observe.log import log_event

_log = logging.getLogger("camgraph.loading")


def memory_limit(config: ServerConfig) -> int:
    """Bytes for requests, images and answers altogether, in this process."""
    return (config.max_memory_mib * MIB or available_memory() // 2) // config.processes


def load_explainer(config: ServerConfig, path: Path) -> Explainer:
    """Loads an explainable graph with the config's device and limits, and runs it once for each size of batch.

    Several workers get one thread each, which gives the most answers a second; a single one gets all cores, and so do
    batches.

    Raises:
        InvalidGraphError: the file is damaged or not an explainable graph.
        InferenceError: the graph does not run.
        DeviceError: the device is not available.
    """
    runs_one_by_one = worker_count(config) == 1 or config.max_batch_size > 1
    threads = Threads.latency() if runs_one_by_one and config.processes == 1 else Threads.throughput()
    limits = Limits(max_pixels=int(config.max_megapixels * 1e6), max_targets=config.max_targets)
    engine = Engine(path, device=config.device, threads=threads, exact_int8=not config.fast_int8)
    explainer = Explainer(engine, limits=limits, batching=batching_on(config, engine.execution_provider))
    for note in engine.notes:
        log_event(_log, logging.WARNING, note, path=str(path))
    _warm_up(explainer)
    return explainer


def _warm_up(explainer: Explainer) -> None:
    """Runs the graph on zeros, so that no caller pays for the first run of any size of batch.

    A broken graph is found now, too.

    A graph whose image size is open is left alone: a guessed size would prove nothing.
    """
    info = explainer.engine.inputs[explainer.manifest.input.tensor.name]
    image_axes = [axis for axis in info.shape[1:] if isinstance(axis, int)]
    if len(image_axes) == 3:
        network_input = explainer.accept(np.zeros((1, *image_axes), info.dtype))
        plan = explainer.plan(Request(targets=[explainer.task.any_target()]))
        plan = explainer.fit(plan, network_input)
        for size in explainer.batch_sizes or (1,):
            explainer.infer([network_input] * size, [plan] * size)
