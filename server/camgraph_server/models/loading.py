"""From a server's settings to loaded explainers."""

from __future__ import annotations

import logging
from pathlib import Path

from camgraph_runtime import Engine, Explainer, Limits
from camgraph_runtime.run.machine import available_memory
from camgraph_runtime.run.threads import Threads
from camgraph_server.config import ServerConfig
from camgraph_server.config.limits import MIB
from camgraph_server.models.batching import batching_on, worker_count
from camgraph_server.models.readiness import check_explains
from camgraph_server.observe.log import log_event

_log = logging.getLogger("camgraph.loading")


def memory_limit(config: ServerConfig) -> int:
    """Bytes for requests, images and answers altogether, in this process."""
    return (config.max_memory_mib * MIB or available_memory() // 2) // config.processes


def load_explainer(config: ServerConfig, path: Path) -> Explainer:
    """Loads an explainable graph with the config's device and limits, and explains an image with it.

    Several workers get one thread each, which gives the most answers a second; a single one gets all cores, and so do
    batches.

    Raises:
        InvalidGraphError: The file is damaged, not an explainable graph, or not what its manifest says.
        DeviceError: The device is not available.
    """
    runs_one_by_one = worker_count(config) == 1 or config.max_batch_size > 1
    threads = Threads.latency() if runs_one_by_one and config.processes == 1 else Threads.throughput()
    limits = Limits(max_pixels=int(config.max_megapixels * 1e6), max_targets=config.max_targets)
    engine = Engine(path, device=config.device, threads=threads, exact_int8=not config.fast_int8)
    explainer = Explainer(engine, limits=limits, batching=batching_on(config, engine.execution_provider))
    for note in engine.notes:
        log_event(_log, logging.WARNING, note, path=str(path))
    check_explains(explainer)
    return explainer
