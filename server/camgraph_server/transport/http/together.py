"""All that HTTP offers, put together."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry

from camgraph_server.config import ServerConfig
from camgraph_server.models.batching import worker_count
from camgraph_server.service.service import Service
from camgraph_server.transport.http import metrics, v1, v2
from camgraph_server.transport.http.instances import Instances
from camgraph_server.transport.http.port import HttpPort
from camgraph_server.transport.http.receiving import Bodies
from camgraph_server.transport.http.reception import HttpReception
from camgraph_server.transport.http.writing import Writing
from camgraph_server.transport.inner_calls import Explaining, InnerCalls
from camgraph_server.transport.messages import Limits, Rpc
from camgraph_server.transport.sending import Reading
from camgraph_server.transport.way_in import WayIn


def http_port(
    config: ServerConfig,
    service: Service,
    rpcs: Sequence[Rpc],
    limits: Limits,
    way_in: WayIn,
    registry: CollectorRegistry,
) -> HttpPort:
    """The port of HTTP, which has not been bound.

    Args:
        config: The settings.
        service: What answers.
        rpcs: The methods of the Open Inference Protocol.
        limits: What a request and an answer may take.
        way_in: What every call meets.
        registry: The metrics.
    """
    # No more at once than there are workers: they would fill the queue, and be refused for it.
    inner = InnerCalls(way_in.observers, way_in.security.limits)
    instances = Instances(Explaining(service, inner), inner, min(config.max_stream_items, worker_count(config)))
    routes = [
        *v2.routes(service, rpcs, limits.max_response),
        *v1.routes(service, instances, config.max_targets, limits.max_response),
        *metrics.routes(registry, config.processes),
    ]
    reception = HttpReception(
        routes,
        way_in,
        Bodies(limits, way_in.requests),
        Writing(Reading(config.write_timeout, way_in.answers)),
        config.max_connection_age,
    )
    return HttpPort(reception, config, way_in.security.certificate)
