"""From a server's settings to loaded explainers."""

from __future__ import annotations

import logging
from pathlib import Path

from camgraph_core.errors import CamgraphError, InvalidGraphError
from camgraph_runtime import Engine, Limits
from camgraph_runtime.bank.beside import bank_of
from camgraph_runtime.digest import check_digest
from camgraph_runtime.explainers import AnyExplainer, explainer_of
from camgraph_runtime.run.machine import available_memory
from camgraph_runtime.run.providers import CUDA
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


def memory_parts(config: ServerConfig) -> dict[str, int]:
    """How `memory_limit` is divided, in bytes."""
    memory = memory_limit(config)
    return {"requests": memory // 4, "images": memory // 2, "answers": memory // 4}


def model_memory(config: ServerConfig) -> int:
    """Bytes for all loaded models, in this process."""
    return (config.max_model_memory_mib * MIB or available_memory() * 2 // 5) // config.processes


def load_explainer(config: ServerConfig, path: Path) -> AnyExplainer:
    """Loads an explainable graph with the config's device and limits, and its bank, and explains an image or a clip.

    Several workers get one thread each, which gives the most answers a second; a single one gets all cores, and so do
    batches.

    Raises:
        InvalidGraphError: The file is damaged, not an explainable graph, not certified, or not what its manifest says.
        InvalidInputError: Its bank cannot be read.
        UsageError: Its bank was built with another graph.
        DeviceError: The device is not available.
    """
    bank = bank_of(path)
    runs_one_by_one = worker_count(config) == 1 or config.max_batch_size > 1
    threads = Threads.latency() if runs_one_by_one and config.processes == 1 else Threads.throughput()
    limits = Limits(max_pixels=int(config.max_megapixels * 1e6), max_targets=config.max_targets)
    on_cuda = batching_on(config, CUDA)
    shapes = len(on_cuda.sizes) if on_cuda else 1
    engine = Engine(path, device=config.device, threads=threads, exact_int8=not config.fast_int8, shapes=shapes)
    batching = batching_on(config, engine.execution_provider)
    explainer = explainer_of(engine, limits=limits, batching=batching, bank=bank)
    for note in engine.notes:
        log_event(_log, logging.WARNING, note, path=str(path))
    try:
        if not config.allow_uncertified:
            _check_certificate(explainer)
        check_explains(explainer)
    except CamgraphError:
        explainer.close()
        raise
    return explainer


def load_checked(config: ServerConfig, path: Path) -> AnyExplainer:
    """As `load_explainer`, and checks that the files are those that were proven.

    Raises:
        InvalidGraphError: As there, or the files have another digest than the manifest states.
        DeviceError: The device is not available.
    """
    explainer = load_explainer(config, path)
    try:
        check_digest(path, explainer.manifest.digest)
    except CamgraphError:
        explainer.close()
        raise
    return explainer


def _check_certificate(explainer: AnyExplainer) -> None:
    manifest, name = explainer.manifest, explainer.engine.name
    if not manifest.HasField("certificate"):
        raise InvalidGraphError(
            f"{name} has no certificate, so nothing shows that its explanations are right. Export it again, or let the "
            "server --allow-uncertified."
        )
    if not manifest.certificate.passed:
        failed = ", ".join(check.name for check in manifest.certificate.checks if not check.passed)
        raise InvalidGraphError(
            f"{name} did not pass its certificate{f' ({failed})' if failed else ''}. Export it again, or let the "
            "server --allow-uncertified."
        )
