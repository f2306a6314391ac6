"""The work on a cluster of Ray. The only module that imports it."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from camgraph_client.bulk.results import Part
from camgraph_client.bulk.settings import Cluster
from camgraph_client.bulk.work import Work, Worker
from camgraph_core.errors import CamgraphError, UnavailableError, UsageError

_MIB = 1 << 20
_TRIES = 3  # of a part whose process ends without a word, as when a machine is lost or memory runs out


@dataclass(frozen=True)
class Done:
    """A part that is done, or why the run cannot go on."""

    file: str
    count: int
    failed: int
    problem: str


class _Process:
    """A process of the cluster."""

    def __init__(self, work: Work, graph: Any) -> None:
        import ray  # noqa: PLC0415 - as below

        self._worker = Worker(work, ray.get(graph))

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        part = Part(*(int(batch[name][0]) for name in ("plan", "group", "count")))
        try:
            failed, problem = self._worker.do(part), ""
        except (CamgraphError, OSError) as error:  # as no space is left: all further parts would fail likewise
            failed, problem = 0, f"{part.file} cannot be made: {error}"
        return {"file": [part.file], "count": [part.count], "failed": [failed], "problem": [problem]}


@contextmanager
def connected(where: Cluster) -> Iterator[None]:
    """A connection to the cluster, or a Ray of this machine that ends with it.

    Raises:
        UsageError: Ray is not installed.
        UnavailableError: There is no cluster at the address.

    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing leaves the cluster
    try:
        import ray  # noqa: PLC0415 - an extra, which takes seconds to import
    except ImportError as error:
        raise UsageError("This needs Ray; install camgraph[bulk].") from error
    local = {"address": "local", "include_dashboard": False, "object_store_memory": where.object_store_mib * _MIB}
    if where.workers:
        local["num_cpus"] = where.workers * where.cpus_per_worker
    try:
        ray.init(
            **(local if where.ray is None else {"address": where.ray}),
            logging_level=logging.ERROR,
            log_to_driver=False,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UnavailableError(f"There is no Ray at {where.ray or 'this machine'}: {error}.") from error
    try:
        yield
    finally:
        ray.shutdown()


def explained(parts: Sequence[Part], work: Work, graph: bytes | str, where: Cluster) -> Iterator[Done]:
    """Each part when it is done, in whatever order. A part whose process ended too often is left out.

    Args:
        parts: What to do.
        work: How to do it.
        graph: The graph, as `Worker` takes it.
        where: How many processes, and what each of them gets.

    """
    import ray  # noqa: PLC0415 - as above

    context = ray.data.DataContext.get_current()
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # its own files say more, and the run says what is missing
    context.enable_progress_bars = False
    context.max_errored_blocks = -1
    rows = [{"plan": part.plan, "group": part.group, "count": part.count} for part in parts]
    processes = min(where.workers or _most(where), len(parts))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # retries: until 2.64 there is no other way to say them
        done = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            _Process,
            fn_constructor_args=(work, ray.put(graph)),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=processes),
            num_cpus=where.cpus_per_worker,
            num_gpus=where.gpus_per_worker or None,
            max_task_retries=_TRIES - 1,
        )
    for row in done.iter_rows():
        yield Done(**row)


def _most(where: Cluster) -> int:
    """As many processes as the cluster has room for."""
    import ray  # noqa: PLC0415 - as above

    has = ray.cluster_resources()
    room = int(has.get("CPU", 0) // where.cpus_per_worker)
    if where.gpus_per_worker:
        room = min(room, int(has.get("GPU", 0) / where.gpus_per_worker))
    if room < 1:
        raise UsageError(
            f"The cluster has {has.get('CPU', 0):g} CPUs and {has.get('GPU', 0):g} GPUs, too few for one process with "
            f"--cpus-per-worker {where.cpus_per_worker} and --gpus-per-worker {where.gpus_per_worker:g}."
        )
    return room
