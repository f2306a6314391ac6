"""The metrics of all processes on one port, told apart by the label `process`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from urllib.request import urlopen

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from camgraph_server.observe.metrics.loop import LoopWatch
from camgraph_server.observe.metrics.port import MetricsPort

_PATIENCE = 2.0
"""Seconds that a worker gets to tell its metrics; its port answers also while the worker is busy."""
_AT_ONCE = 8
SUPERVISOR = "supervisor"


class ProcessMetrics(Collector):
    """Asks every worker for its metrics, and adds those of the supervisor itself.

    Args:
        address: HOST:PORT of the port for all.
        addresses: Where each worker tells its metrics, by its place; None while it starts.

    Attributes:
        restarts: How often a worker was started again.
    """

    def __init__(self, address: str, addresses: Callable[[], list[str | None]]) -> None:
        self.restarts = 0
        self._addresses = addresses
        self._own = CollectorRegistry()
        ProcessCollector(registry=self._own)
        self._loop = LoopWatch(self._own)
        self._asking = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="camgraph-metrics")
        registry = CollectorRegistry()
        registry.register(self)
        self._port = MetricsPort(address, registry, self._loop.stall)

    async def start(self) -> None:
        """Opens the port.

        Raises:
            BindError: The address is taken or not allowed.
        """
        await self._loop.start()
        await self._port.start()

    async def stop(self) -> None:
        """Closes the port."""
        await self._port.stop()
        await self._loop.stop()
        self._asking.shutdown(wait=False, cancel_futures=True)

    def collect(self) -> Iterator[Metric]:
        """The metrics of this moment. A worker that does not answer is left out."""
        addresses = list(enumerate(self._addresses()))
        texts = self._asking.map(_told, (address for _, address in addresses))
        gathered: dict[str, Metric] = {}
        _add(gathered, SUPERVISOR, self._own.collect())
        told = 0
        for (place, _), text in zip(addresses, texts, strict=True):
            told += bool(text)
            _add(gathered, str(place), text_string_to_metric_families(text))
        yield from gathered.values()
        yield GaugeMetricFamily("camgraph_processes", "Worker processes that tell their metrics.", value=told)
        yield CounterMetricFamily(
            "camgraph_process_restarts", "Worker processes that ended and were started again.", value=self.restarts
        )


def _told(address: str | None) -> str:
    """The metrics of a worker as text; empty if it tells none."""
    if address is None:
        return ""
    try:
        with urlopen(f"http://{address}/metrics", timeout=_PATIENCE) as answer:
            text: str = answer.read().decode()
            return text
    except (OSError, HTTPException):  # it ends at this moment, perhaps in the middle of its answer
        return ""


def _add(gathered: dict[str, Metric], process: str, metrics: Iterable[Metric]) -> None:
    for metric in metrics:
        whole = gathered.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type))
        for sample in metric.samples:
            whole.add_sample(sample.name, {**sample.labels, "process": process}, sample.value)
